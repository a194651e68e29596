/** Parts of an upload: few and small at first, and still the largest object fits. */
import { describe, expect, test } from "vitest";
import { PartReader } from "../../../src/archive/s3/part-reader.ts";
import {
  copyRanges,
  OBJECT_BYTES_MAX,
  PART_BYTES_MIN,
  partBytes,
  PARTS_MAX,
  partsAtOnce,
} from "../../../src/archive/s3/part-sizes.ts";

const MIB = 1024 ** 2;
const S3_PART_BYTES_MAX = 5 * 1024 ** 3;

describe("sizes of parts", () => {
  test.each([5, 8, 64, 512])("beginning with %i MiB, 10,000 parts take the largest object of S3", (mib) => {
    let total = 0n;
    let before = 0;
    for (let index = 0; index < PARTS_MAX; index += 1) {
      const bytes = partBytes(mib * MIB, index);
      expect(bytes).toBeGreaterThanOrEqual(Math.max(before, PART_BYTES_MIN));
      expect(bytes).toBeLessThanOrEqual(S3_PART_BYTES_MAX);
      before = bytes;
      total += BigInt(bytes);
    }
    expect(partBytes(mib * MIB, 0)).toBe(mib * MIB);
    expect(total).toBeGreaterThanOrEqual(OBJECT_BYTES_MAX);
  });

  test("40 GiB, the largest segment, take parts of at most 32 MiB", () => {
    let left = 40 * 1024 * MIB;
    let index = 0;
    while (left > 0) left -= partBytes(8 * MIB, index++);
    expect(partBytes(8 * MIB, index)).toBe(32 * MIB);
  });

  test("what is held in memory does not grow with the parts, down to one at once", () => {
    expect(partsAtOnce(8 * MIB, 8 * MIB, 3)).toBe(3);
    expect(partsAtOnce(8 * MIB, 16 * MIB, 3)).toBe(1);
    expect(partsAtOnce(8 * MIB, 2048 * MIB, 3)).toBe(1);
  });

  test("a copy's ranges tile the object, and are never more than 10,000", () => {
    for (const total of [1, 512 * MIB, 6 * 1024 * MIB + 1, Number(OBJECT_BYTES_MAX)]) {
      const ranges = copyRanges(total, 512 * MIB);
      expect(ranges.length).toBeLessThanOrEqual(PARTS_MAX);
      expect(ranges[0]?.start).toBe(0);
      expect(ranges.at(-1)?.end).toBe(total);
      for (const [index, { start }] of ranges.entries()) {
        if (index > 0) expect(start).toBe(ranges[index - 1]?.end);
      }
      expect(ranges.every(({ start, end }) => end > start && end - start <= S3_PART_BYTES_MAX)).toBe(true);
    }
  });
});

describe("the reader of parts", () => {
  const where = { op: "archive.create", key: "a/b" };
  async function* chunks(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
    for (const size of sizes) yield new Uint8Array(size).fill(7);
  }

  test.each([
    ["nothing", [], [0]],
    ["empty chunks", [0, 0], [0]],
    ["less than a part", [3], [3]],
    ["exactly a part", [4, 6], [10]],
    ["a part and a byte", [4, 7], [10, 1]],
    ["one chunk of many parts", [25], [10, 10, 5]],
    ["many chunks", [3, 3, 3, 3, 3, 3, 2], [10, 10]],
    ["an empty chunk at the end", [10, 0], [10]],
  ])("cuts %s, and knows the last one when it gives it", async (_, sizes, expected) => {
    const reader = new PartReader(where, chunks(...sizes), 10);
    const parts = [];
    for (let part = await reader.next(); part !== null; part = await reader.next()) {
      parts.push({ index: part.index, bytes: part.bytes.byteLength, isLast: part.isLast });
      reader.giveBack(part);
    }
    expect(parts).toEqual(
      expected.map((bytes, index) => ({ index, bytes, isLast: index === expected.length - 1 })),
    );
    expect(reader.bytes).toBe(BigInt(expected.reduce((sum, bytes) => sum + bytes, 0)));
  });

  test("more parts than the store takes are E_CAPACITY", async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      while (true) yield new Uint8Array(1 << 16);
    }
    const reader = new PartReader(where, endless(), 1);
    const reading = (async () => {
      for (let part = await reader.next(); part !== null; part = await reader.next()) reader.giveBack(part);
    })();
    await expect(reading).rejects.toMatchObject({ code: "E_CAPACITY", key: "a/b", retryable: false });
  });
});
