/**
 * Hazards 6, 8, 9, 10, 12, 13, 18, 19 and 20: what a table is made of. Refusals of each kind, in all their words, are in
 * `describe-hazards.ts`, on 15 to 18; here the rows are looked at, on the newest and the oldest server.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { listArchive } from "../support/archive-damage.ts";
import { AUDIT_LOGS, auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { moved, NOTHING, type Scenario } from "../support/scenario.ts";
import { onBoth } from "./on-both.ts";

const DAY = "2026-01-10";
const ROWS = 120;

/** What changes the content of rows whose keys stay, and their xmin too (13). */
const CHANGES: readonly (readonly [what: string, sql: string])[] = [
  ["an enum value has another name", "ALTER TYPE mood RENAME VALUE 'calm' TO 'serene'"],
  [
    "two columns have swapped their names",
    "ALTER TABLE audit_logs RENAME action TO swap; ALTER TABLE audit_logs RENAME message TO action; ALTER TABLE audit_logs RENAME swap TO message",
  ],
  ["a column was added with a default", "ALTER TABLE audit_logs ADD extra text DEFAULT 'for all rows'"],
  [
    "a column was dropped and added again",
    "ALTER TABLE audit_logs DROP note; ALTER TABLE audit_logs ADD note short DEFAULT 'n'",
  ],
  ["an attribute of a composite type has another name", "ALTER TYPE place RENAME ATTRIBUTE city TO town"],
  ["a domain is over a wider type", "ALTER TABLE audit_logs ALTER note TYPE varchar(80)"],
];

onBoth("a table", (server) => {
  let template: Scenario;
  beforeAll(async () => {
    template = await server.create({
      ddl: `CREATE TYPE mood AS ENUM ('calm', 'alarmed'); CREATE TYPE place AS (city text, floor int);
        CREATE DOMAIN short AS varchar(40) CHECK (VALUE <> '');
        CREATE TABLE public.audit_logs (
          id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text, message text, details jsonb, gone int,
          mood mood DEFAULT 'calm', place place DEFAULT '(Kyiv,3)', note short DEFAULT 'n',
          twice bigint GENERATED ALWAYS AS (id * 2) STORED);
        ALTER TABLE public.audit_logs DROP gone; CREATE INDEX ON public.audit_logs (ts)`,
      environ: { FIRNLINE_SEGMENT_MIB: "1024" },
    });
    await template.query(
      `INSERT INTO public.audit_logs (id, ts, action, message, details) ${auditRows(DAY, 1001, ROWS)};
       INSERT INTO truth.rows TABLE public.audit_logs`,
    );
  });
  afterAll(async () => await template?.[Symbol.asyncDispose]());

  test("with a dropped, a generated, an enum, a composite and a domain column moves without loss (19)", async () => {
    await using scenario = await template.copy();
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: ROWS, pruned: ROWS });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test.each(server.sample(CHANGES))(
    "of which, after the export, %s: nothing is deleted before it is archived anew (13)",
    async (_what, sql) => {
      await using scenario = await template.copy();
      const sealing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
      await expect(sealing).rejects.toThrow("failpoint prune.started");
      await scenario.query(sql);
      const { action, message } = (
        await scenario.query("SELECT action, message FROM audit_logs WHERE id = 1002")
      )[0] as Record<string, string>;
      expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: ROWS, pruned: ROWS });
      expect(await scenario.count()).toBe(0);
      const { lines } = await scenario.retrieve();
      expect(lines).toHaveLength(ROWS);
      expect(JSON.parse(lines[1] as string)).toMatchObject({ action, message });
      await expectSettled(scenario);
    },
  );

  test.each([
    ["truncated", "TRUNCATE audit_logs; TRUNCATE truth.rows"],
    ["rewritten", "ALTER TABLE audit_logs ALTER details TYPE text"],
    ["emptied", "DELETE FROM audit_logs; DELETE FROM truth.rows"],
  ])(
    "that is %s between the plan and the export is an error, and no empty manifest (6, 8)",
    async (_what, sql) => {
      await using scenario = await template.copy();
      await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "journal.enqueued:pause" });
      await run.stopped();
      await scenario.query(sql);
      run.resume();
      expect(await run.ended).toMatchObject({ code: 1, stderr: expect.stringMatching(/^E_SOURCE /) });
      expect((await listArchive(scenario)).filter((path) => !path.includes("/journal/"))).toEqual([]);
      expect((await scenario.run()).state).toBe("done");
      await expectSettled(scenario);
    },
  );

  test("in whose way a cascade, a trigger or row-level security comes while a run is at it loses nothing to it (10, 12, 20)", async () => {
    await using scenario = await template.copy();
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.started:pause" });
    await run.stopped();
    await scenario.query(
      "CREATE TABLE comments (id bigint REFERENCES audit_logs ON DELETE CASCADE); INSERT INTO comments SELECT id FROM audit_logs",
    );
    run.resume();
    expect(await run.ended).toMatchObject({
      code: 12,
      stderr: expect.stringMatching(/^E_SIDE_EFFECT .*ON DELETE CASCADE/),
    });
    expect([await scenario.count(), await scenario.count("true", "comments")]).toEqual([ROWS, ROWS]);
  });

  test("that gets children keeps their columns: nothing is deleted through the parent (9)", async () => {
    await using scenario = await template.copy();
    await scenario.query(
      `CREATE TABLE child (extra text) INHERITS (audit_logs);
       INSERT INTO child (id, ts, extra) SELECT id + 10000, ts, 'only here' FROM audit_logs`,
    );
    await expect(scenario.run()).rejects.toThrow(
      /^E_RELATION public\.audit_logs: it takes part in table inheritance/,
    );
    expect([await scenario.count(), await scenario.count("true", "child")]).toEqual([2 * ROWS, ROWS]);
  });

  test("whose names are SQL, and Firnline's own, moves by rules over them (19)", async () => {
    const table = `"we""ird schema"."a""; drop table x; --"`;
    await using scenario = await server.create({
      table,
      source: { time: '"firnline_time"' },
      rules: [{ name: "kept", when: `"t" = 3 AND "a"";b" <> '''' AND "$1" >= 0` }],
      ddl: `CREATE SCHEMA "we""ird schema"; CREATE TABLE public.x (id int);
        CREATE TABLE ${table} ("select" bigint PRIMARY KEY, "from" text, firnline_time timestamptz NOT NULL, "t" int,
          "a"";b" text, "Ünï ©" text, "$1" int, "'" text, firnline_row int, "rule" text)`,
    });
    await scenario.insert(
      `SELECT n, 'from', '${DAY} 10:00+00'::timestamptz + n % 7 * interval '1 microsecond', n % 4, 'x"', '', n, '''', n, 'r'
       FROM generate_series(0, 119) n`,
    );
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: ROWS, pruned: ROWS });
    expect(await scenario.count("true", "public.x")).toBe(0);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test("of a database with other settings has the same bytes (18, 28)", async () => {
    await using scenario = await server.create({ ddl: AUDIT_LOGS });
    await scenario.insert(
      `SELECT n, '${DAY} 00:00+00'::timestamptz + n * interval '12 minutes', 'größer ☃', E'\\uFEFF', '{"a": 1.50}'::jsonb
       FROM generate_series(0, 119) n`,
    );
    for (const setting of [
      "client_encoding = 'LATIN1'",
      "TimeZone = 'Pacific/Kiritimati'",
      "DateStyle = 'German, DMY'",
      "extra_float_digits = -15",
      "bytea_output = 'escape'",
      "standard_conforming_strings = off",
      "default_transaction_isolation = serializable",
      "default_transaction_read_only = on",
      "quote_all_identifiers = on",
    ]) {
      await scenario.query(`ALTER DATABASE ${scenario.database} SET ${setting}`);
    }
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: ROWS, pruned: ROWS });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });
});
