/**
 * Structures that are small in the file and large in memory: an empty structure or text is one byte, and some hundred bytes
 * as a value. They are refused as soon as there are more values than the place can have, wherever Thrift is read.
 */
import { beforeAll, describe, expect, it } from "vitest";

import { readBloomFilter } from "../../../src/parquet/decode/bloom-filter.ts";
import { readColumnIndex, readOffsetIndex } from "../../../src/parquet/decode/page-index.ts";
import { PageReader } from "../../../src/parquet/decode/page.ts";
import { ThriftReader } from "../../../src/parquet/decode/thrift.ts";
import { readIndex } from "../../../src/parquet/read-index.ts";
import { readLayout, type SegmentLayout } from "../../../src/parquet/read-segment.ts";
import type { Manifest } from "../../../src/segment/manifest.ts";
import { rawRows } from "../../support/copy-stream.ts";
import { columnOf, encodeSegment, layoutOf, type SegmentBytes } from "../../support/segment-bytes.ts";

const MANY = 1024 * 1024;
const TOO_MANY = "a structure of more values than there can be";

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];
}

/** A structure with one list, of `count` elements of a byte each: empty structures, empty texts, or flags. */
function listOf(field: number, element: "struct" | "binary" | "bool", count: number): Uint8Array {
  const type = { struct: 0x0c, binary: 0x08, bool: 0x02 }[element];
  const head = [(field << 4) | 0x09, 0xf0 | type, ...varint(count)];
  const bytes = new Uint8Array(head.length + count + 1);
  bytes.set(head);
  return bytes;
}

/** Structures within each other, each with as many fields as there is room for. */
function fields(count: number): Uint8Array {
  const bytes = new Uint8Array(count + 1).fill(0x11);
  bytes[count] = 0;
  return bytes;
}

/** Many lists, each of which is short. */
function lists(count: number): Uint8Array {
  const bytes = new Uint8Array(count * 4 + 1);
  for (let at = 0; at < count; at += 1) bytes.set([0x19, 0x2c, 0, 0], at * 4);
  return bytes;
}

const BOMBS: readonly (readonly [string, Uint8Array])[] = [
  ["empty structures", listOf(1, "struct", MANY)],
  ["empty texts", listOf(2, "binary", MANY)],
  ["flags", listOf(1, "bool", MANY)],
  ["fields", fields(MANY)],
  ["lists", lists(MANY / 4)],
];

describe("a reader of Thrift", () => {
  it.each(BOMBS)("refuses a million %s, and reads little of them", (_, bytes) => {
    const reader = new ThriftReader(bytes, 1_000);
    expect(() => reader.struct()).toThrow(TOO_MANY);
    expect(reader.at).toBeLessThan(4_100);
  });

  it("takes as many values as it may, at any depth, and not one more", () => {
    // Two fields, the first a list of three structures with a field each.
    const bytes = Uint8Array.of(0x19, 0x3c, 0x11, 0, 0x11, 0, 0x11, 0, 0x11, 0);
    expect(new ThriftReader(bytes, 8).struct().size).toBe(2);
    expect(() => new ThriftReader(bytes, 7).struct()).toThrow(TOO_MANY);
  });
});

describe("bombs in the place of", () => {
  it.each(BOMBS)("a page's header: a million %s", (_, bytes) => {
    expect(() => new PageReader(bytes, 20_000).next()).toThrow(TOO_MANY);
  });

  it.each(BOMBS)("a bloom filter's header: a million %s", (_, bytes) => {
    expect(() => readBloomFilter(bytes)).toThrow(TOO_MANY);
  });

  it.each(BOMBS)("an index of pages: a million %s", (_, bytes) => {
    expect(() => readOffsetIndex(bytes, 20_000)).toThrow(TOO_MANY);
    expect(() => readColumnIndex(bytes, 4)).toThrow(TOO_MANY);
  });
});

describe("a footer", () => {
  let segment: SegmentBytes;
  let layout: SegmentLayout;
  beforeAll(async () => {
    const columns = [columnOf("id", "int4"), columnOf("n", "int4")];
    const row = [Uint8Array.of(0, 0, 0, 1), Uint8Array.of(0, 0, 0, 2)];
    segment = await encodeSegment(columns, [[rawRows(2, [row])]]);
    layout = await layoutOf(segment);
  });

  /** The segment with this footer in the place of its own. */
  function forged(footer: Uint8Array): { manifest: Manifest; bytes: Uint8Array } {
    const start = segment.bytes.length - 8;
    const length = new DataView(segment.bytes.buffer, segment.bytes.byteOffset + start).getUint32(0, true);
    const trailer = new Uint8Array(8);
    new DataView(trailer.buffer).setUint32(0, footer.length, true);
    trailer.set([0x50, 0x41, 0x52, 0x31], 4);
    const bytes = Buffer.concat([segment.bytes.subarray(0, start - length), footer, trailer]);
    const { manifest } = segment;
    return { bytes, manifest: { ...manifest, object: { ...manifest.object, bytes: String(bytes.length) } } };
  }

  it.each(BOMBS)("of a million %s is E_FORMAT", async (_, footer) => {
    const { manifest, bytes } = forged(footer);
    await expect(
      readLayout(manifest, async ({ start, end }) => bytes.slice(start, end)),
    ).rejects.toMatchObject({
      code: "E_FORMAT",
      cause: { message: TOO_MANY },
    });
    expect(() => readIndex(manifest, layout, bytes)).toThrow(/^E_FORMAT .*more values than there can be/);
  });

  it("that is larger than what two columns can need is not even read", async () => {
    const { manifest } = segment;
    const large: Manifest = { ...manifest, object: { ...manifest.object, bytes: String(300 * MANY) } };
    const reads: number[] = [];
    const reading = readLayout(large, async ({ start, end }) => {
      reads.push(end - start);
      const tail = new Uint8Array(end - start);
      const view = new DataView(tail.buffer);
      view.setUint32(tail.length - 8, 17 * MANY, true);
      view.setUint32(tail.length - 4, 0x31524150, true);
      return tail;
    });
    await expect(reading).rejects.toThrow(/^E_FORMAT .*: a footer of 17825800 bytes\. /);
    expect(reads).toEqual([64 * 1024]);
  });
});
