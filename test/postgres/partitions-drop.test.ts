/** Leaves of a partitioned table that leave it as a whole. */
import { describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readTiers } from "../support/oracle.ts";
import { days, fillShape, leaf, leavesOf, PARENT, SHAPES, tablesOf } from "../support/partitioned-logs.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

describe("whole leaves go wherever they can, and the archive is the same as row by row:", () => {
  test.concurrent.each(SHAPES)("$what", async ({ what: _, leavesLeft, ...options }) => {
    await using scenario = await Scenario.create(options);
    await fillShape(scenario);
    await using rowwise = await Scenario.create({ ...options, prune: "rows" });
    await fillShape(rowwise);
    const summary = await scenario.run();
    expect(summary).toMatchObject({ state: "done", failures: [], drift: [], exported: 190n });
    expect(await leavesOf(scenario)).toEqual(leavesLeft);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    for (const one of [scenario, rowwise]) expect((await one.run({ asOf: "2026-08-01" })).state).toBe("done");
    expect(await readTiers(scenario)).toEqual(await readTiers(rowwise));
    await expectNothingLost(scenario);
    await expectSettled(scenario, { asOf: "2026-08-01" });
  });
});

test("leaves of a day go on the day that they are due", async () => {
  await using scenario = await Scenario.create({ ddl: PARENT + days("2026-01-28", 4) });
  await scenario.insert(auditRows("2026-01-28", 1001, 130));
  await scenario.insert(auditRows("2026-01-29", 2001, 60));
  await scenario.insert(auditRows("2026-01-30", 3001, 40));
  const summary = await scenario.run();
  expect(summary.failures).toEqual([]);
  expect(moved(summary)).toEqual({ ...NOTHING, exported: 190, pruned: 190 });
  expect(summary.plan.steps.map(({ stages }) => stages.join(" > "))).toEqual([
    "export > seal > drop",
    "export > seal > drop",
  ]);
  expect(await leavesOf(scenario)).toEqual(["day_2026_01_30", "day_2026_01_31"]);
  expect(await tablesOf(scenario)).toEqual(["day_2026_01_30", "day_2026_01_31"]);
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

test("a leaf of a month waits, archived day by day, until its last day is due", async () => {
  await using scenario = await Scenario.create({
    ddl: `${PARENT} ${leaf("public.january", "2026-01-01", "2026-02-01")} ${leaf("public.february", "2026-02-01", "2026-03-01")}`,
  });
  await scenario.insert(auditRows("2026-01-10", 1001, 130));
  await scenario.insert(auditRows("2026-01-31", 2001, 60));
  const first = await scenario.run();
  expect(moved(first)).toEqual({ ...NOTHING, exported: 130 });
  const again = await scenario.run();
  expect({ ...moved(again), state: again.state }).toEqual({ ...NOTHING, state: "done" });
  expect(again.plan.held.map(({ reason, rows }) => [reason, rows])).toEqual([
    ["waits for its leaf public.january, wholly due on 2026-03-03", 130n],
  ]);
  await expectNothingLost(scenario);
  expect(moved(await scenario.run({ asOf: "2026-03-02" }))).toEqual(NOTHING);
  expect(moved(await scenario.run({ asOf: "2026-03-03" }))).toEqual({
    ...NOTHING,
    exported: 60,
    pruned: 190,
  });
  expect(await tablesOf(scenario)).toEqual(["february"]);
  await expectNothingLost(scenario);
  await expectSettled(scenario, { asOf: "2026-03-03" });
});
