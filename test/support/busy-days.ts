/**
 * One run over these rows passes every failpoint, most of them several times: days that go warm and a day that goes cold
 * at once, partitions of several segments, row groups and chunks, and a delete-only rule in several batches.
 */
import { expect } from "vitest";
import { FAILPOINTS } from "../../src/failpoint.ts";
import { auditRows } from "./audit-rows.ts";
import { Scenario } from "./scenario.ts";

/**
 * The failpoints that such a run passes. A plain table has no leaf to drop: see `busy-leaves.ts`. Copies are restored by
 * retrievals alone, and nothing expires: see `expiry.test.ts`. A folder has no tags to wait for and no versions, and no
 * object is too small for it: see `transition-modes.test.ts` and `packing.test.ts`.
 */
export const BUSY_FAILPOINTS = FAILPOINTS.filter(
  (name) =>
    !/^(?:drop|restore|reconcile|adopt|collect|pack|expire)\.|^transition\.(?:tagged|removed)$/.test(name),
);

/** What the delete-only rule takes. */
export const DELETABLE = "action = 'access_denied'";

/** Rules of such a policy. */
export const BUSY_RULES = [{ name: "access_denied", when: DELETABLE, hot: "30d", archive: false }];

export async function createBusyDays(): Promise<Scenario> {
  const scenario = await Scenario.create({ rules: BUSY_RULES });
  await fillBusyDays(scenario);
  return scenario;
}

export async function fillBusyDays(scenario: Scenario): Promise<void> {
  await scenario.insert(auditRows("2025-12-29", 1, 130));
  await scenario.insert(auditRows("2026-01-10", 1001, 260, "CASE WHEN n % 9 <> 0 THEN 'login' END"));
  await scenario.insert(auditRows("2026-01-10", 2001, 45, "'access_denied'"));
  await scenario.insert(auditRows("2026-01-29", 3001, 60));
  await scenario.insert(auditRows("2026-01-30", 4001, 40));
  await scenario.insert(auditRows("2026-02-20", 5001, 10, "'access_denied'"));
}

/** A copy with one more day, which an earlier run had sealed when the application changed its rows. */
export async function copyBusyDays(template: Scenario): Promise<Scenario> {
  const scenario = await template.copy();
  await addDriftedDay(scenario);
  return scenario;
}

/** One more day, which a first run had sealed when the application changed its rows. */
export async function addDriftedDay(scenario: Scenario): Promise<void> {
  await scenario.insert(auditRows("2025-12-20", 9101, 110));
  const sealing = scenario.run({
    asOf: "2026-01-20",
    environ: { FIRNLINE_FAILPOINT: "prune.started:error" },
  });
  await expect(sealing).rejects.toThrow("failpoint prune.started");
  await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 9160`);
  await scenario.change((table) => `DELETE FROM ${table} WHERE id = 9161`);
}
