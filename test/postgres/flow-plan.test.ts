/** What a plan says, what it leaves untouched, and what keeps a run from starting. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { createBusyDays, DELETABLE } from "../support/busy-days.ts";
import { archiveContents, listArchive } from "../support/archive-damage.ts";
import { expectNothingLost, expectSettled, readArchive, readJournal } from "../support/oracle.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

let template: Scenario;

beforeAll(async () => {
  template = await createBusyDays();
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** Every row version of the table and of the control schema, and every file of the archive. */
async function everything(scenario: Scenario): Promise<unknown> {
  const relations = await scenario.query(
    `SELECT oid::regclass::text AS name FROM pg_class
     WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'firnline'::regnamespace)
     ORDER BY 1`,
  );
  const rows: Record<string, unknown> = {};
  for (const { name } of relations) {
    rows[name as string] = await scenario.query(
      `SELECT xmin::text, ctid::text, t::text AS row FROM ${name} t`,
    );
  }
  const sequences = await scenario.query("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1");
  const classes = await scenario.query("SELECT oid::text, relname, xmin::text FROM pg_class ORDER BY oid");
  return { rows, sequences, classes, archive: await archiveContents(scenario) };
}

describe("a plan touches nothing", () => {
  test.each([
    ["before the first run", ""],
    ["after a run that ended in the middle of an export", "export.uploaded:error"],
    ["after a run that ended in the middle of a prune", "prune.committed:error@2"],
    ["after a run that ended before its journal entry", "journal.created:error@6"],
  ])("%s", async (_when, failpoint) => {
    await using scenario = await template.copy();
    if (failpoint !== "") {
      const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: failpoint } });
      await expect(failing).rejects.toThrow("failpoint");
    }
    const before = await everything(scenario);
    const plan = await scenario.plan();
    expect(plan.steps.length).toBeGreaterThan(2);
    expect(await scenario.spawn(["plan", "--as-of", "2026-03-01"]).ended).toMatchObject({ code: 0 });
    expect(await scenario.spawn(["status", "--as-of", "2026-03-01"]).ended).toMatchObject({ code: 0 });
    expect(await everything(scenario)).toEqual(before);
  });

  test("and is what the run then does", async () => {
    await using scenario = await template.copy();
    const plan = await scenario.plan();
    const summary = await scenario.run();
    expect(summary.plan.steps).toEqual(plan.steps);
    const archived = plan.steps.filter(({ stages }) => stages.includes("prune"));
    expect(moved(summary).pruned).toBe(archived.reduce((sum, { rows }) => sum + Number(rows), 0));
  });

  test("without a control schema too", async () => {
    await using scenario = await template.copy();
    await scenario.query("DROP SCHEMA firnline CASCADE");
    expect((await scenario.plan()).steps).toHaveLength(4);
    await expect(scenario.run()).rejects.toMatchObject({
      code: "E_CATALOG",
      hint: expect.stringMatching(/firnline migrate/),
    });
    expect(await scenario.query("SELECT to_regnamespace('firnline') AS schema")).toEqual([{ schema: null }]);
  });
});

describe("a first run over many days", () => {
  const days = Array.from({ length: 32 }, (_, index) =>
    new Date(Date.UTC(2026, 0, 29 - index)).toISOString().slice(0, 10),
  );

  test("is refused without --backfill, and moves nothing", async () => {
    await using scenario = await Scenario.create();
    for (const [index, day] of days.entries()) await scenario.insert(auditRows(day, index * 10, 2));
    await expect(scenario.run({ backfill: false })).rejects.toThrow(/E_POLICY .*32 days.*--backfill/);
    expect(await scenario.count()).toBe(64);
    expect(await listArchive(scenario, ".parquet")).toEqual([]);
    const refused = await scenario.spawn(["run", "--as-of", "2026-03-01"]).ended;
    expect(refused).toMatchObject({ code: 12, stderr: expect.stringMatching(/^E_POLICY /) });
    // One day less is no backfill.
    await scenario.change((table) => `DELETE FROM ${table} WHERE ts >= '2026-01-29 00:00+00'`);
    expect((await scenario.plan({ backfill: false })).blockers).toEqual([]);
  });

  test("is asked about once: later runs catch up with as many days as there are", async () => {
    await using scenario = await Scenario.create();
    await scenario.insert(auditRows("2025-11-01", 5000, 2));
    await scenario.run({ backfill: false });
    for (const [index, day] of days.entries()) await scenario.insert(auditRows(day, index * 10, 2));
    expect(moved(await scenario.run({ backfill: false })).pruned).toBe(64);
    await expectNothingLost(scenario);
  });
});

describe("prune: off", () => {
  test("archives and deletes nothing, and a second run does nothing", async () => {
    await using scenario = await Scenario.create({ prune: "off" });
    await scenario.insert(auditRows("2025-12-29", 1, 130));
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 190 });
    expect(await scenario.count()).toBe(190);
    const events = (await readJournal(scenario)).map(({ event }) => event.type);
    expect(new Set(events)).toEqual(new Set(["run-started", "policy", "sealed"]));
    const sealed = (await readArchive(scenario)).segments.reduce((sum, { rows }) => sum + Number(rows), 0);
    expect(sealed).toBe(190);
    await expectSettled(scenario);
    // Rows that are archived and hot come out once.
    await expectNothingLost(scenario);
  });

  test("turned on later, prunes what was archived without a new export", async () => {
    await using scenario = await Scenario.create({ prune: "off" });
    await scenario.insert(auditRows("2025-12-29", 1, 130));
    await scenario.insert(auditRows("2026-01-10", 1001, 60));
    await scenario.run();
    await using changed = await Scenario.over(scenario, { prune: "rows" });
    await expect(changed.run(), "I12: deleting sooner wants to be confirmed").rejects.toThrow(
      /E_POLICY .*sooner/,
    );
    expect(await changed.count()).toBe(190);
    const summary = await changed.run({ confirmSooner: true });
    expect(moved(summary)).toEqual({ exported: 0, pruned: 190, deleted: 0, cooled: 130 });
    await expectNothingLost(changed);
    await expectSettled(changed);
  });

  test("needs no right to delete, and takes a table whose deletes have side effects", async () => {
    await using scenario = await Scenario.create({ prune: "off" });
    await scenario.insert(auditRows("2026-01-10", 1, 20));
    await scenario.query(
      `CREATE TABLE public.child (id bigint REFERENCES public.audit_logs ON DELETE CASCADE);
       INSERT INTO public.child VALUES (1)`,
    );
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 20 });
    await using changed = await Scenario.over(scenario, { prune: "rows" });
    await expect(changed.run()).rejects.toThrow(/E_SIDE_EFFECT .*CASCADE/);
    expect(await scenario.count("true", "public.child")).toBe(1);
  });
});

test("an archive that cannot be written fails the run with the reason, and keeps every row", async () => {
  await using scenario = await template.copy();
  const before = await scenario.count();
  // A folder stands where the first journal entry belongs.
  const entry = join(scenario.archive, "_firnline/audit_logs/journal/00000000000000000001.json");
  await mkdir(join(entry, "x"), { recursive: true });
  await expect(scenario.run()).rejects.toMatchObject({ code: "E_ARCHIVE" });
  expect(await scenario.count()).toBe(before);
  await rm(entry, { recursive: true });
  await scenario.run();
  await expectNothingLost(scenario, { deletable: DELETABLE });
});
