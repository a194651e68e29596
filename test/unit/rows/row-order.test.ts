/** Where rows stand. That Postgres orders them the same way is held by `test/postgres/types-key-order.test.ts`. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Column, ValueKind } from "../../../src/rows/column.ts";
import { compareFields, fieldToText, KEY_KINDS, timeText } from "../../../src/rows/key-range.ts";
import { firstBound, type OrderColumns, sortRows } from "../../../src/rows/row-order.ts";
import { fromHex } from "../../../src/rows/hex.ts";
import {
  bytesOf,
  type FieldBytes,
  fieldsOf,
  int16,
  int32,
  int64,
  joined,
  rawRows,
} from "../../support/copy-stream.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const asField = (bytes: FieldBytes) =>
  bytes === null
    ? { bytes: bytesOf(), start: 0, length: -1 }
    : { bytes: joined([bytesOf(0xee), bytes, bytesOf(0xee)]), start: 1, length: bytes.length };
const compare = (kind: ValueKind, left: FieldBytes, right: FieldBytes): number =>
  Math.sign(compareFields(kind, asField(left), asField(right)));

const column = (name: string, kind: ValueKind): Column => ({
  name,
  attribute: name,
  attnum: 1,
  type: kind,
  select: "value",
  kind,
  precision: null,
  scale: null,
});

describe("the text of a key", () => {
  it.each<[ValueKind, Uint8Array, string]>([
    ["int2", int16(-32_768), "-32768"],
    ["int4", int32(2_147_483_647), "2147483647"],
    ["int8", int64(-9_223_372_036_854_775_808n), "-9223372036854775808"],
    ["int8", int64(9_007_199_254_740_993n), "9007199254740993"],
    ["uuid", fromHex("00112233445566778899aabbccddeeff"), "00112233-4455-6677-8899-aabbccddeeff"],
    ["text", utf8(""), ""],
    ["text", utf8("\uFEFFo'k\\ \u{1F9CA}"), "\uFEFFo'k\\ \u{1F9CA}"],
    ["bytea", bytesOf(0, 255, 92), "\\x00ff5c"],
    ["bytea", bytesOf(), "\\x"],
    ["date", int32(0), "2000-01-01"],
    ["date", int32(-730_120), "0001-12-31 BC"],
    ["date", int32(2_145_031_948), "5874897-12-31"],
    ["date", int32(2_147_483_647), "infinity"],
    ["date", int32(-2_147_483_648), "-infinity"],
    ["time", int64(0n), "00:00:00.000000"],
    ["time", int64(86_400_000_000n), "24:00:00.000000"],
    ["timestamp", int64(1n), "2000-01-01 00:00:00.000001"],
    ["timestamptz", int64(-211_813_488_000_000_000n), "4714-11-24 00:00:00.000000 BC"],
    ["timestamptz", int64(9_223_372_036_854_775_807n), "infinity"],
    ["timestamp", int64(-9_223_372_036_854_775_808n), "-infinity"],
  ])("of kind %s", (kind, bytes, expected) => {
    const { bytes: buffer, start, length } = asField(bytes);
    expect(fieldToText(kind, buffer, start, length)).toBe(expected);
  });

  it("is refused for a kind that cannot be a key", () => {
    for (const kind of ["bool", "float8", "numeric", "decimal", "json", "jsonb", "binary"] as const) {
      expect(KEY_KINDS.has(kind)).toBe(false);
      expect(() => fieldToText(kind, new Uint8Array(8), 0, 8)).toThrow(/^E_KEY /);
    }
  });

  it("is refused when it is no UTF-8: half a character must not become another key", () => {
    expect(() => fieldToText("text", bytesOf(0xc3), 0, 1)).toThrow(TypeError);
  });

  it("writes a time of day with all digits", () => {
    expect(timeText(47_045_000_001n)).toBe("13:04:05.000001");
  });
});

describe("the order of fields", () => {
  it.each<[ValueKind, (value: bigint) => Uint8Array, bigint]>([
    ["int2", (value) => int16(Number(value)), 15n],
    ["int4", (value) => int32(Number(value)), 31n],
    ["int8", int64, 63n],
    ["date", (value) => int32(Number(value)), 31n],
    ["time", int64, 63n],
    ["timestamp", int64, 63n],
    ["timestamptz", int64, 63n],
  ])("of %s is that of signed numbers", (kind, encode, bits) => {
    const value = fc.oneof(
      fc.bigInt({ min: -(2n ** bits), max: 2n ** bits - 1n }),
      fc.bigInt({ min: -300n, max: 300n }),
    );
    fc.assert(
      fc.property(value, value, (left, right) => {
        const expected = left < right ? -1 : left > right ? 1 : 0;
        expect(compare(kind, encode(left), encode(right))).toBe(expected);
      }),
    );
  });

  it.each<ValueKind>(["text", "bytea", "uuid"])("of %s is that of bytes, a prefix first", (kind) => {
    const bytes = fc.uint8Array({ maxLength: 4 });
    fc.assert(
      fc.property(bytes, bytes, (left, right) => {
        expect(compare(kind, left, right)).toBe(Math.sign(Buffer.compare(left, right)));
      }),
    );
  });

  it("of text is that of code points and not of UTF-16 units", () => {
    // U+FF5E sorts below U+1F9CA; JavaScript's `<` says otherwise.
    expect(["\u{1F9CA}", "\uFF5E"].sort()).toEqual(["\u{1F9CA}", "\uFF5E"]);
    expect(compare("text", utf8("\uFF5E"), utf8("\u{1F9CA}"))).toBe(-1);
  });

  it("has NULL last", () => {
    expect(compare("int4", null, int32(2_147_483_647))).toBe(1);
    expect(compare("text", utf8("\u{10FFFF}"), null)).toBe(-1);
    expect(compare("text", null, null)).toBe(0);
  });
});

describe("rows", () => {
  // The time stands second, to show that the order of the columns in the table plays no part.
  const order: OrderColumns = {
    columns: [
      column("id", "int4"),
      column("ts", "timestamptz"),
      column("name", "text"),
      column("x", "bytea"),
    ],
    timeColumn: 1,
    keyColumns: [2, 0],
  };
  const row = fc.tuple(
    fc.integer({ min: -3, max: 3 }).map(int32),
    fc.bigInt({ min: -2n, max: 2n }).map(int64),
    fc.string({ unit: "grapheme", maxLength: 2 }).map(utf8),
    fc.option(fc.uint8Array({ maxLength: 5 })),
  );
  const sortKey = (fields: readonly FieldBytes[]): [bigint, Uint8Array, number] => {
    const [id, ts, name] = fields as [Uint8Array, Uint8Array, Uint8Array];
    return [new DataView(ts.buffer).getBigInt64(0), name, new DataView(id.buffer).getInt32(0)];
  };
  const inOrder = (left: readonly FieldBytes[], right: readonly FieldBytes[]): number => {
    const [leftTime, leftName, leftId] = sortKey(left);
    const [rightTime, rightName, rightId] = sortKey(right);
    if (leftTime !== rightTime) return leftTime < rightTime ? -1 : 1;
    return Buffer.compare(leftName, rightName) || leftId - rightId;
  };

  it("come out in (time, key) order, each whole and none lost; equal ones keep their places", () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), (rows) => {
        const sorted = sortRows(order, rawRows(4, rows));
        expect(sorted).toEqual(rawRows(4, [...rows].sort(inOrder)));
      }),
      { numRuns: 300 },
    );
  });

  it("that are in order already are the very same object", () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 20 }), (rows) => {
        const before = rawRows(4, [...rows].sort(inOrder));
        expect(sortRows(order, before)).toBe(before);
      }),
    );
  });

  it("begin at the first one's time and key, in the order of the key's columns", () => {
    const rows = rawRows(4, [
      [int32(7), int64(1n), utf8("b"), null],
      [int32(1), int64(0n), utf8("a"), null],
    ]);
    expect(firstBound(order, rows)).toEqual({ time: "2000-01-01 00:00:00.000001", key: ["b", "7"] });
    expect(fieldsOf(sortRows(order, rows).columns[0] as Uint8Array, 2)).toEqual([int32(1), int32(7)]);
  });
});
