/**
 * Split-block bloom filters, and the hash that they are made of. Written from the specifications, apart from the encoder's:
 * a value that is missing from a filter is a row that nobody finds, so the seal asks this code about every value.
 * Sources: https://github.com/apache/parquet-format/blob/master/BloomFilter.md and
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
import { integer, struct, ThriftReader } from "./thrift.ts";

export const BLOCK_BYTES = 32;
/** Products of 32 bits with a number of blocks are exact up to here; no row group of ours comes near. */
const FILTER_BYTES_MAX = 64 * 1024 * 1024;
const HEADER_VALUES_MAX = 16;
/** One for each of a block's eight words. */
const SALTS = Int32Array.of(
  0x47b6137b,
  0x44974d91,
  0x8824ad5b,
  0xa2b7289d,
  0x705495c7,
  0x2df1424b,
  0x9efc4947,
  0x5c6bfb31,
);

/** The blocks behind the header; throws an `Error` when the filter is of another make or is cut. */
export function readBloomFilter(bytes: Uint8Array): Uint8Array {
  const reader = new ThriftReader(bytes, HEADER_VALUES_MAX);
  const header = reader.struct();
  const size = integer(header, 1) ?? -1;
  // Unions of which only one member is known: BLOCK, XXHASH, UNCOMPRESSED.
  for (const field of [2, 3, 4]) {
    if (struct(struct(header, field) ?? new Map(), 1) === undefined)
      throw new Error("a bloom filter of another make");
  }
  if (
    !(size > 0 && size <= FILTER_BYTES_MAX && size % BLOCK_BYTES === 0 && size === bytes.length - reader.at)
  )
    throw new Error(`a bloom filter of ${size} bytes in ${bytes.length - reader.at}`);
  return bytes.slice(reader.at);
}

/** Where the block begins, in a filter of so many bytes, that all values are in whose hash has this upper half, unsigned. */
export function blockStart(filterBytes: number, high: number): number {
  // Its product with the number of blocks, without the lower 32 bits.
  return Math.floor((high * (filterBytes / BLOCK_BYTES)) / 2 ** 32) * BLOCK_BYTES;
}

/** Whether a value whose hash has these halves, unsigned, may have been put in; `false` is certain. */
export function filterHolds(blocks: Uint8Array, low: number, high: number): boolean {
  const block = blockStart(blocks.length, high);
  for (let word = 0; word < 8; word += 1) {
    const bit = Math.imul(low, SALTS[word] as number) >>> 27;
    if ((((blocks[block + word * 4 + (bit >> 3)] as number) >> (bit & 7)) & 1) === 0) return false;
  }
  return true;
}
