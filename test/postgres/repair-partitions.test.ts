/** Rebuild and adoption where the source is partitioned: leaves that are on their way out, gone, back, or another's. */
import { describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { loseCatalog } from "../support/control-schema.ts";
import { expectNothingLost, expectRetrievalComplete, expectSettled, readJournal } from "../support/oracle.ts";
import { days, fillShape, PARENT, SHAPES, tablesOf } from "../support/partitioned-logs.ts";
import { Scenario, type ScenarioOptions } from "../support/scenario.ts";
import { expectVerified } from "../support/verified.ts";

const DAYS = SHAPES.find(({ what }) => what === "days") as ScenarioOptions;
const KEYLESS = PARENT.replace(", PRIMARY KEY (ts, id)", "");

async function rebuild(scenario: Scenario): Promise<bigint> {
  await loseCatalog(scenario);
  await using pipeline = scenario.open();
  return (await pipeline.rebuildCatalog()).rowsUnknown;
}

async function cut(options: ScenarioOptions, failpoint: string): Promise<Scenario> {
  const scenario = await Scenario.create(options);
  await fillShape(scenario);
  const failures = await scenario.failuresOf({ environ: { FIRNLINE_FAILPOINT: failpoint } });
  expect(String(failures)).toContain("failpoint");
  return scenario;
}

async function expectWell(scenario: Scenario): Promise<void> {
  await expectNothingLost(scenario);
  await expectSettled(scenario);
  await expectVerified(scenario);
}

describe("the catalog is lost while a leaf is on its way out,", () => {
  const CASES = [
    ["listed", "drop.listed:error"],
    ["detached", "drop.detached:error"],
    ["dropped, and no entry says so", "drop.committed:error"],
  ] as const;
  const TABLES = [
    ["", DAYS],
    ["of a table without a key", { ddl: KEYLESS + days("2026-01-10", 2) + days("2026-02-20", 1) }],
    ["with other columns", SHAPES.find(({ what }) => what.startsWith("columns")) as ScenarioOptions],
  ] as const;
  const all = CASES.flatMap(([what, failpoint]) =>
    TABLES.map(([of, options]) => [what, of, failpoint, options] as const),
  );
  test.concurrent.each(all)("%s %s", async (_, of, failpoint, options) => {
    await using scenario = await cut(options, failpoint);
    const rows = await scenario.query("SELECT sum(rows)::int AS rows FROM firnline.segment");
    // Two rows of a table without a key that look alike may be two rows: nothing may be read from both tiers. But such a
    // leaf goes as a whole, so that a look at whether it is there says all.
    const isKnown = of.includes("without a key") && !failpoint.startsWith("drop.committed");
    expect(await rebuild(scenario)).toBe(isKnown ? 0n : BigInt(rows[0]?.["rows"] as string));
    await expectRetrievalComplete(scenario);
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [] });
    await expectWell(scenario);
  });
});

test("a leaf that stands apart is found, with the rows that came into it late", async () => {
  await using scenario = await cut(DAYS, "drop.detached:error");
  await scenario.change(
    (table) =>
      `INSERT INTO ${table === scenario.table ? "public.day_10" : table} ${auditRows("2026-01-10", 9001, 20)}`,
  );
  await rebuild(scenario);
  await expectRetrievalComplete(scenario);
  expect(await scenario.run()).toMatchObject({ state: "done", failures: [] });
  expect(await tablesOf(scenario)).toEqual(["february"]);
  await expectWell(scenario);
});

test("a leaf that was dropped by hand on its way out stops everything until the catalog is rebuilt", async () => {
  await using scenario = await cut(DAYS, "drop.detached:error");
  await scenario.query("DROP TABLE public.day_10");
  await expect(scenario.run()).rejects.toThrow(/no table of that name any more.*firnline catalog rebuild/);
  await expect(scenario.retrieve()).rejects.toThrow(/no table of that name any more/);
  {
    await using pipeline = scenario.open();
    await pipeline.rebuildCatalog({ isConfirmed: true });
  }
  await expectRetrievalComplete(scenario);
  expect(await scenario.run()).toMatchObject({ state: "done", failures: [] });
  await expectWell(scenario);
});

test("a leaf that a restore brought back is pruned once more, as a whole", async () => {
  await using scenario = await Scenario.create(DAYS);
  await fillShape(scenario);
  await scenario.run();
  // As it was: the same rows, though in another table of the name.
  await scenario.query(
    "CREATE TABLE public.day_10 PARTITION OF public.audit_logs FOR VALUES FROM ('2026-01-10 00:00+00') TO ('2026-01-11 00:00+00')",
  );
  await scenario.query(
    "INSERT INTO public.audit_logs SELECT * FROM truth.rows WHERE id BETWEEN 1001 AND 1130",
  );
  expect(await rebuild(scenario)).toBe(130n);
  await expectRetrievalComplete(scenario);
  expect(await scenario.run()).toMatchObject({ state: "done", failures: [] });
  await expectRetrievalComplete(scenario);
  await expectSettled(scenario);
  await expectVerified(scenario);
});

test("a database restored from a dump adopts: its leaves are other tables of the same names", async () => {
  await using owner = await Scenario.create(DAYS);
  await fillShape(owner);
  const failing = owner.run({ environ: { FIRNLINE_FAILPOINT: "drop.listed:error" } });
  await expect(failing).rejects.toThrow("failpoint");
  await using dumped = await Scenario.create({
    ...DAYS,
    ddl: `CREATE TABLE public.shifts_oids (); ${DAYS.ddl}`,
  });
  await fillShape(dumped);
  await dumped.query("CREATE TABLE truth.shifts_oids ()");
  const copy = Scenario.elsewhere(owner, dumped.url);
  await expect(copy.run()).rejects.toMatchObject({ code: "E_OWNER" });
  {
    await using pipeline = copy.open();
    expect(await pipeline.adopt({ isConfirmed: true })).toMatchObject({ rowsUnknown: 130n });
  }
  await expectRetrievalComplete(copy);
  expect(await copy.run()).toMatchObject({ state: "done", failures: [] });
  expect((await tablesOf(copy)).filter((name) => name.startsWith("day_"))).toEqual([]);
  const exported = (await readJournal(owner)).filter(({ event }) => event.type === "sealed");
  await expectWell(copy);
  expect(exported.length).toBeGreaterThan(0);
  await expect(owner.run()).rejects.toMatchObject({ code: "E_OWNER" });
  await copy.disconnect();
});

describe("a restore brings back leaves of a table without a key", () => {
  const COLD = { storageClass: "DEEP_ARCHIVE", keep: "forever" };

  async function restored(tiers: NonNullable<ScenarioOptions["tiers"]>): Promise<Scenario> {
    const ddl = KEYLESS + days("2025-11-02", 2) + days("2026-02-20", 1);
    const environ = { FIRNLINE_SEGMENT_MIB: "1" };
    const scenario = await Scenario.create({ ddl, environ, tiers });
    await scenario.insert(auditRows("2025-11-02", 1, 60));
    await scenario.insert(auditRows("2025-11-03", 1001, 60));
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [] });
    await scenario.query(days("2025-11-02", 2));
    await scenario.query("INSERT INTO public.audit_logs SELECT * FROM truth.rows");
    return scenario;
  }

  test.each([
    ["packed and cold", { cold: { ...COLD, objectBytesMin: "2KiB" } }],
    ["cold", { cold: { ...COLD, objectBytesMin: "0B" } }],
    ["warm", { warm: { keep: "3000d" } }],
  ])("that are %s: nothing is rebuilt that would give their rows twice", async (_, tiers) => {
    await using scenario = await restored(tiers);
    await expect(rebuild(scenario)).rejects.toThrow(
      /^E_CATALOG segment .*: public\.day_2025_11_0\d has rows of/,
    );
    await scenario.query("DROP TABLE public.day_2025_11_02, public.day_2025_11_03");
    await using pipeline = scenario.open();
    await pipeline.rebuildCatalog({ isConfirmed: true });
    const { lines } = await scenario.retrieve({ environ: { FIRNLINE_FILE_RESTORE_DELAY_MS: "0" } });
    expect(lines.length).toBe(120);
  });
});
