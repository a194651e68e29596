/**
 * How large the parts of an upload are whose size nobody knows beforehand. Pure. S3 takes 10,000 parts, so they grow
 * while it goes on: most objects are a few small parts, and the largest object that S3 takes still fits.
 * Source: S3 user guide, "Amazon S3 multipart upload limits".
 */
export const PARTS_MAX = 10_000;
/** All but the last part have at least this size. */
export const PART_BYTES_MIN = 5 * 1024 * 1024;
export const OBJECT_BYTES_MAX = 5n * 1024n ** 4n;
/** S3 takes 5 GiB; a part is held in memory until it is stored. */
const PART_BYTES_MAX = 2 * 1024 ** 3;
/** 8 MiB at first: 7 GiB with 8 MiB, 21 GiB with 16, 49 GiB with 32. */
const PARTS_OF_A_SIZE = 900;

/** Size of part `index`, counted from 0, where the first one has `firstBytes`. */
export function partBytes(firstBytes: number, index: number): number {
  return Math.min(firstBytes * 2 ** Math.floor(index / PARTS_OF_A_SIZE), PART_BYTES_MAX);
}

/** How many parts of this size may be under way at once, so that together they take what they took at first. */
export function partsAtOnce(firstBytes: number, bytes: number, atFirst: number): number {
  return Math.max(1, Math.floor((firstBytes * atFirst) / bytes));
}

/** Ranges of `[0, total)` for a copy by parts, whose size is known: even, and no more than S3 takes. */
export function copyRanges(
  total: number,
  wanted: number,
): { readonly start: number; readonly end: number }[] {
  const size = Math.max(wanted, Math.ceil(total / PARTS_MAX));
  const ranges = [];
  for (let start = 0; start < total; start += size)
    ranges.push({ start, end: Math.min(total, start + size) });
  return ranges;
}
