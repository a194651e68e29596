/** What the methods of a pipeline take and give, as `pipeline.ts` and `index.ts` show them. */
import type { HistoryDay } from "./catalog/history-day.ts";
import type { Hold } from "./catalog/holds.ts";
import type { RunRecord, TierTotals } from "./catalog/port.ts";
import type { Census } from "./hot/port.ts";
import type { PriceList } from "./plan/cost.ts";
import type { Plan } from "./plan/step.ts";
import type { AnswerFormat } from "./retrieve/formats/answer-format.ts";
import type { RestoreTerms } from "./retrieve/restore-quote.ts";
import type { EpochMicros } from "./rows/day.ts";

export interface PlanOptions {
  /** The instant that ages are counted from; now. */
  readonly asOf?: EpochMicros;
  /** Allow a first run over many days. */
  readonly backfill?: boolean;
  /** Allow deleting sooner than the last applied policy (I12). */
  readonly confirmSooner?: boolean;
  /** Export rows anew that changed again and again, and were quarantined. */
  readonly retryQuarantined?: boolean;
}

export interface EstimateOptions extends PlanOptions {
  /** Prices of the owner's, from `readPrices`; else those of `FIRNLINE_PRICES`, else the built-in ones for S3. */
  readonly prices?: PriceList;
}

export interface RehydrateOptions {
  /** Who asks: it goes into the evidence, the catalog and the journal. */
  readonly requestedBy: string;
  /** How cold segments may be restored. Where that costs something, or may, and nothing here allows it, it is refused. */
  readonly restore?: RestoreTerms;
  /** Aborting it ends the retrieval with `E_INTERRUPTED`, and without a file. What was asked for is still restored. */
  readonly signal?: AbortSignal;
}

export interface RetrieveOptions extends RehydrateOptions {
  /**
   * The file; it gets its name only when the answer is complete. `FILE.evidence.json` comes beside it. An earlier answer
   * gives way to it, any other file is `E_INPUT`.
   */
  readonly out: string;
  /** `ndjson`, `csv`, `csv-raw` (no guard against formulas) or `parquet`; else what `out` ends with, else `ndjson`. */
  readonly format?: AnswerFormat;
}

export interface Status {
  readonly pipeline: string;
  /** `schema.name`. */
  readonly table: string;
  /** What is in the table now: rows, bytes with indexes and TOAST, oldest and newest instant, rows that no stage moves. */
  readonly census: Census;
  /** Segments of the archive by state, with their rows and bytes. */
  readonly totals: readonly TierTotals[];
  /** The last ones, newest first. */
  readonly runs: readonly RunRecord[];
  /** What the next run has to do, however much it is. */
  readonly plan: Plan;
  /** In force, oldest first. */
  readonly holds: readonly Hold[];
  /** The days that had a run, oldest first; only where `historyDays` asked for them. */
  readonly history?: readonly HistoryDay[];
}

export interface StatusOptions {
  /** The instant that ages are counted from; now. */
  readonly asOf?: EpochMicros;
  /** How many of the last runs; 5. */
  readonly runsMax?: number;
  /** How many UTC days of history, up to today; none. The catalog keeps 400 days that had a run. */
  readonly historyDays?: number;
}

export interface RepairOptions {
  /** Whether a catalog may be replaced, or an archive taken from another database. */
  readonly isConfirmed?: boolean;
  readonly signal?: AbortSignal;
}
