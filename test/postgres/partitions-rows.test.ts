/** Partitioned tables, row by row: each leaf is exported and pruned by its own name, whatever its shape. */
import { describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readArchive } from "../support/oracle.ts";
import { fillShape, type Shape, SHAPES } from "../support/partitioned-logs.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

describe("rows go from each leaf by its own name:", () => {
  test.concurrent.each(SHAPES)("$what", async ({ what: _, leavesLeft: __, ...options }) => {
    await using scenario = await Scenario.create({ prune: "rows", ...options });
    await fillShape(scenario);
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 190, pruned: 190 });
    expect(await scenario.count()).toBe(10);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await scenario.insert(auditRows("2026-01-10", 9001, 5));
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 5, pruned: 5 });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });
});

test("a segment names the leaf that its rows were in", async () => {
  await using scenario = await Scenario.create({ prune: "rows", ...(SHAPES[0] as Shape) });
  await fillShape(scenario);
  await scenario.run();
  const { segments } = await readArchive(scenario);
  const leaves = await scenario.query(
    "SELECT DISTINCT leaf_schema, leaf_name FROM firnline.segment ORDER BY leaf_name",
  );
  expect(leaves.map(({ leaf_name }) => leaf_name)).toEqual(["day_10", "day_11"]);
  expect(new Set(segments.map(({ dayFrom }) => dayFrom))).toEqual(new Set(["2026-01-10", "2026-01-11"]));
});
