/** I10: the encoder lets a row group's columns go once they are written, however many row groups follow. */
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { newParquetEncoder } from "../../../src/parquet/encode/parquet-encoder.ts";
import { bytesOf, int32, rawRows } from "../../support/copy-stream.ts";
import { columnOf } from "../../support/segment-bytes.ts";

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
