/**
 * The hot port: the source table, as the stages see it. Its adapter is `postgres/`, which tests also run
 * on a simulated server (`test/simulation`).
 *
 * Rows travel as raw fields; no value is interpreted on the way. Methods that delete hand an open transaction to the
 * caller, so that the catalog's bookkeeping commits together with the rows (I4). `Tx` is the adapter's own handle and
 * opaque here.
 */
import type { Column } from "../rows/column.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import type { FirnlineError } from "../errors.ts";
import type { Advice } from "../plan/advice.ts";
import type { DayUtc, EpochMicros, EpochMs } from "../rows/day.ts";
import type { Bound, KeyRange } from "../rows/key-range.ts";
import type { SourceIdentity } from "../segment/journal.ts";

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** A table that holds rows: the source itself, or a leaf of a partitioned source. */
export interface Leaf extends TableName {
  readonly oid: string;
  /** How it hangs in the partitioned source; null for the source itself. */
  readonly partition: LeafPartition | null;
}

export interface LeafPartition {
  /** The table that it would be detached from. */
  readonly parent: TableName;
  /** As `pg_get_expr` prints it, to attach the leaf again. */
  readonly bound: string;
  /** Every row's time is in here; null where the bounds say nothing about it, as with hashes and DEFAULT partitions. */
  readonly range: TimeRange | null;
  /** Whether its parent has a DEFAULT partition, which rules DETACH CONCURRENTLY out. */
  readonly hasDefaultSibling: boolean;
  /** Whether this role may drop it. */
  readonly canDrop: boolean;
  /** Whether a DETACH CONCURRENTLY was begun and not finished. */
  readonly isDetachPending: boolean;
  /** Whether it is on its way out: an earlier run began to detach it, or has. */
  readonly isDetaching: boolean;
  /** False: it is a table of its own by now, and its rows are the source's until it is dropped. */
  readonly isAttached: boolean;
}

/** Collations by which texts of other bytes may be equal: those that are not deterministic. */
export interface LooseCollations {
  /** Columns of the table that have one, by their names. */
  readonly columns: readonly { readonly column: string; readonly collation: string }[];
  /** Whether the database has any: a column that is gone may have had it. */
  readonly exist: boolean;
}

/** The table as it was found and judged fit to be moved. */
export interface SourceTable {
  readonly table: TableName & { readonly oid: string };
  readonly identity: SourceIdentity;
  /** SHA-256 of the table's definition, lower-case hex. */
  readonly fingerprint: string;
  readonly isPartitioned: boolean;
  /** The tables that hold its rows: itself alone, unless it is partitioned. */
  readonly leaves: readonly Leaf[];
  readonly columns: readonly Column[];
  readonly looseCollations: LooseCollations;
  /** Index into `columns`. */
  readonly timeColumn: number;
  /** IANA zone of a plain timestamp; null for a timestamptz. */
  readonly zone: string | null;
  /** Indexes into `columns`; empty for a table without a key, which whole partitions are dropped of. */
  readonly keyColumns: readonly number[];
  /** For each rule of the policy, in order: its rows as SQL, earlier rules excluded; null for every row. */
  readonly rules: readonly { readonly name: string; readonly predicate: string | null }[];
}

/** One rule's day in one leaf. */
export interface PartitionName {
  readonly leaf: Leaf;
  readonly rule: string;
  readonly day: DayUtc;
}

/** Rows of one partition that are still in the table. */
export interface HotPartition extends PartitionName {
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
  /** Mean bytes of a row in the table, indexes and TOAST included; 0 where no row was counted. */
  readonly rowBytes: number;
}

export interface TableSize {
  readonly rows: bigint;
  /** With indexes and TOAST. */
  readonly bytes: bigint;
  /** False: `rows` is what the planner of Postgres believes. */
  readonly isCounted: boolean;
}

export interface Census {
  readonly rows: bigint;
  /** As `pg_total_relation_size` counts. */
  readonly bytes: bigint;
  readonly oldest: EpochMicros | null;
  readonly newest: EpochMicros | null;
  readonly leftovers: Leftovers;
}

/** A chunk on its way out: rows in (time, key) order, and where the first one stands. */
export interface ExportedChunk {
  readonly first: Bound;
  readonly rows: RawRows;
  /** Gives its buffers back, to be filled with a later chunk's rows: nobody may look at them any more. */
  readonly release: () => void;
}

export interface PartitionExport {
  /** SHA-256 of the leaf's own definition, lower-case hex: its columns may stand in another order than the source's. */
  readonly fingerprint: string;
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

/** Chunks of one segment, as its manifest describes them. */
export interface SealedRows {
  readonly leaf: Leaf;
  /** Of the leaf when they were exported; another one now is `E_SOURCE`. */
  readonly fingerprint: string;
  readonly predicate: string | null;
  readonly chunks: readonly ChunkDelete[];
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

/** What `doctor` asks about. */
export interface HotAges {
  /** How long rows of most rules stay hot. */
  readonly hotDays: number;
  /** What is older is due, by the same rules. */
  readonly dueBefore: EpochMicros;
}

export interface Examination {
  /** Null where the findings forbid to read the table. */
  readonly source: SourceTable | null;
  /** What `describe` refuses, and a server that is not safe. */
  readonly findings: readonly FirnlineError[];
  readonly advice: readonly Advice[];
}

/** What the table is described for. To be read it needs no grant to delete, and what a DELETE would do matters to nobody. */
export type Purpose = "move" | "read";

/** Transactions that wrote, counted; only differences mean anything. */
export interface WriteCount {
  /** Of everybody, on the whole server. */
  readonly all: bigint;
  /** Of ours, those that had begun when `all` was known. Not all of them write. */
  readonly begun: bigint;
  /** Of ours, those that had ended before `all` was asked for. */
  readonly ended: bigint;
}

export interface Hot<Tx> {
  /**
   * Reads the table's definition and judges it, by default as one to be moved; throws `FirnlineErrors` with all findings.
   * Changes nothing.
   */
  describe(purpose?: Purpose): Promise<SourceTable>;
  /** Which table of which database it is, and no more: nothing is judged, and no grant on the table is needed. */
  identify(): Promise<SourceIdentity>;
  /** Looks at the server and the table's storage besides, and tells instead of throwing. Changes nothing. */
  examine(ages: HotAges): Promise<Examination>;
  /** The server's clock. */
  now(): Promise<EpochMs>;
  /** How much is written to the server, by us and by others. */
  writes(): Promise<WriteCount>;
  /**
   * While others write: rows are received with rests, so that the server is never kept busy without a pause. What is done is
   * the same.
   */
  giveWay(isNeeded: boolean): void;
  /** Counts the rows of each partition up to and including `lastDay`. */
  inventory(source: SourceTable, lastDay: DayUtc): Promise<Inventory>;
  /** Rows and bytes of the whole table; large ones are estimated, so that it never takes long. */
  size(source: SourceTable): Promise<TableSize>;
  census(source: SourceTable): Promise<Census>;
  /**
   * Reads a partition within one snapshot, taken after the leaf was locked, and with the fingerprint of `source`
   * (else `E_SOURCE`). `consume` must read the chunks to the end.
   */
  exportPartition<T>(
    source: SourceTable,
    partition: PartitionName,
    limits: ChunkLimits,
    consume: (rows: PartitionExport) => Promise<T>,
  ): Promise<T>;
  /** Deletes chunks of one partition in one transaction. I1 and I4 are the caller's, through `steps`. */
  prune(source: SourceTable, sealed: SealedRows, steps: PruneSteps<Tx>): Promise<PruneOutcome>;
  /** SHA-256 of the leaf's definition now, lower-case hex. */
  fingerprint(leaf: Leaf): Promise<string>;
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
  /** Of these keys, the indexes of those that no row of the table has any more, whatever its time. */
  missingKeys(source: SourceTable, keys: readonly (readonly string[])[]): Promise<number[]>;
  /** The range's limits as values of the time column: its int64 field, as a plain timestamp needs its zone. */
  timeLimits(source: SourceTable, range: TimeRange): Promise<{ from: bigint; to: bigint }>;
  /**
   * The raw field of `value` as the column's declared type reads it, a column of the table or not; throws `E_INPUT` when
   * the type refuses it, or is not there any more.
   */
  encodeValue(column: Pick<Column, "name" | "type" | "select">, value: string): Promise<Uint8Array>;
  /** The type below all domains of a declared type, without its modifier; null when there is no such type any more. */
  baseType(type: string): Promise<string | null>;
}
