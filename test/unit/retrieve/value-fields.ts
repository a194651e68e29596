/** Fields that are easy to get wrong, of every kind, and rows of them: what the formats of answers are tried on. */
import type { AnswerWriter, Piece } from "../../../src/retrieve/formats/answer-writer.ts";
import { IndexedRows } from "../../../src/retrieve/indexed-rows.ts";
import type { Column, ValueKind } from "../../../src/rows/column.ts";
import {
  dayFromCivil,
  POSTGRES_EPOCH_MICROS,
  parseDay,
  parseInstant,
  POSTGRES_EPOCH_DAY,
} from "../../../src/rows/day.ts";
import { encodeNumeric, numericFromText, type NumericParts } from "../../../src/rows/numeric.ts";
import { rawRows } from "../../support/copy-stream.ts";

export type Field = Uint8Array | null;

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
function field(length: number, write: (view: DataView) => void): Uint8Array {
  const buffer = new ArrayBuffer(length);
  write(new DataView(buffer));
  return new Uint8Array(buffer);
}
const int2 = (value: number): Uint8Array => field(2, (view) => view.setInt16(0, value));
export const int4 = (value: number): Uint8Array => field(4, (view) => view.setInt32(0, value));
export const int8 = (value: bigint): Uint8Array => field(8, (view) => view.setBigInt64(0, value));
export const float4 = (value: number): Uint8Array => field(4, (view) => view.setFloat32(0, value));
export const float8 = (value: number): Uint8Array => field(8, (view) => view.setFloat64(0, value));
export const numeric = (text: string): Uint8Array => encodeNumeric(numericFromText(text) as NumericParts);
export const instant = (text: string): Uint8Array => int8(parseInstant(text) - POSTGRES_EPOCH_MICROS);
const date = (text: string): Uint8Array => int4(parseDay(text) - POSTGRES_EPOCH_DAY);

export const INT64_MAX = 9_223_372_036_854_775_807n;
export const INT64_MIN = -9_223_372_036_854_775_808n;
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
export const FIELDS: Readonly<Record<ValueKind, readonly Uint8Array[]>> = {
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

export function column(name: string, kind: ValueKind, more: Partial<Column> = {}): Column {
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

/** Rows as a format takes them. */
export const rowsOf = (rows: readonly (readonly Field[])[]): IndexedRows =>
  new IndexedRows(rawRows(rows[0]?.length ?? 0, rows));

/** What a format of text writes for rows that come in one run, without header and end. */
export function textOf(writer: AnswerWriter, rows: readonly (readonly Field[])[]): string {
  const chunk = rowsOf(rows);
  let text = "";
  for (let row = 0; row < rows.length;) {
    row = writer.take(chunk, row, rows.length);
    text += decoded(writer.piece() as Piece);
  }
  return text;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
export const decoded = (piece: Piece): string => (typeof piece === "string" ? piece : decoder.decode(piece));

export const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex") || "(empty)";
