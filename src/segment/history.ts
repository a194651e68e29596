/**
 * What a journal says, entry by entry: whose archive it is, and of every segment where its chunks are. The catalog can be
 * rebuilt from it, compared with it, and objects that it gave up can be collected. Pure; `archived/walk-journal.ts` reads
 * the entries and holds their chain.
 *
 * A chunk is in one of the sets of its segment, or in none: then it is sealed and its rows were not journaled as gone.
 * Memory grows with the number of segments, by less than a kilobyte each.
 */
import { assertNever } from "../errors.ts";
import { segmentOfKey } from "./archive-keys.ts";
import {
  type ChunkSet,
  chunkCount,
  chunkSet,
  commonChunks,
  firstChunks,
  NO_CHUNKS,
  withChunks,
  withoutChunks,
} from "./chunk-set.ts";
import { type HoldHistory, placeHold, releaseHold } from "./hold-history.ts";
import type { ChunksOf, JournalEntry, JournalEvent, SourceIdentity } from "./journal.ts";

type Sealed = Extract<JournalEvent, { type: "sealed" | "packed" }>;

export interface SegmentHistory {
  readonly segment: string;
  readonly rule: string;
  readonly dayFrom: string;
  readonly dayTo: string;
  readonly rows: string;
  readonly root: string;
  /** As it is pinned now: a transition may have given it another version. */
  readonly object: Sealed["object"];
  readonly manifest: Sealed["manifest"];
  readonly storageClass: string;
  readonly sealedAt: string;
  /** From here on rows may be gone from the table that no entry calls pruned. */
  readonly isPruneStarted: boolean;
  readonly isTransitioned: boolean;
  readonly pruned: ChunkSet;
  readonly quarantined: ChunkSet;
  /** Another segment holds their rows, or the table does. For good: such a chunk never counts again. */
  readonly superseded: ChunkSet;
  /** When the bucket's rule was asked to move its object; null where it was not. */
  readonly taggedAt: string | null;
  /** The policy let it go: its object and its manifest were removed, or are about to be. */
  readonly isExpiring: boolean;
  readonly isExpired: boolean;
  /** Its object and its manifest were removed, or are about to be. */
  readonly isCollected: boolean;
}

export interface History {
  archiveId: string | null;
  /** The database and table that the archive belongs to. */
  source: SourceIdentity | null;
  policy: Readonly<Record<string, unknown>> | null;
  /** The highest of all entries so far; one with a lower epoch is void. */
  epoch: bigint;
  readonly segments: Map<string, SegmentHistory>;
  readonly holds: Map<string, HoldHistory>;
  /** Keys of objects that `collected` named and that belong to no segment of the journal. */
  readonly collected: Set<string>;
}

export function emptyHistory(): History {
  return {
    archiveId: null,
    source: null,
    policy: null,
    epoch: 0n,
    segments: new Map(),
    holds: new Map(),
    collected: new Set(),
  };
}

/** An entry whose writer had lost its lease: it counts for numbers and chain, and what it says did not happen. */
export const isVoid = (history: History, entry: JournalEntry): boolean => BigInt(entry.epoch) < history.epoch;

/** Takes one more entry in. Returns what of it contradicts those before, and is not taken in; null for nothing. */
export function replay(history: History, entry: JournalEntry): string | null {
  if (isVoid(history, entry)) return null;
  history.epoch = BigInt(entry.epoch);
  return applyEvent(history, entry.event, entry.at);
}

function applyEvent(history: History, event: JournalEvent, at: string): string | null {
  switch (event.type) {
    case "run-started":
      return ownedBy(history, event.archiveId, event.source, event.source);
    case "adopted":
      return ownedBy(history, event.archiveId, event.previous, event.source);
    case "policy":
      history.policy = event.policy;
      return null;
    case "sealed":
      return (
        addSegment(history, event, at, NO_CHUNKS) ??
        each(event.supersedes, (one) => supersede(history, one, "open"))
      );
    case "packed": {
      // Its rows left the table with the chunks that it is made of.
      const packed = event.from.reduce((sum, { chunks }) => sum + chunks.length, 0);
      return (
        addSegment(history, event, at, firstChunks(packed)) ??
        each(event.from, (one) => supersede(history, one, "pruned"))
      );
    }
    case "superseded":
      return supersede(history, event, "open");
    case "quarantined":
      return change(history, event.segment, (before) => move(before, event.chunks, "quarantined"));
    case "prune-started":
      return change(history, event.segment, (before) => ({ ...before, isPruneStarted: true }));
    case "pruned":
      return change(history, event.segment, (before) => {
        const twice = commonChunks(before.pruned, chunkSet(event.chunks));
        if (twice.length > 0) return `it prunes ${chunkCount(twice)} chunks of ${event.segment} once more`;
        return move(before, event.chunks, "pruned");
      });
    case "reconciled":
      return change(history, event.segment, (before) => {
        const gone = move(before, event.pruned, "pruned");
        if (typeof gone === "string") return gone;
        const back = move(gone, event.sealed, null);
        return typeof back === "string" ? back : { ...back, isPruneStarted: true };
      });
    case "tagged":
      return change(history, event.segment, (before) => ({ ...before, taggedAt: at }));
    case "expire-intent":
      return change(history, event.segment, (before) => ({ ...before, isExpiring: true }));
    case "expired":
      return change(history, event.segment, (before) =>
        before.isExpiring
          ? { ...before, isExpired: true }
          : `segment ${event.segment} expired, and no entry said before that it would`,
      );
    case "hold":
      placeHold(history.holds, event, at);
      return null;
    case "released":
      releaseHold(history.holds, event, at);
      return null;
    case "transitioned":
      return change(history, event.segment, (before) => ({
        ...before,
        object: event.object,
        storageClass: event.storageClass,
        isTransitioned: true,
      }));
    case "collected":
      for (const object of event.objects) collect(history, object);
      return null;
    case "tombstoned":
      return change(history, event.segment, (before) => before);
    case "deleted":
    case "restored":
    case "retrieved":
      return null;
    default:
      return assertNever(event, "journal event");
  }
}

function ownedBy(
  history: History,
  archiveId: string,
  previous: SourceIdentity,
  source: SourceIdentity,
): string | null {
  const before = history.source;
  if (history.archiveId !== null && history.archiveId !== archiveId) {
    return `it is of archive ${archiveId}, those before are of ${history.archiveId}`;
  }
  const isKnown = before === null || sameSource(before, previous);
  history.archiveId = archiveId;
  history.source = source;
  return isKnown ? null : "it is of another source than those before, and no entry says that it was adopted";
}

export function sameSource(left: SourceIdentity, right: SourceIdentity): boolean {
  return (
    left.systemIdentifier === right.systemIdentifier &&
    left.databaseOid === right.databaseOid &&
    left.tableOid === right.tableOid
  );
}

function addSegment(history: History, event: Sealed, sealedAt: string, pruned: ChunkSet): string | null {
  const { segment, rule, dayFrom, dayTo, rows, root, object, manifest, storageClass } = event;
  if (history.segments.has(segment)) return `segment ${segment} was sealed before`;
  history.segments.set(segment, {
    segment,
    rule,
    dayFrom,
    dayTo,
    rows,
    root,
    object,
    manifest,
    storageClass,
    sealedAt,
    isPruneStarted: false,
    isTransitioned: false,
    pruned,
    quarantined: NO_CHUNKS,
    superseded: NO_CHUNKS,
    taggedAt: null,
    isExpiring: false,
    isExpired: false,
    isCollected: false,
  });
  return null;
}

/** Rows that left the table are given up for a segment that holds them, others for the table's (I2). */
function supersede(history: History, { segment, chunks }: ChunksOf, from: "open" | "pruned"): string | null {
  return change(history, segment, (before) => {
    const pruned = chunkCount(commonChunks(before.pruned, chunkSet(chunks)));
    if (pruned === (from === "pruned" ? chunks.length : 0)) return move(before, chunks, "superseded");
    return `it supersedes ${chunks.length} chunks of ${segment}, ${pruned} of them pruned`;
  });
}

/** The chunks go into one set, or into none, and out of the others. */
function move(
  before: SegmentHistory,
  chunks: readonly number[],
  to: "pruned" | "quarantined" | "superseded" | null,
): SegmentHistory | string {
  const moved = chunkSet(chunks);
  const past = commonChunks(before.superseded, moved);
  if (past.length > 0) {
    return `${chunkCount(past)} of the chunks of ${before.segment} that it is about were superseded before`;
  }
  const after = {
    ...before,
    pruned: withoutChunks(before.pruned, moved),
    quarantined: withoutChunks(before.quarantined, moved),
  };
  return to === null ? after : { ...after, [to]: withChunks(after[to], moved) };
}

function change(
  history: History,
  segment: string,
  how: (before: SegmentHistory) => SegmentHistory | string,
): string | null {
  const before = history.segments.get(segment);
  if (before === undefined) return `it is about segment ${segment}, which is not sealed`;
  const after = how(before);
  if (typeof after === "string") return after;
  history.segments.set(segment, after);
  return null;
}

/**
 * The id of a segment is the last name of its object's key, and of its manifest's. Another version of either is not the
 * segment's: a copy that was not pinned, or is not any more.
 */
function collect(history: History, object: VersionOfObject): void {
  const segment = segmentOfKey(object.key);
  const before = segment === null ? undefined : history.segments.get(segment);
  if (before === undefined) history.collected.add(object.key);
  else if (isPinnedBy(before, object)) {
    history.segments.set(before.segment, { ...before, isCollected: true });
  }
}

interface VersionOfObject {
  readonly key: string;
  readonly versionId: string | null;
}

/** Whether it is the version that the journal names of the segment's object, or of its manifest. */
export function isPinnedBy(
  { object, manifest }: SegmentHistory,
  { key, versionId }: VersionOfObject,
): boolean {
  return [object, manifest].some(
    (pin) => pin.key === key && (pin.versionId === null || pin.versionId === versionId),
  );
}

function each<T>(items: readonly T[], work: (item: T) => string | null): string | null {
  return items.reduce<string | null>((problem, item) => work(item) ?? problem, null);
}
