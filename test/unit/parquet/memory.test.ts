/**
 * I10: the encoder lets a row group's columns go once they are written, however many row groups follow; and what is kept of
 * each to the end, of the reader too, is a few hundred bytes.
 */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { newParquetEncoder } from "../../../src/parquet/encode/parquet-encoder.ts";
import { openIndex } from "../../../src/parquet/read-index.ts";
import type { SegmentLayout } from "../../../src/parquet/read-segment.ts";
import { toHex } from "../../../src/rows/hex.ts";
import { bytesOf, int32, rawRows } from "../../support/copy-stream.ts";
import { columnOf, encodeSegment, layoutOf } from "../../support/segment-bytes.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

describe("the encoder", () => {
  it("keeps nothing of a row group's columns, which its bounds in the footer are taken from", async () => {
    const columns = [
      columnOf("t", "text"),
      columnOf("b", "bytea"),
      columnOf("u", "uuid"),
      columnOf("i", "int4"),
    ];
    const encoder = newParquetEncoder("firnline version 0.0.0")(columns, {}, { bloomFilters: ["t"] });
    const buffers: WeakRef<ArrayBufferLike>[] = [];
    const writeGroup = async (seed: number): Promise<void> => {
      const rows = rawRows(
        columns.length,
        // Bounds of less and of more than the 16 bytes that a footer has room for.
        Array.from({ length: 50 }, (_, row) => [
          new Uint8Array(seed + (row % 40)).fill(97 + (row % 7)),
          row % 3 === 0 ? null : bytesOf(row, seed),
          new Uint8Array(16).fill(row),
          int32(row),
        ]),
      );
      buffers.push(...rows.columns.map((column) => new WeakRef(column.buffer)));
      await encoder.rowGroup([rows]);
    };
    for (let seed = 1; seed <= 8; seed += 1) await writeGroup(seed);
    // Looking at a WeakRef keeps it alive until the turn ends, so nothing is looked at before all is collected.
    for (let turn = 0; turn < 5; turn += 1) {
      await setImmediate();
      collect();
    }
    await setImmediate();
    expect(buffers.filter((one) => one.deref() !== undefined)).toHaveLength(0);
    expect((await encoder.finish()).length).toBeGreaterThan(0);
  });
});

/** Bytes of the heap, and of buffers beside it, that are in use when all that can be collected is. */
async function bytesInUse(): Promise<number> {
  for (let turn = 0; turn < 5; turn += 1) {
    await setImmediate();
    collect();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const COLUMNS = [columnOf("t", "text"), columnOf("i", "int4"), columnOf("u", "uuid")];
const ROW_GROUPS = 400;
/** As bytes it is 500 in the encoder and 250 in the reader, this measurement's noise included; as objects it was 1,700 and 1,500. */
const BYTES_MAX = 1_000;
const groupOf = (number: number) => [
  rawRows(
    COLUMNS.length,
    Array.from({ length: 3 }, (_, row) => [
      bytesOf(97, number & 0x3f, row),
      int32(number),
      new Uint8Array(16).fill(row),
    ]),
  ),
];

describe("of a column chunk", () => {
  it("the encoder keeps less than a kilobyte until the end of the file", async () => {
    const encoder = newParquetEncoder("firnline version 0.0.0")(COLUMNS, {});
    const write = async (from: number, to: number): Promise<void> => {
      for (let group = from; group < to; group += 1) await encoder.rowGroup(groupOf(group));
    };
    await write(0, 50);
    const before = await bytesInUse();
    await write(50, 50 + ROW_GROUPS);
    const kept = (await bytesInUse()) - before;
    expect(kept / (ROW_GROUPS * COLUMNS.length)).toBeLessThan(BYTES_MAX);
    expect((await encoder.finish()).length).toBeGreaterThan(0);
  });

  it("the reader keeps less than a kilobyte, and its index while it is looked at", async () => {
    const segment = await encodeSegment(
      COLUMNS,
      Array.from({ length: ROW_GROUPS }, (_, group) => groupOf(group)),
    );
    const tail = segment.bytes.slice(Number(segment.manifest.index?.start));
    const before = await bytesInUse();
    const layout: SegmentLayout = await layoutOf(segment);
    const read = openIndex(segment.manifest, layout, tail);
    for (let group = 0; group < ROW_GROUPS; group += 1) read(group);
    const kept = (await bytesInUse()) - before;
    expect(kept / (ROW_GROUPS * COLUMNS.length)).toBeLessThan(BYTES_MAX);
    expect(read(ROW_GROUPS - 1)).toHaveLength(COLUMNS.length);
  });
});

it("a digest as text is a flat string, not all the steps by which it was put together", async () => {
  const before = await bytesInUse();
  const texts = Array.from({ length: 10_000 }, (_, number) =>
    toHex(createHash("sha256").update(String(number)).digest()),
  );
  expect(((await bytesInUse()) - before) / texts.length).toBeLessThan(200);
});
