/**
 * What a manifest binds of its object's tail: all of it by one hash; and of a small segment the bloom filters part by part, and
 * what is behind them by a hash of its own. Filters are most of such a tail, and a value is looked for in 32 bytes of one: of
 * a day in which it is not, a reader needs a part of a filter, proved, and nothing else of the object.
 */
import { toHex } from "../rows/hex.ts";
import type { Column } from "../rows/column.ts";
import type { NewSha256 } from "../segment/digest.ts";
import type { Manifest, PinnedFilter } from "../segment/manifest.ts";
import { BLOCK_BYTES, blockStart, filterHolds, readBloomFilter } from "./decode/bloom-filter.ts";
import { type Extent, readFooter } from "./decode/footer.ts";
import { plainOfField } from "./decode/plain-order.ts";
import { XxHash64 } from "./decode/xxhash64.ts";
import type { SoughtField } from "./read-index.ts";
import type { ByteRange } from "./read-segment.ts";

type PinnedIndex = NonNullable<Manifest["index"]>;

/** The end of an object, from where its pages end. */
export interface ObjectTail {
  /** Where it begins in the object. */
  readonly start: number;
  readonly bytes: Uint8Array;
}

/**
 * Of a segment with more row groups the filters are read with the rest of the tail: so many small requests would take longer,
 * and what is looked for in it is a smaller share of it anyway.
 */
const ROW_GROUPS_MAX = 8;
/** A part's hash takes so many bytes of the manifest. */
const HASH_BYTES = 67;
const PART_BYTES_MIN = 512;
const TRAILER_BYTES = 8;

/** For a manifest of so many columns and row groups. Throws an `Error` when the tail is none. */
export function pinIndex(
  newHash: NewSha256,
  tail: ObjectTail,
  columns: number,
  rowGroups: number,
): PinnedIndex {
  const whole = { start: String(tail.start), sha256: hashOf(newHash, tail.bytes) };
  const places = rowGroups > ROW_GROUPS_MAX ? [] : filterPlaces(tail, columns, rowGroups);
  if (places.length === 0) return whole;
  const filters = places.map(({ rowGroup, column, blocks }): PinnedFilter => {
    const bytes = blocks.bytes.length;
    const partBytes = partBytesFor(bytes);
    const parts = partHashes(newHash, blocks.bytes, partBytes);
    return { rowGroup, column, start: String(blocks.start), bytes, partBytes, parts };
  });
  // Our encoder writes the filters first.
  const start = Math.max(...places.map(({ blocks }) => blocks.start + blocks.bytes.length));
  const sha256 = hashOf(newHash, tail.bytes.subarray(start - tail.start));
  return { ...whole, apart: { filters, start: String(start), sha256 } };
}

interface FilterPlace {
  readonly rowGroup: number;
  readonly column: number;
  /** Behind the filter's header. */
  readonly blocks: ObjectTail;
}

function filterPlaces(tail: ObjectTail, columns: number, rowGroups: number): FilterPlace[] {
  const footer = readFooter(footerOf(tail.bytes), columns, columns * rowGroups);
  const groups = Array.from({ length: footer.rowGroups }, (_, rowGroup) => footer.rowGroup(rowGroup));
  return groups.flatMap((group, rowGroup) =>
    group.columns.flatMap(({ bloomFilter }, column) =>
      bloomFilter === null ? [] : [{ rowGroup, column, blocks: blocksOf(tail, bloomFilter) }],
    ),
  );
}

/** What is read of a filter is a part, and with the manifest the hashes of all: the size with which both are least. */
function partBytesFor(bytes: number): number {
  let part = PART_BYTES_MIN;
  while (part * part < HASH_BYTES * bytes) part *= 2;
  return part;
}

function partHashes(newHash: NewSha256, blocks: Uint8Array, partBytes: number): string[] {
  return Array.from({ length: Math.ceil(blocks.length / partBytes) }, (_, part) =>
    hashOf(newHash, blocks.subarray(part * partBytes, (part + 1) * partBytes)),
  );
}

const hashOf = (newHash: NewSha256, bytes: Uint8Array): string => toHex(newHash().update(bytes).digest());

/**
 * What is wrong with the parts that a manifest binds apart; null when they are those of the tail, which hashes to the manifest
 * as a whole. Throws an `Error` when the tail is none.
 */
export function apartProblem(
  newHash: NewSha256,
  { index, columns, rowGroups }: Manifest,
  tail: ObjectTail,
): string | null {
  if (index?.apart === undefined) return null;
  const places = filterPlaces(tail, columns.length, rowGroups.length);
  for (const { rowGroup, column, start, bytes, partBytes, parts } of index.apart.filters) {
    const place = places.find((one) => one.rowGroup === rowGroup && one.column === column);
    const name = `the bloom filter of column ${columns[column]?.name ?? column} in row group ${rowGroup}`;
    if (place === undefined) return `${name} is bound by the manifest, and there is none`;
    const { blocks } = place;
    if (String(blocks.start) !== start || blocks.bytes.length !== bytes) return `${name} lies elsewhere`;
    if (partBytes % BLOCK_BYTES !== 0) return `${name} has parts of ${partBytes} bytes`;
    const found = partHashes(newHash, blocks.bytes, partBytes);
    if (found.length !== parts.length || found.some((hash, part) => hash !== parts[part]))
      return `${name} has parts of other hashes`;
  }
  const first = Number(index.apart.start) - tail.start;
  if (!(first >= 0 && first <= tail.bytes.length)) return `its index is apart from ${index.apart.start} on`;
  const sha256 = hashOf(newHash, tail.bytes.subarray(first));
  return sha256 === index.apart.sha256 ? null : `its index has the SHA-256 ${sha256} without the filters`;
}

function footerOf(tail: Uint8Array): Uint8Array {
  const end = tail.length - TRAILER_BYTES;
  const start =
    end < 0 ? -1 : end - new DataView(tail.buffer, tail.byteOffset, tail.length).getUint32(end, true);
  if (start < 0) throw new Error("its footer begins before it");
  return tail.subarray(start, end);
}

function blocksOf(tail: ObjectTail, { offset, length }: Extent): ObjectTail {
  const start = offset - tail.start;
  if (!(start >= 0 && length >= 0 && start + length <= tail.bytes.length))
    throw new Error(`a bloom filter at ${offset}`);
  const bytes = readBloomFilter(tail.bytes.subarray(start, start + length));
  return { start: offset + length - bytes.length, bytes };
}

/** The part of a filter that says whether a field is in the row group. */
export interface FilterPart extends ByteRange {
  readonly sha256: string;
  /** Where the field's block begins in the part. */
  readonly block: number;
  /** Halves of the field's hash. */
  readonly low: number;
  readonly high: number;
}

/** Null where the manifest binds no such part, or the field's bytes say nothing about the file's value. */
export function filterPart(
  { columns, index, object }: Manifest,
  rowGroup: number,
  column: number,
  field: SoughtField,
): FilterPart | null {
  const filter = index?.apart?.filters.find((one) => one.rowGroup === rowGroup && one.column === column);
  const plain = field === null ? null : plainOfField(columns[column] as Column, field);
  if (filter === undefined || plain === null) return null;
  const hash = new XxHash64();
  hash.hash(plain, 0, plain.length);
  const { low, high } = hash;
  const at = blockStart(filter.bytes, high);
  const part = Math.floor(at / filter.partBytes);
  const sha256 = filter.parts[part];
  const first = part * filter.partBytes;
  const start = Number(filter.start) + first;
  const end = start + Math.min(filter.partBytes, filter.bytes - first);
  if (sha256 === undefined || end > Number(object.bytes)) return null;
  return { start, end, sha256, block: at - first, low, high };
}

/** Whether a row of the row group may have the field, by its part's bytes. When these are not what was sealed, it may. */
export function partMayHold(newHash: NewSha256, part: FilterPart, bytes: Uint8Array): boolean {
  if (hashOf(newHash, bytes) !== part.sha256) return true;
  const block = bytes.subarray(part.block, part.block + BLOCK_BYTES);
  return block.length < BLOCK_BYTES || filterHolds(block, part.low, part.high);
}
