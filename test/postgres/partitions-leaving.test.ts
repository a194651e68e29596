/**
 * Leaves on their way out (hazard 26): whoever looks sees all rows at every moment, and whatever stands in the way of a
 * leaf is bounded, said, and gone on from.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled, readJournal } from "../support/oracle.ts";
import { days, leaf, leavesOf, PARENT, tablesOf } from "../support/partitioned-logs.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";
import { connect } from "./connect.ts";

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({ ddl: `${PARENT}${days("2026-01-10", 2)}${days("2026-02-20", 1)}` });
  await template.insert(auditRows("2026-01-10", 1001, 130));
  await template.insert(auditRows("2026-01-11", 2001, 60));
  await template.insert(auditRows("2026-02-20", 3001, 10));
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** Two days that are due and one that is not, each in a leaf of its own. */
const threeDays = async (): Promise<Scenario> => await template.copy();

const TENTH = "day_2026_01_10";

describe("a retrieval finds every row", () => {
  test.concurrent.each(["drop.listed", "drop.detached", "drop.judged", "drop.committed", "drop.published"])(
    "while the run stands still at %s",
    async (failpoint) => {
      await using scenario = await threeDays();
      await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: `${failpoint}:pause` });
      await run.stopped();
      await expectNothingLost(scenario);
      run.resume();
      expect(await run.ended).toMatchObject({ code: 0 });
      await expectNothingLost(scenario);
      await expectSettled(scenario);
    },
  );

  test("or is refused while the leaf is being dropped", async () => {
    await using scenario = await threeDays();
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "drop.dropped:pause" });
    await run.stopped();
    await expect(scenario.retrieve()).rejects.toMatchObject({
      code: "E_DATABASE",
      problem: expect.stringMatching(/lock timeout/),
    });
    // It waits for the drop, which is committed meanwhile, and looks again.
    const retrieved = scenario.retrieve({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "20000" } });
    await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 60_000 });
    run.resume();
    expect((await retrieved).lines).toHaveLength(200);
    expect(await run.ended).toMatchObject({ code: 0 });
    await expectSettled(scenario);
  });

  test("again and again while a run drops one leaf after the other", async () => {
    await using scenario = await Scenario.create({ ddl: PARENT + days("2026-01-01", 20) });
    for (let day = 1; day <= 20; day += 1) {
      await scenario.insert(auditRows(`2026-01-${String(day).padStart(2, "0")}`, day * 1000, 25));
    }
    // The pipeline is known and nothing is due: retrievals work from then on.
    expect(moved(await scenario.run({ asOf: "2026-01-05" }))).toEqual(NOTHING);
    const run = scenario.spawnRun();
    let ended = false;
    void run.ended.then(() => (ended = true));
    let retrievals = 0;
    for (; !ended; retrievals += 1) {
      const { lines } = await scenario.retrieve({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "20000" } });
      expect(new Set(lines).size).toBe(500);
    }
    expect(retrievals).toBeGreaterThan(3);
    expect(await run.ended).toMatchObject({ code: 0 });
    expect(await leavesOf(scenario)).toEqual([]);
    await expectSettled(scenario);
  });
});

describe("rows that come or change while the run stands still", () => {
  const CHANGES: readonly [string, string, (scenario: Scenario) => Promise<void>][] = [
    [
      "an insert into a listed leaf",
      "drop.listed",
      async (s) => await s.insert(`VALUES (7, '2026-01-10 01:30+00', 'late', NULL, NULL)`),
    ],
    [
      "an update in a detached leaf, by its own name",
      "drop.detached",
      async (s) => {
        await s.query(`UPDATE public.${TENTH} SET message = 'changed' WHERE id = 1100`);
        await s.query("UPDATE truth.rows SET message = 'changed' WHERE id = 1100");
      },
    ],
    [
      "a delete in a detached leaf",
      "drop.detached",
      async (s) => {
        await s.query(`DELETE FROM public.${TENTH} WHERE id > 1050`);
        await s.query("DELETE FROM truth.rows WHERE id BETWEEN 1051 AND 2000");
      },
    ],
    [
      "an insert into a detached leaf, of a day that it should not have",
      "drop.detached",
      async (s) => {
        const values = "VALUES (7, '2026-01-10 23:00+00'::timestamptz, 'late', NULL, NULL)";
        await s.query(`INSERT INTO public.${TENTH} ${values}; INSERT INTO truth.rows ${values}`);
      },
    ],
  ];

  test.concurrent.each(CHANGES)("%s", async (_, failpoint, apply) => {
    await using scenario = await threeDays();
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: `${failpoint}:pause` });
    await run.stopped();
    await apply(scenario);
    await expectNothingLost(scenario);
    run.resume();
    expect(await run.ended).toMatchObject({ code: 0 });
    expect(await tablesOf(scenario)).toEqual(["day_2026_02_20"]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("a row of a day that nothing was archived of (hazard 17)", async () => {
    await using scenario = await Scenario.create({
      ddl: PARENT + leaf("public.january", "2026-01-01", "2026-02-01"),
    });
    await scenario.insert(auditRows("2026-01-10", 1001, 130));
    const asOf = "2026-03-03";
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "drop.detached:pause" }, asOf);
    await run.stopped();
    const values = "VALUES (7, '2026-01-20 12:00+00'::timestamptz, 'late', NULL, NULL)";
    await scenario.query(`INSERT INTO public.january ${values}; INSERT INTO truth.rows ${values}`);
    run.resume();
    expect(await run.ended).toMatchObject({ code: 0 });
    expect(await tablesOf(scenario)).toEqual([]);
    await expectNothingLost(scenario);
    await expectSettled(scenario, { asOf });
  });

  test("a row that comes when all were read waits, and finds no table to go into", async () => {
    await using scenario = await threeDays();
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "drop.judged:pause" });
    await run.stopped();
    await using writer = await connect(scenario.url);
    const writing = writer
      .query(`INSERT INTO public.${TENTH} VALUES (7, '2026-01-10 12:00+00', 'late', NULL, NULL)`)
      .then(() => "written", String);
    await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 60_000 });
    run.resume();
    expect(await writing).toMatch(/relation "public.day_2026_01_10" does not exist|could not open relation/);
    expect(await run.ended).toMatchObject({ code: 0 });
    await expectNothingLost(scenario);
  });

  test("writers go on in other leaves, and nothing of theirs is lost", async () => {
    await using scenario = await threeDays();
    await using writer = await connect(scenario.url);
    let writes = true;
    const writing = (async (): Promise<number> => {
      let count = 0;
      for (; writes; count += 1) {
        await writer.query(
          `WITH fresh AS (INSERT INTO audit_logs VALUES ($1, '2026-02-20 12:00+00', 'busy', NULL, NULL) RETURNING *)
           INSERT INTO truth.rows SELECT * FROM fresh`,
          [10_000 + count],
        );
      }
      return count;
    })();
    const run = await scenario.run();
    writes = false;
    expect(await writing).toBeGreaterThan(10);
    expect(run).toMatchObject({ state: "done", failures: [], pruned: 190n });
    await expectNothingLost(scenario);
  });
});

describe("a transaction that still sees the leaf", () => {
  const PATIENCE = { FIRNLINE_DETACH_WAIT_MS: "300" };

  test("is waited for so long and no longer; the next run goes on where this one stopped", async () => {
    await using scenario = await threeDays();
    await using reader = await connect(scenario.url);
    await reader.query("SET application_name = 'a long report'");
    await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    await reader.query("SELECT count(*) FROM audit_logs");
    const run = await scenario.run({ environ: PATIENCE });
    expect(run.state).toBe("partly");
    expect(run.failures[0]).toMatchObject({
      code: "E_DETACH",
      subject: `public.${TENTH}`,
      problem: expect.stringMatching(
        /^it could not be detached within 300 ms \(waiting for process \d+ \(a long report\), idle in transaction\)$/,
      ),
    });
    expect(run.failures[1]?.problem).toBe(
      `it cannot be detached while public.${TENTH} is only half detached`,
    );
    // Half out of the table: the parent does not show its rows any more, answers do.
    expect(await scenario.count()).toBe(70);
    await expectNothingLost(scenario);
    expect((await reader.query("SELECT count(*)::int AS rows FROM audit_logs")).rows).toEqual([
      { rows: 200 },
    ]);
    // It is still there: the run after this one is held up as well, and says so.
    const again = await scenario.failuresOf({ environ: PATIENCE });
    expect(again[0]).toMatchObject({ code: "E_DETACH", problem: expect.stringMatching(/older transaction/) });
    await expectNothingLost(scenario);
    await reader.query("COMMIT");
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 190n });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("a run that is asked to stop while it waits stops at once", async () => {
    await using scenario = await threeDays();
    await using reader = await connect(scenario.url);
    await reader.query("BEGIN; SELECT count(*) FROM audit_logs");
    await using run = scenario.spawnRun();
    await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 60_000 });
    run.signal("SIGINT");
    expect(await run.ended).toMatchObject({ code: 130 });
    expect(await scenario.isSomebodyBlocked()).toBe(false);
    await reader.query("COMMIT");
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 190n });
    await expectNothingLost(scenario);
  });

  test("a run that is killed while it waits leaves a statement behind, which the next one ends", async () => {
    await using scenario = await threeDays();
    await using reader = await connect(scenario.url);
    await reader.query("BEGIN; SELECT count(*) FROM audit_logs");
    await using run = scenario.spawnRun();
    await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 60_000 });
    run.signal("SIGKILL");
    expect(await run.ended).toMatchObject({ signal: "SIGKILL" });
    await expectNothingLost(scenario);
    expect((await scenario.failuresOf({ environ: PATIENCE }))[0]).toMatchObject({ code: "E_DETACH" });
    expect(await scenario.isSomebodyBlocked()).toBe(false);
    await reader.query("COMMIT");
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 190n });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("beside a DEFAULT partition the plain way gives up soon, so that writers do not queue", async () => {
    await using scenario = await threeDays();
    await scenario.query("CREATE TABLE public.rest PARTITION OF public.audit_logs DEFAULT");
    await using reader = await connect(scenario.url);
    await reader.query("BEGIN; SELECT count(*) FROM audit_logs");
    const environ = { FIRNLINE_LOCK_TIMEOUT_MS: "100", FIRNLINE_ATTEMPTS: "1" };
    const failures = await scenario.failuresOf({ environ });
    expect(failures[0]).toMatchObject({
      code: "E_DATABASE",
      problem: expect.stringMatching(/^detach: .*lock timeout/),
    });
    await reader.query("COMMIT");
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [] });
    expect(await leavesOf(scenario)).toEqual(["day_2026_02_20", "rest"]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });
});

describe("what refers to a leaf keeps it, and the others go on:", () => {
  test("a foreign key with rows that refer to it", async () => {
    await using scenario = await threeDays();
    await scenario.query(
      `CREATE TABLE public.notes (log_ts timestamptz, log_id bigint,
         FOREIGN KEY (log_ts, log_id) REFERENCES public.audit_logs (ts, id));
       INSERT INTO notes SELECT ts, id FROM audit_logs WHERE id = 1100`,
    );
    const run = await scenario.run();
    expect(moved(run)).toEqual({ ...NOTHING, exported: 190, pruned: 60 });
    expect(run.failures).toEqual([
      expect.objectContaining({
        code: "E_DETACH",
        subject: `public.${TENTH}`,
        problem: expect.stringMatching(
          /^Postgres does not let it go: removing partition "day_2026_01_10" violates foreign key/,
        ),
      }),
    ]);
    expect(await leavesOf(scenario)).toEqual([TENTH, "day_2026_02_20"]);
    await expectNothingLost(scenario);
    await scenario.query("TRUNCATE notes");
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 130n });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  const DEPENDENTS: readonly [string, string, string, string][] = [
    [
      "a view on it",
      `CREATE VIEW public.tenth AS SELECT * FROM public.${TENTH}`,
      "rule _RETURN on view public.tenth depends on it",
      "DROP VIEW public.tenth",
    ],
    [
      "a foreign key on it alone",
      `CREATE TABLE public.notes (log_ts timestamptz, log_id bigint,
         CONSTRAINT only_tenth FOREIGN KEY (log_ts, log_id) REFERENCES public.${TENTH} (ts, id))`,
      "constraint only_tenth on table public.notes depends on it",
      "DROP TABLE public.notes",
    ],
    [
      "a column of its row type",
      `CREATE TABLE public.notes (log public.${TENTH})`,
      "column log of table public.notes depends on it",
      "DROP TABLE public.notes",
    ],
  ];

  test.concurrent.each(DEPENDENTS)("%s, seen before it is detached", async (_, make, problem, remove) => {
    await using scenario = await threeDays();
    await scenario.query(make);
    const run = await scenario.run();
    expect(run.failures).toEqual([
      expect.objectContaining({
        code: "E_DETACH",
        subject: `public.${TENTH}`,
        problem: `Postgres does not let it go: ${problem}`,
      }),
    ]);
    expect(moved(run)).toEqual({ ...NOTHING, exported: 190, pruned: 60 });
    expect(await leavesOf(scenario)).toEqual([TENTH, "day_2026_02_20"]);
    expect((await readJournal(scenario)).filter(({ event }) => event.type === "prune-started")).toHaveLength(
      1,
    );
    await scenario.query(remove);
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 130n });
    await expectNothingLost(scenario);
  });

  test("what belongs to the leaf itself goes with it", async () => {
    await using scenario = await threeDays();
    await scenario.query(
      `CREATE INDEX by_action ON public.${TENTH} (action); ALTER TABLE public.${TENTH} ADD CHECK (id > 0);
       CREATE STATISTICS public.some_statistics ON action, message FROM public.${TENTH};
       CREATE POLICY some_policy ON public.${TENTH} USING (action <> 'x');
       CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
       CREATE TRIGGER touched BEFORE UPDATE ON public.${TENTH} FOR EACH ROW WHEN (OLD.action <> NEW.action) EXECUTE FUNCTION touched();
       ALTER TABLE public.${TENTH} ALTER COLUMN id SET DEFAULT 1`,
    );
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 190n });
    await expectNothingLost(scenario);
  });
});

describe("somebody else's hands:", () => {
  test("a detach that another session did not finish is named, with the statement that ends it", async () => {
    await using scenario = await threeDays();
    await using reader = await connect(scenario.url);
    await using person = await connect(scenario.url);
    await reader.query("BEGIN; SELECT count(*) FROM audit_logs");
    await person.query("SET statement_timeout = '200ms'");
    await expect(
      person.query(`ALTER TABLE public.audit_logs DETACH PARTITION public.${TENTH} CONCURRENTLY`),
    ).rejects.toThrow("statement timeout");
    await reader.query("COMMIT");
    const [refused] = (await scenario.failuresOf()) as { errors: { message: string; fix: string[] }[] }[];
    expect(refused?.errors.map(({ message }) => message)).toEqual([
      `E_DETACH public.audit_logs: its partition public.${TENTH} is being detached by somebody else ` +
        "(DETACH ... CONCURRENTLY was not finished). Finish it; then it is no part of the table any more.",
    ]);
    await scenario.query(refused?.errors[0]?.fix[0] as string);
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 60n });
  });

  async function detached(): Promise<Scenario> {
    const scenario = await threeDays();
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "drop.detached:error" } });
    await expect(failing).rejects.toThrow("failpoint drop.detached");
    expect(await leavesOf(scenario)).not.toContain(TENTH);
    return scenario;
  }

  test("a leaf that was attached again is detached again", async () => {
    await using scenario = await detached();
    const [row] = await scenario.query(
      `SELECT format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I %s', parent_schema, parent_name, leaf_schema, leaf_name, bound)
         AS attach FROM firnline.detaching`,
    );
    await scenario.query("SET TimeZone = 'UTC'");
    await scenario.query(row?.["attach"] as string);
    await expectNothingLost(scenario);
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 190n });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("a leaf that is kept longer by now waits where it is; prune: off names it", async () => {
    await using scenario = await detached();
    await using longer = await Scenario.over(scenario, {
      tiers: { hot: { keep: "50d" }, warm: { keep: "90d" } },
    });
    const run = await longer.run();
    expect(moved(run)).toEqual(NOTHING);
    await expectNothingLost(longer);
    await using off = await Scenario.over(scenario, { prune: "off" });
    expect((await off.run({ confirmSooner: true })).plan.held.map(({ reason }) => reason)).toContain(
      `an earlier run detached public.${TENTH}; prune: off drops nothing, so attach it again`,
    );
    await expectNothingLost(off);
    await using rows = await Scenario.over(scenario, { prune: "rows" });
    expect(await rows.run({ confirmSooner: true })).toMatchObject({ failures: [], pruned: 190n });
    expect(await tablesOf(scenario)).toEqual(["day_2026_01_11", "day_2026_02_20"]);
    await expectNothingLost(rows);
  });

  test("a detached leaf that is gone stops runs and answers alike", async () => {
    await using scenario = await detached();
    await scenario.query(`ALTER TABLE public.${TENTH} RENAME TO mine`);
    for (const attempt of [async () => await scenario.run(), async () => await scenario.retrieve()]) {
      await expect(attempt()).rejects.toMatchObject({
        code: "E_DETACH",
        subject: `public.${TENTH}`,
        problem: expect.stringMatching(/there is no table of that name any more/),
      });
    }
    await scenario.query(`ALTER TABLE public.mine RENAME TO ${TENTH}`);
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 190n });
    await expectNothingLost(scenario);
  });

  test("a detached leaf that lacks a column of the table stops both, until it is changed likewise", async () => {
    await using scenario = await detached();
    await scenario.query("ALTER TABLE public.audit_logs ADD COLUMN extra text");
    for (const attempt of [async () => await scenario.run(), async () => await scenario.retrieve()]) {
      await expect(attempt()).rejects.toThrow(
        `E_DETACH public.${TENTH}: an earlier run detached this partition to drop it, and the table's column extra was ` +
          "added or changed since. Change this table in the same way; the next run drops it.",
      );
    }
    await scenario.query(`ALTER TABLE public.${TENTH} ADD COLUMN extra text`);
    expect(await scenario.run()).toMatchObject({ state: "done", failures: [], pruned: 190n });
    expect((await scenario.retrieve()).lines).toHaveLength(200);
    await expectSettled(scenario);
  });
});
