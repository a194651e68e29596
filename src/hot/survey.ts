/**
 * The survey port: what a database has that could be moved, for `firnline init`. Its adapter is `postgres/survey.ts`. It
 * reads, and changes nothing.
 */
import type { FirnlineError } from "../errors.ts";
import type { Policy } from "../policy/policy.ts";
import type { KeyIndex, TimeColumn } from "../policy/proposal.ts";
import type { DayUtc } from "../rows/day.ts";
import type { TableName } from "./port.ts";

export interface SurveyedTable extends TableName {
  readonly isPartitioned: boolean;
  /** Tables that hold the rows: 1, or the leaves of a partitioned one. */
  readonly leaves: number;
  /** With indexes and TOAST. */
  readonly bytes: bigint;
  /** Pages of the rows themselves. */
  readonly pages: bigint;
  /** As the last ANALYZE counted; 0 where there was none. */
  readonly rows: bigint;
  readonly times: readonly TimeColumn[];
  readonly keys: readonly KeyIndex[];
  /** Why no policy can be proposed for it; null where one can. What else a run would refuse is not looked at. */
  readonly obstacle: FirnlineError | null;
}

/** How many rows there are of each day, by the days of the time column as it is written. */
export interface RowsByDay {
  /** Oldest first. */
  readonly days: readonly { readonly day: DayUtc; readonly rows: bigint }[];
  /** Rows with no time, an infinite one, or one outside of the years 1 to 9999. */
  readonly outside: bigint;
  /** False: a sample of the pages was counted, and multiplied. */
  readonly isCounted: boolean;
}

export interface Survey extends AsyncDisposable {
  /** The largest tables, largest first, and how many there are in all. */
  tables(countMax: number): Promise<{ readonly tables: readonly SurveyedTable[]; readonly found: number }>;
  /** Null: there is no such table. */
  table(name: TableName): Promise<SurveyedTable | null>;
  /** Counts the rows of about `pagesMax` pages, or all of a smaller table. */
  rowsByDay(table: SurveyedTable, time: TimeColumn, pagesMax: number): Promise<RowsByDay>;
  /** What a run of this policy would refuse, as the table is now. */
  refusals(policy: Policy): Promise<readonly FirnlineError[]>;
  /** The zone that sessions of this database have by default. */
  zone(): Promise<string | null>;
}
