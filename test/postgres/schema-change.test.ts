/**
 * A table whose definition changes over the years. Whole nights lie between the changes: what is old is archived under
 * the old definition, and an answer over all of it has one list of columns (I8).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRange } from "../../src/retrieve/request.ts";
import { insertRows, night } from "../support/nights.ts";
import { Scenario } from "../support/scenario.ts";

const ids = (lines: readonly string[]): string[] =>
  lines.map((line) => /"id":(\d+)/.exec(line)?.[1] as string);

describe("a table that changed over the years", () => {
  const FIRST = `
    CREATE TYPE public.mood AS ENUM ('calm', 'alarmed');
    CREATE TYPE public.origin AS ENUM ('web', 'api');
    CREATE DOMAIN public.code AS char(5); CREATE DOMAIN public.level AS integer; CREATE DOMAIN public.address AS inet;
    CREATE TABLE public.audit_logs (
      id integer PRIMARY KEY, ts timestamptz NOT NULL, action varchar(10), n integer, amount numeric(6,2), ratio real,
      tag char(5), due date, info json, mood public.mood, origin public.origin, code public.code, span interval,
      level public.level, home public.address);
    CREATE INDEX ON public.audit_logs (ts)`;
  const SECOND = `
    ALTER TABLE public.audit_logs
      ALTER id TYPE bigint, ALTER action TYPE text, ALTER n TYPE bigint, ALTER amount TYPE numeric(10,4),
      ALTER ratio TYPE double precision, ALTER tag TYPE text, ALTER due TYPE timestamp, ALTER info TYPE jsonb,
      DROP COLUMN origin, DROP COLUMN code, DROP COLUMN span, DROP COLUMN level,
      DROP COLUMN home,
      ADD COLUMN actor text NOT NULL DEFAULT 'unknown';
    DROP TYPE public.origin; DROP DOMAIN public.level; DROP DOMAIN public.address;
    ALTER TYPE public.mood RENAME VALUE 'calm' TO 'serene'; ALTER TYPE public.mood ADD VALUE 'asleep'`;
  /** Narrower again, and a column that was dropped comes back as another type that goes with it. */
  const THIRD = `
    ALTER TABLE public.audit_logs ALTER n TYPE smallint, ALTER amount TYPE numeric, ADD COLUMN origin varchar(20);
    ALTER TABLE public.audit_logs RENAME COLUMN action TO event`;
  let scenario: Scenario;

  beforeAll(async () => {
    scenario = await Scenario.create({ ddl: FIRST });
    await scenario.query("DROP TABLE truth.rows");
    await insertRows(
      scenario,
      `VALUES (2147483647, '2026-01-05 10:00+00', 'login', -2147483648, 1.50, 1.1, 'ab', '2026-02-28',
               '{"b": 1,  "b": 2}', 'calm', 'api', 'x', '1 day', 3, '10.0.0.1'),
              (2, '2026-01-05 11:00+00', NULL, NULL, 'NaN', '-0', NULL, 'infinity', NULL, NULL, NULL, NULL, NULL, NULL,
               NULL)`,
    );
    await night(scenario, 2);
    await scenario.query(SECOND);
    await insertRows(
      scenario,
      `VALUES (9007199254740993, '2026-01-06 10:00+00', 'a longer action', 9223372036854775807, 123456.7890, 0.1,
               'ab   ', '2026-02-28 01:02:03', '{"b": 2, "a": 1}', 'serene', 'ada'),
              -- Late: a day that was archived under the definition before.
              (4, '2026-01-05 10:30+00', 'late', 7, 0.0001, 'NaN', 'abcdef', NULL, '[1]', 'asleep', 'bob')`,
    );
    await night(scenario, 2);
    await scenario.query(THIRD);
    await insertRows(
      scenario,
      `VALUES (5, '2026-01-07 10:00+00', 'third', 7, 1e30, 1, 'ab', NULL, '{}', 'serene', 'eve', 'api'),
              (6, '2026-02-20 10:00+00', 'hot', -7, 1.5, 1, NULL, NULL, NULL, 'asleep', 'ada', NULL)`,
    );
    await night(scenario, 1);
  });
  afterAll(async () => await scenario[Symbol.asyncDispose]());

  test("answers with one list of columns: the table's, then those that only older rows have", async () => {
    const { result, lines } = await scenario.retrieve();
    expect(result).toMatchObject({ rows: 6n, rowsFrom: { hot: 1n, warm: 5n }, conflicting: 0n });
    expect(lines).toEqual([
      '{"id":2147483647,"ts":"2026-01-05T10:00:00.000000Z","event":null,"n":-2147483648,"amount":1.50,' +
        '"ratio":1.100000023841858,"tag":"ab","due":"2026-02-28T00:00:00.000000","info":{"b": 1,  "b": 2},' +
        '"mood":"calm","actor":null,"origin":"api","action":"login","code":"x    ","span":"1 day","level":3,"home":"10.0.0.1"}',
      '{"id":4,"ts":"2026-01-05T10:30:00.000000Z","event":null,"n":7,"amount":0.0001,"ratio":"NaN","tag":"abcdef",' +
        '"due":null,"info":[1],"mood":"asleep","actor":"bob","origin":null,"action":"late","code":null,"span":null,"level":null,"home":null}',
      '{"id":2,"ts":"2026-01-05T11:00:00.000000Z","event":null,"n":null,"amount":"NaN","ratio":-0,"tag":null,' +
        '"due":"infinity","info":null,"mood":null,"actor":null,"origin":null,"action":null,"code":null,"span":null,"level":null,"home":null}',
      '{"id":9007199254740993,"ts":"2026-01-06T10:00:00.000000Z","event":null,"n":9223372036854775807,' +
        '"amount":123456.7890,"ratio":0.1,"tag":"ab   ","due":"2026-02-28T01:02:03.000000","info":{"a": 1, "b": 2},' +
        '"mood":"serene","actor":"ada","origin":null,"action":"a longer action","code":null,"span":null,"level":null,"home":null}',
      '{"id":5,"ts":"2026-01-07T10:00:00.000000Z","event":"third","n":7,"amount":1000000000000000000000000000000,' +
        '"ratio":1,"tag":"ab","due":null,"info":{},"mood":"serene","actor":"eve","origin":"api","action":null,' +
        '"code":null,"span":null,"level":null,"home":null}',
      '{"id":6,"ts":"2026-02-20T10:00:00.000000Z","event":"hot","n":-7,"amount":1.5,"ratio":1,"tag":null,"due":null,' +
        '"info":null,"mood":"asleep","actor":"ada","origin":null,"action":null,"code":null,"span":null,"level":null,"home":null}',
    ]);
  });

  test("answers in every format with the same columns", async () => {
    await using pipeline = scenario.open();
    const request = parseRange("2026-01-01", "2026-02-28", ["n=7"]);
    const [csv, parquet] = [join(scenario.folder, "united.csv"), join(scenario.folder, "united.parquet")];
    for (const out of [csv, parquet]) await pipeline.retrieve(request, { out, requestedBy: "a test" });
    const duckdb = await DuckDBInstance.create(":memory:", { threads: "1" });
    const connection = await duckdb.connect();
    const list = "id, event, n, amount, ratio, origin, action, level";
    const read = async (from: string): Promise<unknown[][]> =>
      (await connection.runAndReadAll(`SELECT ${list} FROM ${from} ORDER BY id`)).getRowsJson();
    expect(await read(`read_parquet('${parquet}')`)).toEqual([
      ["4", null, "7", "0.0001", "NaN", null, "late", null],
      ["5", "third", "7", "1000000000000000000000000000000", 1, "api", null, null],
    ]);
    expect((await readFile(csv, "utf8")).split("\r\n")[0]).toBe(
      "id,ts,event,n,amount,ratio,tag,due,info,mood,actor,origin,action,code,span,level,home",
    );
    connection.closeSync();
    duckdb.closeSync();
  });

  test("answers a part of it with the columns of that part alone", async () => {
    const { lines } = await scenario.retrieve({ from: "2026-01-07", to: "2026-02-28" });
    expect(ids(lines)).toEqual(["5", "6"]);
    expect(lines[0]).toContain('"n":7,"amount":1000000000000000000000000000000,');
    expect(lines[0]).not.toContain('"action"');
  });

  test.each([
    ["id=9007199254740993", ["9007199254740993"]],
    ["n=-2147483648", ["2147483647"]],
    ["n=9223372036854775807", ["9007199254740993"]],
    ["n=7", ["4", "5"]],
    ["amount=1.5", ["2147483647", "6"]],
    ["amount=123456.789", ["9007199254740993"]],
    ["amount=NaN", ["2"]],
    ["ratio=0", ["2"]],
    ["ratio=1.100000023841858", ["2147483647"]],
    ["tag=ab", ["2147483647", "5"]],
    ["tag=ab   ", ["9007199254740993"]],
    ["due=2026-02-28", ["2147483647"]],
    ["due=infinity", ["2"]],
    ["origin=api", ["2147483647", "5"]],
    ["action=login", ["2147483647"]],
    ["event=hot", ["6"]],
    ["actor=ada", ["9007199254740993", "6"]],
    ["mood=serene", ["9007199254740993", "5"]],
    ["mood=calm", ["2147483647"]],
    ["mood=never", []],
    ["code=x", ["2147483647"]],
    ["level=3", ["2147483647"]],
    ["home=10.0.0.1/32", ["2147483647"]],
  ])("--where %s is taken in the type that all rows have", async (where, expected) => {
    expect(ids((await scenario.retrieve({ where: [where] })).lines)).toEqual(expected);
  });

  test.each([
    ["mood=never", { from: "2026-01-07" }, /"never" is not a value of type public\.mood/],
    ["action=x", { from: "2026-01-07" }, /no such column \(found id, ts, event, /],
    ["nothing=x", {}, /no such column \(found id, .*, action, code, span, level, home\)/],
    ["span=1 day", {}, /equality of type interval is not offered/],
    ["info={}", {}, /equality of type json is not offered/],
  ])("--where %s over %j is refused", async (where, range, message) => {
    const refused = scenario.retrieve({ ...range, where: [where] });
    await expect(refused).rejects.toMatchObject({ code: "E_INPUT", message: expect.stringMatching(message) });
  });

  test("takes a value of a type that is not there any more, unless blanks decide", async () => {
    await scenario.query("DROP DOMAIN public.code");
    try {
      expect(ids((await scenario.retrieve({ where: ["code=x    "] })).lines)).toEqual(["2147483647"]);
      expect((await scenario.retrieve({ where: ["code=y"] })).lines).toEqual([]);
      await expect(scenario.retrieve({ where: ["code=x"] })).rejects.toMatchObject({
        code: "E_INPUT",
        subject: "--where code",
        problem: expect.stringContaining("nothing tells whether they count in public.code"),
      });
    } finally {
      await scenario.query("CREATE DOMAIN public.code AS char(5)");
    }
  });
});
