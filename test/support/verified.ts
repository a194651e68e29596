/** What `verify` finds: nothing, after whatever happened, or the truth would be in doubt. */
import { expect } from "vitest";
import type { FirnlineError } from "../../src/errors.ts";
import type { VerifyOptions, VerifyResult } from "../../src/repair/verify.ts";
import type { RunAs, Scenario } from "./scenario.ts";

export interface Verified {
  readonly result: VerifyResult;
  /** `CODE subject: what is wrong`, in order. */
  readonly findings: readonly string[];
}

export async function verify(
  scenario: Scenario,
  options: Partial<VerifyOptions> = {},
  as: Pick<RunAs, "environ" | "url"> = {},
): Promise<Verified> {
  await using pipeline = scenario.open(as);
  const found: FirnlineError[] = [];
  const result = await pipeline.verify({ ...options, onFinding: (one) => found.push(one) });
  expect(result.findings).toBe(found.length);
  const findings = found.map(({ code, subject, problem }) => `${code} ${subject}: ${problem}`).sort();
  return { result, findings };
}

/** Archive, journal, catalog and table agree, down to every value. */
export async function expectVerified(
  scenario: Scenario,
  as: Pick<RunAs, "environ" | "url"> = {},
): Promise<VerifyResult> {
  const { result, findings } = await verify(scenario, { deep: true }, as);
  expect(findings).toEqual([]);
  return result;
}
