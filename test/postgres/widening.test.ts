/**
 * A value in a wider type is what Postgres' own cast makes of it, byte for byte: every pair of types that an answer
 * unites, both ways round, with the values that are easy to get wrong.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { readAtMost } from "../../src/hot/postgres/copy-reader.ts";
import type { Database } from "../../src/postgres/database.ts";
import { quoteLiteral } from "../../src/postgres/quote.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { unitedType } from "../../src/rows/united-type.ts";
import { widenColumn, widening } from "../../src/rows/widen-field.ts";
import { fieldsOf } from "../support/copy-stream.ts";
import { hotOf } from "./connect.ts";
import { openScene, type Scene } from "./types-lossless.ts";

const INT2 = ["0", "1", "-1", "7", "-32768", "32767", "10000", "-10000"];
const INT4 = [...INT2, "-2147483648", "2147483647", "100000000"];
const INT8 = [...INT4, "-9223372036854775808", "9223372036854775807", "1000000000000000000"];
const DECIMALS = ["0", "0.01", "-0.01", "1.5", "-1.5", "99.99", "10", "-12.34", "NaN"];
const FLOATS = [
  "0",
  "-0",
  "0.1",
  "1.1",
  "-1e-45",
  "1e-45",
  "3.4028235e38",
  "-3.4028235e38",
  "1.1754944e-38",
  "16777217",
  "NaN",
  "Infinity",
  "-Infinity",
];
const DATES = ["2026-02-28", "2000-01-01", "1999-12-31", "0044-03-15 BC", "4714-11-24 BC"];
const MOMENTS = ["294276-12-31", "infinity", "-infinity"];
const TEXTS = ["", "a", "ab", "äöü", "☃", "é😀", "it's"];
const LABELS = ["calm", "ärgerlich", "it's"];
const JSON_TEXTS = ['{"b": 1, "a": [1.50, null]}', '"\\u00e9"', "[]", "null", '{"a":  1}'];

/** Types that a column had one after the other, the type in the answer, and values that both can hold. */
const PAIRS: readonly (readonly [
  left: string,
  right: string,
  united: string,
  ofLeft: readonly string[],
  ofRight: readonly string[],
])[] = [
  ["smallint", "integer", "integer", INT2, INT4],
  ["smallint", "bigint", "bigint", INT2, INT8],
  ["integer", "bigint", "bigint", INT4, INT8],
  ["integer", "public.level", "integer", INT4, INT4],
  ["smallint", "numeric", "numeric", INT2, [...DECIMALS, "1e300", "-Infinity"]],
  ["integer", "numeric", "numeric", INT4, DECIMALS],
  ["bigint", "numeric", "numeric", INT8, DECIMALS],
  ["smallint", "numeric(4,2)", "numeric(7,2)", INT2, DECIMALS],
  ["integer", "numeric(12,2)", "numeric(12,2)", INT4, DECIMALS],
  ["bigint", "numeric(6,4)", "numeric(23,4)", INT8, DECIMALS],
  ["bigint", "numeric(38,30)", "numeric", INT8, ["0", "-1.5", "NaN"]],
  ["numeric(6,2)", "numeric(12,2)", "numeric(12,2)", DECIMALS, [...DECIMALS, "-9999999999.99"]],
  ["numeric(6,2)", "numeric(8,4)", "numeric(8,4)", DECIMALS, [...DECIMALS, "0.0001", "-9999.9999"]],
  ["numeric(4,0)", "numeric(6,6)", "numeric(10,6)", ["9999", "-10", "0", "NaN"], ["0.000001", "-0.999999"]],
  ["numeric(38,0)", "numeric(38,38)", "numeric", [`-${"9".repeat(38)}`, "0"], [`0.${"9".repeat(38)}`, "0"]],
  ["numeric(6,2)", "numeric", "numeric", DECIMALS, [...DECIMALS, "1.500", "1e-20", "Infinity"]],
  ["numeric(6,2)", "public.price", "numeric(8,2)", DECIMALS, DECIMALS],
  ["numeric(50,2)", "integer", "numeric", ["1.5", `${"9".repeat(48)}.99`], INT4],
  ["real", "double precision", "double precision", FLOATS, FLOATS],
  [
    "date",
    "timestamp",
    "timestamp",
    [...DATES, ...MOMENTS],
    [...DATES, ...MOMENTS, "2026-02-28 01:02:03.000004"],
  ],
  ["timestamp(3)", "timestamp", "timestamp", [...DATES, "2026-01-01 00:00:00.123"], MOMENTS],
  ["timestamptz(0)", "timestamptz", "timestamptz", MOMENTS, ["2026-01-01 00:00:00.000001+02"]],
  ["time(0)", "time", "time", ["24:00:00", "13:00:01"], ["13:00:00.000001"]],
  ["json", "jsonb", "json", JSON_TEXTS, JSON_TEXTS],
  ["varchar(3)", "text", "text", ["", "a", "äöü", "a  "], TEXTS],
  ["varchar(3)", "varchar(9)", "varchar(9)", ["", "äöü", "a  "], TEXTS],
  ["varchar(3)", "varchar", "varchar", ["", "äöü", "a  "], TEXTS],
  ["char(5)", "text", "text", ["", "a", "äöü", "é😀", "  a"], [...TEXTS, "a  "]],
  ["char(5)", "varchar(9)", "text", ["", "a", "äöü", "  a"], [...TEXTS, "a  "]],
  ["char(5)", "char(9)", "char(9)", ["", "a", "äöü", "é😀", "☃☃☃☃☃"], ["", "äöü☃", "ab"]],
  ["char(5)", "bpchar", "bpchar", ["", "a", "äöü"], ["", "a ", "ab"]],
  ["bpchar", "text", "text", ["", "a ", " ab  "], TEXTS],
  ["name", "text", "text", ["", "a", "äöü"], TEXTS],
  ["public.mood", "text", "text", LABELS, TEXTS],
  ["public.mood", "varchar(20)", "text", LABELS, TEXTS],
  ["public.mood", "public.feeling", "text", LABELS, ["calm"]],
  ["public.short", "text", "text", ["", "ab "], TEXTS],
  ["interval", "interval(3)", "interval", ["1 mon 2 days 3.000004 s"], ["-1 year 0.5 s"]],
  ["interval day to second(3)", "interval", "interval", ["2 days 3 s"], ["-178000000 years"]],
  ["timetz(0)", "timetz", "timetz", ["12:00:00+05:30"], ["24:00:00-15:59"]],
  ["inet", "public.address", "inet", ["10.0.0.1", "fe80::1/64"], ["10.0.0.0/8"]],
  ["varbit(5)", "varbit(8)", "varbit", ["101", ""], ["10101010"]],
  ["numeric(6,2)[]", "numeric(8,2)[]", "numeric[]", ["{1.50,NULL}", "{}"], ["{999999.99}"]],
];

const cleanup = new AsyncDisposableStack();
let scene: Scene;

beforeAll(async () => {
  scene = await openScene(cleanup);
  await scene.client.query(`
    CREATE TYPE public.mood AS ENUM ('calm', 'ärgerlich', 'it''s');
    CREATE TYPE public.feeling AS ENUM ('calm');
    CREATE DOMAIN public.level AS integer;
    CREATE DOMAIN public.price AS numeric(8,2);
    CREATE DOMAIN public.short AS varchar(3);
    CREATE DOMAIN public.address AS inet`);
});
afterAll(async () => await cleanup.disposeAsync());

/** One column of fields, as COPY sends them. */
async function copied(database: Database, expressions: readonly string[]): Promise<RawRows> {
  const rows = expressions.map((expression, at) => `SELECT ${at} AS n, ${expression} AS v`);
  const sql = `COPY (SELECT v FROM (${rows.join(" UNION ALL ")}) r ORDER BY n) TO STDOUT (FORMAT binary)`;
  return await database.transaction("repeatable read, read only", "test", async (tx) => {
    const found = await readAtMost(tx, sql, ["value"], { rowsMax: 10_000, bytesMax: 1 << 24 }, "test");
    return found as RawRows;
  });
}

/** The selected form of a value: as itself, as its text, or as an address is written. */
const selectedAs = (select: string): ((expression: string) => string) =>
  select === "value"
    ? (one) => one
    : select === "inet"
      ? (one) => `abbrev(${one}::inet)`
      : (one) => `${one}::text`;

let turn = 0;

async function expectAsCast(
  left: string,
  right: string,
  united: string,
  values: readonly (readonly string[])[],
): Promise<void> {
  const table = `t${turn++}`;
  await scene.client.query(
    `CREATE TABLE public.${table} (id int PRIMARY KEY, ts timestamptz NOT NULL, l ${left}, r ${right}, u ${united})`,
  );
  const { columns } = await hotOf(scene.database, table).describe();
  for (const suffix of columns.some(({ name }) => name === "l__text") ? ["", "__text"] : [""]) {
    const [l, r, u] = ["l", "r", "u"].map((name) => columns.find((one) => one.name === name + suffix));
    if (l === undefined || r === undefined || u === undefined) throw new Error("a column is missing");
    const { type, select, kind, precision, scale } = u;
    for (const [a, b] of [
      [l, r],
      [r, l],
    ] as const) {
      expect(unitedType(a, b)).toEqual({ type, select, kind, precision, scale });
    }
    for (const [column, declared, own] of [
      [l, left, values[0]],
      [r, right, values[1]],
    ] as const) {
      const typed = ["NULL", ...(own ?? []).map(quoteLiteral)].map((value) => `${value}::${declared}`);
      const form = selectedAs(select);
      const archived = await copied(scene.database, typed.map(form));
      const expected = await copied(
        scene.database,
        typed.map((one) => form(select === "value" ? `${one}::${united}` : one)),
      );
      const widen = widening("v", column, u);
      const raw = archived.columns[0] as Uint8Array;
      const found = widen === null ? raw : widenColumn(raw, archived.rows, widen);
      const hex = (bytes: Uint8Array): (string | null)[] =>
        fieldsOf(bytes, archived.rows).map((field) => field && Buffer.from(field).toString("hex"));
      expect(hex(found), `${declared} to ${united}`).toEqual(hex(expected.columns[0] as Uint8Array));
    }
  }
  await scene.client.query(`DROP TABLE public.${table}`);
}

describe("a value that is widened is what Postgres casts it to:", () => {
  it.each(PAIRS)("%s and %s are %s", async (left, right, united, ofLeft, ofRight) => {
    await expectAsCast(left, right, united, [ofLeft, ofRight]);
  });
});

it("a number of any digits is the same number", async () => {
  const digits = fc
    .tuple(fc.integer({ min: 1, max: 18 }), fc.nat({ max: 18 }))
    .map(([precision, scale]) => ({ precision, scale: Math.min(precision, scale) }));
  const number = ({ precision, scale }: { precision: number; scale: number }): fc.Arbitrary<string> => {
    const limit = 10n ** BigInt(precision) - 1n;
    return fc.bigInt({ min: -limit, max: limit }).map((unscaled) => `${unscaled}e-${scale}`);
  };
  await fc.assert(
    fc.asyncProperty(
      fc
        .tuple(digits, digits)
        .chain(([left, right]) =>
          fc.tuple(
            fc.constant([left, right] as const),
            fc.array(number(left), { minLength: 1, maxLength: 8 }),
            fc.array(number(right), { minLength: 1, maxLength: 8 }),
          ),
        ),
      async ([[left, right], ...values]) => {
        const name = ({ precision, scale }: { precision: number; scale: number }): string =>
          `numeric(${precision},${scale})`;
        const scale = Math.max(left.scale, right.scale);
        const whole = Math.max(left.precision - left.scale, right.precision - right.scale);
        await expectAsCast(name(left), name(right), name({ precision: whole + scale, scale }), values);
      },
    ),
    { numRuns: 25 },
  );
});
