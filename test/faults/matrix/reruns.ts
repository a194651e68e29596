/** Runs as processes of their own, and what `run --json` says of them. */
import { expect } from "vitest";
import { AS_OF, type Scenario } from "../../support/scenario.ts";
import type { Rerun, SettleOptions } from "./line.ts";

/** A run that ends well: exit code 0, state `done`. */
export async function runOf(
  scenario: Scenario,
  { asOf = AS_OF, environ = {}, args = [] }: SettleOptions = {},
): Promise<Rerun & { readonly steps: number }> {
  const run = scenario.spawn(["run", "--backfill", "--as-of", asOf, "--json", ...args], environ);
  const { code, signal, stdout, stderr } = await run.ended;
  expect({ code, signal, stderr, stdout: code === 0 ? "" : stdout }, "a rerun").toEqual({
    code: 0,
    signal: null,
    stderr: "",
    stdout: "",
  });
  const lines = stdout.trimEnd().split("\n");
  const summary = (JSON.parse(lines.at(-1) as string) as { run: Record<string, unknown> }).run;
  expect(summary["state"], "a rerun").toBe("done");
  const count = (name: string): number => Number(summary[name]);
  return {
    exported: count("exported"),
    pruned: count("pruned"),
    deleted: count("deleted"),
    cooled: count("cooled"),
    replaced: count("replaced"),
    steps: count("steps"),
  };
}

export function expectSame(found: unknown, expected: unknown, what: string): void {
  expect(found, what).toEqual(expected);
}
