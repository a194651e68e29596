/** Each encoding by itself, against another's reading of it. */
import fc from "fast-check";
import { sbbfContains, readBloomFilter } from "hyparquet/src/bloom.js";
import { parquetMetadata } from "hyparquet";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { xxhash64 } from "hyparquet/src/xxhash.js";
import { describe, expect, it } from "vitest";
import { bloomFilterBytes, filterOfWords } from "../../../src/parquet/encode/bloom-filter.ts";
import { ColumnCells } from "../../../src/parquet/encode/column-cells.ts";
import { deltaBytesMax, packInt32, packInt64 } from "../../../src/parquet/encode/delta-packing.ts";
import { hashOfBytes, hashOfWords } from "../../../src/parquet/encode/dictionary.ts";
import { bitsOf, hybridBytesMax, writeHybrid } from "../../../src/parquet/encode/hybrid-runs.ts";
import { xxHash64 } from "../../../src/parquet/encode/xxhash64.ts";
import type { ValueKind } from "../../../src/rows/column.ts";
import { int64, rawRows } from "../../support/copy-stream.ts";
import { columnOf, decodeSegment, encodeSegment } from "../../support/segment-bytes.ts";

/** Bytes with room in front, so that positions are not taken for granted. */
function scratch(bytes: number): { bytes: Uint8Array; view: DataView } {
  const out = new Uint8Array(bytes);
  return { bytes: out, view: new DataView(out.buffer) };
}

describe("packed differences", () => {
  const int64s = fc.oneof(
    fc.array(fc.constantFrom(2n ** 63n - 1n, 2n ** 63n - 9n, -(2n ** 63n), 5n - 2n ** 63n), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1, maxLength: 300 }),
    fc
      .tuple(fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n }), fc.integer({ min: 0, max: 61 }))
      .chain(([from, bits]) =>
        fc
          .array(fc.bigInt({ min: -(2n ** BigInt(bits)), max: 2n ** BigInt(bits) }), {
            minLength: 1,
            maxLength: 300,
          })
          .map((steps) => {
            let at = from;
            return steps.map((step) => BigInt.asIntN(64, (at += step)));
          }),
      ),
  );

  it("of 64-bit numbers are read as they were, or refused where they would wrap around", async () => {
    let packed = 0;
    fc.assert(
      fc.property(int64s, fc.nat({ max: 5 }), (numbers, before) => {
        const words = new Int32Array(BigInt64Array.from(numbers).buffer);
        const { bytes, view } = scratch(before + deltaBytesMax(numbers.length, 2));
        const end = packInt64(words, 0, numbers.length, bytes, view, before);
        const steps = numbers.map((number, at) => number - (numbers[at - 1] ?? number));
        expect(end < 0).toBe(steps.some((step) => step >= 2n ** 62n || step < -(2n ** 62n)));
        if (end < 0) return;
        packed += 1;
        expect(end).toBeLessThanOrEqual(bytes.length);
        const read = new BigInt64Array(numbers.length);
        const reader = { view, offset: before };
        deltaBinaryUnpack(reader, numbers.length, read);
        expect([...read]).toEqual(numbers);
        expect(reader.offset).toBe(end);
      }),
      { numRuns: 300 },
    );
    expect(packed).toBeGreaterThan(50);
  });

  it("of 32-bit numbers too", () => {
    const int32s = fc
      .integer({ min: 0, max: 31 })
      .chain((bits) =>
        fc.array(fc.integer({ min: -(2 ** bits), max: 2 ** bits - 1 }), { minLength: 1, maxLength: 300 }),
      );
    fc.assert(
      fc.property(int32s, fc.nat({ max: 5 }), (numbers, before) => {
        const { bytes, view } = scratch(before + deltaBytesMax(numbers.length, 1));
        const end = packInt32(Int32Array.from(numbers), 0, numbers.length, bytes, view, before);
        if (end < 0) {
          const steps = numbers.map((number, at) => number - (numbers[at - 1] ?? number));
          expect(steps.some((step) => step >= 2 ** 30 || step < -(2 ** 30))).toBe(true);
          return;
        }
        const read = new Int32Array(numbers.length);
        const reader = { view, offset: before };
        deltaBinaryUnpack(reader, numbers.length, read);
        expect([...read]).toEqual(numbers);
        expect(reader.offset).toBe(end);
      }),
      { numRuns: 300 },
    );
  });
});

describe("runs and packed bits", () => {
  it("are read as they were, at every width", () => {
    const stretches = fc.integer({ min: 1, max: 20 }).chain((bits) =>
      fc.array(fc.tuple(fc.integer({ min: 0, max: 2 ** bits - 1 }), fc.integer({ min: 1, max: 70 })), {
        minLength: 1,
        maxLength: 40,
      }),
    );
    fc.assert(
      fc.property(stretches, fc.nat({ max: 3 }), (runs, before) => {
        const values = runs.flatMap(([value, length]) => Array.from({ length }, () => value));
        const bits = bitsOf(Math.max(...values));
        const { bytes, view } = scratch(before + hybridBytesMax(values.length, bits));
        const end = writeHybrid(Int32Array.from(values), 0, values.length, bits, bytes, before);
        expect(end).toBeLessThanOrEqual(bytes.length);
        const read = new Uint32Array(values.length);
        readRleBitPackedHybrid({ view, offset: before }, bits, read as never, end - before);
        expect([...read]).toEqual(values);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a dictionary", () => {
  /** Two values of 8 bytes whose hashes are equal, among some 300,000 that are tried. */
  function colliding(hashOf: (value: Uint8Array) => number): Uint8Array[] {
    const seen = new Map<number, Uint8Array>();
    for (let number = 1; number < 300_000; number += 1) {
      const value = int64((BigInt(number) * 0x9e37_79b9_7f4a_7c15n) & 0x7fff_ffff_ffff_ffffn);
      const hash = hashOf(value);
      const other = seen.get(hash);
      if (other !== undefined) return [other, value];
      seen.set(hash, value);
    }
    return [];
  }

  it.each<[ValueKind, (value: Uint8Array) => number]>([
    ["bytea", (value) => hashOfBytes(new DataView(value.buffer), 0, 8)],
    ["int8", (value) => hashOfWords(new Int32Array(value.toReversed().buffer), 0, 2)],
  ])("of a %s column keeps values apart whose hashes are the same", async (kind, hashOf) => {
    const values = colliding(hashOf);
    expect(values).toHaveLength(2);
    const chunk = rawRows(
      1,
      Array.from({ length: 40 }, (_, row) => [values[row % 2] as Uint8Array]),
    );
    const segment = await encodeSegment([columnOf("v", kind)], [[chunk]]);
    const [group] = parquetMetadata(segment.bytes.slice().buffer).row_groups;
    expect(group?.columns[0]?.meta_data?.encodings).toContain("RLE_DICTIONARY");
    expect(await decodeSegment(segment)).toEqual([chunk]);
  });
});

describe("a dictionary of values that were chosen for their hashes", () => {
  const inverse = (odd: number): number => {
    let found = odd;
    for (let round = 0; round < 5; round += 1) found = Math.imul(found, 2 - Math.imul(odd, found));
    return found;
  };
  const rotated = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

  /** The second word that leads from the first one to the same hash: murmur's rounds backwards. */
  function secondWord(first: number): number {
    const mix = Math.imul(rotated(Math.imul(first, 0xcc9e_2d51), 15), 0x1b87_3593);
    const state = (Math.imul(rotated(mix, 13), 5) + 0xe654_6b64) | 0;
    const wanted = rotated(Math.imul(0x1234_5678 - 0xe654_6b64, inverse(5)), 19) ^ state;
    return Math.imul(rotated(Math.imul(wanted, inverse(0x1b87_3593)), 17), inverse(0xcc9e_2d51));
  }

  it("is given up, as looking for each among all others would take minutes", async () => {
    const values = Array.from({ length: 1500 }, (_, first) => {
      const words = Int32Array.of(first, secondWord(first));
      expect(hashOfWords(words, 0, 2)).toBe(hashOfWords(Int32Array.of(0, secondWord(0)), 0, 2));
      return new Uint8Array(words.buffer).toReversed();
    });
    const chunk = rawRows(
      1,
      Array.from({ length: 6000 }, (_, row) => [values[(row * 7) % 1500] as Uint8Array]),
    );
    const segment = await encodeSegment([columnOf("v", "int8")], [[chunk]]);
    const [group] = parquetMetadata(segment.bytes.slice().buffer).row_groups;
    expect(group?.columns[0]?.meta_data?.encodings).not.toContain("RLE_DICTIONARY");
    expect(await decodeSegment(segment)).toEqual([chunk]);
  });
});

describe("xxHash64", () => {
  it("is what others compute, for every length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 140, size: "max" }), fc.nat({ max: 5 }), (bytes, before) => {
        const placed = new Uint8Array(before + bytes.length);
        placed.set(bytes, before);
        const hashes = new Int32Array(4);
        xxHash64(new DataView(placed.buffer), before, bytes.length, hashes, 2);
        const [low, high] = [BigInt.asUintN(32, BigInt(hashes[2] as number)), BigInt(hashes[3] as number)];
        expect(BigInt.asUintN(64, (high << 32n) | low)).toBe(xxhash64(bytes));
      }),
      { numRuns: 500 },
    );
  });
});

describe("a bloom filter", () => {
  const hashOf = (number: number): bigint =>
    xxhash64(new Uint8Array(BigInt64Array.of(BigInt(number)).buffer));

  it.each([1, 10, 1_000, 20_000])("of %i values has them all, and one of a hundred others", (distinct) => {
    const cells = new ColumnCells();
    cells.reserve(distinct * 2);
    // Each value twice: the size follows the distinct ones.
    for (let value = 0; value < distinct * 2; value += 1) cells.words[value * 2] = (value % distinct) * 3;
    const bytes = filterOfWords(cells, distinct * 2, 2);
    const filter = readBloomFilter({ view: new DataView(bytes.buffer), offset: 0 });
    const blocks = filter?.blocks as Uint32Array;
    expect(filter?.numBytes).toBe(bloomFilterBytes(distinct));
    expect(Math.log2(bloomFilterBytes(distinct)) % 1).toBe(0);
    for (let value = 0; value < distinct; value += 1)
      expect(sbbfContains(blocks, hashOf(value * 3))).toBe(true);
    let wrong = 0;
    for (let value = 0; value < 5_000; value += 1)
      if (sbbfContains(blocks, hashOf(value * 3 + 1))) wrong += 1;
    expect(wrong / 5_000).toBeLessThan(0.013);
  });
});
