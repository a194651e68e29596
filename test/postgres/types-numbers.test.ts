/** The type table of DESIGN section 6 on real tables: truth values and numbers. */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../src/postgres/database.ts";
import { fromHex, toHex } from "../../src/rows/hex.ts";
import { int32 } from "../support/copy-stream.ts";
import {
  copyIn,
  expectCaseLossless,
  expectLossless,
  NOON,
  rowsOf,
  type TypeCase,
  openScene,
} from "./types-lossless.ts";

let database: Database;
let client: pg.Client;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  ({ database, client } = await openScene(cleanup));
});
afterAll(async () => await cleanup.disposeAsync());

const CASES: readonly TypeCase[] = [
  { type: "bool", kind: "bool", values: ["true", "false"] },
  { type: "boolean", kind: "bool", values: ["'yes'", "'f'"] },
  { type: "int2", kind: "int2", values: ["-32768", "32767", "0", "-1"] },
  { type: "smallint", kind: "int2", values: ["1"] },
  { type: "int4", kind: "int4", values: ["-2147483648", "2147483647", "0", "-1"] },
  { type: "integer", kind: "int4", values: ["1"] },
  {
    type: "int8",
    kind: "int8",
    values: ["'-9223372036854775808'", "9223372036854775807", "0", "-1", "9007199254740993"],
  },
  { type: "bigint", kind: "int8", values: ["1"] },
  {
    type: "float4",
    kind: "float4",
    values: [
      "0",
      "'-0'",
      "'Infinity'",
      "'-Infinity'",
      "'NaN'",
      "'1e-45'", // the least denormal
      "'-1.1754942e-38'",
      "'1.17549435e-38'",
      "'3.4028235e38'",
      "0.1",
      "16777217",
    ],
  },
  { type: "real", kind: "float4", values: ["1.5"] },
  { type: "float(24)", kind: "float4", values: ["1.5"] },
  {
    type: "float8",
    kind: "float8",
    values: [
      "0",
      "'-0'",
      "'Infinity'",
      "'-Infinity'",
      "'NaN'",
      "'5e-324'",
      "'-2.225073858507201e-308'",
      "'2.2250738585072014e-308'",
      "'1.7976931348623157e308'",
      "0.1",
      "9007199254740993",
    ],
  },
  { type: "double precision", kind: "float8", values: ["1.5"] },
  { type: "float", kind: "float8", values: ["1.5"] },
  { type: "numeric(12,2)", kind: "decimal", values: ["0", "0.01", "-9999999999.99", "9999999999.99", "1e9"] },
  { type: "decimal(12,2)", kind: "decimal", values: ["'NaN'", "1"], exceptions: 1 },
  { type: "numeric(4)", kind: "decimal", values: ["9999", "-1"] },
  { type: "numeric(20,20)", kind: "decimal", values: ["0.00000000000000000001", "-0.99999999999999999999"] },
  {
    type: "numeric",
    kind: "numeric",
    // An infinity comes with a scale that its text cannot tell.
    exceptions: 2,
    values: [
      "'NaN'",
      "'Infinity'",
      "'-Infinity'",
      "0",
      "0.000",
      "'-0.10'",
      "1e-16383",
      "'9e131071'",
      "repeat('9', 131072)", // more base-10000 digits than a signed int16 can count
      "-123456789012345678901234567890.123456789",
      "10000",
      "10000.0000",
      "0.00010000",
    ],
  },
  { type: "decimal", kind: "numeric", values: ["1.10"] },
  { type: "numeric(39,0)", kind: "numeric", values: ["'9'::text::numeric * 1e38", "'NaN'"] },
  { type: "numeric(1000,500)", kind: "numeric", values: ["1e499", "-1e-500"] },
  { type: "numeric(5,-3)", kind: "numeric", values: ["12345678", "-99999000", "0", "'NaN'"] },
  { type: "numeric(3,5)", kind: "numeric", values: ["0.00999", "-0.00001", "0"] },
];

describe("a column of type", () => {
  it.each(CASES)("$type keeps every value", async (one) => {
    await expectCaseLossless(database, client, one);
  });

  it("numeric(p,s) keeps the least, the largest and NaN, for every p that a DECIMAL can have", async () => {
    const digits = Array.from({ length: 38 }, (_, at) => at + 1).flatMap((precision) =>
      [...new Set([0, precision >> 1, precision])].map((scale) => ({ precision, scale })),
    );
    const name = ({ precision, scale }: (typeof digits)[0]): string => `n_${precision}_${scale}`;
    const columns = digits.map((one) => `${name(one)} numeric(${one.precision}, ${one.scale})`);
    await client.query(
      `CREATE TABLE decimals (id int PRIMARY KEY, ts timestamptz NOT NULL, ${columns.join(", ")})`,
    );
    const largest = ({ precision, scale }: (typeof digits)[0]): string =>
      `${"9".repeat(precision - scale) || "0"}.${"9".repeat(scale)}`;
    const rows = [
      digits.map(() => "0"),
      digits.map(largest),
      digits.map((one) => `-${largest(one)}`),
      digits.map(({ scale }) => `1e-${scale}`),
      digits.map(({ scale }) => `-1e-${scale}`),
      digits.map(() => "'NaN'"),
      digits.map(() => "NULL"),
    ];
    for (const [id, row] of rows.entries()) {
      await client.query(`INSERT INTO decimals VALUES (${[id, NOON, ...row].join(", ")})`);
    }
    const { source, exceptions } = await expectLossless(database, client, "decimals");
    expect(source.columns.slice(2).map(({ kind, precision, scale }) => ({ kind, precision, scale }))).toEqual(
      digits.map((one) => ({ kind: "decimal", ...one })),
    );
    // NaN alone does not fit.
    expect(exceptions).toEqual(Object.fromEntries(digits.map((one) => [name(one), 1])));
  });

  it("float keeps the payload and the sign of a NaN, which only COPY BINARY can bring in", async () => {
    await client.query("CREATE TABLE nans (id int PRIMARY KEY, f float4, d float8, ts timestamptz)");
    const pairs = [
      ["7fc00000", "7ff8000000000000"],
      ["ffc00000", "fff8000000000000"],
      ["7fc00001", "7ff8000000000001"],
      ["7f800001", "7ff0000000000001"], // signalling
      ["ffbfffff", "fff7ffffffffffff"],
      ["7fffffff", "7fffffffffffffff"],
      ["3f800000", "3ff0000000000000"],
    ];
    await copyIn(
      client,
      "nans (id, f, d)",
      pairs.map(([f, d], id) => [int32(id), fromHex(f as string), fromHex(d as string)]),
    );
    await client.query(`UPDATE nans SET ts = ${NOON}`);
    const { chunks, exceptions } = await expectLossless(database, client, "nans");
    expect(rowsOf(chunks).map(([, f, d]) => [toHex(f as Uint8Array), toHex(d as Uint8Array)])).toEqual(pairs);
    // The usual NaN is Parquet's own.
    expect(exceptions).toEqual({ f: 5, d: 5 });
  });
});
