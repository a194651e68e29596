/** Ranges of an object, read in few requests, several at a time. */
import type { ByteRange, Locator } from "../archive/port.ts";
import { readBytes } from "../archive/read-object.ts";
import type { SegmentReader } from "../archived/read-chunks.ts";
import { inParallel } from "../archived/read-manifests.ts";
import type { ObjectPiece } from "../parquet/read-pages.ts";

/**
 * Ranges that are so near to each other are read as one. A request costs as much time as some megabytes, but those of a
 * chunk go out together; and what is between the pages of one chunk in two columns, those of its neighbours, is mostly
 * either a few kilobytes (numbers, times, short texts) or some hundred.
 */
const GAP_BYTES = 4 * 1024;
/** Requests under way for one segment. */
const READS_MAX = 4;

export async function readRanges(
  { archive, signal }: SegmentReader,
  object: Locator,
  ranges: readonly ByteRange[],
  gapBytes = GAP_BYTES,
): Promise<ObjectPiece[]> {
  const pieces: ObjectPiece[] = [];
  const use = async (range: ByteRange): Promise<void> => {
    pieces.push({ start: range.start, bytes: await readBytes(archive, object, range, signal) });
  };
  await inParallel(joinNear(ranges, gapBytes), use, READS_MAX);
  return pieces;
}

/** In the order of the object; ranges may touch, and overlap. */
export function joinNear(ranges: readonly ByteRange[], gapBytes = GAP_BYTES): ByteRange[] {
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of [...ranges].sort((left, right) => left.start - right.start)) {
    const last = joined.at(-1);
    if (last !== undefined && start - last.end <= gapBytes) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}
