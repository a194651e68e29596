/**
 * How a segment stands by the journal: its state and that of each of its chunks, as the catalog writes them. Pure.
 *
 * The journal may be behind the database by deletions whose entry was not written yet, and ahead of it after a restore.
 * Whoever rebuilds a catalog knows neither: such chunks are `unknown`, are read from both tiers, and the next run looks.
 */
import type { Json } from "./canonical-json.ts";
import { canonicalJson } from "./canonical-json.ts";
import { chunkCount, hasChunk } from "./chunk-set.ts";
import type { SegmentHistory } from "./history.ts";
import type { Manifest } from "./manifest.ts";
import { type ChunkState, OPEN_CHUNKS, type SegmentState } from "./state.ts";

export interface StandingChunk {
  readonly chunk: number;
  readonly state: ChunkState;
  /** Whether the journal calls it pruned, though its state is `unknown`. */
  readonly wasPruned: boolean;
}

export interface Standing {
  readonly state: SegmentState;
  /** As the catalog keeps them: none where all are pruned, or all superseded. */
  readonly chunks: readonly StandingChunk[];
}

export interface Found {
  /** The table has rows of the segment's days: late ones, or such as a restore brought back. */
  readonly mayBeBack: boolean;
  /** Its chunks are of several days or tables. Rows of theirs that came back are late rows, and archived once more. */
  readonly isPacked: boolean;
  /** A table without a key gives up whole leaves, and the segment's is there: none of its rows has left. */
  readonly isWhole: boolean;
}

/** Where a catalog that is rebuilt puts a segment of `count` chunks. */
export function standingAfterRebuild(
  history: SegmentHistory,
  count: number,
  { mayBeBack, isPacked, isWhole }: Found,
): Standing {
  const { isPruneStarted, isTransitioned, taggedAt } = history;
  // From the tag on the bucket may move it at any time, so it can be read no more without a restore.
  const isLeft = isTransitioned || taggedAt !== null || isPacked;
  if (history.isExpired) return { state: "expired", chunks: [] };
  if (history.isExpiring) return { state: "expiring", chunks: [] };
  const chunks = Array.from({ length: count }, (_, chunk): StandingChunk => {
    const wasPruned = hasChunk(history.pruned, chunk);
    if (hasChunk(history.superseded, chunk)) return { chunk, state: "superseded", wasPruned: false };
    if (hasChunk(history.quarantined, chunk)) return { chunk, state: "quarantined", wasPruned: false };
    // What is cold is not compared. Rows that came back are late rows then, and are archived once more.
    if (wasPruned && mayBeBack && !isLeft) return { chunk, state: "unknown", wasPruned: true };
    if (wasPruned) return { chunk, state: "pruned", wasPruned: false };
    return { chunk, state: isPruneStarted && !isWhole ? "unknown" : "sealed", wasPruned: false };
  });
  const has = (...states: readonly ChunkState[]): boolean =>
    chunks.some(({ state }) => states.includes(state));
  if (has(...OPEN_CHUNKS)) return { state: isPruneStarted || has("unknown") ? "pruning" : "sealed", chunks };
  if (!has("pruned")) return { state: "superseded", chunks: [] };
  const state = isTransitioned ? "cold" : taggedAt === null ? "warm" : "cooling";
  return { state, chunks: has("superseded") ? chunks : [] };
}

/** Whether nothing of it counts any more: its object and its manifest may be collected. */
export function isWhollySuperseded(history: SegmentHistory, count: number): boolean {
  return history.isCollected || chunkCount(history.superseded) === count;
}

/** What of a manifest is not what the journal says of its segment; null for nothing. */
export function manifestProblem(
  manifest: Manifest,
  { archiveId, pipeline }: { readonly archiveId: string; readonly pipeline: string },
  history: SegmentHistory,
): string | null {
  const { segment, rule, dayFrom, dayTo, rows, root, object } = history;
  const { key, sha256, bytes } = object;
  const journaled: Readonly<Record<string, Json>> = {
    archiveId,
    pipeline,
    segment,
    rule,
    dayFrom,
    dayTo,
    rows,
    root,
    object: { key, sha256, bytes },
  };
  const { key: itsKey, sha256: itsSha256, bytes: itsBytes } = manifest.object;
  // A transition may have given the object another version; its bytes are the same.
  const found = { ...manifest, object: { key: itsKey, sha256: itsSha256, bytes: itsBytes } };
  for (const [name, value] of Object.entries(journaled)) {
    const its = found[name as keyof typeof found] as Json;
    if (canonicalJson(its) === canonicalJson(value)) continue;
    return `its ${name} is ${canonicalJson(its)}, the journal says ${canonicalJson(value)}`;
  }
  return null;
}
