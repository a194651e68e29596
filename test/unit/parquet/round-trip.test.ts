/** Whatever bytes a field has, they come back: as a value of the file, or as an exception of the manifest. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VALUE_KINDS, type ValueKind } from "../../../src/rows/column.ts";
import { encodeNumeric } from "../../../src/rows/numeric.ts";
import { fromHex, toHex } from "../../../src/rows/hex.ts";
import { bytesOf, type FieldBytes, int32, int64, rawRows } from "../../support/copy-stream.ts";
import { columnFor, FIELDS } from "../../support/random-fields.ts";
import { columnOf, decodeSegment, encodeSegment } from "../../support/segment-bytes.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const fieldsArbitrary = (kind: ValueKind): fc.Arbitrary<FieldBytes[]> => {
  const field = fc.oneof({ weight: 9, arbitrary: FIELDS[kind] }, { weight: 1, arbitrary: fc.constant(null) });
  // Long columns of few values take the dictionary's way, short ones the plain one.
  return fc.oneof(
    fc.array(field, { minLength: 1, maxLength: 12 }),
    fc
      .tuple(fc.array(field, { minLength: 1, maxLength: 3 }), fc.integer({ min: 17, max: 60 }))
      .map(([few, rows]) => Array.from({ length: rows }, (_, row) => few[row % few.length] as FieldBytes)),
  );
};

describe.each(VALUE_KINDS)("a column of kind %s", (kind) => {
  it("comes back byte for byte, NULL and exceptions included", async () => {
    await fc.assert(
      fc.asyncProperty(fieldsArbitrary(kind), async (fields) => {
        const rows = rawRows(
          1,
          fields.map((field) => [field]),
        );
        const segment = await encodeSegment([columnFor(kind)], [[rows]]);
        expect(await decodeSegment(segment)).toEqual([rows]);
      }),
      { numRuns: 40 },
    );
  });

  it("comes back even when the bytes are none that Postgres would send", async () => {
    const wild = fc.array(fc.option(fc.uint8Array({ maxLength: 18 })), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(wild, async (fields) => {
        const rows = rawRows(
          1,
          fields.map((field) => [field]),
        );
        const segment = await encodeSegment([columnFor(kind)], [[rows]]);
        expect(await decodeSegment(segment)).toEqual([rows]);
      }),
      { numRuns: 25 },
    );
  });
});

describe("a field that Parquet cannot hold", () => {
  it.each<[ValueKind, Uint8Array]>([
    ["float4", fromHex("7fc00001")],
    ["float4", fromHex("ffc00000")],
    ["float4", fromHex("7f800001")], // a signalling NaN
    ["float8", fromHex("7ff8000000000001")],
    ["float8", fromHex("fff8000000000000")],
    ["float8", fromHex("7ff0000000000001")],
    ["decimal", encodeNumeric({ unscaled: "NaN", scale: 0 })],
    ["decimal", encodeNumeric({ unscaled: 10n ** 20n, scale: 3 })], // a digit more than the column has
    ["decimal", encodeNumeric({ unscaled: 1n, scale: 2 })],
    ["numeric", fromHex("00000000d0000020")],
    ["numeric", fromHex("00010000000000000000")], // zero, but not as Postgres writes it
    ["timestamptz", int64(2n ** 63n - 1n)],
    ["timestamptz", int64(-(2n ** 63n))],
    ["timestamp", int64(9_223_371_331_199_999_999n)],
    ["date", int32(2 ** 31 - 1)],
    ["date", int32(-(2 ** 31))],
    ["bool", bytesOf(2)],
    ["int4", bytesOf(1, 2, 3)],
    ["uuid", bytesOf()],
    ["jsonb", utf8("\u0002{}")],
  ])("of kind %s stands in the manifest, once, where it belongs", async (kind, field) => {
    const plain = FIELD_OF[kind] as Uint8Array;
    const chunks = [rawRows(1, [[plain], [null]]), rawRows(1, [[plain], [plain], [field], [null]])];
    const segment = await encodeSegment([columnFor(kind)], [chunks]);
    expect(segment.manifest.chunks.map((chunk) => chunk.exceptions)).toEqual([
      [],
      [{ column: 0, row: 2, rows: 1, field: toHex(field) }],
    ]);
    expect(await decodeSegment(segment)).toEqual(chunks);
  });

  it("is no exception because it repeats: zero and negative zero stay two values", async () => {
    const zeros = [fromHex("00".repeat(8)), fromHex(`80${"00".repeat(7)}`)];
    const chunk = rawRows(
      1,
      Array.from({ length: 400 }, (_, row) => [zeros[row % 2] as Uint8Array]),
    );
    const segment = await encodeSegment([columnOf("d", "float8")], [[chunk]]);
    expect(segment.manifest.chunks[0]?.exceptions).toEqual([]);
    expect(await decodeSegment(segment)).toEqual([chunk]);
  });

  it("is no exception when the file holds it: negative zero, infinities, denormals, the usual NaN", async () => {
    const float8 = ["8000000000000000", "7ff0000000000000", "fff0000000000000", "0000000000000001"];
    const float4 = ["80000000", "7f800000", "ff800000", "00000001"];
    const rows = [...float8, "0000000000000000", "7ff8000000000000"].map((wide, index) => [
      fromHex(wide),
      fromHex([...float4, "00000000", "7fc00000"][index] as string),
    ]);
    const chunk = rawRows(2, rows);
    const segment = await encodeSegment([columnOf("d", "float8"), columnOf("f", "float4")], [[chunk]]);
    expect(segment.manifest.chunks[0]?.exceptions).toEqual([]);
    expect(await decodeSegment(segment)).toEqual([chunk]);
  });
});

/** An ordinary field of each kind. */
const FIELD_OF: Readonly<Partial<Record<ValueKind, Uint8Array>>> = {
  float4: fromHex("3f800000"),
  float8: fromHex("3ff0000000000000"),
  decimal: encodeNumeric({ unscaled: 1_500n, scale: 3 }),
  numeric: encodeNumeric({ unscaled: 15n, scale: 1 }),
  timestamptz: int64(0n),
  timestamp: int64(0n),
  date: int32(0),
  bool: bytesOf(1),
  int4: int32(-1),
  uuid: fromHex("00".repeat(16)),
  jsonb: utf8("\u0001{}"),
};
