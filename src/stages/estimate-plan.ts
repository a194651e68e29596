/** A plan together with what it comes to. Reads the table's size, the catalog's totals and the last runs; changes nothing. */
import type { Environment } from "../environment.ts";
import type { SourceTable } from "../hot/port.ts";
import type { PriceList } from "../plan/cost.ts";
import { estimate, type Estimate } from "../plan/estimate.ts";
import { makePlan } from "../plan/plan.ts";
import type { Plan } from "../plan/step.ts";
import { microsFromMs } from "../rows/day.ts";
import { type PlanRequest, readPlanInput } from "./plan-input.ts";

/** Enough for a pace that one odd night does not spoil. */
const RUNS_MAX = 10;

export interface EstimatedPlan {
  readonly plan: Plan;
  readonly estimate: Estimate;
}

/** `prices` is null where nothing is paid by the byte. */
export async function estimatePlan<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  options: PlanRequest,
  prices: PriceList | null,
): Promise<EstimatedPlan> {
  const { catalog, clock, hot, limits, policy } = environment;
  const input = await readPlanInput(environment, source, options);
  const plan = makePlan(input);
  return {
    plan,
    estimate: estimate({
      input,
      plan,
      prices,
      table: await hot.size(source),
      totals: await catalog.totals(policy.pipeline),
      runs: await catalog.runs(policy.pipeline, RUNS_MAX),
      segmentBytesMax: BigInt(limits.segmentBytesMax),
      rowGroupRowsMax: BigInt(limits.rowGroupRowsMax),
      now: microsFromMs(clock.now()),
      isPartitioned: source.isPartitioned,
    }),
  };
}
