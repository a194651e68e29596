/** Plans as texts, compared with those that are written down. */
import { expect } from "vitest";

import { planText } from "../../../src/cli/plan-text.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { PlanInput } from "../../../src/plan/step.ts";

/** The plan as a person reads it. */
export const text = (input: PlanInput, all = false): string =>
  planText(input.policy.pipeline, makePlan(input), all).join("\n");

/** A long list with its middle left out. */
export function brief(plan: string): string {
  const lines = plan.split("\n");
  const steps = lines.findIndex((line) => /^ {2}\d/.test(line));
  const last = lines.findLastIndex((line) => /^ {2}\d/.test(line));
  return [...lines.slice(0, steps + 2), `  (${last - steps - 3} lines)`, ...lines.slice(last - 1)].join("\n");
}

/** Compares with `test/golden/plan-NAME.txt`, one section a scene. */
export async function expectGolden(name: string, scenes: Readonly<Record<string, string>>): Promise<void> {
  const sections = Object.entries(scenes).map(([title, body]) => `## ${title}\n${body}\n`);
  await expect(sections.join("\n")).toMatchFileSnapshot(`../../golden/plan-${name}.txt`);
}
