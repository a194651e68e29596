/** The rows that most lines have. */
import { auditRows } from "../../support/audit-rows.ts";
import { addDriftedDay, BUSY_RULES, DELETABLE, fillBusyDays } from "../../support/busy-days.ts";
import type { Environ, Scenario } from "../../support/scenario.ts";
import type { FaultBench, SettleOptions } from "./line.ts";

/** What the oracle must know of them. */
export const BUSY: SettleOptions = { deletable: DELETABLE };

/** The days of `support/busy-days.ts`, one of them sealed by an earlier run and changed since. */
export async function busyDays(bench: FaultBench): Promise<Scenario> {
  const scenario = await bench.scenario({ rules: BUSY_RULES });
  await fillBusyDays(scenario);
  await addDriftedDay(scenario);
  return scenario;
}

export const DAY = "2026-01-10";
export const DAY_ROWS = 260;
export const ONE_SEGMENT = { FIRNLINE_SEGMENT_MIB: "1024" };

/** A day of 260 rows that is due, ids 1001 to 1260 in six chunks of one segment, and ten rows that stay. */
export async function oneDay(bench: FaultBench, environ: Environ = {}): Promise<Scenario> {
  const scenario = await bench.scenario({ environ: { ...ONE_SEGMENT, ...environ } });
  await fillOneDay(scenario);
  return scenario;
}

export async function fillOneDay(scenario: Scenario): Promise<void> {
  await scenario.insert(auditRows(DAY, 1001, DAY_ROWS));
  await scenario.insert(auditRows("2026-02-20", 5001, 10));
}

/** Rows of that day that are still in the table. */
export async function hotRowsOfDay(scenario: Scenario): Promise<number> {
  return await scenario.count("id < 5000");
}
