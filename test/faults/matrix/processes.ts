/** Runs as processes that are killed, stand still, or end as they should. */
import { expect } from "vitest";
import type { Ending, FirnlineProcess } from "../../support/firnline-process.ts";
import type { Environ, Scenario } from "../../support/scenario.ts";
import type { FaultBench } from "./line.ts";

/** A run that is ended by SIGKILL at a failpoint, which it must pass: `export.uploaded`, `prune.deleted@2`. */
export async function killedAt(scenario: Scenario, point: string, environ: Environ = {}): Promise<void> {
  const run = scenario.spawnRun({ ...environ, FIRNLINE_FAILPOINT: failpoint(point, "kill") });
  expectKilled(await run.ended, point);
}

export function expectKilled(ending: Ending, where: string): void {
  expect(ending, `it is killed at ${where}`).toMatchObject({ code: null, signal: "SIGKILL" });
}

/** A run that stands still at a failpoint, by SIGSTOP. */
export async function pausedAt(
  bench: FaultBench,
  scenario: Scenario,
  point: string,
  environ: Environ = {},
): Promise<FirnlineProcess> {
  const run = bench.keep(scenario.spawnRun({ ...environ, FIRNLINE_FAILPOINT: failpoint(point, "pause") }));
  await run.stopped();
  return run;
}

/** A process that ends by itself with this exit code, and says this on the way. Returns what it said. */
export async function endedWith(
  process: FirnlineProcess,
  code: number | readonly number[],
  says: RegExp = /^/,
): Promise<string> {
  const ending = await process.ended;
  const said = `${ending.stdout}${ending.stderr}`;
  expect(ending.signal, said).toBeNull();
  expect([code].flat(), said).toContain(ending.code);
  expect(said).toMatch(says);
  return said;
}

/** `CODE`, as a table has room for it. */
export const codeOf = (said: string): string => /\bE_[A-Z]+\b/.exec(said)?.[0] ?? "no error";

function failpoint(point: string, action: "kill" | "pause"): string {
  const [name, hit] = point.split("@");
  return `${name}:${action}${hit === undefined ? "" : `@${hit}`}`;
}
