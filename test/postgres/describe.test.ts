/**
 * What Firnline refuses to touch, in which words, and that what it says to do helps. Each hazardous table is really
 * built; the exact messages are in `test/golden/refusals.txt` (`vitest run -u` writes it anew; read the difference).
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { SourceTable } from "../../src/hot/port.ts";
import { dayStart, parseDay } from "../../src/rows/day.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { connect, hotOf, openDatabase } from "./connect.ts";
import { Cases, paste, refusalsOf, told } from "./describe-case.ts";
import { HARMLESS } from "./describe-harmless.ts";
import { type Hazard, HAZARDS } from "./describe-hazards.ts";

let owned: TestDatabase;
let cases: Cases;

beforeAll(async () => {
  owned = await createDatabase();
  cases = await Cases.on(owned);
});
afterAll(async () => await cases?.[Symbol.asyncDispose]());

describe("a table that must not be moved", () => {
  const found = new Map<string, string[]>();

  it.for(Object.entries(HAZARDS))(
    "is refused with a code, a problem and a hint, and what is to be pasted cures it: %s",
    async ([title, hazard], { skip }) => {
      const lacking = cases.lacks(hazard);
      if (lacking !== null) skip(lacking);
      await cases.build(hazard, async ({ hot, schema, client }) => {
        const findings = await refusalsOf(hot);
        found.set(
          title,
          findings.map((one) => cases.masked(told(one), schema)),
        );
        expect(findings.length).toBeGreaterThan(0);
        for (const { message } of findings) {
          expect(message).toMatch(/^E_[A-Z_]+ [^:]+: .+\. .+[^.?]\.$/s);
          expect(message).not.toMatch(/undefined|null\b|\n|E_INTERNAL|E_DATABASE/);
        }
        const curable = findings.filter(({ fix }) => fix.length > 0);
        for (const { fix } of curable) await paste(client, fix);
        const left = (await refusalsOf(hot)).map(({ message }) => message);
        expect(left.filter((message) => curable.some((one) => one.message === message))).toEqual([]);
      });
    },
  );

  it("is refused in the words that are written down", async ({ skip }) => {
    if (found.size < Object.keys(HAZARDS).length) skip("not every case could be built on this server");
    const sections = [...found].map(([title, messages]) => `## ${title}\n${messages.join("\n")}\n`);
    await expect(sections.join("\n")).toMatchFileSnapshot("../golden/refusals.txt");
  });

  it("is refused for everything that is wrong with it, at once", () => {
    const codes = found.get("everything at once")?.map((message) => message.split(" ")[0]);
    expect(new Set(codes)).toEqual(
      new Set(["E_RELATION", "E_VISIBILITY", "E_SIDE_EFFECT", "E_TYPE", "E_POLICY", "E_KEY"]),
    );
  });
});

describe("a table that looks dangerous and is not", () => {
  it.each(Object.entries(HARMLESS))("is taken: %s", async (_title, hazard) => {
    expect(await cases.build(hazard, async ({ hot }) => await refusalsOf(hot))).toEqual([]);
  });
});

describe("a temporary table", () => {
  it("is refused, whichever session it belongs to", async () => {
    await using client = await connect(owned.url);
    await client.query("CREATE TEMPORARY TABLE temporary (id bigint PRIMARY KEY, ts timestamptz NOT NULL)");
    const { rows } = await client.query("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()");
    const table = { schema: String(rows[0].nspname), name: "temporary" };
    await using database = openDatabase(owned.url);
    await expect(hotOf(database, "temporary", { table }).describe()).rejects.toThrow(
      /E_RELATION pg_temp_\d+\.temporary: it is temporary\. Name a permanent table\./,
    );
  });
});

describe("rules", () => {
  const predicates = async (...when: string[]): Promise<(string | null)[]> => {
    const rules = [
      ...when.map((text, index) => ({ name: `r${index}`, when: text })),
      { name: "default", when: null },
    ];
    const { sql } = HARMLESS["a plain table"] as Hazard;
    const source = await cases.build(
      { sql, request: { rules } },
      async ({ hot }): Promise<SourceTable> => await hot.describe(),
    );
    expect(source.rules.map(({ name }) => name)).toEqual(rules.map(({ name }) => name));
    return source.rules.map(({ predicate }) => predicate);
  };

  it("get the rows that no earlier rule took, and NULL is not taken (I2)", async () => {
    expect(await predicates("action = 'a'", "id > 5")).toEqual([
      "((action = 'a'::text)) IS TRUE",
      "((action = 'a'::text)) IS NOT TRUE AND ((id > 5)) IS TRUE",
      "((action = 'a'::text)) IS NOT TRUE AND ((id > 5)) IS NOT TRUE",
    ]);
    expect(await predicates()).toEqual([null]);
  });

  it("are put into statements as Postgres spells them, not as they were written", async () => {
    const [predicate] = await predicates("/* ' */ action = 'it''s' -- ; drop table t");
    expect(predicate).toBe("((action = 'it''s'::text)) IS TRUE");
  });

  it("cut a table into partitions that hold every row exactly once, NULLs included", async () => {
    const hazard: Hazard = {
      sql: `CREATE TABLE t (id bigint PRIMARY KEY, ts timestamptz NOT NULL, a boolean, b text);
        INSERT INTO t SELECT n, '2026-01-03 12:00:00+00', (ARRAY[true, false, NULL])[n % 3 + 1], (ARRAY['x', 'y', NULL])[n % 5 % 3 + 1]
        FROM generate_series(1, 300) n`,
      request: {
        rules: [
          { name: "one", when: "a" },
          { name: "two", when: "b = 'x' OR a IS NULL" },
          { name: "default", when: null },
        ],
      },
    };
    await cases.build(hazard, async ({ hot, schema }) => {
      const source = await hot.describe();
      await using client = await connect(owned.url);
      const count = async (predicate: string | null): Promise<number> =>
        Number(
          (await client.query(`SELECT count(*) FROM ${schema}.t WHERE ${predicate ?? "true"}`)).rows[0].count,
        );
      const counts: number[] = [];
      for (const { predicate } of source.rules) counts.push(await count(predicate));
      expect(counts.reduce((sum, one) => sum + one, 0)).toBe(300);
      expect(counts.every((one) => one > 0)).toBe(true);
      const { partitions } = await hot.inventory(source, parseDay("2026-01-03"));
      expect(partitions.map(({ rule, rows }) => [rule, Number(rows)])).toEqual(
        source.rules.map(({ name }, index) => [name, counts[index]]),
      );
    });
  });
});

describe("looking", () => {
  it("leaves nothing behind: no table, no type, no schema, no change of a row", async () => {
    const hazard: Hazard = {
      sql: "CREATE TABLE t (id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text); INSERT INTO t VALUES (1, '2026-01-03 00:00:00+00', 'a')",
      request: {
        rules: [
          { name: "good", when: "action = 'a'" },
          { name: "default", when: null },
        ],
      },
    };
    const bad = {
      ...hazard,
      request: {
        rules: [
          { name: "bad", when: "action = clock_timestamp()::text" },
          { name: "default", when: null },
        ],
      },
    };
    for (const one of [hazard, bad]) {
      await cases.build(one, async ({ hot, schema }) => {
        await using client = await connect(owned.url);
        const state = async (): Promise<unknown> => {
          const objects = await client.query(
            `SELECT (SELECT array_agg(oid ORDER BY oid) FROM pg_class) AS relations, (SELECT array_agg(oid ORDER BY oid) FROM pg_type) AS types,
                    (SELECT array_agg(nspname ORDER BY nspname) FROM pg_namespace) AS schemas, (SELECT count(*) FROM pg_depend) AS dependencies`,
          );
          const rows = await client.query(`SELECT xmin, ctid, * FROM ${schema}.t`);
          return [objects.rows, rows.rows];
        };
        const before = await state();
        await hot.describe().then(
          async (source) => {
            await hot.inventory(source, parseDay("2026-02-01"));
            await hot.census(source);
            await hot.timeLimits(source, {
              from: dayStart(parseDay("2026-01-01")),
              to: dayStart(parseDay("2026-02-01")),
            });
          },
          () => {},
        );
        expect(await state()).toEqual(before);
      });
    }
  });

  it("gives the same fingerprint again, and another one after a change of the definition (hazard 13)", async () => {
    const hazard: Hazard = {
      sql: "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE t (id bigint PRIMARY KEY, ts timestamptz NOT NULL, a text, b text, m mood)",
    };
    await cases.build(hazard, async ({ hot, schema }) => {
      await using client = await connect(owned.url);
      await client.query(`SET search_path = ${schema}`);
      const fingerprint = async (): Promise<string> => (await hot.describe()).fingerprint;
      const seen = [await fingerprint()];
      expect(await fingerprint()).toBe(seen[0]);
      for (const change of [
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
        "ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME c TO b",
        "ALTER TABLE t ADD d int DEFAULT 7",
        "ALTER TABLE t DROP d; ALTER TABLE t ADD d int DEFAULT 8",
        "ALTER TABLE t ALTER a TYPE varchar(9)",
      ]) {
        await client.query(change);
        seen.push(await fingerprint());
      }
      expect(new Set(seen).size).toBe(6);
      await client.query("CREATE INDEX ON t (ts); COMMENT ON TABLE t IS 'x'; ANALYZE t");
      expect(await fingerprint()).toBe(seen.at(-1));
    });
  });
});
