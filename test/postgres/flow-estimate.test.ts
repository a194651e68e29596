/** An estimate against what the run then really does: rows, bytes, objects and requests on a real table and archive. */
import { stat } from "node:fs/promises";
import { expect, test } from "vitest";
import { tiersOf } from "../../src/cli/status-text.ts";
import type { Estimate, TierEstimate } from "../../src/plan/estimate.ts";
import { builtInPrices } from "../../src/price-file.ts";
import type { EstimatedPlan } from "../../src/stages/estimate-plan.ts";
import { auditRows } from "../support/audit-rows.ts";
import { listArchive } from "../support/archive-damage.ts";
import { AS_OF, instantOf, type RunAs, Scenario } from "../support/scenario.ts";

const RULES = [{ name: "denied", when: "action = 'denied'", archive: false }];

/** Three old days that go cold, three that go warm, three that stay, and a delete-only rule's rows on two of them. */
async function busyDays(): Promise<Scenario> {
  const scenario = await Scenario.create({ rules: RULES, environ: { FIRNLINE_SEGMENT_MIB: "64" } });
  for (let at = 0; at < 3; at += 1) {
    const day = String(at + 10);
    await scenario.insert(auditRows(`2025-12-${day}`, at * 1_000, 120));
    await scenario.insert(auditRows(`2026-01-${day}`, 20_000 + at * 1_000, 120));
    await scenario.insert(auditRows(`2026-02-${day}`, 40_000 + at * 1_000, 120));
  }
  await scenario.insert(auditRows("2026-01-10", 90_000, 40, "'denied'"));
  await scenario.insert(auditRows("2026-01-11", 91_000, 40, "'denied'"));
  return scenario;
}

async function estimateOf(scenario: Scenario, as: RunAs & { billed?: boolean } = {}): Promise<EstimatedPlan> {
  await using pipeline = scenario.open(as);
  return await pipeline.estimate({
    asOf: instantOf(as.asOf ?? AS_OF),
    backfill: true,
    ...(as.billed === true ? { prices: builtInPrices() } : {}),
  });
}

const tier = ({ tiers }: Estimate, name: string): TierEstimate | undefined =>
  tiers.find((one) => one.tier === name);

async function bytesOf(files: readonly string[]): Promise<bigint> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return BigInt(sizes.reduce((sum, size) => sum + size, 0));
}

test("before and after are what the catalog and the table say before and after", async () => {
  await using scenario = await busyDays();
  const first = await estimateOf(scenario);
  expect(tier(first.estimate, "hot")).toMatchObject({ before: { rows: 1_160n }, after: { rows: 360n } });
  expect(tier(first.estimate, "warm")).toMatchObject({
    before: { rows: 0n, objects: 0n },
    after: { rows: 360n, objects: 3n },
  });
  expect(tier(first.estimate, "cold")).toMatchObject({
    storageClass: "DEEP_ARCHIVE",
    before: { rows: 0n, objects: 0n },
    after: { rows: 360n, objects: 3n },
  });
  expect(first.estimate).toMatchObject({ isCounted: true, duration: null, before: null, after: null });

  const before = (await listArchive(scenario)).length;
  await scenario.run();
  const files = await listArchive(scenario);
  // One object more than was counted: the policy's own entry, which is journaled when it changed.
  const written = files.filter((file) => !file.endsWith(".meta")).length - before;
  expect(BigInt(written)).toBe(first.estimate.move.writes + 1n);
  expect(first.estimate.move).toMatchObject({ newObjects: 6n, transitions: 3n });

  const second = await estimateOf(scenario);
  expect(second.plan.steps).toEqual([]);
  for (const name of ["hot", "warm", "cold"]) {
    const [was, is] = [tier(first.estimate, name)?.after, tier(second.estimate, name)?.before];
    expect(is).toMatchObject({ rows: was?.rows, objects: was?.objects });
  }
  const archived = tier(second.estimate, "warm")?.before.bytes ?? 0n;
  const cold = tier(second.estimate, "cold")?.before.bytes ?? 0n;
  expect(archived + cold).toBe(await bytesOf(files.filter((file) => file.endsWith(".parquet"))));
  await using pipeline = scenario.open();
  const status = tiersOf(await pipeline.status({ asOf: instantOf(AS_OF) }));
  expect(status.map(({ rows }) => rows)).toEqual([360n, 360n, 360n]);
});

test("later nights are estimated from the segments and runs before them, and nearly right", async () => {
  await using scenario = await busyDays();
  await scenario.run();
  // The three days of February leave by then, and those of January go cold.
  const asOf = "2026-03-15";
  const { estimate } = await estimateOf(scenario, { asOf, billed: true });
  expect(estimate.ratio.from).toBe("segments");
  expect(estimate.duration?.runs).toBe(1);
  expect(estimate.duration?.seconds).toBeGreaterThan(0);
  const objects = (name: string): bigint | null | undefined => tier(estimate, name)?.after.objects;
  expect([objects("warm"), objects("cold")]).toEqual([3n, 6n]);
  const bytes = (found: Estimate, when: "before" | "after"): number =>
    found.tiers.filter((one) => one.tier !== "hot").reduce((sum, one) => sum + Number(one[when].bytes), 0);
  await scenario.run({ asOf });
  const after = await estimateOf(scenario, { asOf, billed: true });
  const told = bytes(estimate, "after") - bytes(estimate, "before");
  const grown = bytes(after.estimate, "before") - bytes(estimate, "before");
  expect(told / grown).toBeGreaterThan(0.9);
  expect(told / grown).toBeLessThan(1.1);
  expect(after.estimate.before).toBeGreaterThan(0n);
  expect(after.estimate.before).toBe(after.estimate.after);
});

test("looks ahead of today with --as-of", async () => {
  await using scenario = await busyDays();
  const { estimate } = await estimateOf(scenario, { asOf: "9999-01-01" });
  expect(estimate.daysAhead).toBeGreaterThan(365);
  const past = await estimateOf(scenario, { asOf: "2001-01-01" });
  expect(past.estimate.daysAhead).toBe(0);
  expect(tier(estimate, "hot")?.after.rows).toBe(0n);
});

test("works without a control schema, and touches nothing", async () => {
  await using scenario = await busyDays();
  await scenario.query("DROP SCHEMA firnline CASCADE");
  const { estimate, plan } = await estimateOf(scenario);
  expect(plan.steps).toHaveLength(8);
  expect(estimate.ratio.from).toBe("default");
  expect(await scenario.query("SELECT to_regnamespace('firnline') AS schema")).toEqual([{ schema: null }]);
  expect(await listArchive(scenario)).toEqual([]);
});

test("segments of other classes and sizes are told apart, as they are billed differently", async () => {
  await using scenario = await busyDays();
  await scenario.run();
  await scenario.query(
    "UPDATE firnline.segment SET storage_class = 'GLACIER_IR' WHERE day_from = '2026-01-10'",
  );
  await scenario.query("UPDATE firnline.segment SET bytes = 131072 WHERE day_from = '2026-01-11'");
  await scenario.query("UPDATE firnline.segment SET bytes = 131071 WHERE day_from = '2026-01-12'");
  await using pipeline = scenario.open();
  const { totals } = await pipeline.status({ asOf: instantOf(AS_OF) });
  const groups = totals.map(({ state, storageClass, isSmall, segments }) => [
    state,
    storageClass,
    isSmall,
    segments,
  ]);
  expect(groups.toSorted()).toEqual([
    ["cold", "DEEP_ARCHIVE", true, 3],
    ["warm", "GLACIER_IR", true, 1],
    ["warm", "STANDARD", false, 1],
    ["warm", "STANDARD", true, 1],
  ]);
});
