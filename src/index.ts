/**
 * Firnline as a library: the same pipeline that the command line drives.
 *
 * ```ts
 * import { Pipeline, readPolicy, readSettings } from "firnline";
 *
 * await using pipeline = new Pipeline({
 *   policy: await readPolicy("pipelines/audit-logs.yaml"),
 *   connectionString: process.env.DATABASE_URL,
 *   settings: readSettings(process.env),
 * });
 * console.log(await pipeline.plan());
 * ```
 */
export { readConnection, readSettings, type Settings } from "./config.ts";
export type { Progress } from "./environment.ts";
export { type ErrorCode, FirnlineError, FirnlineErrors, isFirnlineError } from "./errors.ts";
export type { Held, Plan, Stage, Step } from "./plan/plan.ts";
export { parsePolicy, type Policy, type Rule } from "./policy/policy.ts";
export { parseRange, type RangeRequest } from "./retrieve/request.ts";
export type { RetrieveResult } from "./retrieve/retrieve-range.ts";
export type { RunSummary } from "./stages/run-pipeline.ts";
export { Pipeline, type Status } from "./pipeline.ts";
export { migrateDatabase, readPolicy } from "./wiring.ts";
