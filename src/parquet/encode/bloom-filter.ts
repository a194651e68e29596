/**
 * Split block bloom filters over the values of a column chunk, with about 1% of false positives.
 * Source: https://github.com/apache/parquet-format/blob/master/BloomFilter.md
 */
import type { ChunkCells, ColumnCells } from "./column-cells.ts";
import type { Dictionary } from "./dictionary.ts";
import { ThriftWriter } from "./thrift-writer.ts";
import { xxHash64 } from "./xxhash64.ts";

const SALT = Int32Array.of(
  0x47b6_137b,
  0x4497_4d91,
  0x8824_ad5b,
  0xa2b7_289d,
  0x7054_95c7,
  0x2df1_424b,
  0x9efc_4947,
  0x5c6b_fb31,
);
const BLOCK_BYTES = 32;
const FALSE_POSITIVES = 0.01;
/** A row group's distinct values never need so much; a bound for all cases (I10). */
const FILTER_BYTES_MAX = 16 * 1024 * 1024;

/** Steps along a table for a hash whose slot is taken, on average. */
const STEPS_MAX = 16;

/** The size for so many distinct values: readers want a power of two. */
export function bloomFilterBytes(distinct: number): number {
  const bits = (-8 * distinct) / Math.log(1 - FALSE_POSITIVES ** (1 / 8));
  let bytes = BLOCK_BYTES;
  while (bytes * 8 < bits && bytes < FILTER_BYTES_MAX) bytes *= 2;
  return bytes;
}

/** The filter of `count` values, header and blocks, as it stands in the file. Hashes are pairs of words, low first. */
function filterOf(hashes: Int32Array, count: number): Uint8Array {
  const filterBytes = bloomFilterBytes(distinctHashes(hashes, count));
  const blocks = filterBytes / BLOCK_BYTES;
  const thrift = new ThriftWriter();
  thrift.i32(1, filterBytes);
  for (const field of [2, 3, 4]) {
    // The algorithm is BLOCK, the hash XXHASH, the compression UNCOMPRESSED: each the first of a union.
    thrift.struct(field);
    thrift.emptyStruct(1);
    thrift.end();
  }
  thrift.end();
  const header = thrift.take();
  const words = new Int32Array(filterBytes / 4);
  for (let value = 0; value < count; value += 1) {
    const low = hashes[value * 2] as number;
    const block = Math.floor(((hashes[value * 2 + 1] as number) >>> 0) * (blocks / 4_294_967_296));
    for (let index = 0; index < 8; index += 1) {
      const word = block * 8 + index;
      words[word] = (words[word] as number) | (1 << (Math.imul(low, SALT[index] as number) >>> 27));
    }
  }
  const filter = new Uint8Array(header.length + filterBytes);
  filter.set(header);
  filter.set(new Uint8Array(words.buffer), header.length);
  return filter;
}

/** How many of the hashes are different; `count` if it takes long to tell, as with hashes that somebody chose. */
function distinctHashes(hashes: Int32Array, count: number): number {
  let size = 16;
  while (size < count * 2) size *= 2;
  const slots = new Int32Array(size);
  let distinct = 0;
  let stepsLeft = count * STEPS_MAX;
  for (let value = 0; value < count; value += 1) {
    const low = hashes[value * 2] as number;
    const high = hashes[value * 2 + 1] as number;
    let slot = low & (size - 1);
    for (;;) {
      const other = (slots[slot] as number) - 1;
      if (other < 0) {
        slots[slot] = value + 1;
        distinct += 1;
        break;
      }
      if (hashes[other * 2] === low && hashes[other * 2 + 1] === high) break;
      slot = (slot + 1) & (size - 1);
      stepsLeft -= 1;
      if (stepsLeft < 0) return count;
    }
  }
  return distinct;
}

/** Over a dictionary's entries, which are all values there are. */
export function filterOfDictionary(dictionary: Dictionary): Uint8Array {
  const { bytes, starts, lengths, entries } = dictionary;
  const hashes = new Int32Array(entries * 2);
  const view = new DataView(bytes.buffer);
  for (let entry = 0; entry < entries; entry += 1) {
    xxHash64(view, starts[entry] as number, lengths[entry] as number, hashes, entry * 2);
  }
  return filterOf(hashes, entries);
}

/** Over values of a fixed width. */
export function filterOfWords(cells: ColumnCells, count: number, wordCount: number): Uint8Array {
  const hashes = new Int32Array(count * 2);
  const view = new DataView(cells.bytes.buffer);
  for (let value = 0; value < count; value += 1) {
    xxHash64(view, value * wordCount * 4, wordCount * 4, hashes, value * 2);
  }
  return filterOf(hashes, count);
}

/** Over values of any length. */
export function filterOfBytes(cells: ColumnCells, chunks: readonly ChunkCells[], count: number): Uint8Array {
  const { starts, lengths } = cells;
  const hashes = new Int32Array(count * 2);
  for (const { source, firstValue, endValue } of chunks) {
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    for (let value = firstValue; value < endValue; value += 1) {
      xxHash64(view, starts[value] as number, lengths[value] as number, hashes, value * 2);
    }
  }
  return filterOf(hashes, count);
}
