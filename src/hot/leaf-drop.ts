/** Whole leaves of a partitioned source on their way out: counted, detached, read back under lock, dropped. */
import type { RawRows } from "../rows/copy-binary.ts";
import type { DayUtc } from "../rows/day.ts";
import type { HotPartition, Leaf, SourceTable } from "./port.ts";

/** What of a leaf is archived and still in it. */
export interface SealedLeaf {
  readonly leaf: Leaf;
  /** Of the leaf when all of it was exported; another one now is `E_SOURCE`. */
  readonly fingerprint: string;
  readonly partitions: readonly { readonly rule: string; readonly day: DayUtc }[];
}

/** A leaf's rows, counted one by one. */
export interface LeafCount {
  readonly partitions: readonly HotPartition[];
  /** Rows that belong to no day. */
  readonly others: bigint;
}

/** What the caller decides within a transaction that drops a leaf. Throwing rolls back. */
export interface DropSteps<Tx> {
  /** Before anything is locked. `done`: the leaf is gone already. */
  before(tx: Tx): Promise<"drop" | "done">;
  /** Before a partition's rows are read. Returns how many rows each of its chunks has, in (time, key) order. */
  begin(partition: number): Promise<readonly number[]>;
  /**
   * The rows in the place of a chunk; null if they are far larger than any chunk. Rows that come after a partition's
   * last chunk are one chunk more, without columns.
   */
  judge(chunk: number, rows: RawRows | null): void;
  /** After all chunks, the rows still locked: how many of them a scan of the whole leaf finds. False rolls back everything. */
  decide(rows: bigint): boolean;
  /** After the DROP; the COMMIT follows. */
  after(tx: Tx): Promise<void>;
}

export type DropOutcome = "dropped" | "done" | "refused";

export interface LeafDrop<Tx> {
  /** Counts a leaf's rows by a sequential scan. */
  count(source: SourceTable, leaf: Leaf): Promise<LeafCount>;
  /** Throws `E_DETACH` while something would keep the leaf from being dropped once it is detached. */
  requireDroppable(leaf: Leaf): Promise<void>;
  /**
   * Takes the leaf out of the partitioned table, or finishes what an earlier call began. Waits at most `waitMs` for other
   * transactions, and no longer than until `signal`, then throws `E_DETACH`.
   */
  detach(leaf: Leaf, waitMs: number, signal: AbortSignal): Promise<void>;
  /** Drops a detached leaf with all of its rows in one transaction. I1 and I4 are the caller's, through `steps`. */
  drop(source: SourceTable, sealed: SealedLeaf, steps: DropSteps<Tx>): Promise<DropOutcome>;
}
