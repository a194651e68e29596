/**
 * Rows of every supported type at once, with random values: there and back, every byte of them; and where DuckDB has
 * an equal type, its values are Postgres' own.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../src/postgres/database.ts";
import { quoteLiteral } from "../../src/postgres/quote.ts";
import { type EpochMicros, formatPostgresTimestamp } from "../../src/rows/day.ts";
import { timeText } from "../../src/rows/key-range.ts";
import { expectLossless, type Lossless, NOON, openScene } from "./types-lossless.ts";

/** A column's type and its values as SQL expressions. */
interface Generated {
  readonly type: string;
  readonly sql: fc.Arbitrary<string>;
  /** The value as a text, over `v`, for Postgres and for DuckDB; for types that both have. */
  readonly text?: readonly [postgres: string, duckdb: string];
}

const quoted = <T>(arbitrary: fc.Arbitrary<T>, print: (value: T) => string = String): fc.Arbitrary<string> =>
  arbitrary.map((value) => quoteLiteral(print(value)));

const integer = (bits: bigint): fc.Arbitrary<string> =>
  quoted(
    fc.oneof(
      fc.bigInt({ min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n }),
      fc.bigInt({ min: -9n, max: 9n }),
    ),
  );

const decimal = (precision: number, scale: number): fc.Arbitrary<string> => {
  const limit = 10n ** BigInt(precision) - 1n;
  return quoted(fc.bigInt({ min: -limit, max: limit }), (value) => `${value}e-${scale}`);
};

/** Postgres takes no NUL, and half of a surrogate pair is no character. */
const text = fc.string({ unit: "binary", maxLength: 12 }).filter((value) => !value.includes("\0"));
const json = fc.json({ maxDepth: 2 }).filter((value) => !/\\u(?:0000|d[89a-f])/i.test(value));

/** From year 1 to year 9999, where calendars agree. */
const micros = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n });
const timestamp = micros.map((value) => formatPostgresTimestamp(value as EpochMicros));
const clock = fc.bigInt({ min: 0n, max: 86_400_000_000n }).map(timeText);
const point = fc.tuple(fc.double(), fc.double()).map(([x, y]) => `(${x},${y})`);

const HEX = ["encode(v, 'hex')", "lower(hex(v))"] as const;
const UTF8 = ["encode(convert_to(v::text, 'UTF8'), 'hex')", "lower(hex(encode(v)))"] as const;
const MICROS = ["(extract(epoch FROM v) * 1000000)::bigint::text", "epoch_us(v)::VARCHAR"] as const;
const SAME = ["v::text", "v::VARCHAR"] as const;

const COLUMNS: Readonly<Record<string, Generated>> = {
  a_bool: { type: "bool", sql: fc.constantFrom("true", "false"), text: SAME },
  a_int2: { type: "int2", sql: integer(16n), text: SAME },
  a_int4: { type: "int4", sql: integer(32n), text: SAME },
  a_int8: { type: "int8", sql: integer(64n), text: SAME },
  a_float4: { type: "float4", sql: quoted(fc.float()) },
  a_float8: { type: "float8", sql: quoted(fc.double()) },
  a_decimal_9: { type: "numeric(9,4)", sql: decimal(9, 4), text: SAME },
  a_decimal_18: { type: "numeric(18,0)", sql: decimal(18, 0), text: SAME },
  a_decimal_38: { type: "numeric(38,37)", sql: decimal(38, 37), text: SAME },
  a_numeric: {
    type: "numeric",
    sql: fc.oneof(decimal(60, 30), decimal(9, 0), fc.constantFrom("'NaN'", "'Infinity'", "'-Infinity'")),
    text: SAME,
  },
  a_timestamptz: { type: "timestamptz", sql: quoted(timestamp, (value) => `${value}+00`), text: MICROS },
  a_timestamp: { type: "timestamp", sql: quoted(timestamp), text: MICROS },
  a_date: { type: "date", sql: quoted(timestamp, (value) => value.slice(0, 10)), text: SAME },
  a_time: { type: "time", sql: quoted(clock), text: MICROS },
  a_uuid: { type: "uuid", sql: quoted(fc.uuid()), text: SAME },
  a_bytea: {
    type: "bytea",
    sql: quoted(fc.uint8Array(), (value) => `\\x${Buffer.from(value).toString("hex")}`),
    text: HEX,
  },
  a_text: { type: "text", sql: quoted(text), text: UTF8 },
  a_varchar: { type: "varchar(40)", sql: quoted(text), text: UTF8 },
  a_enum: { type: "mood", sql: fc.constantFrom("'glad'", "'sad'"), text: SAME },
  a_json: { type: "json", sql: quoted(json), text: UTF8 },
  a_jsonb: { type: "jsonb", sql: quoted(json), text: UTF8 },
  a_bpchar: { type: "char(12)", sql: quoted(text) },
  a_name: { type: "name", sql: quoted(text) },
  a_domain: { type: "price", sql: decimal(8, 2) },
  a_interval: {
    type: "interval",
    sql: quoted(
      fc.tuple(
        fc.integer({ min: -2e9, max: 2e9 }),
        fc.integer(),
        fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }),
      ),
      ([months, days, time]) => `${months} mons ${days} days ${time} microseconds`,
    ),
  },
  a_money: {
    type: "money",
    sql: quoted(fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), (cents) => `${cents}.07`),
  },
  a_timetz: {
    type: "timetz",
    sql: quoted(fc.tuple(clock, fc.integer({ min: 0, max: 15 })), ([time, zone]) => `${time}-${zone}:30`),
  },
  a_list: { type: "int4[]", sql: fc.array(fc.integer()).map((list) => `'{${list.join(",")}}'`) },
  a_texts: { type: "text[]", sql: fc.array(quoted(text)).map((list) => `ARRAY[${list.join(", ")}]::text[]`) },
  a_composite: {
    type: "pair",
    sql: fc.tuple(integer(32n), quoted(text)).map(([a, b]) => `ROW(${a}, ${b})::pair`),
  },
  a_inet: { type: "inet", sql: quoted(fc.oneof(fc.ipV4(), fc.ipV6())) },
  a_range: {
    type: "tstzrange",
    sql: fc.tuple(micros, micros).map((ends) => {
      const [from, to] = ends.toSorted((left, right) => (left < right ? -1 : 1));
      return `'[${formatPostgresTimestamp(from as EpochMicros)}+00,${formatPostgresTimestamp(to as EpochMicros)}+00]'`;
    }),
  },
  a_bits: { type: "varbit", sql: fc.stringMatching(/^[01]{0,20}$/).map((bits) => `B'${bits}'`) },
  a_point: { type: "point", sql: quoted(point) },
  a_words: { type: "tsvector", sql: quoted(text).map((value) => `to_tsvector('simple', ${value})`) },
  a_oid: { type: "oid", sql: quoted(fc.nat()) },
};
const NAMES = Object.keys(COLUMNS);

let database: Database;
let client: pg.Client;
let folder = "";
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  ({ database, client } = await openScene(cleanup));
  folder = await mkdtemp(join(tmpdir(), "firnline-property-"));
  cleanup.defer(async () => await rm(folder, { recursive: true }));
  await client.query(`
    SET TimeZone = 'UTC';
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN price AS numeric(8, 2)`);
});
afterAll(async () => await cleanup.disposeAsync());

/** The DuckDB side: as many rows, and the values of each column that is of an equal type. */
async function expectDuckDbAgrees({ segment }: Lossless, table: string): Promise<void> {
  const file = join(folder, `${table}.parquet`);
  await writeFile(file, segment.bytes);
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const duckdb = await instance.connect();
  try {
    const shared = Object.entries(COLUMNS).flatMap(([name, { text: texts }]) =>
      texts === undefined ? [] : [texts.map((one) => one.replaceAll(/\bv\b/g, `"${name}"`))],
    );
    const list = (side: 0 | 1): string => shared.map((texts) => texts[side]).join(", ");
    const theirs = await duckdb.runAndReadAll(`SELECT ${list(1)} FROM read_parquet('${file}') ORDER BY id`);
    const ours = await client.query({
      text: `SELECT ${list(0)} FROM ${table} ORDER BY id`,
      rowMode: "array",
    });
    expect(theirs.getRowsJson()).toEqual(ours.rows);
  } finally {
    duckdb.closeSync();
    instance.closeSync();
  }
}

describe("rows of every supported type", () => {
  it("come back byte for byte, and DuckDB reads what Postgres has", async () => {
    const row = fc.tuple(
      ...NAMES.map((name) => fc.option((COLUMNS[name] as Generated).sql, { nil: "NULL", freq: 6 })),
    );
    let turn = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 20 }), async (rows) => {
        const table = `random_${turn++}`;
        const columns = NAMES.map((name) => `${name} ${COLUMNS[name]?.type}`);
        await client.query(
          `CREATE TABLE ${table} (id int PRIMARY KEY, ts timestamptz NOT NULL, ${columns.join(", ")})`,
        );
        const values = rows.map((fields, id) => `(${[id, NOON, ...fields].join(", ")})`);
        await client.query(`INSERT INTO ${table} VALUES ${values.join(", ")}`);
        await expectDuckDbAgrees(await expectLossless(database, client, table), table);
        await client.query(`DROP TABLE ${table}, ${table}_restored`);
      }),
      { numRuns: 10 },
    );
  });
});
