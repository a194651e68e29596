/**
 * The catalog port: checkpoints and a cache of the journal. Its adapter is `postgres/`, which tests
 * also run on a simulated server (`test/simulation`).
 *
 * Every write names the lease it is made under and fails with `E_STALE` if that lease was taken over (I6). Writes that
 * belong to a deletion take the deleting transaction (I4). `Tx` is the adapter's own handle and opaque here.
 */
import type { FirnlineError } from "../errors.ts";
import type { Advice } from "../plan/advice.ts";
import type { DayUtc, EpochMicros, EpochMs } from "../rows/day.ts";
import type { ChunksOf, JournalEvent, JournalHead, SourceIdentity } from "../segment/journal.ts";
import type { LeafName, PartitionKey } from "../segment/partition-key.ts";
import type { ChunkState, SegmentState } from "../segment/state.ts";
import type { HistoryDay } from "./history-day.ts";
import type { PendingEntry } from "./pending-entry.ts";
import type { SegmentKeeping } from "./segment-lock.ts";

/** Who holds a lease, so that a person can find the process. */
export interface LeaseHolder {
  readonly host: string;
  readonly pid: number;
  /** Which space of process ids `pid` is of: containers may share a host name and not see each other's processes. */
  readonly space: string;
}

export interface Lease {
  readonly pipeline: string;
  readonly run: string;
  readonly epoch: bigint;
}

export type LeaseAnswer =
  | { readonly outcome: "acquired"; readonly lease: Lease }
  | {
      readonly outcome: "held";
      readonly run: string;
      readonly holder: LeaseHolder;
      readonly expiresAt: EpochMs;
    };

export interface PipelineRecord {
  readonly pipeline: string;
  readonly archiveId: string;
  readonly archiveUrl: string;
  readonly source: SourceIdentity;
  readonly policy: Readonly<Record<string, unknown>> | null;
  readonly journal: JournalHead;
  readonly lease: {
    readonly epoch: bigint;
    readonly run: string | null;
    readonly holder: LeaseHolder | null;
  };
}

/** An object without its key, which follows from pipeline, rule, day and segment. What it hashes to, its manifest says. */
export interface StoredObject {
  readonly versionId: string | null;
  readonly bytes: bigint;
}

/** A manifest, pinned by its hash. */
export interface StoredPin extends StoredObject {
  readonly sha256: string;
}

export interface SegmentRecord extends SegmentKeeping {
  readonly segment: string;
  readonly state: SegmentState;
  readonly leaf: LeafName | null;
  readonly rule: string;
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly rows: bigint;
  readonly storageClass: string;
  /** Null until uploaded. */
  readonly object: StoredObject | null;
  /** Null until sealed. */
  readonly manifest: StoredPin | null;
  /** Whether it replaces chunks of other segments. Left unfinished it is given up, not resumed. */
  readonly replaces: boolean;
  /** Rows in chunks that are still in the table, or may be; 0 once the segment is wholly pruned. */
  readonly rowsUnpruned: bigint;
  /** Of these, rows of quarantined chunks, and of chunks whose state is unknown after a rebuild. */
  readonly rowsQuarantined: bigint;
  readonly rowsUnknown: bigint;
  /** Rows of chunks that another segment holds now. */
  readonly rowsSuperseded: bigint;
  /** When its object was tagged for the bucket's rule to move it. */
  readonly taggedAt: EpochMs | null;
  /** Segments of one shape can be packed into one; null until uploaded, and where an older version did. */
  readonly shape: string | null;
}

export interface ChunkRecord {
  readonly chunk: number;
  readonly state: ChunkState;
  readonly rows: number;
  /** Of a chunk in state `unknown`: whether the journal calls it pruned. */
  readonly wasPruned: boolean;
}

export interface Replaceable {
  readonly sealed: readonly ChunksOf[];
  readonly quarantined: readonly ChunksOf[];
}

/** Segments of one state and storage class, all of them under 128 KiB or none. */
export interface TierTotals {
  readonly state: SegmentState;
  readonly storageClass: string;
  readonly isSmall: boolean;
  readonly segments: number;
  readonly rows: bigint;
  /** Of these, rows that are in the archive alone; the others are still in the table. */
  readonly rowsPruned: bigint;
  readonly bytes: bigint;
  readonly oldest: DayUtc | null;
  readonly newest: DayUtc | null;
}

export type RunState = "running" | "done" | "partly" | "failed" | "interrupted";

export interface RunRecord {
  readonly run: string;
  readonly state: RunState;
  readonly asOf: EpochMicros;
  readonly startedAt: EpochMs;
  readonly finishedAt: EpochMs | null;
  readonly summary: Readonly<Record<string, unknown>> | null;
  readonly error: string | null;
}

/** How a run ended. */
export interface RunOutcome {
  readonly state: RunState;
  readonly summary: Readonly<Record<string, unknown>>;
  readonly error: string | null;
  /** What it adds to its UTC day, that of its end; `hot` is the table then, null where it was not measured. */
  readonly history: Omit<HistoryDay, "runs" | "warmBytes" | "coldBytes">;
}

export interface RetrievalRequest {
  readonly retrieval: string;
  readonly requestedBy: string;
  readonly from: EpochMicros;
  readonly to: EpochMicros;
  readonly where: readonly { readonly column: string; readonly value: string }[];
}

export interface RetrievalResult {
  readonly rows: bigint;
  readonly sha256: string;
}

export interface ReadableSegment {
  readonly record: SegmentRecord;
  /** Chunks that are pruned, hence not in the table any more, and those that may be; null means all of them. */
  readonly prunedChunks: readonly number[] | null;
}

/** Everything a plan looks at. */
export interface CatalogView {
  readonly pipeline: PipelineRecord | null;
  /** Segments that a stage still has to finish. */
  readonly unfinished: readonly SegmentRecord[];
  /** Wholly pruned, warm segments that end on or before the asked day. */
  readonly dueForCold: readonly SegmentRecord[];
  /** Wholly pruned segments that hold superseded chunks besides. */
  readonly dueForRewrite: readonly SegmentRecord[];
  /** Of the asked days, the partitions that have wholly pruned segments: rows still hot there came late. */
  readonly archived: readonly PartitionKey[];
  /** Whether any segment was ever made; a first run over many days wants `--backfill`. */
  readonly everMoved: boolean;
}

/** What `doctor` found in the control schema. */
export interface CatalogExamination {
  /** Whether the other methods would work: the schema is there, is this version's, and open to this role. */
  readonly isReady: boolean;
  readonly findings: readonly FirnlineError[];
  readonly advice: readonly Advice[];
}

export interface Catalog<Tx> {
  /** Works on any database and for any role. `source` is null where the table could not be described. */
  examine(pipeline: string, source: SourceIdentity | null): Promise<CatalogExamination>;
  /** Null before the first run. Works, and is read-only, on a database without the control schema too. */
  pipeline(pipeline: string): Promise<PipelineRecord | null>;
  view(pipeline: string, coldUntil: DayUtc | null, hotDays: readonly DayUtc[]): Promise<CatalogView>;
  totals(pipeline: string): Promise<TierTotals[]>;
  runs(pipeline: string, countMax: number): Promise<RunRecord[]>;
  /** The days from `since` on that had a run, oldest first; a bounded number of them is kept. */
  history(pipeline: string, since: DayUtc): Promise<HistoryDay[]>;

  /**
   * Makes the pipeline's row on the first run; later runs find it. As long as nothing was journaled it may still be
   * changed: the first run may have failed on a wrong archive. A second pipeline on the same table is `E_POLICY`.
   */
  register(record: {
    pipeline: string;
    archiveId: string;
    archiveUrl: string;
    source: SourceIdentity;
  }): Promise<PipelineRecord>;
  /**
   * Takes the lease if it is free, expired, or still the one that `takeOver` names (its holder is known to be dead).
   * The epoch grows by one.
   */
  acquireLease(request: {
    pipeline: string;
    run: string;
    holder: LeaseHolder;
    durationMs: number;
    takeOver?: { run: string };
  }): Promise<LeaseAnswer>;
  renewLease(lease: Lease, durationMs: number): Promise<void>;
  releaseLease(lease: Lease): Promise<void>;

  startRun(lease: Lease, asOf: EpochMicros): Promise<void>;
  /** Records how the run ended, and adds it to its day's history, in one transaction. */
  finishRun(lease: Lease, outcome: RunOutcome): Promise<void>;

  /** Adds an entry to be journaled. Waits as `closeEntries` does: nothing is decided twice because a COMMIT is late. */
  enqueue(lease: Lease, event: JournalEvent, at: string): Promise<void>;
  /** Entries that are not journaled yet, oldest first, whatever run decided them. */
  pending(pipeline: string): Promise<PendingEntry[]>;
  /**
   * Closes all entries but those that grow by one of `growing`: what is deleted from now on begins another one. Waits for
   * every transaction that has checked this lease: one whose client gave up its COMMIT is in its entry as a whole then, or
   * never will be. Returns what `pending` would.
   */
  closeEntries(lease: Lease, growing: readonly string[]): Promise<PendingEntry[]>;
  /** The entry is in the archive under `head.n`: moves the head and applies what the event says. One transaction. */
  published(lease: Lease, entry: PendingEntry, head: JournalHead): Promise<void>;

  /** A new segment in state `exporting`; its id is fresh and recorded before anything is uploaded. */
  reserveSegment(
    lease: Lease,
    segment: PartitionKey & {
      storageClass: string;
      random: Uint8Array;
      replaces: boolean;
      /** The last of several days; the one day otherwise. */
      dayTo?: DayUtc;
    },
  ): Promise<SegmentRecord>;
  uploaded(
    lease: Lease,
    segment: string,
    upload: {
      rows: bigint;
      object: StoredObject;
      chunkRows: readonly number[];
      draft: Uint8Array;
      shape: string;
    },
  ): Promise<void>;
  draft(pipeline: string, segment: string): Promise<Uint8Array>;
  abandon(lease: Lease, segment: string): Promise<void>;
  classRequested(lease: Lease, segment: string): Promise<void>;
  segment(pipeline: string, segment: string): Promise<SegmentRecord>;
  chunks(pipeline: string, segment: string): Promise<ChunkRecord[]>;
  /** Chunks of a partition that a new export of its rows would replace: sealed or quarantined, and not pruned. */
  replaceable(pipeline: string, partition: PartitionKey): Promise<Replaceable>;

  /** Locks the chunks for this transaction and tells their states, in the order asked. */
  lockChunks(tx: Tx, lease: Lease, segment: string, chunks: readonly number[]): Promise<ChunkState[]>;
  /** Checks the lease, marks locked chunks pruned and adds them to the segment's `pruned` entry; the COMMIT follows. */
  chunksPruned(
    tx: Tx,
    lease: Lease,
    segment: string,
    chunks: readonly number[],
    rows: bigint,
    at: string,
  ): Promise<void>;
  /** Checks the lease and adds rows of a delete-only partition to its `deleted` entry; the COMMIT follows. */
  rowsDeleted(
    tx: Tx,
    lease: Lease,
    deleted: { rule: string; day: DayUtc; rows: bigint; from: string; to: string },
    at: string,
  ): Promise<void>;

  /** The journal's head within the caller's snapshot. */
  journalHead(tx: Tx, pipeline: string): Promise<JournalHead>;
  /** Segments with pruned chunks on these days, within the caller's snapshot. */
  readable(tx: Tx, pipeline: string, dayFrom: DayUtc, dayTo: DayUtc): Promise<ReadableSegment[]>;
  /** The same outside of a transaction, to see what has to be restored first. */
  readableNow(pipeline: string, dayFrom: DayUtc, dayTo: DayUtc): Promise<ReadableSegment[]>;
  startRetrieval(pipeline: string, request: RetrievalRequest): Promise<void>;
  pinSegments(tx: Tx, pipeline: string, retrieval: string, segments: readonly string[]): Promise<void>;
  /** Removes the pins and adds the `retrieved` entry to the outbox; the next run journals it. */
  finishRetrieval(
    pipeline: string,
    request: RetrievalRequest,
    result: RetrievalResult | { error: string },
    at: string,
  ): Promise<void>;
}
