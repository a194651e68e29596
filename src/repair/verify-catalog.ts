/** The journal against the catalog, segment by segment. Pure. */
import type { Hold } from "../catalog/holds.ts";
import type { CatalogSegment } from "../catalog/upkeep.ts";
import { FirnlineError } from "../errors.ts";
import { formatDay } from "../rows/day.ts";
import {
  type ChunkSet,
  chunkCount,
  chunkSet,
  hasChunk,
  NO_CHUNKS,
  sameChunks,
} from "../segment/chunk-set.ts";
import type { SegmentHistory } from "../segment/history.ts";
import type { ChunkState, SegmentState } from "../segment/state.ts";

/** States that no entry of the journal tells: what became of an upload is decided when it is sealed. */
const UNJOURNALED: readonly SegmentState[] = ["exporting", "uploaded", "abandoned"];

/** What of the catalog's record is not what the journal says; empty for nothing. `chunks`: how many the manifest has. */
export function catalogFindings(
  history: SegmentHistory | undefined,
  found: CatalogSegment | undefined,
  chunks: number | null,
): FirnlineError[] {
  if (history === undefined) {
    if (found === undefined || UNJOURNALED.includes(found.record.state)) return [];
    return [
      finding(
        found.record.segment,
        `the catalog has it as ${found.record.state}, the journal does not seal it`,
      ),
    ];
  }
  if (found === undefined) {
    return history.isCollected
      ? []
      : [finding(history.segment, "the journal seals it, the catalog does not know it")];
  }
  const problems = [recordProblem(history, found), standingProblem(history, found, chunks)];
  return problems.flatMap((problem) => (problem === null ? [] : [finding(history.segment, problem)]));
}

/** What it is, and where. */
function recordProblem(history: SegmentHistory, { record }: CatalogSegment): string | null {
  const version = (one: { versionId: string | null; bytes: string | bigint } | null): string =>
    one === null ? "none" : `${one.bytes} bytes, version ${one.versionId}`;
  const pairs: readonly (readonly [string, string, string])[] = [
    ["rule", record.rule, history.rule],
    [
      "days",
      `${formatDay(record.dayFrom)} .. ${formatDay(record.dayTo)}`,
      `${history.dayFrom} .. ${history.dayTo}`,
    ],
    ["rows", record.rows.toString(), history.rows],
    ["storage class", record.storageClass, history.storageClass],
    // What the object hashes to, the manifest says; and `manifestProblem` that it is what the journal says.
    ["object", version(record.object), version(history.object)],
    ["manifest", version(record.manifest), version(history.manifest)],
    ["manifest's SHA-256", record.manifest?.sha256 ?? "none", history.manifest.sha256],
  ];
  const other = pairs.find(([, its, journaled]) => its !== journaled);
  return other === undefined
    ? null
    : `its ${other[0]} is ${other[1]} in the catalog, ${other[2]} in the journal`;
}

/** Where its rows are; of what expires there is nothing more to know than that. */
function standingProblem(
  history: SegmentHistory,
  found: CatalogSegment,
  chunks: number | null,
): string | null {
  if (history.isCollected) return null;
  if (!history.isExpiring) return chunkProblem(history, found, chunks);
  const expected = history.isExpired ? "expired" : "expiring";
  const { state } = found.record;
  return state === expected ? null : `it is ${state} in the catalog, and ${expected} by the journal`;
}

function chunkProblem(
  history: SegmentHistory,
  { record, chunks }: CatalogSegment,
  count: number | null,
): string | null {
  const sets = chunkSets({ record, chunks }, count);
  // Without a manifest, and without its chunks in the catalog, there is nothing to hold against the journal.
  if (sets === null) return null;
  for (const state of ["pruned", "quarantined", "superseded"] as const) {
    if (sameChunks(sets[state], history[state])) continue;
    return `${chunkCount(sets[state])} of its chunks are ${state} in the catalog, ${chunkCount(history[state])} in the journal`;
  }
  const expected = stateOf(history, sets);
  // What is being cooled down is warm until the journal says that it was moved.
  const is = record.state === "cooling" ? "warm" : record.state;
  return is === expected ? null : `it is ${record.state} in the catalog, and ${expected} by the journal`;
}

type Sets = Readonly<Record<"pruned" | "quarantined" | "superseded" | "open", ChunkSet>>;

/** A chunk whose state is unknown counts as what the journal says of it: the next run will know. */
function chunkSets({ record, chunks }: CatalogSegment, count: number | null): Sets | null {
  const where = (test: (state: ChunkState, wasPruned: boolean) => boolean): ChunkSet =>
    chunkSet(chunks.filter(({ state, wasPruned }) => test(state, wasPruned)).map(({ chunk }) => chunk));
  if (chunks.length > 0) {
    return {
      pruned: where((state, wasPruned) => state === "pruned" || (state === "unknown" && wasPruned)),
      quarantined: where((state) => state === "quarantined"),
      superseded: where((state) => state === "superseded"),
      open: where((state) => ["sealed", "quarantined", "unknown"].includes(state)),
    };
  }
  if (count === null) return null;
  const all = chunkSet(Array.from({ length: count }, (_, chunk) => chunk));
  const none = { pruned: NO_CHUNKS, quarantined: NO_CHUNKS, superseded: NO_CHUNKS, open: NO_CHUNKS };
  return record.state === "superseded" ? { ...none, superseded: all } : { ...none, pruned: all };
}

function stateOf(history: SegmentHistory, { open, pruned }: Sets): SegmentState {
  const isReopened = chunkCount(open) > 0 && !hasSame(open, history);
  if (chunkCount(open) > 0) return history.isPruneStarted || isReopened ? "pruning" : "sealed";
  if (chunkCount(pruned) === 0) return "superseded";
  return history.isTransitioned ? "cold" : "warm";
}

/** Whether none of the open chunks is pruned by the journal: a rebuild opens pruned ones, to look for their rows. */
function hasSame(open: ChunkSet, history: SegmentHistory): boolean {
  for (let at = 0; at < open.length; at += 2) {
    for (let chunk = open[at] as number; chunk < (open[at + 1] as number); chunk += 1) {
      if (hasChunk(history.pruned, chunk)) return false;
    }
  }
  return true;
}

function finding(segment: string, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_CATALOG",
    subject: `segment ${segment}`,
    problem,
    hint: "`firnline catalog rebuild` makes the catalog what the journal says",
  });
}

/** Holds of the journal, with those that are decided and not journaled yet, against the catalog's. */
export function holdFindings(journaled: readonly Hold[], found: readonly Hold[]): FirnlineError[] {
  const textOf = (hold: Hold | undefined): string =>
    hold === undefined
      ? "is not there"
      : `is on ${formatDay(hold.dayFrom)} .. ${formatDay(hold.dayTo)}, ${hold.released === null ? "in force" : "released"}`;
  const [left, right] = [journaled, found].map((some) => new Map(some.map((one) => [one.hold, one])));
  return [...new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])])].flatMap((id) => {
    const [said, is] = [textOf(left?.get(id)), textOf(right?.get(id))];
    if (said === is) return [];
    return [
      new FirnlineError({
        code: "E_CATALOG",
        subject: `hold ${id}`,
        problem: `it ${is} in the catalog, and ${said} by the journal`,
        hint: "Until then nothing should be removed; `firnline catalog rebuild` makes the catalog what the journal says",
      }),
    ];
  });
}
