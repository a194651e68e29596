/** The type table of DESIGN section 6 on real tables: everything that is archived as its text. */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../src/postgres/database.ts";
import { hotOf, openDatabase } from "./connect.ts";
import { expectCaseLossless, exportDay, NOON, rowsOf, openScene } from "./types-lossless.ts";

let database: Database;
let client: pg.Client;
let url = "";
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  ({ url, database, client } = await openScene(cleanup));
  await client.query(`
    CREATE TYPE mood AS ENUM ('glad', 'so, so', 'NULL');
    CREATE TYPE pair AS (a int, "b c" text, at timestamptz);
    CREATE TYPE nested AS (p pair, many pair[]);
    CREATE TYPE float_range AS RANGE (subtype = float8);
    CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0);`);
});
afterAll(async () => await cleanup.disposeAsync());

const TEXTS: Readonly<Record<string, readonly string[]>> = {
  "int4[]": ["'{}'", "'{1,NULL,-2147483648}'", "'{{1,2},{3,4}}'", "'[0:1]={7,8}'"],
  "bool[]": ["'{t,f,NULL}'"],
  "text[]": [
    `'{a,"b c","NULL",NULL,"","{}","\\\\","\\""}'`,
    `ARRAY[E'\\uFEFF', E'line\\nbreak', E'\\U0001F9CA']`,
  ],
  "numeric(6,2)[]": ["'{1.5,NaN,NULL}'"],
  "float8[]": ["'{0.1,-0,NaN,Infinity,5e-324,1.7976931348623157e308}'"],
  "timestamptz[]": ["'{2026-03-29 02:30:00+02,infinity,0044-03-15 12:00+00 BC}'"],
  "date[]": ["'{2000-02-29,infinity}'"],
  "interval[]": ["'{1 mon -1 day,04:05:06.789}'"],
  "bytea[]": ["ARRAY['\\x00ff'::bytea, '', NULL]"],
  "uuid[]": ["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"],
  "jsonb[]": [`ARRAY['{"a": [1, "x,y"]}'::jsonb, 'null']`],
  "json[]": [`ARRAY['{"a" : 1,\n"a":2}'::json]`],
  "mood[]": [`'{glad,"so, so","NULL",NULL}'`],
  "even[]": ["'{2,NULL,-4}'"],
  "pair[]": ["ARRAY[ROW(1, 'x', NULL)::pair, NULL, ROW(NULL, '', '2026-01-03 12:00+02')::pair]"],
  pair: [
    "ROW(1, 'x', '2026-01-03 12:00+02')::pair",
    "ROW(NULL, NULL, NULL)::pair",
    `ROW(-1, 'quote " comma , paren ) backslash \\', 'infinity')::pair`,
    `ROW(0, '', NULL)::pair`,
  ],
  nested: ["ROW(ROW(1, 'a b', NULL)::pair, ARRAY[ROW(2, '\"', NULL)::pair])::nested"],
  inet: ["'192.168.1.5'", "'192.168.1.5/24'", "'::1'", "'2001:db8::ff00:42:8329/64'", "'0.0.0.0/0'"],
  cidr: ["'10.0.0.0/8'", "'2001:db8::/32'"],
  macaddr: ["'08:00:2b:01:02:03'"],
  macaddr8: ["'08:00:2b:01:02:03:04:05'"],
  int4range: ["'[1,10)'", "'empty'", "'(,)'", "'[5,]'"],
  int8range: ["'[-9223372036854775808,9223372036854775807)'"],
  numrange: ["'(1.10,2.20]'", "'[-Infinity,NaN]'"],
  tsrange: ["'[2026-01-03 12:00,infinity]'"],
  tstzrange: ["'[2026-03-29 02:30+02,)'", "'(-infinity,2026-01-01 00:00:00.000001+00]'"],
  daterange: ["'[2026-01-03,2026-01-05]'"],
  float_range: ["'[-0.1,1e300)'"],
  int4multirange: ["'{}'", "'{[1,3),[5,6)}'"],
  nummultirange: ["'{(1.10,2.20],[3,)}'"],
  tstzmultirange: ["'{[2026-01-01 00:00+02,2026-01-02 00:00+02)}'"],
  datemultirange: ["'{[2026-01-01,2026-01-02]}'"],
  "bit(5)": ["B'10110'", "B'00000'"],
  bit: ["B'1'"],
  "varbit(9)": ["B''", "B'101010101'"],
  "bit varying": ["B'1'"],
  tsvector: [`'a:1A fat:2,4B "it''s":3'`, `'''quoted space'' \\\\'`, "''"],
  tsquery: ["'fat & (rat | !cat:AB)'"],
  point: ["'(0.1,-0)'", "'(NaN,Infinity)'", "'(1e-300,1.7976931348623157e308)'"],
  line: ["'{1,-1,0.1}'"],
  lseg: ["'[(0,0),(1,1)]'"],
  box: ["'(2,2),(0,0)'"],
  path: ["'((0,0),(1,1),(2,0))'", "'[(0,0),(1,1)]'"],
  polygon: ["'((0,0),(1,1),(2,0))'"],
  circle: ["'<(1,2.5),3>'"],
  xml: ["'<a b=\"1\">text &amp; <!-- c --> \n</a>'", "'just text'", `E'<a>\\u00E9\\U0001F9CA</a>'`, "''"],
  '"char"': ["'a'", "''", "'\\377'", "'\\001'"],
  oid: ["0", "4294967295", "1"],
  pg_lsn: ["'0/0'", "'FFFFFFFF/FFFFFFFF'"],
  xid8: ["'18446744073709551615'"],
  int2vector: ["'1 -2 3'"],
  jsonpath: [`'$.a[*] ? (@ > 1)'`],
  pg_snapshot: ["'10:20:10,14,15'"],
};

describe("a column of type", () => {
  it.each(Object.keys(TEXTS))("%s is archived as its text, which is enough to have it back", async (type) => {
    const values = TEXTS[type] ?? [];
    await expectCaseLossless(database, client, {
      type,
      kind: "text",
      select: type === "inet" ? "inet" : "text",
      values,
    });
  });
});

describe("the bytes of a row", () => {
  it("are the same whatever the database's, the role's and the session's own settings say", async () => {
    const columns = {
      t: ["timestamptz", "'2026-01-03 12:34:56.789+00'"],
      i: ["interval", "'-1 year 2 days 03:04:05.6'"],
      m: ["money", "1234567.89"],
      z: ["timetz", "'12:00+05:30'"],
      f: ["float8[]", "'{0.1,1e-300}'"],
      p: ["point", "'(0.1,123456.789)'"],
      b: ["bytea[]", "ARRAY['\\x00ff5c'::bytea]"],
      r: ["tstzrange", "'[2026-03-29 02:30+02,)'"],
      d: ["date[]", "'{2026-02-01}'"],
      c: ["pair", "ROW(1, 'ä', '2026-01-03 12:00+02')::pair"],
      x: ["xml", "'<a>ä</a>'"],
    };
    const types = Object.entries(columns).map(([name, [type]]) => `${name} ${type}`);
    const values = Object.values(columns).map(([, value]) => value);
    await client.query(
      `CREATE TABLE pinned (id int PRIMARY KEY, ts timestamptz, ${types.join(", ")});
       INSERT INTO pinned VALUES (1, ${NOON}, ${values.join(", ")})`,
    );
    const neutral = await exportDay(hotOf(database, "pinned"));

    await client.query(`
      CREATE SCHEMA evil;
      CREATE FUNCTION evil.text(money) RETURNS text LANGUAGE sql AS 'SELECT ''stolen''';
      CREATE DOMAIN evil.text AS pg_catalog.text CHECK (VALUE = 'never');
      DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = evil, pg_catalog, public', current_database());
        EXECUTE format('ALTER DATABASE %I SET TimeZone = ''America/New_York''', current_database());
        EXECUTE format('ALTER DATABASE %I SET DateStyle = ''German, DMY''', current_database());
        EXECUTE format('ALTER DATABASE %I SET IntervalStyle = ''iso_8601''', current_database());
        EXECUTE format('ALTER DATABASE %I SET extra_float_digits = -15', current_database());
        EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', current_database());
        EXECUTE format('ALTER DATABASE %I SET client_encoding = ''LATIN1''', current_database());
        EXECUTE format('ALTER DATABASE %I SET xmloption = ''document''', current_database());
        EXECUTE format('ALTER DATABASE %I SET xmlbinary = ''hex''', current_database());
        EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database());
        EXECUTE format('ALTER DATABASE %I SET quote_all_identifiers = on', current_database());
      END $$`);
    await using hostile = openDatabase(url);
    const settings = await hostile.query("SELECT setting FROM pg_settings WHERE name = 'xmlbinary'");
    expect(settings.rows[0]?.["setting"]).toBe("hex"); // so the settings are in force
    const found = await exportDay(hotOf(hostile, "pinned"));
    expect(rowsOf(found.chunks)).toEqual(rowsOf(neutral.chunks));
    expect(found.source.columns).toEqual(neutral.source.columns);
    expect(found.source.fingerprint).toBe(neutral.source.fingerprint);
  });
});
