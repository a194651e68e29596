/** What a plan is made of: the rows that are due, the catalog, the policy that was in force. Reads, and changes nothing. */
import type { PipelineRecord } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import type { SourceTable } from "../hot/port.ts";
import { lastColdDay, lastDueDay, makePlan } from "../plan/plan.ts";
import type { Plan, PlanInput, Step } from "../plan/step.ts";
import { type AppliedPolicy, policyFromJson } from "../policy/journaled.ts";
import { type EpochMicros, microsFromMs } from "../rows/day.ts";
import { partitionId } from "../segment/partition-key.ts";
import { leafName } from "./context.ts";
import type { Tally } from "./execute-steps.ts";
import { readKeeping } from "./keeping-view.ts";
import { plannedLeaves } from "./planned-leaves.ts";
import { waitingForRule } from "./tagged-segments.ts";

export type CountedRows = PlanInput["inventory"];

export interface PlanRequest {
  readonly asOf: EpochMicros;
  readonly backfill: boolean;
  readonly confirmSooner: boolean;
  readonly retryQuarantined: boolean;
}

/** What `plan` prints and `run` executes. Reads, and changes nothing. */
export async function planPipeline<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  options: PlanRequest,
  counted?: CountedRows,
): Promise<Plan> {
  return makePlan(await readPlanInput(environment, source, options, counted));
}

/** Rows that are due, by partition: all of them are counted, which of a large table takes a while. */
export async function countRows<Tx>(
  { hot, policy }: Environment<Tx>,
  source: SourceTable,
  { asOf }: PlanRequest,
): Promise<CountedRows> {
  const { rowBytes, partitions } = await hot.inventory(source, lastDueDay(policy, asOf));
  return { rowBytes, partitions: partitions.map((one) => ({ ...one, leaf: leafName(one.leaf) })) };
}

/** `counted`: the rows, where they are known already. */
export async function readPlanInput<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  options: PlanRequest,
  counted?: CountedRows,
): Promise<PlanInput> {
  const { catalog, coldBytesMin, policy } = environment;
  const inventory = counted ?? (await countRows(environment, source, options));
  const hotDays = [...new Set(inventory.partitions.map(({ day }) => day))];
  const view = await catalog.view(policy.pipeline, lastColdDay(policy, options.asOf), hotDays);
  const waiting = await waitingForRule(environment, view.unfinished);
  return {
    policy,
    inventory,
    leaves: plannedLeaves(source),
    hasKey: source.keyColumns.length > 0,
    catalog: { ...view, ...(await readKeeping(environment, options.asOf)) },
    coldBytesMin,
    waiting,
    now: microsFromMs(environment.clock.now()),
    asOf: options.asOf,
    backfill: options.backfill,
    previous: journaledPolicy(view.pipeline),
    confirmSooner: options.confirmSooner,
    retryQuarantined: options.retryQuarantined,
  };
}

export function journaledPolicy(record: PipelineRecord | null): AppliedPolicy | null {
  const json = record?.policy ?? null;
  return json === null ? null : policyFromJson(json, `journaled policy of ${record?.pipeline}`);
}

/**
 * What is left of the counted rows once `takenUp` was executed and nothing else: an index on time leads through every row
 * that was deleted a moment ago, and counting anew took half a microsecond for each. Undefined where anything went another
 * way than planned: then they have to be counted. Rows that came in meanwhile are for the next run.
 */
export function rowsLeft(
  { rowBytes, partitions }: CountedRows,
  takenUp: readonly Step[],
  { pruned, drift, failures, putOff, kept }: Pick<Tally, "pruned" | "drift" | "failures" | "putOff" | "kept">,
): CountedRows | undefined {
  const pruning = takenUp.filter(({ stages }) => stages.includes("prune"));
  const isAsPlanned =
    [drift, failures, putOff ?? [], kept].every(({ length }) => length === 0) &&
    takenUp.every(({ stages }) => stages.every((stage) => AS_COUNTED.has(stage))) &&
    pruned === pruning.reduce((sum, { rows }) => sum + rows, 0n);
  if (!isAsPlanned) return undefined;
  const gone = new Map<string, bigint>();
  for (const step of pruning) gone.set(partitionId(step), (gone.get(partitionId(step)) ?? 0n) + step.rows);
  const left = partitions.map((one) => ({ ...one, rows: one.rows - (gone.get(partitionId(one)) ?? 0n) }));
  if (left.some(({ rows }) => rows < 0n)) return undefined;
  return { rowBytes, partitions: left.filter(({ rows }) => rows > 0n) };
}

/** What these do to rows of the table, if anything, is known beforehand. */
const AS_COUNTED: ReadonlySet<Step["stages"][number]> = new Set(["seal", "prune", "transition"]);
