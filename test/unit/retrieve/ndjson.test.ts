/**
 * How a value is printed. The exact text of every kind is in `test/golden/ndjson-values.txt`; that it means what
 * Postgres means is checked against a real one in `test/postgres/ndjson.test.ts`.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ndjsonRow } from "../../../src/retrieve/formats/ndjson.ts";
import { RowCursor } from "../../../src/retrieve/row-cursor.ts";
import { type Column, VALUE_KINDS, type ValueKind } from "../../../src/rows/column.ts";
import { type RawRows, RawColumnWriter } from "../../../src/rows/copy-binary.ts";
import {
  dayFromCivil,
  POSTGRES_EPOCH_MICROS,
  parseDay,
  parseInstant,
  POSTGRES_EPOCH_DAY,
} from "../../../src/rows/day.ts";
import { encodeNumeric, numericFromText, type NumericParts } from "../../../src/rows/numeric.ts";

type Field = Uint8Array | null;

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
function field(length: number, write: (view: DataView) => void): Uint8Array {
  const buffer = new ArrayBuffer(length);
  write(new DataView(buffer));
  return new Uint8Array(buffer);
}
const int2 = (value: number): Uint8Array => field(2, (view) => view.setInt16(0, value));
const int4 = (value: number): Uint8Array => field(4, (view) => view.setInt32(0, value));
const int8 = (value: bigint): Uint8Array => field(8, (view) => view.setBigInt64(0, value));
const float4 = (value: number): Uint8Array => field(4, (view) => view.setFloat32(0, value));
const float8 = (value: number): Uint8Array => field(8, (view) => view.setFloat64(0, value));
const numeric = (text: string): Uint8Array => encodeNumeric(numericFromText(text) as NumericParts);
const instant = (text: string): Uint8Array => int8(parseInstant(text) - POSTGRES_EPOCH_MICROS);
const date = (text: string): Uint8Array => int4(parseDay(text) - POSTGRES_EPOCH_DAY);

const INT64_MAX = 9_223_372_036_854_775_807n;
const INT64_MIN = -9_223_372_036_854_775_808n;
/** 15 March 44 BC, as days and as microseconds since 2000. */
const IDES_DAYS = dayFromCivil(-43, 3, 15) - POSTGRES_EPOCH_DAY;
const IDES_MICROS = BigInt(IDES_DAYS) * 86_400_000_000n;
const INSTANTS = [
  instant("2026-01-03T04:05:06.000007Z"),
  instant("1969-12-31T23:59:59.999999Z"),
  instant("0001-01-01T00:00:00Z"),
  instant("9999-12-31T23:59:59.999999Z"),
  int8(parseInstant("9999-12-31T23:59:59.999999Z") + 1n - POSTGRES_EPOCH_MICROS),
  int8(IDES_MICROS),
  int8(INT64_MAX),
  int8(INT64_MIN),
];
const NUMERICS = [
  "0",
  "0.00",
  "-1.50",
  "123456789012345678901234567890.123456789",
  "0.000000001",
  "1000000",
  "NaN",
  "Infinity",
  "-Infinity",
].map(numeric);
const JSONS = [
  '{"b":1,"a":[1.0,1e400],"b":2}',
  '{\r\n  "a":\n"x\\ny"\r}',
  "null",
  '"\\u0000"',
  "12345678901234567890",
];

/** For each kind, fields that are easy to get wrong. */
const FIELDS: Readonly<Record<ValueKind, readonly Uint8Array[]>> = {
  bool: [bytes(1), bytes(0)],
  int2: [0, 32_767, -32_768].map(int2),
  int4: [0, 2_147_483_647, -2_147_483_648].map(int4),
  int8: [0n, 9_007_199_254_740_993n, INT64_MAX, INT64_MIN].map(int8),
  float4: [
    0,
    -0,
    1.1,
    0.1,
    1e30,
    16_777_216,
    3.4028235e38,
    1.17549435e-38,
    1e-45,
    7e-45,
    Number.NaN,
    Infinity,
    -Infinity,
  ].map(float4),
  float8: [
    0,
    -0,
    0.1,
    1e300,
    5e-324,
    123_456_789.123_456_79,
    1e21,
    1e-7,
    Number.NaN,
    Infinity,
    -Infinity,
  ].map(float8),
  decimal: NUMERICS,
  numeric: [...NUMERICS, bytes(0xff)],
  timestamptz: INSTANTS,
  timestamp: INSTANTS,
  date: [
    date("2026-01-03"),
    date("2000-01-01"),
    date("0001-01-01"),
    int4(IDES_DAYS),
    int4(2_147_483_647),
    int4(-2_147_483_648),
  ],
  time: [0n, 1n, 86_399_999_999n, 86_400_000_000n].map(int8),
  uuid: [bytes(...Array.from({ length: 16 }, (_, index) => index * 17))],
  bytea: [bytes(), bytes(0, 0xff, 0x5c)],
  text: [
    "",
    "plain",
    'quote " backslash \\ slash /',
    "line\nbreak\r\ttab",
    "\u0000\u001f\u007f",
    "é€😀",
    "\ufeffBOM",
    "\u2028\u2029",
    "</script>",
  ].map(utf8),
  json: JSONS.map(utf8),
  jsonb: JSONS.map((text) => bytes(1, ...utf8(text))),
  binary: [bytes(), bytes(0, 1, 0xfe, 0xff)],
};

function column(name: string, kind: ValueKind, more: Partial<Column> = {}): Column {
  return {
    name,
    attribute: name,
    attnum: 1,
    type: kind,
    select: "value",
    kind,
    precision: null,
    scale: null,
    ...more,
  };
}

/** The line of a row with these fields. */
async function lineOf(columns: readonly Column[], fields: readonly Field[]): Promise<string> {
  const writers = fields.map((one) => {
    const writer = new RawColumnWriter();
    if (one === null) writer.null();
    else writer.field(one);
    return writer.take();
  });
  async function* chunks(): AsyncGenerator<RawRows> {
    yield { rows: 1, columns: writers };
  }
  const cursor = new RowCursor("hot", { columns, timeColumn: 0, keyColumns: [] }, chunks());
  await cursor.next();
  return ndjsonRow(columns)(cursor);
}

const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex") || "(empty)";

describe("an NDJSON value", () => {
  it("of every kind is printed as written down", async () => {
    const sections: string[] = [];
    for (const kind of VALUE_KINDS) {
      const lines = [`## ${kind}`, "NULL  null"];
      for (const value of FIELDS[kind]) {
        const line = await lineOf([column("c", kind)], [value]);
        expect(line).toMatch(/^\{"c":.*\}\n$/s);
        lines.push(`${hex(value)}  ${line.slice(5, -2)}`);
      }
      expect(await lineOf([column("c", kind)], [null])).toBe('{"c":null}\n');
      sections.push(`${lines.join("\n")}\n`);
    }
    await expect(sections.join("\n")).toMatchFileSnapshot("../../golden/ndjson-values.txt");
  });

  it("is valid JSON on one line, whatever its kind", async () => {
    for (const kind of VALUE_KINDS) {
      for (const value of FIELDS[kind]) {
        const line = await lineOf([column("c", kind)], [value]);
        expect(line.indexOf("\n")).toBe(line.length - 1);
        expect(line).not.toContain("\r");
        expect(Object.keys(JSON.parse(line) as object)).toEqual(["c"]);
      }
    }
  });

  it("of text is the text, whatever is in it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
        const line = await lineOf([column("c", "text")], [utf8(text)]);
        expect(line.trimEnd().split("\n")).toHaveLength(1);
        expect(JSON.parse(line)).toEqual({ c: text });
      }),
    );
  });

  it("of a float is read back as the same float", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        async (double, single) => {
          const line = await lineOf(
            [column("d", "float8"), column("s", "float4")],
            [float8(double), float4(single)],
          );
          const { d, s } = JSON.parse(line) as { d: number; s: number };
          expect(d).toBe(double);
          expect(Math.fround(s)).toBe(single);
        },
      ),
    );
  });

  it("of an integer or a numeric keeps every digit", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
        fc.bigInt(),
        fc.nat({ max: 30 }),
        async (whole, unscaled, scale) => {
          const number = encodeNumeric({ unscaled, scale });
          const line = await lineOf([column("i", "int8"), column("n", "numeric")], [int8(whole), number]);
          const [, i, n] = /^\{"i":(-?\d+),"n":(-?\d+(?:\.\d+)?)\}\n$/.exec(line) as unknown as string[];
          expect(BigInt(i as string)).toBe(whole);
          expect(n?.split(".")[1]?.length ?? 0).toBe(scale);
          expect(BigInt((n as string).replace(".", ""))).toBe(unscaled);
        },
      ),
    );
  });
});

describe("an NDJSON row", () => {
  it("has the columns of the table in their order, with names escaped", async () => {
    const columns = [column("id", "int8"), column('we"ird\n', "text"), column("__proto__", "bool")];
    expect(await lineOf(columns, [int8(1n), utf8("x"), bytes(1)])).toBe(
      String.raw`{"id":1,"we\"ird\n":"x","__proto__":true}` + "\n",
    );
  });

  it("shows the text of an interval instead of its bytes, once, in the column's place", async () => {
    const columns = [
      column("id", "int8"),
      column("took", "binary"),
      column("took__text", "text", { attribute: "took", select: "text" }),
      column("last", "bool"),
    ];
    const line = await lineOf(columns, [int8(1n), bytes(9), utf8("1 day"), bytes(0)]);
    expect(line).toBe('{"id":1,"took":"1 day","last":false}\n');
    expect(await lineOf(columns, [int8(1n), null, null, null])).toBe('{"id":1,"took":null,"last":null}\n');
  });

  it("shows a column that is archived as its text under its own name", async () => {
    const columns = [column("ip", "text", { select: "text", type: "inet" })];
    expect(await lineOf(columns, [utf8("10.0.0.0/8")])).toBe('{"ip":"10.0.0.0/8"}\n');
  });
});
