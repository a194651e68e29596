/**
 * The order of rows is one thing in three places: Postgres' `ORDER BY time, key COLLATE "C"`, our comparison of raw
 * fields, and the ranges that a chunk's bounds give when they are read back as SQL. If they disagreed anywhere, a row
 * would be in two chunks or in none.
 */
import type { Leaf } from "../../src/hot/port.ts";
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceTable } from "../../src/hot/port.ts";
import type { Database } from "../../src/postgres/database.ts";
import { quoteLiteral } from "../../src/postgres/quote.ts";
import { RawColumns, type RawRows } from "../../src/rows/copy-binary.ts";
import { CopyBinaryDecoder } from "../../src/rows/copy-decoder.ts";
import { parseDay } from "../../src/rows/day.ts";
import type { Bound } from "../../src/rows/key-range.ts";
import { sortRows } from "../../src/rows/row-order.ts";
import { hotOf } from "./connect.ts";
import { DAY, rowsOf, openScene } from "./types-lossless.ts";

let database: Database;
let client: pg.Client;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  ({ database, client } = await openScene(cleanup));
});
afterAll(async () => await cleanup.disposeAsync());

/** A sample of `count` values of the arbitrary, always the same ones, as quoted literals. */
const sample = <T>(
  arbitrary: fc.Arbitrary<T>,
  count: number,
  print: (value: T) => string = String,
): string[] => fc.sample(arbitrary, { numRuns: count, seed: 7 }).map((value) => quoteLiteral(print(value)));

/** Texts that Postgres takes: no NUL, no half of a surrogate pair. */
const text = fc.string({ unit: "binary", maxLength: 4 }).filter((value) => !value.includes("\0"));

const KEYS: Readonly<Record<string, readonly string[]>> = {
  int2: ["-32768", "-1", "0", "1", "255", "256", "32767"],
  int4: [...sample(fc.integer(), 20), "-2147483648", "-1", "0", "1", "2147483647"],
  int8: [
    ...sample(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), 20),
    "'-9223372036854775808'",
    "-1",
    "0",
    "9223372036854775807",
  ],
  uuid: [
    ...sample(fc.uuid(), 20),
    "'00000000-0000-0000-0000-000000000000'",
    "'7fffffff-ffff-ffff-ffff-ffffffffffff'",
    "'80000000-0000-0000-0000-000000000000'",
    "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
  ],
  // Its collation would sort a before B, and e-acute beside e.
  'text COLLATE "und-x-icu"': [
    ...sample(text, 60),
    ...["", " ", "a", "B", "A", "b", "aa", "a b", "ab", "é", "e\u0301", "\uFEFF", "\uFEFFa", "\uFF5E"].map(
      quoteLiteral,
    ),
    ...["\u{1F9CA}", "\u{10FFFF}", "\uE000", "'", "\\", "\n", "\u007F", "\u0080", "ß", "ss", "i", "ı"].map(
      quoteLiteral,
    ),
  ],
  bytea: [
    ...sample(fc.uint8Array({ maxLength: 3 }), 30, (bytes) => `\\x${Buffer.from(bytes).toString("hex")}`),
    "''",
    "'\\x00'",
    "'\\x0000'",
    "'\\x7f'",
    "'\\x80'",
    "'\\xff'",
    "'\\xff00'",
  ],
  date: [
    "'-infinity'",
    "'4714-11-24 BC'",
    "'0001-12-31 BC'",
    "'0001-01-01'",
    "'1999-12-31'",
    "'2000-01-01'",
  ].concat("'2000-02-29'", "'9999-12-31'", "'10000-01-01'", "'5874897-12-31'", "'infinity'"),
  time: ["'00:00'", "'00:00:00.000001'", "'12:34:56.789'", "'23:59:59.999999'", "'24:00'"],
  timestamp: ["'-infinity'", "'4714-11-24 BC'", "'0001-12-31 23:59:59.999999 BC'", "'0001-01-01'"].concat(
    "'1999-12-31 23:59:59.999999'",
    "'2000-01-01'",
    "'12026-01-01'",
    "'294276-12-31 23:59:59.999999'",
    "'infinity'",
  ),
  timestamptz: ["'-infinity'", "'4714-11-24 00:00+00 BC'", "'0001-12-31 23:59:59.999999+00 BC'"].concat(
    "'1999-12-31 23:59:59.999999+00'",
    "'2026-03-29 02:30+02'",
    "'12026-01-01 00:00+00'",
    "'294276-12-31 23:59:59.999999+00'",
    "'infinity'",
  ),
};

/** Rows in the order that the statement gives them. */
async function copyOut(source: SourceTable, order: string): Promise<RawRows> {
  const columns = new RawColumns(source.columns.length);
  const decoder = new CopyBinaryDecoder(columns, () => {});
  await database.transaction("repeatable read, read only", "test", async (tx) => {
    const sql = `COPY (SELECT id, k, ts FROM public.keyed ORDER BY ${order}) TO STDOUT (FORMAT binary)`;
    for await (const _ of tx.copy(
      sql,
      "test",
      (bytes, start, end) => (decoder.push(bytes, start, end), false),
    ));
  });
  decoder.finish();
  return columns.take();
}

describe("rows with a key of type", () => {
  it.each(Object.keys(KEYS))("%s have one order, and each is in one range", async (type) => {
    const values = KEYS[type] ?? [];
    await client.query(`
      DROP TABLE IF EXISTS keyed;
      CREATE TABLE keyed (id int NOT NULL, k ${type}, ts timestamptz NOT NULL, PRIMARY KEY (k, id));
      INSERT INTO keyed
      SELECT row_number() OVER (), v, timestamptz '${DAY} 12:00+00' + (n % 2) * interval '1 microsecond'
      FROM (SELECT DISTINCT v FROM unnest(ARRAY[${values.join(", ")}]::${type.replace(" COLLATE", "[] COLLATE")}${
        type.includes("COLLATE") ? "" : "[]"
      }) v) d, generate_series(1, 3) n
      ORDER BY md5(v::text || n)`);
    const hot = hotOf(database, "keyed");
    const source = await hot.describe();
    const collated = type.startsWith("text") ? 'k COLLATE "C"' : "k";
    const expected = await copyOut(source, `ts, ${collated}, id`);
    expect(expected.rows).toBeGreaterThan(values.length);

    // Ours, from rows in no order at all.
    expect(rowsOf([sortRows(source, await copyOut(source, "md5(id::text)"))])).toEqual(rowsOf([expected]));

    // The export's, in chunks of few rows; and where each of them begins.
    const leaf = source.leaves[0] as Leaf;
    const partition = { leaf, rule: "default", day: parseDay(DAY) };
    const limits = { rowsMax: 2, bytesMax: 1 << 20 };
    const chunks = await hot.exportPartition(
      source,
      partition,
      limits,
      async ({ range, fingerprint, chunks: exported }) => {
        const found: { from: Bound; rows: RawRows }[] = [];
        for await (const { first, rows } of exported) {
          found.push({ from: found.length === 0 ? range.from : first, rows });
        }
        return found.map(({ from, rows }, at) => ({
          range: { from, to: found[at + 1]?.from ?? range.to },
          rows,
          fingerprint,
        }));
      },
    );
    expect(rowsOf(chunks.map(({ rows }) => rows))).toEqual(rowsOf([expected]));

    // Postgres finds in each range just the chunk's rows, byte for byte, last chunk first.
    const backwards = chunks.toReversed();
    const sealed = {
      leaf,
      fingerprint: chunks[0]?.fingerprint as string,
      predicate: null,
      chunks: backwards.map(({ range }) => ({ range, rowsMax: 2, bytesMax: 1 << 20 })),
    };
    const outcome = await hot.prune(source, sealed, {
      before: async () => "delete",
      judge: (index, rows) => {
        expect(rowsOf([rows])).toEqual(rowsOf([backwards[index]?.rows as RawRows]));
        return true;
      },
      after: async () => {},
    });
    expect(outcome).toBe("pruned");
    expect((await client.query("SELECT count(*)::int AS rows FROM keyed")).rows[0].rows).toBe(0);
  });

  it.each(["bool", "numeric", "float8", "char(3)", "interval", "inet", "jsonb"])(
    "%s are refused: its order is not that of its bytes",
    async (type) => {
      await client.query(`
        DROP TABLE IF EXISTS keyed;
        CREATE TABLE keyed (k ${type} PRIMARY KEY, ts timestamptz NOT NULL)`);
      await expect(hotOf(database, "keyed").describe()).rejects.toThrow(/^E_KEY public\.keyed\.k: type /);
    },
  );
});
