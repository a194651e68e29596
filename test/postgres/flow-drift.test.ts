/** Fault matrix, lines 33 to 35: rows that the application changes between the seal and the delete. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { readFile } from "node:fs/promises";
import type { Manifest } from "../../src/segment/manifest.ts";
import { keepChanging } from "../support/busy-application.ts";
import { listArchive } from "../support/archive-damage.ts";
import { expectNothingLost, expectSettled, readArchive, readJournal } from "../support/oracle.ts";
import { AS_OF, moved, NOTHING, Scenario } from "../support/scenario.ts";

/** Six chunks of at most 50 rows, ids 1001 to 1260, in one segment; batches of up to four chunks. */
const DAY = "2026-01-10";
const ROWS = 260;
const ENVIRON = { FIRNLINE_SEGMENT_MIB: "1024", FIRNLINE_PRUNE_CHUNKS: "4" };

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({ environ: ENVIRON });
  await template.insert(auditRows(DAY, 1001, ROWS));
  await template.insert(auditRows("2026-02-20", 5001, 10));
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** A copy whose day is sealed and not pruned: the run ended right before its first DELETE. */
async function sealed(): Promise<Scenario> {
  const scenario = await template.copy();
  const run = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
  await expect(run).rejects.toThrow("failpoint prune.started");
  return scenario;
}

async function manifestsOf(scenario: Scenario): Promise<Manifest[]> {
  const paths = (await listArchive(scenario)).filter((path) => path.includes("/manifests/"));
  return await Promise.all(paths.map(async (path) => JSON.parse(await readFile(path, "utf8")) as Manifest));
}

/** The rows of chunk `index`, as a condition. */
const chunk = (index: number): string => `id BETWEEN ${1001 + index * 50} AND ${1050 + index * 50}`;

interface Change {
  readonly what: string;
  readonly apply: (scenario: Scenario) => Promise<void>;
  readonly chunks: readonly number[];
  /** Tombstones: chunk, rows, keys. */
  readonly gone?: readonly unknown[];
}

const CHANGES: readonly Change[] = [
  {
    what: "a row that was updated",
    apply: async (s) => await s.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1120`),
    chunks: [2],
  },
  {
    what: "a NULL that became an empty text",
    apply: async (s) => await s.change((table) => `UPDATE ${table} SET message = '' WHERE id = 1001`),
    chunks: [0],
  },
  {
    what: "two rows that swapped their contents",
    apply: async (s) =>
      await s.change(
        (table) => `UPDATE ${table} SET details = jsonb_build_object('swapped', id) WHERE id IN (1201, 1260)`,
      ),
    chunks: [4, 5],
  },
  {
    what: "a row that the application deleted",
    apply: async (s) => await s.change((table) => `DELETE FROM ${table} WHERE id = 1160`),
    chunks: [3],
    gone: [[3, "1", [["1160"]]]],
  },
  {
    what: "a row that came into a sealed range",
    apply: async (s) =>
      await s.insert(`VALUES (7, '${DAY} 01:30:00+00'::timestamptz, 'late', NULL, '{}'::jsonb)`),
    chunks: [1],
  },
  {
    what: "a row that came in before the first one of its day",
    apply: async (s) => await s.insert(`VALUES (0, '${DAY} 00:00:00+00'::timestamptz, 'late', NULL, NULL)`),
    chunks: [0],
  },
  {
    what: "a row with another key",
    apply: async (s) => await s.change((table) => `UPDATE ${table} SET id = 90000 WHERE id = 1055`),
    chunks: [1],
    gone: [[1, "1", [["1055"]]]],
  },
  {
    what: "a row that moved into another chunk",
    apply: async (s) =>
      await s.change(
        (table) =>
          `UPDATE ${table} SET ts = (SELECT ts FROM ${table} WHERE id = 1210) + interval '1 microsecond' WHERE id = 1010`,
      ),
    chunks: [0, 4],
  },
  {
    what: "a row that moved to a day that is not due",
    apply: async (s) =>
      await s.change((table) => `UPDATE ${table} SET ts = '2026-02-25 12:00+00' WHERE id = 1260`),
    chunks: [5],
  },
];

/** The chunks that the journal says were exported anew or given up, in the order of the entries. */
async function supersededChunks(scenario: Scenario): Promise<unknown[]> {
  return (await readJournal(scenario)).flatMap(({ event }) => {
    if (event.type === "superseded") return [event["chunks"]];
    return ((event["supersedes"] ?? []) as { chunks: number[] }[]).map((one) => one.chunks);
  });
}

describe("the rows that a DELETE hands back are not the archived ones:", () => {
  test.concurrent.each(CHANGES)("$what", async ({ apply, chunks, gone = [] }) => {
    await using scenario = await sealed();
    await apply(scenario);
    const due = await scenario.count(`ts < '2026-01-30 00:00+00'`);
    const summary = await scenario.run();
    const drifted = chunks.reduce((sum, index) => sum + (index === 5 ? 10 : 50), 0);
    // Just what drifted is exported anew, as it is now, and goes with this very run.
    const exported = due - (ROWS - drifted);
    expect({ ...moved(summary), state: summary.state, drift: summary.drift }).toEqual({
      ...NOTHING,
      exported,
      pruned: due,
      state: "done",
      drift: [],
    });
    expect({ replaced: summary.replaced, rewritten: summary.rewritten }).toEqual({
      replaced: BigInt(exported),
      rewritten: BigInt(ROWS - drifted),
    });
    expect(await supersededChunks(scenario)).toEqual([chunks]);
    const tombstones = (await readJournal(scenario)).filter(({ event }) => event.type === "tombstoned");
    expect(tombstones.map(({ event }) => [event["chunk"], event["rows"], event["keys"]])).toEqual(gone);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test.concurrent("rows that are all gone are given up, and their tombstones name them", async () => {
    await using scenario = await sealed();
    await scenario.change((table) => `DELETE FROM ${table} WHERE ${chunk(3)}`);
    const summary = await scenario.run();
    expect({ ...moved(summary), state: summary.state }).toEqual({
      ...NOTHING,
      pruned: ROWS - 50,
      state: "done",
    });
    const events = (await readJournal(scenario)).map(({ event }) => event);
    const keys = Array.from({ length: 50 }, (_, at) => [String(1151 + at)]);
    expect(events.filter(({ type }) => type === "tombstoned")).toMatchObject([
      { chunk: 3, rows: "50", keys },
    ]);
    expect(events.filter(({ type }) => type === "superseded")).toMatchObject([{ chunks: [3] }]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test.concurrent("a segment of which nothing is left is superseded as a whole", async () => {
    await using scenario = await sealed();
    await scenario.change((table) => `UPDATE ${table} SET message = 'all changed' WHERE ts < '2026-01-30'`);
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: ROWS, pruned: ROWS });
    const states = await scenario.query("SELECT state FROM firnline.segment ORDER BY segment");
    expect(states.map(({ state }) => state)).toEqual(["superseded", "warm"]);
    expect(await scenario.count("true", "firnline.chunk")).toBe(0);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test.concurrent("a rewritten segment holds the chunks that stayed, with the digests that they had", async () => {
    await using scenario = await sealed();
    const [before] = await manifestsOf(scenario);
    await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id IN (1001, 1120)`);
    await scenario.run();
    const after = (await manifestsOf(scenario)).find(
      ({ chunks, segment }) => chunks.length === 4 && chunks[0]?.segment !== segment,
    );
    const kept = [1, 3, 4, 5].map((index) => before?.chunks[index]);
    expect(after?.chunks.map(({ exceptions: _, ...one }) => one)).toEqual(
      kept.map((one) => ({ ...one, exceptions: undefined })).map(({ exceptions: _, ...one }) => one),
    );
    await expectNothingLost(scenario);
  });

  test.concurrent("the command says what it did, and has nothing to complain about", async () => {
    await using scenario = await template.copy();
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.started:pause" });
    await run.stopped();
    await scenario.change((table) => `UPDATE ${table} SET action = 'tampered' WHERE id = 1120`);
    run.resume();
    const { code, stdout } = await run.ended;
    expect(code).toBe(0);
    expect(stdout).toContain("50 rows changed after they were archived, and were archived anew");
    await expectNothingLost(scenario);
  });

  test.concurrent("an update that is not committed yet is waited for, and seen", async () => {
    await using scenario = await sealed();
    await scenario.query("BEGIN; UPDATE public.audit_logs SET message = 'changed' WHERE id = 1120");
    const run = scenario.run({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "20000" } });
    await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 60_000 });
    await scenario.query("UPDATE truth.rows SET message = 'changed' WHERE id = 1120; COMMIT");
    expect(moved(await run)).toEqual({ ...NOTHING, exported: 50, pruned: ROWS });
    expect(await supersededChunks(scenario)).toEqual([[2]]);
    await expectNothingLost(scenario);
  });

  test.concurrent("a lock that is not let go of fails the run, and deletes nothing of that chunk", async () => {
    await using scenario = await sealed();
    await scenario.query("BEGIN; SELECT FROM public.audit_logs WHERE id = 1120 FOR UPDATE");
    const run = scenario.run({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "50", FIRNLINE_ATTEMPTS: "2" } });
    await expect(run).rejects.toMatchObject({
      code: "E_DATABASE",
      problem: expect.stringMatching(/lock timeout/),
    });
    await scenario.query("COMMIT");
    expect(await scenario.count(chunk(2))).toBe(50);
    await expectNothingLost(scenario);
    expect((await scenario.run()).state).toBe("done");
    await expectSettled(scenario);
  });
});

describe("rows that change faster than they can be moved", () => {
  /** What the application did in the end is true. */
  async function catchUp(scenario: Scenario): Promise<void> {
    await scenario.query(
      `UPDATE truth.rows t SET message = a.message FROM public.audit_logs a WHERE a.id = t.id`,
    );
  }

  test.concurrent("are tried again, and go when they come to rest", async () => {
    await using scenario = await sealed();
    await scenario.query("UPDATE public.audit_logs SET message = 'changed' WHERE id = 1120");
    await keepChanging(scenario, 1120, 2);
    const summary = await scenario.run();
    expect({ ...moved(summary), state: summary.state }).toEqual({
      ...NOTHING,
      exported: 150,
      pruned: ROWS,
      state: "done",
    });
    await scenario.query("UPDATE truth.rows SET message = 'changed!!' WHERE id = 1120");
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test.concurrent("are quarantined after three attempts, and go when a person asks for it", async () => {
    await using scenario = await sealed();
    await scenario.query("UPDATE public.audit_logs SET message = 'changed' WHERE id = 1120");
    await keepChanging(scenario, 1120, 3);
    const summary = await scenario.run();
    expect({ ...moved(summary), state: summary.state }).toEqual({
      ...NOTHING,
      exported: 150,
      pruned: ROWS - 50,
      state: "partly",
    });
    expect(summary.drift).toMatchObject([
      { day: DAY, chunk: 0, reason: expect.stringMatching(/column message changed/) },
    ]);
    expect(await scenario.count(chunk(2))).toBe(50);
    await catchUp(scenario);
    await expectNothingLost(scenario);

    // They are left alone, and said each night, whatever comes into the day besides.
    await scenario.insert(`VALUES (7, '${DAY} 01:30:00+00'::timestamptz, 'late', NULL, '{}'::jsonb)`);
    const again = await scenario.spawnRun().ended;
    expect(again.code).toBe(3);
    expect(again.stdout).toContain("quarantined: 50 rows changed again and again");
    expect(await scenario.count()).toBe(61);
    await expectNothingLost(scenario);

    const asked = await scenario.spawn(["run", "--retry-quarantined", "--as-of", AS_OF]).ended;
    expect({ code: asked.code, stderr: asked.stderr }).toEqual({ code: 0, stderr: "" });
    expect(await scenario.count()).toBe(10);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });
});

test("an archive-only pipeline archives a day anew when rows came or went", async () => {
  await using scenario = await Scenario.create({ prune: "off", environ: ENVIRON });
  await scenario.insert(auditRows(DAY, 1001, 60));
  expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 60 });
  await scenario.insert(auditRows(DAY, 2001, 3));
  const plan = await scenario.plan();
  expect(plan.steps).toMatchObject([
    { replaces: true, reason: "63 rows now, 60 when it was archived; exported anew" },
  ]);
  expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 63 });
  expect(await supersededChunks(scenario)).toEqual([[0, 1]]);
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

test("rows of a rule that is gone from the policy move on with the rules that have them now", async () => {
  const rules = [{ name: "logins", when: "action = 'login'", hot: "30d" }];
  await using before = await Scenario.create({ rules, environ: ENVIRON });
  await before.insert(auditRows(DAY, 1001, 60, "'login'"));
  const sealing = before.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
  await expect(sealing).rejects.toThrow("failpoint prune.started");
  await before.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1007`);
  await using scenario = await Scenario.over(before, { rules: [] });
  expect((await scenario.run()).state).toBe("done");
  expect(await scenario.count()).toBe(0);
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

test("drift does not keep the rows of other days", async () => {
  await using scenario = await template.copy();
  await scenario.insert(auditRows("2026-01-09", 1, 60));
  await scenario.insert(auditRows("2026-01-11", 8001, 60));
  await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.started:pause@2" });
  await run.stopped();
  await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1001`);
  run.resume();
  expect(await run.ended).toMatchObject({ code: 0 });
  const days: Record<string, number> = {};
  for (const one of (await readArchive(scenario)).segments) {
    days[one.dayFrom] = (days[one.dayFrom] ?? 0) + one.pruned.length;
  }
  expect(days).toEqual({ "2026-01-09": 60, [DAY]: ROWS, "2026-01-11": 60 });
  await expectNothingLost(scenario);
});
