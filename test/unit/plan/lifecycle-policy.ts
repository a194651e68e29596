/** Policies whose archives are in buckets, for the tests of lifecycle rules. */
import { parsePolicy, type Policy } from "../../../src/policy/policy.ts";

export interface Variant {
  readonly pipeline?: string;
  readonly url?: string;
  readonly archive?: Readonly<Record<string, unknown>>;
  /** null: no cold tier. */
  readonly cold?: Readonly<Record<string, unknown>> | null;
}

export function bucketPolicy(variant: Variant = {}): Policy {
  const { archive, cold = {}, pipeline = "logs", url = "s3://acme/audit" } = variant;
  const file = {
    version: 1,
    pipeline,
    source: { connection: "DATABASE_URL", table: `public.${pipeline}`, time: "ts" },
    archive: { url, ...archive },
    tiers: { hot: { keep: "30d" }, warm: { keep: "365d" }, ...(cold && { cold }) },
  };
  return parsePolicy(JSON.stringify(file), "p.yaml");
}
