/** Plans with what they come to: a world to plan in, with the size of its table, what is archived, and earlier runs. */
import { planJson, planText } from "../../../src/cli/plan-text.ts";
import type { PriceList } from "../../../src/plan/cost.ts";
import { estimate, type Estimate, type EstimateInput, type PastRun } from "../../../src/plan/estimate.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { Plan, PlanInput } from "../../../src/plan/step.ts";
import type { StateTotals } from "../../../src/plan/stored.ts";
import { parsePolicy, type Policy } from "../../../src/policy/policy.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import { builtInPrices } from "../../../src/price-file.ts";
import { policyText } from "./scenes.ts";

/** A row of audit logs in Postgres with its indexes, and in the archive. */
export const ROW_BYTES = 600n;
export const OBJECT_ROW_BYTES = 109n;

/** The policy of the scenes in an S3 archive, where S3's smallest sizes hold. */
export function s3Policy(more?: string, tiers?: string): Policy {
  return inS3(policyText(more, tiers));
}

/** The same with another `hot.keep`. */
export function hotKeeps(keep: string): Policy {
  return inS3(policyText().replace("keep: 30d", `keep: ${keep}`));
}

export function inS3(text: string): Policy {
  return parsePolicy(text.replace("file:///var/lib/firnline", "s3://acme-audit/firnline"), "audit-logs.yaml");
}

export const S3_BYTES_MIN = 131_072n;

/** Segments of a state, by default a day of a million rows each. */
export function totals(
  state: StateTotals["state"],
  segments: number,
  changes: Partial<StateTotals> = {},
): StateTotals {
  const rows = BigInt(segments) * 1_000_000n;
  const storageClass = state === "cold" ? "DEEP_ARCHIVE" : "STANDARD";
  return {
    state,
    storageClass,
    isSmall: false,
    segments,
    rows,
    bytes: rows * OBJECT_ROW_BYTES,
    ...changes,
  };
}

/** A run that is over, `seconds` long. */
export function pastRun(seconds: number, summary: Readonly<Record<string, string>>, state = "done"): PastRun {
  return { state, summary, startedAt: 0 as EpochMs, finishedAt: (seconds * 1_000) as EpochMs };
}

export const NIGHTS = [14, 13, 15].map((seconds) =>
  pastRun(seconds, { exported: "1000000", pruned: "1000000", deleted: "0", cooled: "1000000" }),
);

export interface World {
  readonly input: PlanInput;
  readonly tableRows: bigint;
  readonly changes?: Partial<EstimateInput>;
}

export const PRICES: PriceList = builtInPrices();

export function estimated({ input, tableRows, changes = {} }: World): { plan: Plan; found: Estimate } {
  const plan = makePlan(input);
  const found = estimate({
    input,
    plan,
    table: { rows: tableRows, bytes: tableRows * ROW_BYTES, isCounted: true },
    totals: [],
    segmentBytesMax: 1_073_741_824n,
    rowGroupRowsMax: 20_000n,
    runs: [],
    prices: PRICES,
    now: input.asOf,
    isPartitioned: false,
    ...changes,
  });
  return { plan, found };
}

/** The plan as a person reads it. */
export function told(world: World, all = false): string {
  const { plan, found } = estimated(world);
  return planText(world.input.policy.pipeline, plan, all, found).join("\n");
}

export function toldToMachines(world: World): string {
  const { plan, found } = estimated(world);
  return planJson(world.input.policy.pipeline, plan, found).join("\n");
}
