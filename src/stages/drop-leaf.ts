/**
 * drop: a leaf of a partitioned table whose every row is due and archived leaves the table as a whole. It is listed in
 * the catalog, then detached, then under lock every row is read back and its digests are compared with the manifests'
 * (I1); a count by a sequential scan must find no row besides (hazards 11 and 17); then it is dropped and the catalog
 * follows, in one transaction (I4). Readers include a listed leaf wherever it stands (hazard 26).
 *
 * Rows that changed while they waited are exported anew, from the leaf as it is, attached or not. Once detached it is
 * never attached again by us: the rows are found all the same, and the next run goes on.
 *
 * Commit point: the COMMIT of the drop. A lost reply is no question: the leaf is not listed any more then.
 */
import { readManifest } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { checkpoint, timestamp } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { DropOutcome } from "../hot/leaf-drop.ts";
import type { Leaf, LeafPartition } from "../hot/port.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { type DayUtc, formatDay } from "../rows/day.ts";
import { chunkDigests } from "../segment/digest.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import type { LeafName } from "../segment/partition-key.ts";
import { pruneVerdict } from "../segment/prune-guard.ts";
import { leafName, requireLeaf, type StageContext } from "./context.ts";
import { deletePartition } from "./delete-only.ts";
import { protectSegment } from "./lock.ts";
import { type Drift, driftOf, requireContent, requireObject } from "./prune.ts";
import { exportAnew, quarantine } from "./replace.ts";
import { withRetries } from "./retry.ts";
import { type OpenLeaf, type OpenPartition, readOpenLeaf } from "./open-leaf.ts";

/** Exports of the same rows in one run. */
const ATTEMPTS_MAX = 3;

export interface DroppedLeaf {
  readonly rows: bigint;
  /** Rows that were exported anew on the way. */
  readonly exported: bigint;
  /** Rows of delete-only rules that had come in. */
  readonly deleted: bigint;
  /** Segments that are wholly pruned now. */
  readonly segments: readonly SegmentRecord[];
  /** What is left unsolved; the leaf stands then. */
  readonly drift: readonly Drift[];
}

export async function dropLeaf<Tx>(context: StageContext<Tx>, name: LeafName): Promise<DroppedLeaf> {
  const { leafDrop, source } = context;
  const leaf = requireLeaf(source, name);
  await leafDrop.requireDroppable(leaf);
  const changes = { exported: 0n, deleted: 0n };
  let unsolved: Unsolved = { drift: [], partitions: [] };
  for (let exports = 0; exports <= ATTEMPTS_MAX; exports += 1) {
    for (const partition of unsolved.partitions) await settle(context, leaf, partition, changes);
    const open = await readOpenLeaf(context, leaf);
    unsolved = await compareCounts(context, leaf, open);
    if (unsolved.partitions.length > 0) continue;
    await takeOut(context, leaf, open);
    const { outcome, drift, rows } = await dropOnce(context, leaf, open);
    if (outcome !== "refused") {
      const segments = open.segments.map(({ record }) => record);
      return { ...changes, rows, segments, drift: [] };
    }
    // Several chunks may have drifted in one of them.
    unsolved = { drift, partitions: [...new Set(drift.map(({ partition }) => partition))] };
  }
  const drift = unsolved.drift.map(({ what }) => what);
  if (drift.length === 0) throw restless(leaf, unsolved.partitions);
  await quarantine(context, drift);
  return { ...changes, rows: 0n, segments: [], drift };
}

interface PartitionOf {
  readonly rule: string;
  readonly day: DayUtc;
}

/** A partition that is not what is archived of it; a count says how far. */
interface Unsettled extends PartitionOf {
  readonly found?: bigint;
  readonly archived?: bigint;
}

interface Unsolved {
  readonly drift: readonly { readonly what: Drift; readonly partition: Unsettled }[];
  readonly partitions: readonly Unsettled[];
}

/** The cheap look, without a lock that anybody would notice. */
async function compareCounts<Tx>(
  { leafDrop, source }: StageContext<Tx>,
  leaf: Leaf,
  open: OpenLeaf,
): Promise<Unsolved> {
  if (open.unlike.length > 0) return { drift: [], partitions: open.unlike };
  const counted = await leafDrop.count(source, leaf);
  if (counted.others > 0n) throw dayless(leaf, counted.others);
  const both = new Map<string, Required<Unsettled>>();
  for (const { rule, day, rows } of open.partitions) {
    both.set(`${rule} ${day}`, { rule, day, archived: rows, found: 0n });
  }
  for (const { rule, day, rows } of counted.partitions) {
    const archived = both.get(`${rule} ${day}`)?.archived ?? 0n;
    both.set(`${rule} ${day}`, { rule, day, archived, found: rows });
  }
  return { drift: [], partitions: [...both.values()].filter(({ archived, found }) => archived !== found) };
}

async function settle<Tx>(
  context: StageContext<Tx>,
  leaf: Leaf,
  { rule, day }: PartitionOf,
  changes: { exported: bigint; deleted: bigint },
): Promise<void> {
  if (context.policy.rules.find(({ name }) => name === rule)?.archive === false) {
    changes.deleted += await deletePartition(context, { leaf, rule, day });
    return;
  }
  const segments = await exportAnew(context, { leaf: leafName(leaf), rule, day });
  changes.exported += segments.reduce((sum, { rows }) => sum + rows, 0n);
}

/** Everything before the first row goes, in an order that a crash anywhere leaves readable. */
async function takeOut<Tx>(context: StageContext<Tx>, leaf: Leaf, open: OpenLeaf): Promise<void> {
  const { catalog, clock, detaching, failpoint, journal, lease, leafDrop, limits, signal } = context;
  for (const { record, sealed } of open.segments) {
    if (record.state === "sealed") await journal.append({ type: "prune-started", segment: record.segment });
    await requireContent(context, record, sealed);
    await protectSegment(context, record);
  }
  const { parent, bound, range } = leaf.partition as LeafPartition;
  if (range === null) throw unbounded(leaf);
  const { oid, schema, name } = leaf;
  await detaching.add(lease, { oid, schema, name, parent, bound, range });
  failpoint("drop.listed");
  await withRetries({ clock, attemptsMax: limits.attemptsMax, signal }, async () => {
    // No lease is held while Postgres waits; whoever takes over finds the leaf listed (I6).
    await catalog.renewLease(lease, limits.leaseMs);
    await leafDrop.detach(leaf, limits.detachWaitMs, signal).catch((error: unknown) => {
      checkpoint(signal);
      throw error;
    });
  });
  failpoint("drop.detached");
}

async function dropOnce<Tx>(
  context: StageContext<Tx>,
  leaf: Leaf,
  open: OpenLeaf,
): Promise<{ outcome: DropOutcome; drift: Unsolved["drift"]; rows: bigint }> {
  const { catalog, clock, detaching, failpoint, journal, lease, leafDrop, limits, report, signal, source } =
    context;
  const rows = open.partitions.reduce((sum, one) => sum + one.rows, 0n);
  let drift: Unsolved["drift"][number][] = [];
  const outcome = await withRetries({ clock, attemptsMax: limits.attemptsMax, signal }, async () => {
    drift = [];
    let current: SealedPartition | null = null;
    for (const { record, sealed } of open.segments) await requireObject(context, record, sealed);
    return await leafDrop.drop(
      source,
      { leaf, ...open },
      {
        before: async (tx) => {
          if (!(await detaching.lock(tx, lease, leaf.oid))) return "done";
          for (const { record, chunks } of open.segments) {
            const numbers = chunks.map(({ chunk }) => chunk);
            const states = await catalog.lockChunks(tx, lease, record.segment, numbers);
            if (states.some((state) => state !== "sealed")) throw unexpected(record, states);
          }
          return "drop";
        },
        begin: async (index) => {
          current = await sealedPartition(context, open.partitions[index] as OpenPartition);
          return current.chunks.map(({ rows: ofChunk }) => ofChunk);
        },
        judge: (at, found) => {
          const { partition, chunks } = current as SealedPartition;
          const what = verdictOn(context, chunks, at, found);
          // Rows behind the last chunk are its drift, and it may have drifted itself.
          if (what !== null && !isSameChunk(what, drift.at(-1)?.what)) drift.push({ what, partition });
        },
        decide: (found) => {
          failpoint("drop.judged");
          return drift.length === 0 && found === rows;
        },
        after: async (tx) => {
          for (const { record, chunks, rows: ofSegment } of open.segments) {
            const numbers = chunks.map(({ chunk }) => chunk);
            await catalog.chunksPruned(tx, lease, record.segment, numbers, ofSegment, timestamp(clock));
          }
          await detaching.dropped(tx, lease, leaf.oid);
          failpoint("drop.dropped");
        },
      },
    );
  });
  if (outcome === "refused") return { outcome, drift, rows: 0n };
  failpoint("drop.committed");
  report({ stage: "prune", subject: `${leaf.schema}.${leaf.name}`, rows, bytes: 0n });
  await journal.publish();
  failpoint("drop.published");
  return { outcome, drift: [], rows };
}

interface SealedChunk {
  readonly record: SegmentRecord;
  readonly manifest: Manifest;
  readonly chunk: number;
  readonly rows: number;
}

interface SealedPartition {
  readonly partition: OpenPartition;
  readonly chunks: readonly SealedChunk[];
}

const isSameChunk = (one: Drift, other: Drift | undefined): boolean =>
  one.segment === other?.segment && one.chunk === other.chunk;

/** With its manifests, and without those of other partitions (I10). */
async function sealedPartition<Tx>(
  context: StageContext<Tx>,
  partition: OpenPartition,
): Promise<SealedPartition> {
  const chunks: SealedChunk[] = [];
  for (const { record, chunks: ofSegment } of partition.segments) {
    const manifest = await readManifest({ ...context, pipeline: context.policy.pipeline }, record);
    chunks.push(...ofSegment.map((one) => ({ ...one, record, manifest })));
  }
  return { partition, chunks };
}

/** Null: these are the very rows that the manifest describes. */
function verdictOn<Tx>(
  { newHash }: StageContext<Tx>,
  chunks: readonly SealedChunk[],
  at: number,
  found: RawRows | null,
): Drift | null {
  const { record, manifest, chunk } = chunks[Math.min(at, chunks.length - 1)] as SealedChunk;
  if (found === null) return driftOf(record, chunk, "much larger rows came back than were archived");
  if (at >= chunks.length) {
    const came = `${found.rows} ${found.rows === 1 ? "row" : "rows"} came in after the export`;
    return driftOf(record, chunk, came);
  }
  const { salts } = manifest.chunks[chunk] as ManifestChunk;
  const digests = chunkDigests(newHash, salts, found.columns);
  const verdict = pruneVerdict(manifest, chunk, { rows: found.rows, digests });
  return verdict.verdict === "proven" ? null : driftOf(record, chunk, verdict.reason);
}

function unexpected({ segment }: SegmentRecord, states: readonly string[]): FirnlineError {
  return new FirnlineError({
    code: "E_CATALOG",
    subject: `segment ${segment}`,
    problem: `its chunks are ${[...new Set(states)].join(", ")}, expected sealed`,
    hint: "Nothing was deleted; is another run at work",
  });
}

const failure = ({ schema, name }: Leaf, problem: string, hint: string): FirnlineError =>
  new FirnlineError({ code: "E_DETACH", subject: `${schema}.${name}`, problem, hint });

function unbounded(leaf: Leaf): FirnlineError {
  return failure(leaf, "its bounds do not say which days it holds", "Set prune: rows");
}

function dayless(leaf: Leaf, rows: bigint): FirnlineError {
  return failure(
    leaf,
    `${rows} of its rows belong to no day`,
    "Move them into another partition; this one goes when all of its rows are archived",
  );
}

/** Rows keep coming, or an index hides some from the export that a scan of the table finds. */
function restless(leaf: Leaf, [first]: readonly Unsettled[]): FirnlineError {
  const where =
    first === undefined
      ? ""
      : ` (${first.rule} ${formatDay(first.day)}: ${first.found ?? "?"} rows found, ${first.archived ?? "?"} exported)`;
  return failure(
    leaf,
    `its rows were exported ${ATTEMPTS_MAX} times and are others each time${where}`,
    "Is something writing into it, or is an index damaged (REINDEX TABLE)? Nothing was dropped",
  );
}
