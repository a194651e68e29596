/** What the archive says of each segment, as a rebuilt catalog has it: its state, its chunks, the leaf that its rows came from. */
import { inParallel, readJournaledManifest } from "../archived/read-manifests.ts";
import { differs } from "../archive/read-object.ts";
import type { RebuiltSegment } from "../catalog/upkeep.ts";
import { checkpoint, type Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import { addDays, type DayUtc, dayEnd, dayStart, parseDay } from "../rows/day.ts";
import type { DetachingLeaf } from "../segment/detaching-leaf.ts";
import { type History, sameSource, type SegmentHistory } from "../segment/history.ts";
import { type Manifest, tableOf } from "../segment/manifest.ts";
import type { LeafName } from "../segment/partition-key.ts";
import { shapeOf } from "../segment/shape.ts";
import { type Found, standingAfterRebuild } from "../segment/standing.ts";
import { OPEN_CHUNKS, type SegmentState } from "../segment/state.ts";

export async function rebuildSegments<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  history: History & { readonly archiveId: string },
  signal: AbortSignal,
): Promise<RebuiltSegment[]> {
  const { hot, policy, report } = environment;
  const { pipeline } = policy;
  const { archiveId } = history;
  const all = [...history.segments.values()];
  const subject = `${all.length} segments`;
  const rebuilt: RebuiltSegment[] = [];
  const hotDays = new Set<DayUtc>();
  const hotLeaves = new Set<string>();
  if (all.length > 0) {
    // Rows of another rule, or of another leaf, may be the segment's: rules change, and a restored leaf is another table.
    const lastDay = all.map(({ dayTo }) => parseDay(dayTo)).reduce((last, day) => (day > last ? day : last));
    for (const { day, leaf } of (await hot.inventory(source, lastDay)).partitions) {
      hotDays.add(day);
      hotLeaves.add(dayOfLeaf(leaf, day));
    }
  }
  await inParallel(all, async (one) => {
    checkpoint(signal);
    // Its manifest may be gone, and nothing of it counts.
    const isGone = one.isCollected || one.isExpiring;
    const manifest = isGone
      ? null
      : await readJournaledManifest({ ...environment, pipeline, archiveId, signal }, one);
    const leaf = manifest === null ? null : leafOf(source, manifest);
    const isWhole = manifest?.key.length === 0 && (await isThere(environment, source, leaf));
    const mayBeBack = hasDay(hotDays, one);
    const isPacked = one.dayFrom !== one.dayTo || manifest?.chunks.some(({ table }) => table !== undefined);
    const found = { mayBeBack, isWhole, isPacked: isPacked === true };
    const shape = manifest === null ? null : shapeOf(environment.newHash, manifest);
    const segment = rebuildSegment(one, manifest, leaf, found);
    if (manifest !== null && manifest.key.length === 0) {
      const its = source.leaves.find(({ oid }) => oid === leaf?.oid);
      const isComparable = its !== undefined && (await hot.fingerprint(its)) === manifest.fingerprint;
      requireLeft(segment, manifest, hotLeaves, isComparable);
    }
    rebuilt.push({ ...segment, shape });
    report({ stage: "manifests", subject, rows: BigInt(rebuilt.length), bytes: 0n });
  });
  // Manifests come in any order.
  return rebuilt.sort((left, right) => (left.segment < right.segment ? -1 : 1));
}

function hasDay(days: ReadonlySet<DayUtc>, { dayFrom, dayTo }: SegmentHistory): boolean {
  const to = parseDay(dayTo);
  for (let day = parseDay(dayFrom); day <= to; day = addDays(day, 1)) if (days.has(day)) return true;
  return false;
}

const dayOfLeaf = ({ schema, name }: Pick<LeafName, "schema" | "name">, day: DayUtc): string =>
  JSON.stringify([schema, name, day]);

/**
 * Without a key no row can be told from one that looks like it, so none may be read from both tiers. A leaf that is the
 * very same table is compared by the next run. Of all others, and of what is cold, tagged or packed, rows that are in the
 * table again are refused.
 */
function requireLeft(
  { segment, state, chunks }: Omit<RebuiltSegment, "shape">,
  manifest: Manifest,
  hotLeaves: ReadonlySet<string>,
  isComparable: boolean,
): void {
  if (state === "superseded") return;
  for (const [index, chunk] of manifest.chunks.entries()) {
    // None is listed where all are pruned.
    const isPruned = chunks.length === 0 || chunks[index]?.state === "pruned";
    const isUnknown = chunks[index]?.state === "unknown" && chunks[index]?.wasPruned === true;
    if (!isPruned && (!isUnknown || isComparable)) continue;
    const table = tableOf(manifest, chunk);
    if (!hotLeaves.has(dayOfLeaf(table, parseDay(chunk.day)))) continue;
    throw new FirnlineError({
      code: "E_CATALOG",
      subject: `segment ${segment}`,
      problem: `${table.schema}.${table.name} has rows of ${chunk.day}, which are in the archive since it was dropped, and without a key nobody can tell whether they are the same`,
      hint: "If a restore brought the partition back, drop it: the archive has its rows. If its rows came late, detach it, and insert them again after the rebuild. Nothing was changed",
    });
  }
}

/** Whether its rows can be in the table at all: it is part of the source, or stands apart. */
async function isThere<Tx>(
  { presentRows }: Environment<Tx>,
  source: SourceTable,
  leaf: LeafName | null,
): Promise<boolean> {
  if (leaf === null || source.leaves.some(({ oid }) => oid === leaf.oid)) return true;
  return await presentRows.isThere(leaf);
}

function rebuildSegment(
  history: SegmentHistory,
  manifest: Manifest | null,
  leaf: LeafName | null,
  found: Found,
): Omit<RebuiltSegment, "shape"> {
  const rowsOf = manifest?.chunks.map(({ rows }) => rows) ?? [];
  const { pruned, quarantined, superseded } = history;
  if (manifest !== null && Math.max(0, ...pruned, ...quarantined, ...superseded) > rowsOf.length) {
    throw differs(history.manifest.key, `it has ${rowsOf.length} chunks, and the journal knows of more`);
  }
  const { state, chunks } = standingAfterRebuild(history, rowsOf.length, found);
  const { object, manifest: pin } = history;
  return {
    segment: history.segment,
    state,
    leaf,
    rule: history.rule,
    dayFrom: parseDay(history.dayFrom),
    dayTo: parseDay(history.dayTo),
    rows: BigInt(history.rows),
    storageClass: history.storageClass,
    object: { versionId: object.versionId, bytes: BigInt(object.bytes) },
    manifest: { versionId: pin.versionId, sha256: pin.sha256, bytes: BigInt(pin.bytes) },
    taggedAt: history.taggedAt,
    sealedAt: history.sealedAt,
    chunks: chunks.map((chunk) => ({ ...chunk, rows: rowsOf[chunk.chunk] as number })),
  };
}

/** The leaf that its rows came from. In a database that was restored from a dump it is another table of the same name. */
function leafOf(source: SourceTable, { table, source: of }: Manifest): LeafName | null {
  if (table.oid === of.tableOid) return null;
  const byOid = source.leaves.find(({ oid }) => oid === table.oid);
  const byName = source.leaves.find(({ schema, name }) => schema === table.schema && name === table.name);
  const found = (sameSource(of, source.identity) ? (byOid ?? byName) : byName) ?? table;
  return { oid: found.oid, schema: found.schema, name: found.name };
}

/**
 * Leaves that were detached to be dropped, and stand there as tables of their own: the lost catalog had them listed. Their
 * rows are the source's until they are dropped, those that came in late too (hazard 26).
 */
export async function findDetached<Tx>(
  { presentRows }: Environment<Tx>,
  source: SourceTable,
  segments: readonly RebuiltSegment[],
): Promise<DetachingLeaf[]> {
  const found = new Map<string, DetachingLeaf>();
  for (const { leaf, chunks, dayFrom, dayTo } of segments) {
    if (leaf === null || !chunks.some(({ state }) => OPEN_CHUNKS.includes(state))) continue;
    if (source.leaves.some(({ oid }) => oid === leaf.oid) || !(await presentRows.isThere(leaf))) continue;
    const before = found.get(leaf.oid)?.range ?? { from: dayStart(dayFrom), to: dayEnd(dayTo) };
    const from = before.from < dayStart(dayFrom) ? before.from : dayStart(dayFrom);
    const to = before.to > dayEnd(dayTo) ? before.to : dayEnd(dayTo);
    // Its bounds went with the catalog: whoever wants to attach it again has to know them.
    found.set(leaf.oid, { ...leaf, parent: source.table, bound: "FOR VALUES ...", range: { from, to } });
  }
  return [...found.values()];
}

export function countStates(segments: readonly RebuiltSegment[]): Partial<Record<SegmentState, number>> {
  const counts: Partial<Record<SegmentState, number>> = {};
  for (const { state } of segments) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

export function rowsUnknown(segments: readonly RebuiltSegment[]): bigint {
  const chunks = segments.flatMap((one) => one.chunks.filter(({ state }) => state === "unknown"));
  return chunks.reduce((sum, { rows }) => sum + BigInt(rows), 0n);
}
