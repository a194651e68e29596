/**
 * Texts whose collation is not deterministic: Postgres calls some of them equal though their bytes differ. What is archived
 * knows bytes alone, so that a filter on such a column would lack rows without a word (I8).
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectNothingLost, readJournal } from "../support/oracle.ts";
import { Scenario } from "../support/scenario.ts";
import { connect, hotOf, openDatabase } from "./connect.ts";
import { createDatabase } from "../support/postgres.ts";

const LOOSE = `CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`;
const TABLE = `
  CREATE DOMAIN public.any_case AS text COLLATE public.loose;
  CREATE TABLE public.audit_logs (
    id bigint PRIMARY KEY, ts timestamptz NOT NULL, note text COLLATE public.loose, short varchar(9) COLLATE public.loose,
    padded character(9) COLLATE public.loose, kind public.any_case, exact public.any_case COLLATE "C", plain text)`;

/** Six rows of one value, half of them in capitals: three on an archived day, three hot. */
async function fill(scenario: Scenario): Promise<void> {
  const text = "CASE WHEN n % 2 = 0 THEN 'abc' ELSE 'ABC' END";
  for (const [from, day] of [
    [1, "2026-01-10"],
    [4, "2026-02-20"],
  ] as const) {
    await scenario.insert(
      `SELECT n, '${day} 10:00+00'::timestamptz, ${Array.from({ length: 6 }, () => text).join(", ")}
       FROM generate_series(${from}, ${from + 2}) n`,
    );
  }
}

async function found(scenario: Scenario, where: string): Promise<number[]> {
  const { lines } = await scenario.retrieve({ where: [where] });
  return lines.map((line) => (JSON.parse(line) as { id: number }).id);
}

describe("a filter on a text", () => {
  let scenario: Scenario;
  beforeAll(async () => {
    scenario = await Scenario.create({ ddl: LOOSE + TABLE, bloomFilters: ["note", "exact"] });
    await fill(scenario);
    await scenario.run();
    expect(await scenario.count()).toBe(3);
  });
  afterAll(async () => await scenario[Symbol.asyncDispose]());

  test.each(["note", "short", "padded", "kind"])(
    "whose collation takes other bytes for equal is refused, and names it (%s)",
    async (column) => {
      expect(await scenario.count(`${column} = 'abc'`)).toBe(3);
      await expect(scenario.retrieve({ where: [`${column}=abc`] })).rejects.toThrow(
        `E_INPUT --where ${column}: equality by collation public.loose is not offered: it is not deterministic, so that ` +
          "texts of other bytes may be equal. Retrieve without it and filter the answer.",
      );
    },
  );

  test.each(["exact", "plain"])(
    "whose collation does not is answered, beside such a column (%s)",
    async (column) => {
      expect(await found(scenario, `${column}=abc`)).toEqual([2, 4, 6]);
      expect(await found(scenario, `${column}=ABC`)).toEqual([1, 3, 5]);
    },
  );

  test("without a filter all rows come, with the bytes that they had", async () => {
    const { lines } = await scenario.retrieve();
    expect(lines.map((line) => (JSON.parse(line) as { note: string }).note)).toEqual([
      "ABC",
      "abc",
      "ABC",
      "abc",
      "ABC",
      "abc",
    ]);
  });
});

test("a text that the table has no more is refused while the database has such a collation, and found when it has none", async () => {
  await using scenario = await Scenario.create({ ddl: LOOSE + TABLE });
  await fill(scenario);
  await scenario.run();
  await scenario.change((table) => `ALTER TABLE ${table} DROP COLUMN plain`);
  await expect(scenario.retrieve({ where: ["plain=abc"] })).rejects.toThrow(
    "E_INPUT --where plain: the table has no such text any more, and nothing tells whether its collation was one of this " +
      "database's that are not deterministic. Retrieve without it and filter the answer.",
  );
  await scenario.change(
    (table) => `ALTER TABLE ${table} ALTER note TYPE text COLLATE "C", ALTER short TYPE text COLLATE "C",
      ALTER padded TYPE text COLLATE "C", ALTER kind TYPE text COLLATE "C", ALTER exact TYPE text COLLATE "C"`,
  );
  await scenario.query("DROP DOMAIN public.any_case; DROP COLLATION public.loose");
  expect(await found(scenario, "plain=abc")).toEqual([2]);
  // Today's collation counts for rows of all years, as if they were still in the table.
  expect(await found(scenario, "note=abc")).toEqual([2, 4, 6]);
});

describe("a key", () => {
  test("is gone when no row has its bytes, whatever its collation takes for equal", async () => {
    await using owned = await createDatabase();
    await using client = await connect(owned.url);
    await client.query(`${LOOSE}
      CREATE TABLE public.t (k text COLLATE public.loose, n int, ts timestamptz NOT NULL, PRIMARY KEY (k, n));
      INSERT INTO public.t VALUES ('ABC', 1, now()), ('abc', 2, now())`);
    await using database = openDatabase(owned.url);
    const hot = hotOf(database, "t");
    const keys = [
      ["abc", "1"],
      ["ABC", "1"],
      ["abc", "2"],
      ["Abc", "2"],
      ["x", "1"],
    ];
    expect(await hot.missingKeys(await hot.describe(), keys)).toEqual([0, 3, 4]);
  });

  test("that changed into one that its collation takes for equal leaves a tombstone", async () => {
    await using scenario = await Scenario.create({
      ddl: `${LOOSE} CREATE TABLE public.audit_logs (id text COLLATE public.loose PRIMARY KEY, ts timestamptz NOT NULL)`,
    });
    await scenario.insert(
      `SELECT 'key ' || n, '2026-01-10 10:00+00'::timestamptz FROM generate_series(1, 9) n`,
    );
    await scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } }).catch(() => {});
    await scenario.change((table) => `UPDATE ${table} SET id = 'KEY 7' WHERE id = 'key 7'`);
    await scenario.run();
    const tombstones = (await readJournal(scenario)).filter(({ event }) => event.type === "tombstoned");
    expect(tombstones.map(({ event }) => event["keys"])).toEqual([[["key 7"]]]);
    await expectNothingLost(scenario);
  });
});
