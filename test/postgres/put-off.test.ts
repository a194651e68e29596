/** A partition that another session's lock kept from being pruned is tried once more when the rest of the run is done. */
import { expect, test, vi } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { moved, Scenario } from "../support/scenario.ts";
import { connect } from "./connect.ts";

const DAYS = ["2026-01-10", "2026-01-11", "2026-01-12", "2026-01-13", "2026-01-14"];
const ENVIRON = { FIRNLINE_LOCK_TIMEOUT_MS: "1000", FIRNLINE_ATTEMPTS: "1" };

async function fiveDays(): Promise<Scenario> {
  const scenario = await Scenario.create();
  for (const [at, day] of DAYS.entries()) await scenario.insert(auditRows(day, 1 + at * 100, 20));
  return scenario;
}

test("it goes with the same run once the lock is gone", async () => {
  await using scenario = await fiveDays();
  await using other = await connect(scenario.url);
  await other.query("BEGIN; SELECT FROM public.audit_logs WHERE id = 105 FOR UPDATE");
  const running = scenario.run({ environ: ENVIRON });
  // The day after the one that is kept is gone: it has been put off.
  await vi.waitUntil(async () => (await scenario.count("id BETWEEN 201 AND 220")) === 0, {
    timeout: 60_000,
    interval: 10,
  });
  await other.query("COMMIT");
  const summary = await running;
  expect({ ...moved(summary), state: summary.state, failures: summary.failures }).toMatchObject({
    exported: 100,
    pruned: 100,
    state: "done",
    failures: [],
  });
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

test("it is a failure when the lock is still there, told once, and the others go", async () => {
  await using scenario = await fiveDays();
  await using other = await connect(scenario.url);
  await other.query("BEGIN; SELECT FROM public.audit_logs WHERE id = 105 FOR UPDATE");
  const summary = await scenario.run({ environ: { ...ENVIRON, FIRNLINE_LOCK_TIMEOUT_MS: "200" } });
  expect({ ...moved(summary), state: summary.state, failures: summary.failures }).toMatchObject({
    exported: 100,
    pruned: 80,
    state: "partly",
    failures: [{ code: "E_DATABASE", blocked: true, problem: expect.stringContaining("lock timeout") }],
  });
  await other.query("ROLLBACK");
  expect(moved(await scenario.run())).toMatchObject({ exported: 0, pruned: 20 });
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});
