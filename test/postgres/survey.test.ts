/** What the survey says of a real database; `test/cli/init.test.ts` shows what people get to see of it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSettings } from "../../src/config.ts";
import type { RowsByDay, Survey, SurveyedTable } from "../../src/hot/survey.ts";
import type { TimeColumn } from "../../src/policy/proposal.ts";
import { parseDay } from "../../src/rows/day.ts";
import { openSurvey } from "../../src/wiring.ts";
import { createDatabase, runAlone, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let survey: Survey;

beforeAll(async () => {
  database = await createDatabase();
  survey = openSurvey(database.url, readSettings({}));
  await runAlone(
    database.url,
    `CREATE TABLE large (id bigint PRIMARY KEY, ts timestamptz NOT NULL, note text);
     INSERT INTO large SELECT n, '2026-01-01 00:00+00'::timestamptz + n * interval '100 seconds', repeat('x', 200)
       FROM generate_series(1, 30000) n;
     CREATE TABLE parts (id bigint, ts timestamp NOT NULL, note text) PARTITION BY RANGE (ts);
     CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-02-01');
     CREATE TABLE parts_2 PARTITION OF parts DEFAULT PARTITION BY HASH (id);
     CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
     CREATE TABLE parts_2b PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
     CREATE INDEX parts_ts ON parts USING brin (ts);
     INSERT INTO parts SELECT n, '2026-01-31 23:00'::timestamp + n * interval '1 minute', repeat('x', 500)
       FROM generate_series(1, 1440) n;
     CREATE TABLE edges (id int PRIMARY KEY, ts timestamptz);
     INSERT INTO edges VALUES (1, NULL), (2, 'infinity'), (3, '-infinity'), (4, '0001-01-01 00:00+00'),
       (5, '0001-12-31 23:59:59.999999+00 BC'), (6, '9999-12-31 23:59:59.999999+00'), (7, '10000-01-01 00:00+00');
     CREATE TYPE mood AS ENUM ('a', 'b');
     CREATE DOMAIN reference AS varchar(20);
     CREATE TABLE keys (a int NOT NULL, b mood NOT NULL, c reference NOT NULL, d numeric NOT NULL, e int, f char(3) NOT NULL,
       g int GENERATED ALWAYS AS (a + 1) STORED NOT NULL, ts timestamptz,
       UNIQUE (b, c), UNIQUE (d), UNIQUE (e), UNIQUE (f), UNIQUE (g) DEFERRABLE, PRIMARY KEY (a) INCLUDE (d));
     CREATE UNIQUE INDEX ON keys (a, b) WHERE a > 0; CREATE UNIQUE INDEX ON keys ((a + 1));
     CREATE INDEX keys_other ON keys (a, ts); CREATE INDEX keys_partial ON keys (ts) WHERE a > 0;`,
  );
});

afterAll(async () => {
  await survey?.[Symbol.asyncDispose]();
  await database?.[Symbol.asyncDispose]();
});

async function find(name: string): Promise<SurveyedTable> {
  return (await survey.table({ schema: "public", name })) as SurveyedTable;
}

async function count(name: string, pagesMax: number): Promise<RowsByDay> {
  const table = await find(name);
  return await survey.rowsByDay(table, table.times[0] as TimeColumn, pagesMax);
}

const sum = ({ days }: RowsByDay): number => days.reduce((total, { rows }) => total + Number(rows), 0);

describe("rows by day", () => {
  it("are counted where the table is small enough", async () => {
    const rows = await count("large", 10_000);
    expect(rows).toMatchObject({ isCounted: true, outside: 0n });
    expect(rows.days).toHaveLength(35);
    expect(rows.days[0]).toEqual({ day: parseDay("2026-01-01"), rows: 863n });
    expect(rows.days[1]).toEqual({ day: parseDay("2026-01-02"), rows: 864n });
    expect(sum(rows)).toBe(30_000);
  });

  it("are estimated from a sample of a large one's pages, the same ones each time", async () => {
    const { pages } = await find("large");
    expect(pages).toBeGreaterThan(800n);
    const rows = await count("large", 300);
    expect(rows.isCounted).toBe(false);
    expect(sum(rows)).toBeGreaterThan(24_000);
    expect(sum(rows)).toBeLessThan(36_000);
    expect(await count("large", 300)).toEqual(rows);
  });

  it("of a partitioned table are those of all leaves, by the days of a plain timestamp as they are written", async () => {
    const rows = await count("parts", 10_000);
    expect(rows.days).toEqual([
      { day: parseDay("2026-01-31"), rows: 59n },
      { day: parseDay("2026-02-01"), rows: 1381n },
    ]);
    expect((await count("parts", 50)).isCounted).toBe(false);
  });

  it("leave out what is in no day of the calendar, and count it", async () => {
    expect(await count("edges", 100)).toEqual({
      days: [
        { day: parseDay("0001-01-01"), rows: 1n },
        { day: parseDay("9999-12-31"), rows: 1n },
      ],
      outside: 5n,
      isCounted: true,
    });
  });
});

describe("a table", () => {
  it("that is partitioned counts with its leaves, and needs no key", async () => {
    const parts = await find("parts");
    expect(parts).toMatchObject({ isPartitioned: true, leaves: 3, keys: [], obstacle: null });
    expect(parts.times).toEqual([{ name: "ts", type: "timestamp", notNull: true, index: "parts_ts" }]);
    expect(parts.bytes).toBeGreaterThan(700_000n);
  });

  it("has keys that rows can be read in order by, the primary one first", async () => {
    const { keys, times } = await find("keys");
    expect(keys.map(({ columns, isPrimary }) => [columns, isPrimary])).toEqual([
      [["a"], true],
      [["b", "c"], false],
    ]);
    // A partial index leaves rows out, and one that begins with something else finds no time.
    expect(times).toEqual([{ name: "ts", type: "timestamptz", notNull: false, index: null }]);
  });

  it("is looked up by its very name", async () => {
    expect(await survey.table({ schema: "public", name: "Large" })).toBeNull();
    expect(await survey.table({ schema: "public", name: "large'; DROP TABLE large; --" })).toBeNull();
    expect(await survey.table({ schema: "public", name: "parts_2" })).toBeNull();
  });
});

it("tables come largest first, and no more than asked for", async () => {
  const { tables, found } = await survey.tables(2);
  expect(tables.map(({ name }) => name)).toEqual(["large", "parts"]);
  expect(found).toBe(4);
});

it("the zone is the one that sessions begin with, not the one that we work in", async () => {
  await runAlone(database.url, `ALTER DATABASE ${database.name} SET TimeZone = 'Asia/Tokyo'`);
  await using fresh = openSurvey(database.url, readSettings({}));
  expect(await fresh.zone()).toBe("Asia/Tokyo");
});
