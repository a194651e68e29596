/** Which chunks go in one deleting transaction: in order, more while that is quick, and alone after a refusal. */
import { expect, test } from "vitest";
import { ChunkBatches } from "../../src/stages/chunk-batches.ts";

const LIMITS = { pruneChunksMax: 4, pruneTargetMs: 100 };
const CHUNKS = [2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const batchesOf = (chunks: readonly number[]): ChunkBatches => new ChunkBatches(chunks, LIMITS);

/** All that is left, each batch having taken so long. */
function drain(batches: ChunkBatches, tookMs: number): (readonly number[])[] {
  const all: (readonly number[])[] = [];
  for (let batch = batches.next(); batch !== null; batch = batches.next()) {
    all.push(batch);
    batches.pruned(tookMs);
  }
  return all;
}

test("batches that are quick double, up to the limit", () => {
  expect(drain(batchesOf(CHUNKS), 49)).toEqual([[2], [3, 5], [7, 8, 9, 10], [11, 12, 13, 14], [15]]);
});

test("batches stay as large as they are between half of the target and the target", () => {
  const batches = batchesOf(CHUNKS);
  batches.pruned(49);
  for (const tookMs of [50, 100]) {
    expect(batches.next()).toHaveLength(2);
    batches.pruned(tookMs);
  }
});

test("batches that take too long are halved, down to one chunk", () => {
  const batches = batchesOf(CHUNKS);
  for (let quick = 0; quick < 5; quick += 1) batches.pruned(0);
  expect(drain(batches, 101).map(({ length }) => length)).toEqual([4, 2, 1, 1, 1, 1, 1, 1]);
});

test("the chunks of a refused batch come alone, before the others, and those begin small again", () => {
  const batches = batchesOf(CHUNKS);
  batches.pruned(0);
  batches.pruned(0);
  const refused = batches.next() as readonly number[];
  expect(refused).toEqual([2, 3, 5, 7]);
  // Another one is under way when it is refused.
  expect(batches.next()).toEqual([8, 9, 10, 11]);
  batches.refused(refused);
  expect(drain(batches, 75)).toEqual([[2], [3], [5], [7], [12], [13], [14], [15]]);
});

test("a batch may be refused when all others have been given out", () => {
  const batches = batchesOf([4, 6]);
  batches.pruned(0);
  const refused = batches.next() as readonly number[];
  expect(batches.next()).toBeNull();
  batches.refused(refused);
  expect(drain(batches, 0)).toEqual([[4], [6]]);
});

test("without chunks there is no batch", () => {
  expect(batchesOf([]).next()).toBeNull();
});
