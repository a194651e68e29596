/** What a plan is made of: the rows that are due, the catalog, the policy that was in force. Reads, and changes nothing. */
import type { PipelineRecord } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import type { SourceTable } from "../hot/port.ts";
import { lastColdDay, lastDueDay, makePlan } from "../plan/plan.ts";
import type { Plan, PlanInput } from "../plan/step.ts";
import { type AppliedPolicy, policyFromJson } from "../policy/journaled.ts";
import { type EpochMicros, microsFromMs } from "../rows/day.ts";
import { leafName } from "./context.ts";
import { readKeeping } from "./keeping-view.ts";
import { plannedLeaves } from "./planned-leaves.ts";
import { waitingForRule } from "./tagged-segments.ts";

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
): Promise<Plan> {
  return makePlan(await readPlanInput(environment, source, options));
}

export async function readPlanInput<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  options: PlanRequest,
): Promise<PlanInput> {
  const { catalog, coldBytesMin, hot, policy } = environment;
  const inventory = await hot.inventory(source, lastDueDay(policy, options.asOf));
  const hotDays = [...new Set(inventory.partitions.map(({ day }) => day))];
  const view = await catalog.view(policy.pipeline, lastColdDay(policy, options.asOf), hotDays);
  const waiting = await waitingForRule(environment, view.unfinished);
  return {
    policy,
    inventory: {
      rowBytes: inventory.rowBytes,
      partitions: inventory.partitions.map((one) => ({ ...one, leaf: leafName(one.leaf) })),
    },
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
