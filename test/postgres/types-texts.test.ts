/** The type table of DESIGN section 6 on real tables: texts, bytes, documents, enums and domains. */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../src/postgres/database.ts";
import { expectCaseLossless, expectLossless, rowsOf, type TypeCase, openScene } from "./types-lossless.ts";

let database: Database;
let client: pg.Client;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  ({ database, client } = await openScene(cleanup));
  await client.query(`
    CREATE TYPE mood AS ENUM ('', 'glad', 'so so', E'\\n', 'größer', E'\\uFEFFmarked');
    CREATE TYPE region AS ENUM ('eu', 'us');
    CREATE TYPE pair AS (a int, "b c" text, at timestamptz);
    CREATE DOMAIN flag AS bool;
    CREATE DOMAIN small AS int2;
    CREATE DOMAIN ratio AS float8 CHECK (VALUE IS NULL OR VALUE <> 42);
    CREATE DOMAIN price AS numeric(10, 2) NOT NULL DEFAULT 0;
    CREATE DOMAIN cheap AS price CHECK (VALUE < 100);
    CREATE DOMAIN amount AS numeric;
    CREATE DOMAIN moment AS timestamptz(3);
    CREATE DOMAIN birthday AS date;
    CREATE DOMAIN token AS uuid;
    CREATE DOMAIN blob AS bytea;
    CREATE DOMAIN code AS varchar(8);
    CREATE DOMAIN temper AS mood;
    CREATE DOMAIN document AS jsonb;
    CREATE DOMAIN span AS interval;
    CREATE DOMAIN tags AS text[];
    CREATE DOMAIN couple AS pair;
    CREATE DOMAIN address AS inet;`);
});
afterAll(async () => await cleanup.disposeAsync());

const TEXTS = [
  "''",
  "' '",
  "'  leading and trailing  '",
  "E'\\uFEFFa byte order mark in front'", // which most text decoders drop
  "E'\\uFEFF'",
  "E'line\\nbreak\\r\\nand\\ttab'",
  `'quote '' and " and \\ and , and ;'`,
  "E'\\x01\\x7F'",
  "E'\\u00E9 is not e\\u0301'",
  "E'\\U0001F9CA\\U0010FFFF'", // four bytes each
  "E'\\uFFFD\\uFFFE'",
  "'NULL'",
  "'\\N'",
  "'=1+1'",
] as const;

const DOCUMENTS = [
  `'{}'`,
  `'null'`,
  `'""'`,
  `'  {"a" :  1,\n\t"b":[1 , 2]}  '`,
  `'{"a": 1, "a": 2, "b": {"a": 1, "a": 1}}'`,
  `'{"big": 123456789012345678901234567890.10, "small": 1e-400, "zero": -0.0}'`,
  `'{"\\u00e9": "\\ud83e\\uddca \\u0041 \\/ \\n", "": null}'`,
  `E'"\\uFEFF"'`,
  `'[[[[]]], true, false, "x"]'`,
] as const;

const CASES: readonly TypeCase[] = [
  { type: "text", kind: "text", values: TEXTS },
  { type: "varchar", kind: "text", values: TEXTS },
  { type: "varchar(5)", kind: "text", values: ["'12345'", "''"] },
  { type: "character varying(5)", kind: "text", values: ["'ÄÖÜß€'"] },
  { type: "bpchar(6)", kind: "text", values: ["'ab'", "''", "' a'", "'abcdef'"] },
  { type: "char(3)", kind: "text", values: ["'a'"] },
  { type: "character(3)", kind: "text", values: ["E'\\uFEFF'"] },
  { type: "bpchar", kind: "text", values: ["'a  '"] },
  { type: "name", kind: "text", values: ["''", "'pg_class'", `'"Odd Name"'`, "repeat('n', 63)"] },
  {
    type: "uuid",
    kind: "uuid",
    values: [
      "'00000000-0000-0000-0000-000000000000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    ],
  },
  {
    type: "bytea",
    kind: "bytea",
    values: ["''", "'\\x00'", "'\\x00ff5c27220a'", "decode(repeat('00', 300), 'hex')"],
  },
  { type: "json", kind: "json", values: DOCUMENTS },
  { type: "jsonb", kind: "jsonb", values: DOCUMENTS.filter((text) => !text.includes("1e-400")) },
  {
    type: "mood",
    kind: "text",
    values: ["''", "'glad'", "'so so'", "E'\\n'", "'größer'", "E'\\uFEFFmarked'"],
  },
  { type: "region", kind: "text", values: ["'us'"] }, // the name begins like regclass and is not of its kind
];

/** A domain is archived as what it is made of. */
const DOMAINS: readonly TypeCase[] = [
  { type: "flag", kind: "bool", values: ["true"] },
  { type: "small", kind: "int2", values: ["-32768"] },
  { type: "ratio", kind: "float8", values: ["'-0'", "'NaN'"] },
  { type: "amount", kind: "numeric", values: ["1.10", "'NaN'"] },
  {
    type: "moment",
    kind: "timestamptz",
    values: ["'2026-01-03 12:34:56.789+00'", "'infinity'"],
    exceptions: 1,
  },
  { type: "birthday", kind: "date", values: ["'2000-02-29'"] },
  { type: "token", kind: "uuid", values: ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"] },
  { type: "blob", kind: "bytea", values: ["'\\x00'"] },
  { type: "code", kind: "text", values: ["'12345678'", "E'\\uFEFF'"] },
  { type: "temper", kind: "text", values: ["'glad'", "''"] },
  { type: "document", kind: "jsonb", values: [`'{"a": [1, null]}'`] },
  { type: "span", kind: "binary", values: ["'1 mon -1 day'"] },
  { type: "tags", kind: "text", select: "text", values: [`'{a,"b c",NULL,""}'`, "'{}'"] },
  { type: "couple", kind: "text", select: "text", values: ["ROW(1, 'x', '2026-01-03 12:00+02')::pair"] },
  { type: "address", kind: "text", select: "inet", values: ["'10.1.2.3/8'", "'10.1.2.3'"] },
];

describe("a column of type", () => {
  it.each(CASES)("$type keeps every value", async (one) => {
    await expectCaseLossless(database, client, one);
  });

  it("text, json and bytea keep a value of megabytes beside short ones", async () => {
    const noise = (from: number): string =>
      `(SELECT string_agg(md5(n::text), '') FROM generate_series(${from}, ${from} + 32767) n)`;
    const cases: TypeCase[] = [
      { type: "text", kind: "text", values: ["'short'", "repeat('x', 3000000)", noise(1), noise(9)] },
      { type: "json", kind: "json", values: ["'1'", `(SELECT to_json(${noise(1)})::text)`] },
      { type: "jsonb", kind: "jsonb", values: ["'1'", `(SELECT to_json(${noise(1)})::text)`] },
      { type: "bytea", kind: "bytea", values: ["''", `decode(${noise(5)}, 'hex')`] },
    ];
    for (const one of cases) {
      const { chunks } = await expectCaseLossless(database, client, one);
      const longest = Math.max(...rowsOf(chunks).map(([, v]) => v?.length ?? 0));
      expect(longest).toBeGreaterThan(500_000);
    }
  });
});

describe("a column of a domain", () => {
  it.each(DOMAINS)("$type is a column of its base", async (one) => {
    await expectCaseLossless(database, client, one);
  });

  it("has the digits of the numeric that it is over, through any number of domains", async () => {
    for (const type of ["price", "cheap"]) {
      await client.query(
        `CREATE TABLE of_${type} (id int PRIMARY KEY, v ${type}, ts timestamptz NOT NULL DEFAULT '2026-01-03')`,
      );
      await client.query(`INSERT INTO of_${type} VALUES (1, 99.99), (2, 0), (3, -0.01)`);
      const { source, exceptions } = await expectLossless(database, client, `of_${type}`);
      expect(source.columns[1]).toMatchObject({
        type: `public.${type}`,
        kind: "decimal",
        precision: 10,
        scale: 2,
      });
      expect(exceptions).toEqual({});
    }
  });
});
