/** A line of the diary that `status --history` draws. */
import type { DayUtc } from "../rows/day.ts";

/** What the runs of one UTC day did, and how large the tiers were after the last of them. */
export interface HistoryDay {
  readonly day: DayUtc;
  readonly runs: number;
  /** Rows that were archived, that left the table after that, and that a delete-only rule removed. */
  readonly archived: bigint;
  readonly pruned: bigint;
  readonly deleted: bigint;
  /** Rows of segments that expired. */
  readonly expired: bigint;
  /** With indexes and TOAST. */
  readonly hot: { readonly rows: bigint; readonly bytes: bigint } | null;
  /** Of the objects that the archive held. */
  readonly warmBytes: bigint;
  readonly coldBytes: bigint;
}
