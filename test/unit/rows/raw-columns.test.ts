/** Raw columns: what the digests are taken over, so every byte of them counts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isFirnlineError } from "../../../src/errors.ts";
import { indexFields, RawColumns, RawColumnWriter } from "../../../src/rows/copy-binary.ts";
import { bytesEqual, fromHex, toHex } from "../../../src/rows/hex.ts";
import {
  bytesOf,
  type FieldBytes,
  fieldsOf,
  int32,
  joined,
  rawColumn,
  rawRows,
} from "../../support/copy-stream.ts";

const field: fc.Arbitrary<FieldBytes> = fc.option(fc.uint8Array({ maxLength: 100 }), { freq: 3 });

describe("RawColumns", () => {
  it("keeps whole fields, length words included, and counts their bytes", () => {
    const source = joined([int32(3), bytesOf(1, 2, 3), int32(-1), int32(0)]);
    const columns = new RawColumns(2);
    columns.append(0, source, 0, 7);
    columns.append(1, source, 7, 11);
    columns.append(0, source, 11, 15);
    expect(columns.bytes).toBe(15);
    columns.rows = 2;
    expect(columns.take()).toEqual({
      rows: 2,
      columns: [joined([int32(3), bytesOf(1, 2, 3), int32(0)]), int32(-1)],
    });
  });

  it("starts anew after take, and leaves alone what it has handed over", () => {
    const columns = new RawColumns(1);
    columns.append(0, joined([int32(1), bytesOf(7)]), 0, 5);
    columns.rows = 1;
    const taken = columns.take();
    expect([columns.rows, columns.bytes]).toEqual([0, 0]);
    for (let row = 0; row < 2_000; row += 1) columns.append(0, joined([int32(2), bytesOf(8, 9)]), 0, 6);
    columns.rows = 2_000;
    expect(taken).toEqual(rawRows(1, [[bytesOf(7)]]));
    expect(columns.take().columns[0]).toHaveLength(12_000);
    expect(columns.take()).toEqual(rawRows(1, []));
  });

  it("grows for a field of any size", () => {
    for (const size of [39, 40, 41, 4_095, 4_096, 4_097, 100_000]) {
      const content = new Uint8Array(size).map((_, index) => index);
      const columns = new RawColumns(1);
      columns.append(0, content, 0, size);
      columns.append(0, content, 0, size);
      expect(bytesEqual(columns.take().columns[0] as Uint8Array, joined([content, content]))).toBe(true);
    }
  });
});

describe("RawColumnWriter", () => {
  it("writes what indexFields finds", () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 40 }), (fields) => {
        expect(fieldsOf(rawColumn(fields), fields.length)).toEqual(fields);
      }),
    );
  });

  it("reserves room for a field to be filled in, across growth", () => {
    const writer = new RawColumnWriter(0);
    for (let row = 0; row < 100; row += 1) {
      const { view, bytes, at } = writer.reserve(5);
      view.setInt32(at, row);
      bytes[at + 4] = 0xaa;
      writer.null();
    }
    const expected = Array.from({ length: 100 }, (_, row) => [joined([int32(row), bytesOf(0xaa)]), null]);
    expect(fieldsOf(writer.take(), 200)).toEqual(expected.flat());
  });
});

describe("indexFields", () => {
  it("says where each field lies, also in the middle of a larger buffer", () => {
    const whole = joined([bytesOf(9, 9, 9), rawColumn([bytesOf(1), null, bytesOf(), bytesOf(2, 3)])]);
    const { starts, lengths } = indexFields(whole.subarray(3), 4);
    expect([...starts]).toEqual([4, 9, 13, 17]);
    expect([...lengths]).toEqual([1, -1, 0, 2]);
  });

  it.each<[string, Uint8Array, number]>([
    ["more bytes than rows", rawColumn([null, null]), 1],
    ["fewer bytes than rows", rawColumn([null, null]), 3],
    ["a length word that is cut", rawColumn([null]).subarray(0, 3), 1],
    ["a field that is cut", rawColumn([bytesOf(1, 2, 3)]).subarray(0, 6), 1],
    ["a field that runs over the end", joined([int32(100), bytesOf(1)]), 1],
    ["a length that is neither a length nor NULL", int32(-2), 1],
    ["bytes and no rows", int32(-1), 0],
  ])("refuses a column with %s", (_, column, rows) => {
    let thrown: unknown;
    try {
      indexFields(column, rows);
    } catch (error) {
      thrown = error;
    }
    expect(isFirnlineError(thrown, "E_DATABASE")).toBe(true);
  });
});

describe("hexadecimal", () => {
  it("is lower case and comes back", () => {
    expect(toHex(bytesOf(0, 15, 16, 0xab, 0xff))).toBe("000f10abff");
    expect(toHex(new Uint8Array(9_000).fill(0x5a))).toBe("5a".repeat(9_000));
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
        expect(fromHex(toHex(bytes).toUpperCase())).toEqual(bytes);
      }),
    );
  });

  it.each(["0", "abc", "0g", "0x00", " 00", "00\n", "¼¼"])("refuses %j", (text) => {
    expect(() => fromHex(text)).toThrow(/E_FORMAT/);
  });
});
