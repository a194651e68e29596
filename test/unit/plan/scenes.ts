/** Small worlds to plan in: a policy, what is hot, what the catalog knows. */
import type { PlanInput, PlannedSegment } from "../../../src/plan/step.ts";
import { parsePolicy, type Policy } from "../../../src/policy/policy.ts";
import { addDays, type DayUtc, type EpochMicros, parseDay, parseInstant } from "../../../src/rows/day.ts";
import type { PartitionKey } from "../../../src/segment/partition-key.ts";

export const day = (text: string): DayUtc => parseDay(text);
export const at = (text: string): EpochMicros => parseInstant(text);

/** 30 days hot, warm to the age of a year, then Deep Archive for ever; `more` is appended to the file. */
export function policyText(more = "", tiers = "cold: { storageClass: DEEP_ARCHIVE, keep: forever }"): string {
  return `version: 1
pipeline: audit_logs
source: { connection: DATABASE_URL, table: public.audit_logs, time: ts }
archive: { url: "file:///var/lib/firnline" }
tiers:
  hot: { keep: 30d }
  warm: { keep: 365d }
${tiers === "" ? "" : `  ${tiers}\n`}${more}`;
}

export function policy(more?: string, tiers?: string): Policy {
  return parsePolicy(policyText(more, tiers), "audit-logs.yaml");
}

export interface HotRows extends PartitionKey {
  readonly rows: bigint;
}

/** One partition a day, the first of them `first`. */
export function hotDays(first: DayUtc, count: number, rows = 1_000n, rule = "default"): HotRows[] {
  return Array.from({ length: count }, (_, index) => ({
    leaf: null,
    rule,
    day: addDays(first, index),
    rows,
  }));
}

/** A segment as the catalog knows it, of one day and a megabyte. Its number makes its id. */
export function segment(
  number: number,
  state: PlannedSegment["state"],
  changes: Partial<PlannedSegment> & { readonly dayFrom: DayUtc },
): PlannedSegment {
  // The catalog learns how many rows a segment has when it is uploaded.
  const rows = state === "exporting" ? 0n : 1_000n;
  return {
    segment: `${String(number).padStart(12, "0")}-0123456789abcdef`,
    state,
    leaf: null,
    rule: "default",
    dayTo: changes.dayFrom,
    rows,
    replaces: false,
    rowsUnpruned: state === "warm" || state === "cooling" ? 0n : rows,
    rowsQuarantined: 0n,
    rowsUnknown: 0n,
    object: state === "exporting" ? null : { bytes: 1_048_576n },
    shape: "one shape",
    ...changes,
  };
}

/** Nothing hot, nothing archived, and not the first run; rows of 200 bytes. */
export function scene(
  changes: Partial<Omit<PlanInput, "inventory" | "catalog">> & {
    readonly hot?: readonly HotRows[];
    readonly catalog?: Partial<PlanInput["catalog"]>;
  } = {},
): PlanInput {
  const { hot = [], catalog = {}, ...rest } = changes;
  return {
    policy: policy(),
    asOf: at("2026-02-03T02:00:00Z"),
    inventory: { partitions: hot, rowBytes: 200 },
    coldBytesMin: 0n,
    backfill: false,
    ...rest,
    catalog: {
      unfinished: [],
      dueForRewrite: [],
      dueForCold: [],
      archived: [],
      everMoved: true,
      ...catalog,
    },
  };
}
