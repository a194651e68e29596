/**
 * verify: archive against journal against catalog against table. Reads, and changes nothing.
 *
 * A run may be at work meanwhile. The catalog is read in one snapshot, the journal is replayed up to the entry that this
 * snapshot ends with, and what differs in the table is asked once more before it is told.
 */
import type { CatalogContents } from "../catalog/upkeep.ts";
import { inParallel } from "../archived/read-manifests.ts";
import { checkpoint, type Environment } from "../environment.ts";
import { FirnlineError, FirnlineErrors, isFirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import { chunkSet, hasChunk, withChunks } from "../segment/chunk-set.ts";
import { sameSource, type SegmentHistory } from "../segment/history.ts";
import type { JournalHead } from "../segment/journal.ts";
import { rebuiltHolds } from "./rebuilt-holds.ts";
import { catalogFindings, holdFindings } from "./verify-catalog.ts";
import { type JournalReading, verifyJournal } from "./verify-journal.ts";
import { lookAtSegment, type SegmentLook } from "./verify-segment.ts";
import { tableFindings } from "./verify-table.ts";
import { markerFindings } from "./verify-versions.ts";

export interface VerifyOptions {
  /** Decode every object and hash every value; a number: of so many segments. */
  readonly deep: boolean | number;
  /** Picks the same segments again. */
  readonly seed: number;
  readonly onFinding: (finding: FirnlineError) => void;
  readonly signal: AbortSignal;
}

export interface VerifyResult {
  readonly journal: JournalHead;
  /** Segments whose rows count. */
  readonly segments: number;
  /** Of these, those of which every value was hashed. */
  readonly deep: number;
  readonly rows: bigint;
  readonly bytes: bigint;
  /** Of those that were to be read, the ones that need a restore first. */
  readonly unverified: number;
  /** Segments that nothing needs any more, and that `collect` will remove. */
  readonly superseded: number;
  /** Segments that the policy let go of: the journal says which, and what was removed. */
  readonly expired: number;
  /** Rows whose place is looked for by the next run, after a rebuild of the catalog. */
  readonly rowsUnknown: bigint;
  /** Decisions that the next run journals. */
  readonly pending: number;
  readonly findings: number;
}

export async function verifyPipeline<Tx>(
  environment: Environment<Tx>,
  options: VerifyOptions,
): Promise<VerifyResult> {
  let findings = 0;
  const found = (finding: FirnlineError): void => {
    findings += 1;
    options.onFinding(finding);
  };
  const { policy, upkeep } = environment;
  const source = await describe(environment, found);
  const contents = await upkeep.contents(policy.pipeline);
  const reading = await verifyJournal(environment, contents, found, options.signal);
  if (contents === null && reading.head.n > 0n) found(unknownPipeline(policy.pipeline));
  requireOwner(reading, source, policy.pipeline, found);
  const withPending = pruneAsDecided(reading, contents);
  const looked = await lookAtSegments(
    environment,
    options,
    { reading, contents, source, withPending },
    found,
  );
  (await markerFindings(environment, reading.history, options.signal)).forEach(found);
  if (reading.isComparable && contents !== null) {
    for (const [segment, one] of contents.segments) {
      if (!withPending.has(segment)) catalogFindings(undefined, one, null).forEach(found);
    }
    holdFindings(rebuiltHolds(reading.history, contents.pending), contents.holds).forEach(found);
    if (source !== null) (await tableFindings(environment, source, contents)).forEach(found);
  }
  const records = [...(contents?.segments.values() ?? [])].map(({ record }) => record);
  return {
    journal: reading.head,
    ...looked,
    rowsUnknown: records.reduce((sum, { rowsUnknown }) => sum + rowsUnknown, 0n),
    pending: contents?.pending.length ?? 0,
    findings,
  };
}

/** What forbids to read the table is found here too; the archive can be verified without it. */
async function describe<Tx>(
  { hot }: Environment<Tx>,
  found: (finding: FirnlineError) => void,
): Promise<SourceTable | null> {
  try {
    return await hot.describe("read");
  } catch (error) {
    if (error instanceof FirnlineErrors) error.errors.forEach(found);
    // A partition that was dropped by hand on its way out.
    else if (isFirnlineError(error, "E_DETACH")) found(error);
    else throw error;
    return null;
  }
}

function requireOwner(
  { history }: JournalReading,
  source: SourceTable | null,
  pipeline: string,
  found: (finding: FirnlineError) => void,
): void {
  if (history.source === null || source === null || sameSource(history.source, source.identity)) return;
  found(
    new FirnlineError({
      code: "E_OWNER",
      subject: `pipeline ${pipeline}`,
      problem: "its archive belongs to another database, or to another table of this one",
      hint: "If this one is to go on in the place of that, use `firnline adopt`",
    }),
  );
}

/** Deletions are in the catalog with their COMMIT, and in the journal with the end of the run. */
function pruneAsDecided(
  { history }: JournalReading,
  contents: CatalogContents | null,
): ReadonlyMap<string, SegmentHistory> {
  const segments = new Map(history.segments);
  for (const { event } of contents?.pending ?? []) {
    const before = event.type === "pruned" ? segments.get(event.segment) : undefined;
    if (event.type !== "pruned" || before === undefined) continue;
    segments.set(event.segment, { ...before, pruned: withChunks(before.pruned, chunkSet(event.chunks)) });
  }
  return segments;
}

interface Looked {
  readonly reading: JournalReading;
  readonly contents: CatalogContents | null;
  readonly source: SourceTable | null;
  readonly withPending: ReadonlyMap<string, SegmentHistory>;
}

async function lookAtSegments<Tx>(
  environment: Environment<Tx>,
  { deep, seed, signal }: VerifyOptions,
  { reading, contents, source, withPending }: Looked,
  found: (finding: FirnlineError) => void,
): Promise<
  Pick<VerifyResult, "segments" | "deep" | "rows" | "bytes" | "unverified" | "superseded" | "expired">
> {
  const { policy, report } = environment;
  const here = [...withPending.values()].filter(
    ({ isCollected, object, manifest }) =>
      !isCollected && !reading.collectedLater.has(object.key) && !reading.collectedLater.has(manifest.key),
  );
  const gone = here.filter(({ isExpiring, segment }) => isExpiring || reading.expiringLater.has(segment));
  const isGone = new Set(gone);
  const all = here.filter((one) => !isGone.has(one));
  for (const history of gone) {
    if (!reading.isComparable || reading.expiringLater.has(history.segment)) continue;
    catalogFindings(history, contents?.segments.get(history.segment), null).forEach(found);
  }
  const picked = new Set(deep === true ? all : deep === false ? [] : pick(all, deep, seed));
  const total = {
    segments: 0,
    deep: 0,
    rows: 0n,
    bytes: 0n,
    unverified: 0,
    superseded: 0,
    expired: gone.length,
  };
  const subject = `${all.length} segments`;
  let done = 0n;
  const look = async (history: SegmentHistory): Promise<void> => {
    checkpoint(signal);
    const isDeep = picked.has(history);
    const inCatalog = contents?.segments.get(history.segment);
    const states = new Map(inCatalog?.chunks.map(({ chunk, state }) => [chunk, state]));
    // Without chunks in the catalog, a segment that the journal prunes is wholly pruned.
    const stateOf = (chunk: number): "sealed" | "pruned" | null => {
      const state = states.size === 0 && hasChunk(history.pruned, chunk) ? "pruned" : states.get(chunk);
      return state === "sealed" || state === "pruned" ? state : null;
    };
    const result: SegmentLook = await lookAtSegment(
      environment,
      {
        ...environment,
        pipeline: policy.pipeline,
        archiveId: reading.history.archiveId ?? "",
        signal,
        isDeep,
        source: reading.isComparable ? source : null,
        holds: contents?.holds ?? [],
        stateOf,
      },
      history,
    );
    result.findings.forEach(found);
    if (reading.isComparable) {
      catalogFindings(history, inCatalog, result.manifest?.chunks.length ?? null).forEach(found);
    }
    total[result.isSuperseded ? "superseded" : "segments"] += 1;
    total.deep += isDeep && result.rows > 0n ? 1 : 0;
    total.unverified += result.isUnverified ? 1 : 0;
    total.rows += result.rows;
    total.bytes += result.bytes;
    done += 1n;
    report({ stage: "verify", subject, rows: done, bytes: total.bytes });
  };
  await inParallel(
    all.filter((one) => !picked.has(one)),
    look,
  );
  // One at a time: a row group of each is in memory (I10).
  for (const one of all.filter((history) => picked.has(history))) await look(one);
  return total;
}

/** `count` of them, the same ones for the same seed. */
function pick<T extends { readonly segment: string }>(all: readonly T[], count: number, seed: number): T[] {
  const rest = all.toSorted((left, right) => (left.segment < right.segment ? -1 : 1));
  const next = random(seed);
  const picked: T[] = [];
  while (picked.length < count && rest.length > 0) {
    picked.push(...rest.splice(Math.floor(next() * rest.length), 1));
  }
  return picked;
}

/** Numbers of [0, 1). Source: Tommy Ettinger's mulberry32, in the public domain. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function unknownPipeline(pipeline: string): FirnlineError {
  return new FirnlineError({
    code: "E_CATALOG",
    subject: `pipeline ${pipeline}`,
    problem: "its archive has a journal, and the catalog does not know it",
    hint: "`firnline catalog rebuild` makes the catalog what the journal says",
  });
}
