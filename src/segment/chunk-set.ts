/**
 * Sets of chunk numbers as sorted, half-open ranges: a segment's chunks are pruned from the first to the last, so that a
 * set of a thousand is mostly one range. Ten years of a journal are held in memory this way.
 */

/** `[from, to, from, to, ...]`, ascending, without gaps of nothing in between. */
export type ChunkSet = readonly number[];

export const NO_CHUNKS: ChunkSet = [];

/** The first `count` chunks. */
export function firstChunks(count: number): ChunkSet {
  return count === 0 ? NO_CHUNKS : [0, count];
}

export function chunkSet(chunks: Iterable<number>): ChunkSet {
  const ranges: number[] = [];
  for (const chunk of [...chunks].sort((left, right) => left - right)) {
    const end = ranges.at(-1);
    if (end !== undefined && chunk < end) continue;
    if (end === chunk) ranges[ranges.length - 1] = chunk + 1;
    else ranges.push(chunk, chunk + 1);
  }
  return ranges;
}

export function hasChunk(set: ChunkSet, chunk: number): boolean {
  // Within a range an odd number of limits lies at or below the chunk.
  return set.findLastIndex((limit) => limit <= chunk) % 2 === 0;
}

export function chunkCount(set: ChunkSet): number {
  return set.reduce((sum, limit, at) => (at % 2 === 0 ? sum - limit : sum + limit), 0);
}

export function chunkNumbers(set: ChunkSet): number[] {
  const numbers: number[] = [];
  for (let at = 0; at < set.length; at += 2) {
    for (let chunk = set[at] as number; chunk < (set[at + 1] as number); chunk += 1) numbers.push(chunk);
  }
  return numbers;
}

export const withChunks = (left: ChunkSet, right: ChunkSet): ChunkSet =>
  combined(left, right, (inLeft, inRight) => inLeft || inRight);

export const withoutChunks = (left: ChunkSet, right: ChunkSet): ChunkSet =>
  combined(left, right, (inLeft, inRight) => inLeft && !inRight);

export const commonChunks = (left: ChunkSet, right: ChunkSet): ChunkSet =>
  combined(left, right, (inLeft, inRight) => inLeft && inRight);

export function sameChunks(left: ChunkSet, right: ChunkSet): boolean {
  return left.length === right.length && left.every((limit, at) => limit === right[at]);
}

/** Both sets from limit to limit: which of them a chunk is in changes there alone. */
function combined(
  left: ChunkSet,
  right: ChunkSet,
  isIn: (inLeft: boolean, inRight: boolean) => boolean,
): ChunkSet {
  const ranges: number[] = [];
  let [atLeft, atRight] = [0, 0];
  while (atLeft < left.length || atRight < right.length) {
    const limit = Math.min(left[atLeft] ?? Infinity, right[atRight] ?? Infinity);
    if (left[atLeft] === limit) atLeft += 1;
    if (right[atRight] === limit) atRight += 1;
    const isInside = ranges.length % 2 === 1;
    if (isIn(atLeft % 2 === 1, atRight % 2 === 1) !== isInside) ranges.push(limit);
  }
  return ranges;
}
