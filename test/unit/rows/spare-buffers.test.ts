/** Buffers that are filled again: never two at once, and no more of them than is told. */
import { expect, test } from "vitest";
import { RawColumns } from "../../../src/rows/copy-binary.ts";
import { SpareBuffers } from "../../../src/rows/spare-buffers.ts";

const MIB = 1024 * 1024;
const field = (size: number): Uint8Array => new Uint8Array(size).fill(7);

test("a chunk's buffers are filled again by the next one, of another table's transaction too", () => {
  const spare = new SpareBuffers();
  const first = new RawColumns(2, spare);
  for (const column of [0, 1]) first.append(column, field(10_000), 0, 10_000);
  const { columns } = first.take();
  const buffers = columns.map(({ buffer }) => buffer);
  spare.give(columns);
  const next = new RawColumns(2, spare);
  for (const column of [0, 1]) next.append(column, field(9_000), 0, 9_000);
  expect(next.take().columns.map(({ buffer }) => buffer)).toEqual(buffers);
});

test("a buffer is given out once", () => {
  const spare = new SpareBuffers();
  spare.give([field(100)]);
  expect(spare.take(0, 1)).not.toBeNull();
  expect(spare.take(0, 1)).toBeNull();
});

test("one that is too small is no help, and is let go", () => {
  const spare = new SpareBuffers();
  spare.give([field(1_000)]);
  spare.give([field(100)]);
  expect(spare.take(0, 500)).toHaveLength(1_000);
  spare.give([field(100)]);
  expect(spare.take(0, 500)).toBeNull();
  expect(spare.take(0, 1)).toBeNull();
});

test("all of a buffer is there again, whatever was taken of it", () => {
  const spare = new SpareBuffers();
  spare.give([field(1_000).subarray(0, 10)]);
  expect(spare.take(0, 1_000)).toHaveLength(1_000);
});

test("beyond 96 MiB of them they are left to the collector (I10)", () => {
  const spare = new SpareBuffers();
  for (let buffer = 0; buffer < 20; buffer += 1) spare.give([new Uint8Array(8 * MIB)]);
  let kept = 0;
  while (spare.take(0, 1) !== null) kept += 1;
  expect(kept).toBe(12);
  // And there is room again.
  spare.give([new Uint8Array(96 * MIB)]);
  expect(spare.take(0, 96 * MIB)).not.toBeNull();
});
