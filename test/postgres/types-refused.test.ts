/** What cannot be archived without loss is refused before anything moves, by name, together with all other findings. */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FirnlineErrors } from "../../src/errors.ts";
import type { Database } from "../../src/postgres/database.ts";
import { hotOf } from "./connect.ts";
import { expectLossless, openScene } from "./types-lossless.ts";

let database: Database;
let client: pg.Client;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  ({ database, client } = await openScene(cleanup));
  await client.query(`
    CREATE DOMAIN lo AS oid;
    CREATE SCHEMA other;
    CREATE DOMAIN other.lo AS oid;
    CREATE DOMAIN picture AS lo;
    CREATE DOMAIN relation AS regclass;
    CREATE TYPE holder AS (a int, r regclass);
    CREATE TYPE outermost AS (h holder[]);
    CREATE TYPE oid_range AS RANGE (subtype = oid);
    CREATE TYPE class_range AS RANGE (subtype = regclass, subtype_opclass = oid_ops);
    CREATE TYPE region AS ENUM ('eu');
    CREATE DOMAIN register AS text;
    CREATE TYPE regular AS (x int);`);
});
afterAll(async () => await cleanup.disposeAsync());

/** The findings about a table with these columns beside `id` and `ts`; none if it is accepted. */
async function findings(columns: string): Promise<string[]> {
  await client.query(`
    DROP TABLE IF EXISTS candidate;
    CREATE TABLE candidate (id int PRIMARY KEY, ts timestamptz NOT NULL, ${columns})`);
  try {
    await hotOf(database, "candidate").describe();
    return [];
  } catch (error) {
    if (error instanceof FirnlineErrors) return error.errors.map(({ message }) => message);
    throw error;
  }
}

describe("a column is refused as E_TYPE when it", () => {
  it.each([
    ["regclass", "regclass"],
    ["regtype", "regtype"],
    ["regrole", "regrole"],
    ["regproc", "regproc"],
    ["regprocedure", "regprocedure"],
    ["regoper", "regoper"],
    ["regoperator", "regoperator"],
    ["regconfig", "regconfig"],
    ["regdictionary", "regdictionary"],
    ["regnamespace", "regnamespace"],
    ["regcollation", "regcollation"],
    ["regclass[]", "regclass"],
    ["regclass[][]", "regclass"],
    ["relation", "regclass"],
    ["relation[]", "regclass"],
    ["holder", "regclass"],
    ["holder[]", "regclass"],
    ["outermost", "regclass"],
    ["class_range", "regclass"],
    ["class_multirange", "regclass"],
    ["class_multirange[]", "regclass"],
    ["lo", "public.lo"],
    ["other.lo", "other.lo"],
    ["lo[]", "public.lo"],
    ["picture", "public.lo"],
  ])("is a %s", async (type, reference) => {
    const [finding, ...more] = await findings(`v ${type}`);
    expect(more).toEqual([]);
    expect(finding).toMatch(/^E_TYPE public\.candidate\.v: /);
    expect(finding).toContain(`type ${reference} refers to rows of this database's catalog (found `);
  });

  it("is generated and virtual", async ({ skip }) => {
    const { rows } = await client.query("SELECT current_setting('server_version_num')::int AS version");
    if (rows[0].version < 180_000) skip("this server has no virtual generated columns");
    expect(await findings("v int GENERATED ALWAYS AS (id + 1) VIRTUAL")).toEqual([
      expect.stringMatching(/^E_TYPE public\.candidate\.v: a virtual generated column has no stored bytes/),
    ]);
  });

  it("has the name that the text of another column needs", async () => {
    for (const columns of ["d interval, d__text text", "d__text int, d money"]) {
      expect(await findings(columns)).toEqual([
        expect.stringMatching(/^E_TYPE public\.candidate\.d__text: .* two columns .*Rename /),
      ]);
    }
  });
});

describe("a column is accepted when it", () => {
  it.each(["region", "register", "regular", "region[]", "oid_range", "oid", "oid[]"])(
    "is a %s, which only looks like what is refused",
    async (type) => {
      expect(await findings(`v ${type}`)).toEqual([]);
    },
  );

  it("is stored and generated, and its value is archived", async () => {
    await client.query(`
      CREATE TABLE stored (id int PRIMARY KEY, ts timestamptz NOT NULL DEFAULT '2026-01-03 12:00+00',
                           a int, b numeric(10, 2) GENERATED ALWAYS AS (a * 1.5) STORED);
      CREATE TABLE computed AS SELECT * FROM stored;
      INSERT INTO stored (id, a) VALUES (1, 3), (2, NULL);
      ALTER TABLE computed ADD PRIMARY KEY (id);
      INSERT INTO computed SELECT * FROM stored`);
    // A generated column takes no values, so what is restored is a plain copy.
    const { source } = await expectLossless(database, client, "computed");
    expect(source.columns.map(({ name, kind }) => [name, kind])).toContainEqual(["b", "decimal"]);
    expect((await hotOf(database, "stored").describe()).columns).toHaveLength(4);
  });

  it("was dropped: its place is skipped", async () => {
    expect(await findings("gone regclass, v int")).toHaveLength(1);
    await client.query("ALTER TABLE candidate DROP COLUMN gone");
    const { columns } = await hotOf(database, "candidate").describe();
    expect(columns.map(({ name, attnum }) => [name, attnum])).toEqual([
      ["id", 1],
      ["ts", 2],
      ["v", 4],
    ]);
  });

  it("stands beside one that is not: every finding is told at once", async () => {
    const found = await findings("a regclass, b interval, c text[]");
    expect(found).toHaveLength(1);
    await client.query(
      "CREATE TRIGGER t BEFORE DELETE ON candidate EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    );
    await expect(hotOf(database, "candidate").describe()).rejects.toThrow(/E_SIDE_EFFECT[^]*E_TYPE/);
  });
});
