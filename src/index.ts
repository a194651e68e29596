/**
 * Firnline as a library: the same pipelines that the command line drives. The control schema is made once, by
 * `firnline migrate` or `migrateDatabase`.
 *
 * ```ts
 * import { openPipeline, parseRange } from "firnline";
 *
 * await using pipeline = await openPipeline("pipelines/audit-logs.yaml");
 *
 * const { steps, held } = await pipeline.plan({ backfill: true });
 * console.log(`${steps.length} steps to do, ${held.length} partitions held back`);
 *
 * const { pruned } = await pipeline.run({ backfill: true });
 * console.log(`${pruned} rows left the table`);
 *
 * const march = parseRange("2024-03-01", "2024-03-31", ["action=login"]);
 * const { rows, sha256 } = await pipeline.retrieve(march, { out: "march.csv", requestedBy: "audit@example.com" });
 * console.log(`${rows} rows in march.csv, SHA-256 ${sha256}`);
 *
 * const { census, history } = await pipeline.status({ historyDays: 30 });
 * console.log(`${census.rows} rows are hot`, history);
 * ```
 */
export { readConnection, readSettings, type Settings } from "./config.ts";
export type { HistoryDay } from "./catalog/history-day.ts";
export type { Hold } from "./catalog/holds.ts";
export type { RunRecord, TierTotals } from "./catalog/port.ts";
export type { RestoreRecord } from "./catalog/restores.ts";
export type { Diagnosis } from "./doctor.ts";
export type { Clock, Progress } from "./environment.ts";
export { type ErrorCode, FirnlineError, FirnlineErrors, isFirnlineError } from "./errors.ts";
export type { Census, Leftovers } from "./hot/port.ts";
export type { Advice, AdviceCode } from "./plan/advice.ts";
export type { Money, PriceList } from "./plan/cost.ts";
export type { Estimate } from "./plan/estimate.ts";
export type { Held, Plan, Stage, Step } from "./plan/step.ts";
export { parsePolicy, type Policy, type Rule } from "./policy/policy.ts";
export type { CollectResult } from "./repair/collect.ts";
export type { RebuildResult } from "./repair/rebuild.ts";
export type { VerifyResult } from "./repair/verify.ts";
export type { AnswerFormat } from "./retrieve/formats/answer-format.ts";
export { parseRange, type RangeRequest } from "./retrieve/request.ts";
export type { RehydrateResult } from "./retrieve/rehydrate.ts";
export type { RestoreAllowance, RestoreQuote, RestoreTerms } from "./retrieve/restore-quote.ts";
export type { RetrieveResult } from "./retrieve/retrieve-range.ts";
export {
  type DayUtc,
  type EpochMicros,
  formatDay,
  formatInstant,
  parseDay,
  parseInstant,
} from "./rows/day.ts";
export type { EstimatedPlan } from "./stages/estimate-plan.ts";
export type { ChangedHold, HoldRequest, ReleaseRequest } from "./stages/hold.ts";
export type { RunSummary } from "./stages/run-pipeline.ts";
export { openPipeline, type OpenPipelineOptions, Pipeline } from "./pipeline.ts";
export type {
  EstimateOptions,
  PlanOptions,
  RehydrateOptions,
  RepairOptions,
  RetrieveOptions,
  Status,
  StatusOptions,
} from "./pipeline-options.ts";
export { readPrices } from "./price-file.ts";
export { migrateDatabase, readPolicy } from "./wiring.ts";
