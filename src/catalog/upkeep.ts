/**
 * The catalog as a whole: what `verify` compares with the journal, what `catalog rebuild` and `adopt` put in its place,
 * and what `collect` remembers of objects that nothing names.
 */
import type { DayUtc, EpochMs } from "../rows/day.ts";
import type { DetachingLeaf } from "../segment/detaching-leaf.ts";
import type { JournalEvent, JournalHead, SourceIdentity } from "../segment/journal.ts";
import type { LeafName } from "../segment/partition-key.ts";
import type { ChunkState, SegmentState } from "../segment/state.ts";
import type { Hold } from "./holds.ts";
import type { PendingEntry } from "./pending-entry.ts";
import type {
  ChunkRecord,
  Lease,
  LeaseHolder,
  PipelineRecord,
  SegmentRecord,
  StoredObject,
  StoredPin,
} from "./port.ts";

export interface CatalogSegment {
  readonly record: SegmentRecord;
  readonly chunks: readonly ChunkRecord[];
}

/** All of it that the journal also knows, as one snapshot shows it. */
export interface CatalogContents {
  readonly record: PipelineRecord;
  readonly pending: readonly PendingEntry[];
  /** By segment; those that were never sealed too. */
  readonly segments: ReadonlyMap<string, CatalogSegment>;
  /** Oldest first, released ones too. */
  readonly holds: readonly Hold[];
}

export interface RebuiltChunk {
  readonly chunk: number;
  readonly state: ChunkState;
  readonly rows: number;
  readonly wasPruned: boolean;
}

export interface RebuiltSegment {
  readonly segment: string;
  readonly state: SegmentState;
  readonly leaf: LeafName | null;
  readonly rule: string;
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly rows: bigint;
  readonly storageClass: string;
  readonly object: StoredObject;
  readonly manifest: StoredPin;
  /** When its object was tagged, as the journal writes it; null where it was not. */
  readonly taggedAt: string | null;
  /** As the journal writes it. */
  readonly sealedAt: string;
  /** Null where its manifest is gone. */
  readonly shape: string | null;
  readonly chunks: readonly RebuiltChunk[];
}

export interface RebuiltCatalog {
  readonly pipeline: string;
  readonly archiveId: string;
  readonly archiveUrl: string;
  readonly source: SourceIdentity;
  readonly policy: Readonly<Record<string, unknown>> | null;
  readonly journal: JournalHead;
  /** The highest of the journal; the lease gets a higher one, or its entries would be void. */
  readonly epoch: bigint;
  readonly segments: readonly RebuiltSegment[];
  /** All that the journal has. What was decided besides is taken from the outbox, as it is when this is written. */
  readonly holds: readonly Hold[];
  /** Leaves that stand apart from the source and hold rows of these segments. They are listed; such as are gone no more. */
  readonly detached: readonly DetachingLeaf[];
  /** Decisions that are not to be journaled any more: the journal has them, or what it says of them counts. */
  readonly forgotten: readonly string[];
  /** An entry that the database decides with the rebuild, to be journaled first of all. */
  readonly decision: { readonly event: JournalEvent; readonly at: string } | null;
}

export interface RebuildRequest {
  readonly run: string;
  readonly holder: LeaseHolder;
  readonly durationMs: number;
  /** Of the pipeline's row; null where there is none. */
  readonly lease: Lease | null;
}

/** One version of an object. */
export interface GarbageObject {
  readonly key: string;
  readonly versionId: string | null;
  readonly bytes: bigint;
}

export interface SeenGarbage extends GarbageObject {
  readonly firstSeen: EpochMs;
}

export interface Upkeep {
  /** Null where the catalog does not know the pipeline. */
  contents(pipeline: string): Promise<CatalogContents | null>;
  /**
   * Puts a pipeline's row, segments and chunks in the place of what is there, in one transaction, and takes its lease with
   * an epoch above all. Runs and retrievals stay. `E_STALE`, or `E_LOCKED` for a row that was not there before.
   */
  rebuild(request: RebuildRequest, rebuilt: RebuiltCatalog): Promise<Lease>;

  garbage(pipeline: string): Promise<SeenGarbage[]>;
  /** From now on exactly these are garbage: those that are known keep their instant, the others get this one. */
  replaceGarbage(lease: Lease, objects: readonly SeenGarbage[]): Promise<void>;
  /** They were removed from the archive. */
  forgetGarbage(lease: Lease, objects: readonly GarbageObject[]): Promise<void>;
  /** Segments that retrievals read, or may be about to: of the days of such as have begun and have no snapshot yet. */
  pinned(pipeline: string): Promise<Set<string>>;
  /** Ends the retrievals that began before `startedBefore` and never told how they ended; returns how many. */
  endLostRetrievals(lease: Lease, startedBefore: EpochMs): Promise<number>;
}
