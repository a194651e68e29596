/**
 * The hot port: the source table, as the stages see it. Its adapters are `postgres/` and (for tests) `memory/`.
 *
 * Rows travel as raw fields; no value is interpreted on the way. Methods that delete hand an open transaction to the
 * caller, so that the catalog's bookkeeping commits together with the rows (I4). `Tx` is the adapter's own handle and
 * opaque here.
 */
import type { Column } from "../rows/column.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import type { DayUtc, EpochMicros } from "../rows/day.ts";
import type { Bound, KeyRange } from "../rows/key-range.ts";
import type { SourceIdentity } from "../segment/journal.ts";

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** The table as it was found and judged fit to be moved. */
export interface SourceTable {
  readonly table: TableName & { readonly oid: string };
  readonly identity: SourceIdentity;
  /** SHA-256 of the table's definition, lower-case hex. */
  readonly fingerprint: string;
  readonly columns: readonly Column[];
  /** Index into `columns`. */
  readonly timeColumn: number;
  /** IANA zone of a plain timestamp; null for a timestamptz. */
  readonly zone: string | null;
  /** Indexes into `columns`. */
  readonly keyColumns: readonly number[];
  /** For each rule of the policy, in order: its rows as SQL, earlier rules excluded; null for every row. */
  readonly rules: readonly { readonly name: string; readonly predicate: string | null }[];
}

/** Rows of one partition that are still in the table. */
export interface HotPartition {
  readonly rule: string;
  readonly day: DayUtc;
  readonly rows: bigint;
}

/** Rows that belong to no day, and that no stage will ever move. */
export interface Leftovers {
  readonly nullTime: bigint;
  readonly infiniteTime: bigint;
  /** Before year 1 or after year 9999. */
  readonly outOfCalendar: bigint;
}

export interface Inventory {
  readonly partitions: readonly HotPartition[];
  /** Mean bytes of a row in the table, indexes and TOAST included; 0 for an empty table. */
  readonly rowBytes: number;
}

export interface Census {
  readonly rows: bigint;
  /** As `pg_total_relation_size` counts. */
  readonly bytes: bigint;
  readonly oldest: EpochMicros | null;
  readonly newest: EpochMicros | null;
  readonly leftovers: Leftovers;
}

export interface PartitionName {
  readonly rule: string;
  readonly day: DayUtc;
}

/** A chunk on its way out: rows in (time, key) order, and where the first one stands. */
export interface ExportedChunk {
  readonly first: Bound;
  readonly rows: RawRows;
}

export interface PartitionExport {
  /** The whole day as a range of the time column; the chunks tile it. */
  readonly range: KeyRange;
  readonly chunks: AsyncIterable<ExportedChunk>;
}

export interface ChunkLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
}

export interface ChunkDelete {
  readonly range: KeyRange;
  /** More rows or bytes than this come back only if the chunk drifted; the transaction then stops early. */
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/** What the caller decides within a deleting transaction. Throwing rolls back. */
export interface PruneSteps<Tx> {
  /** Before anything is deleted. `done`: these chunks are gone already; nothing is deleted. */
  before(tx: Tx): Promise<"delete" | "done">;
  /** The rows that the DELETE of `chunks[index]` returned, in key order. False rolls back everything. */
  judge(index: number, rows: RawRows): boolean;
  /** After all verdicts and the second look at the fingerprint; the COMMIT follows. */
  after(tx: Tx): Promise<void>;
}

export type PruneOutcome = "pruned" | "done" | "refused";

export interface TimeRange {
  readonly from: EpochMicros;
  readonly to: EpochMicros;
}

export interface Hot<Tx> {
  /** Reads the table's definition and judges it; throws `FirnlineErrors` with all findings. Changes nothing. */
  describe(): Promise<SourceTable>;
  /** Counts the rows of each partition up to and including `lastDay`. */
  inventory(source: SourceTable, lastDay: DayUtc): Promise<Inventory>;
  census(source: SourceTable): Promise<Census>;
  /**
   * Reads a partition within one snapshot, taken after the table was locked, and with the fingerprint of `source`
   * (else `E_SOURCE`). `consume` must read the chunks to the end.
   */
  exportPartition<T>(
    source: SourceTable,
    partition: PartitionName,
    limits: ChunkLimits,
    consume: (rows: PartitionExport) => Promise<T>,
  ): Promise<T>;
  /** Deletes chunks of one partition in one transaction. I1 and I4 are the caller's, through `steps`. */
  prune(
    source: SourceTable,
    predicate: string | null,
    chunks: readonly ChunkDelete[],
    steps: PruneSteps<Tx>,
  ): Promise<PruneOutcome>;
  /**
   * Deletes up to `rowsMax` rows of a delete-only partition, oldest first. `after` runs in the same transaction.
   * Returns the number of rows deleted.
   */
  deleteOnly(
    source: SourceTable,
    partition: PartitionName,
    rowsMax: number,
    after: (tx: Tx, deleted: { rows: number; from: string; to: string }) => Promise<void>,
  ): Promise<number>;
  /**
   * Within one snapshot on the primary: `first` reads the catalog, then all rows of the range are given to `spool` in
   * (time, key) order, whatever their rule.
   */
  readRange<A, B>(
    source: SourceTable,
    range: TimeRange,
    limits: ChunkLimits,
    first: (tx: Tx) => Promise<A>,
    spool: (chunks: AsyncIterable<RawRows>) => Promise<B>,
  ): Promise<{ first: A; spooled: B }>;
  /** The range's limits as values of the time column: its int64 field, as a plain timestamp needs its zone. */
  timeLimits(source: SourceTable, range: TimeRange): Promise<{ from: bigint; to: bigint }>;
  /** The raw field of `value` as the column's type reads it; throws `E_INPUT` when the type refuses it. */
  encodeValue(source: SourceTable, column: Column, value: string): Promise<Uint8Array>;
}
