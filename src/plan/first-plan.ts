/** What the first run of a policy would come to, before there is anything but the table and a proposal. Pure. */
import type { Policy } from "../policy/policy.ts";
import { DEFAULT_RULE } from "../policy/readers/identifier.ts";
import type { DayUtc, EpochMicros } from "../rows/day.ts";
import type { PriceList } from "./cost.ts";
import { estimate, type Estimate } from "./estimate.ts";
import { lastDueDay, makePlan } from "./plan.ts";
import type { Plan } from "./step.ts";

export interface FirstPlanInput {
  /** A policy without rules. */
  readonly policy: Policy;
  /** The table's rows by day, counted or estimated. */
  readonly days: readonly { readonly day: DayUtc; readonly rows: bigint }[];
  /** Of the table, with indexes and TOAST. */
  readonly bytes: bigint;
  readonly isPartitioned: boolean;
  readonly asOf: EpochMicros;
  readonly prices: PriceList | null;
  /** As the archive has them. */
  readonly coldBytesMin: bigint;
  readonly segmentBytesMax: bigint;
  readonly rowGroupRowsMax: bigint;
}

export function firstPlan(given: FirstPlanInput): { readonly plan: Plan; readonly estimate: Estimate } {
  const { asOf, bytes, coldBytesMin, days, isPartitioned, policy, prices } = given;
  const { rowGroupRowsMax, segmentBytesMax } = given;
  const rows = days.reduce((sum, one) => sum + one.rows, 0n);
  const lastDay = lastDueDay(policy, asOf);
  const input = {
    policy,
    asOf,
    inventory: {
      partitions: days
        .filter(({ day }) => day <= lastDay)
        .map((one) => ({ ...one, leaf: null, rule: DEFAULT_RULE })),
      rowBytes: rows === 0n ? 0 : Number(bytes / rows),
    },
    catalog: { unfinished: [], dueForRewrite: [], dueForCold: [], archived: [], everMoved: false },
    coldBytesMin,
    backfill: true,
  };
  const plan = makePlan(input);
  const table = { rows, bytes, isCounted: true };
  return {
    plan,
    estimate: estimate({
      input,
      plan,
      prices,
      table,
      isPartitioned,
      totals: [],
      segmentBytesMax,
      rowGroupRowsMax,
      runs: [],
      now: asOf,
    }),
  };
}
