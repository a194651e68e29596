/**
 * Hazards 6 and 13, fault lines 36, 37 and 40: the table itself changes under a run. Content can change while every key
 * stays, so nothing is deleted under another definition than the one that was exported: what is left in the table is
 * exported anew under the new one.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { listArchive } from "../support/archive-damage.ts";
import { expectNothingLost, expectSettled, readJournal } from "../support/oracle.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

const DDL = `
  CREATE TYPE public.mood AS ENUM ('calm', 'alarmed');
  CREATE TYPE public.place AS (city text, floor int);
  CREATE DOMAIN public.short AS varchar(40);
  CREATE TABLE public.audit_logs (
    id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text, message text, details jsonb,
    mood public.mood DEFAULT 'calm', place public.place DEFAULT '(Kyiv,3)', note public.short DEFAULT 'n',
    twice bigint GENERATED ALWAYS AS (2) STORED);
  CREATE INDEX ix_audit_logs_ts ON public.audit_logs (ts DESC)`;
const ROWS = 120;

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({ ddl: DDL, environ: { FIRNLINE_SEGMENT_MIB: "1024" } });
  await template.query(
    `INSERT INTO public.audit_logs (id, ts, action, message, details) ${auditRows("2026-01-10", 1001, ROWS)};
     INSERT INTO truth.rows TABLE public.audit_logs`,
  );
});

afterAll(async () => await template[Symbol.asyncDispose]());

const CHANGES: readonly (readonly [what: string, sql: string])[] = [
  ["an enum value that got another name", "ALTER TYPE public.mood RENAME VALUE 'calm' TO 'serene'"],
  ["an enum that got one more value", "ALTER TYPE public.mood ADD VALUE 'asleep'"],
  [
    "two columns that swapped their names",
    `ALTER TABLE public.audit_logs RENAME action TO swap; ALTER TABLE public.audit_logs RENAME message TO action;
     ALTER TABLE public.audit_logs RENAME swap TO message`,
  ],
  [
    "a new column with a default",
    "ALTER TABLE public.audit_logs ADD COLUMN extra text DEFAULT 'for all rows'",
  ],
  [
    "a column that was dropped and added again",
    "ALTER TABLE public.audit_logs DROP COLUMN note; ALTER TABLE public.audit_logs ADD COLUMN note public.short DEFAULT 'n'",
  ],
  ["a column of a wider type", "ALTER TABLE public.audit_logs ALTER COLUMN note TYPE varchar(80)"],
  [
    "a composite type whose attribute has another name",
    "ALTER TYPE public.place RENAME ATTRIBUTE city TO town",
  ],
  [
    "a generated column that is not generated any more",
    "ALTER TABLE public.audit_logs ALTER COLUMN twice DROP EXPRESSION",
  ],
  [
    "a time column of another name",
    "ALTER TABLE public.audit_logs RENAME ts TO at; ALTER TABLE public.audit_logs ADD ts timestamptz DEFAULT now() NOT NULL",
  ],
];

describe("rows that were archived under another definition and not pruned are archived anew:", () => {
  test.concurrent.each(CHANGES)("%s", async (what, sql) => {
    await using scenario = await template.copy();
    const sealing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
    await expect(sealing).rejects.toThrow("failpoint prune.started");
    await scenario.query(sql);
    const summary = await scenario.run();
    // A new time column puts the rows into the day of the change: then nothing of the old day is left.
    const exported = what.startsWith("a time column") ? 0 : ROWS;
    expect({ ...moved(summary), state: summary.state, drift: summary.drift }).toEqual({
      ...NOTHING,
      exported,
      pruned: exported,
      state: "done",
      drift: [],
    });
    expect(await scenario.count()).toBe(ROWS - exported);
    const chunks = [...Array(Math.ceil(ROWS / 50)).keys()];
    const events = (await readJournal(scenario)).map(({ event }) => event);
    expect(events.findLast(({ type }) => ["sealed", "superseded"].includes(type))).toMatchObject(
      exported === 0 ? { type: "superseded", chunks } : { type: "sealed", supersedes: [{ chunks }] },
    );
    expect(events.filter(({ type }) => type === "tombstoned")).toEqual([]);
    expect((await scenario.retrieve()).lines).toHaveLength(ROWS);
    await expectSettled(scenario);
  });

  test.concurrent.each(CHANGES.slice(0, 4))("%s, while the run is at it", async (_what, sql) => {
    await using scenario = await template.copy();
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.started:pause" });
    await run.stopped();
    await scenario.query(sql);
    run.resume();
    const { code, stderr } = await run.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^E_SOURCE public\.audit_logs: the table's definition changed/);
    expect(await scenario.count()).toBe(ROWS);
  });
});

describe("a table that changes before its rows are read", () => {
  /** A run that stops once its plan is made and before any row was read; `sql` comes in between. */
  async function changedAfterPlan(
    scenario: Scenario,
    sql: string,
  ): Promise<{ code: number | null; stderr: string }> {
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "journal.enqueued:pause" });
    await run.stopped();
    await scenario.query(sql);
    run.resume();
    return await run.ended;
  }

  test.concurrent.each([
    ["is truncated", "TRUNCATE public.audit_logs; TRUNCATE truth.rows"],
    ["is emptied", "DELETE FROM public.audit_logs; DELETE FROM truth.rows"],
  ])("that %s makes an error and no empty manifest", async (_what, sql) => {
    await using scenario = await template.copy();
    const { code, stderr } = await changedAfterPlan(scenario, sql);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^E_SOURCE .* are gone/) });
    expect((await listArchive(scenario)).filter((path) => !path.includes("/journal/"))).toEqual([]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test.concurrent.each(CHANGES.slice(0, 4))(
    "%s makes an error, and the next run goes by the new definition",
    async (_what, sql) => {
      await using scenario = await template.copy();
      const { code, stderr } = await changedAfterPlan(scenario, sql);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^E_SOURCE /) });
      expect(await scenario.count()).toBe(ROWS);
      const again = await scenario.run();
      expect(moved(again)).toEqual({ ...NOTHING, exported: ROWS, pruned: ROWS });
      expect((await scenario.retrieve()).lines).toHaveLength(ROWS);
      await expectSettled(scenario);
    },
  );

  test.concurrent("that is swapped for another of the same name is not taken for it", async () => {
    await using scenario = await template.copy();
    const { code, stderr } = await changedAfterPlan(
      scenario,
      `ALTER TABLE public.audit_logs RENAME TO old_logs;
       CREATE TABLE public.audit_logs (LIKE public.old_logs INCLUDING ALL);
       INSERT INTO public.audit_logs (id, ts, action) SELECT id, ts, 'other' FROM public.old_logs`,
    );
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^E_SOURCE /) });
    await expect(scenario.run()).rejects.toMatchObject({
      code: "E_OWNER",
      problem: expect.stringMatching(/tableOid/),
    });
    expect(await scenario.count()).toBe(ROWS);
    expect(await scenario.count("true", "public.old_logs")).toBe(ROWS);
  });
});
