/** Sets of chunk numbers, held against sets. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  chunkCount,
  chunkNumbers,
  chunkSet,
  commonChunks,
  firstChunks,
  hasChunk,
  NO_CHUNKS,
  sameChunks,
  withChunks,
  withoutChunks,
} from "../../../src/segment/chunk-set.ts";

/** Small numbers, so that ranges touch, meet and overlap. */
const numbers = fc.array(fc.nat(30), { maxLength: 20 });
const sorted = (set: Iterable<number>): number[] => [...set].sort((left, right) => left - right);

describe("a set of chunks", () => {
  it("is ranges that do not touch", () => {
    expect(chunkSet([4, 2, 3, 9, 3])).toEqual([2, 5, 9, 10]);
    expect(chunkSet([])).toEqual(NO_CHUNKS);
    expect(firstChunks(3)).toEqual([0, 3]);
    expect(firstChunks(0)).toEqual(NO_CHUNKS);
  });

  it("has what went in", () => {
    fc.assert(
      fc.property(numbers, (list) => {
        const set = chunkSet(list);
        expect(chunkNumbers(set)).toEqual(sorted(new Set(list)));
        expect(chunkCount(set)).toBe(new Set(list).size);
        for (let chunk = 0; chunk <= 31; chunk += 1) expect(hasChunk(set, chunk)).toBe(list.includes(chunk));
        expect(sameChunks(set, chunkSet(list.toReversed()))).toBe(true);
      }),
    );
  });

  it("is joined, cut and met as sets are, in its one form", () => {
    fc.assert(
      fc.property(numbers, numbers, (left, right) => {
        const [one, other] = [new Set(left), new Set(right)];
        const cases = [
          [withChunks, one.union(other)],
          [withoutChunks, one.difference(other)],
          [commonChunks, one.intersection(other)],
        ] as const;
        for (const [combine, expected] of cases) {
          expect(combine(chunkSet(left), chunkSet(right))).toEqual(chunkSet(expected));
        }
        expect(sameChunks(chunkSet(left), chunkSet(right))).toBe(one.symmetricDifference(other).size === 0);
      }),
    );
  });
});
