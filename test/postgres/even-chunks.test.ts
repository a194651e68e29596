/** A day that is a few rows more than whole chunks has even ones, and goes its way with them like any other. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { listArchive } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

test("of 202 rows in chunks of 50 no chunk has two rows", async () => {
  await using scenario = await Scenario.create({ environ: { FIRNLINE_SEGMENT_MIB: "1024" } });
  await scenario.insert(auditRows("2026-01-10", 1001, 202));
  expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 202, pruned: 202 });
  const [path] = (await listArchive(scenario, ".json")).filter((one) => one.includes("/manifests/"));
  const { chunks } = JSON.parse(await readFile(path as string, "utf8")) as { chunks: { rows: number }[] };
  expect(chunks.map(({ rows }) => rows)).toEqual([41, 41, 41, 41, 38]);
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});
