/**
 * One run over these rows passes every failpoint of a drop, most of them twice: leaves of a day and of a month, one of
 * them old enough for the cold class, rows that changed while they waited, a shorter rule and a delete-only one.
 */
import { FAILPOINTS } from "../../src/failpoint.ts";
import { auditRows } from "./audit-rows.ts";
import { days, leaf, PARENT } from "./partitioned-logs.ts";
import { Scenario } from "./scenario.ts";

export const DROP_FAILPOINTS = FAILPOINTS.filter((name) => name.startsWith("drop."));

/** What the delete-only rule takes. */
export const DELETABLE = "action = 'access_denied'";
/** When all of January is due. */
export const AFTER_JANUARY = "2026-03-03";

export async function createBusyLeaves(): Promise<Scenario> {
  const scenario = await Scenario.create({
    ddl: PARENT + leaf("public.january", "2026-01-01", "2026-02-01") + days("2026-02-20", 1),
    rules: [
      { name: "access_denied", when: DELETABLE, hot: "20d", archive: false },
      { name: "short", when: "action = 'short'", hot: "10d" },
    ],
  });
  await scenario.insert(auditRows("2026-01-10", 1001, 130));
  await scenario.insert(auditRows("2026-01-10", 2001, 60, "'short'"));
  await scenario.insert(auditRows("2026-01-31", 3001, 60));
  await scenario.insert(auditRows("2026-02-20", 5001, 10));
  return scenario;
}

/** A copy whose January was archived in part by an earlier run, and changed since. */
export async function copyBusyLeaves(template: Scenario): Promise<Scenario> {
  const scenario = await template.copy();
  await scenario.run({ asOf: "2026-02-10" });
  await scenario.query(days("2025-12-29", 3));
  await scenario.insert(auditRows("2025-12-29", 1, 110));
  await scenario.insert(auditRows("2025-12-30", 501, 45, DELETABLE.slice("action = ".length)));
  await scenario.insert(auditRows("2025-12-31", 6001, 20));
  await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1060`);
  await scenario.change((table) => `DELETE FROM ${table} WHERE id = 1061`);
  await scenario.insert(auditRows("2026-01-12", 9001, 20));
  return scenario;
}
