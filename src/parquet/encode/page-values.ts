/**
 * Where a column's pages begin and end, and their values' bytes.
 * Source: https://github.com/apache/parquet-format/blob/master/Encodings.md
 */
import type { ChunkCells, ColumnCells } from "./column-cells.ts";
import type { ColumnForm } from "./column-form.ts";
import { deltaBytesMax, packInt32, packInt64 } from "./delta-packing.ts";
import { hybridBytesMax, writeHybrid } from "./hybrid-runs.ts";
import type { PageBuffer } from "./page-compressor.ts";
import { type Encoding, ENCODING } from "./parquet-format.ts";

/** Of raw values; a page ends with the value that takes it there. */
const PAGE_BYTES = 1024 * 1024;
/** Values are copied eight bytes at a time, and may be read and written this far past their end. */
const SLACK_BYTES = 8;
/** Above this length a call of `set`, with its new view, beats a loop. */
const SHORT_BYTES = 512;
/** From this length on, on average, it pays to copy a page's values at once and to close the gaps. */
const LONG_BYTES = 128;
/** Of what PLAIN takes; packing less away is not worth it, as zstd finds regular bytes too. */
const DELTA_SHARE_MAX = 0.8;

export interface PageRange {
  /** Rows of the row group. */
  readonly firstRow: number;
  readonly endRow: number;
  /** Values among those of the row group. */
  readonly firstValue: number;
  readonly endValue: number;
}

/** Bytes of values `from` to `to` in PLAIN. */
export function plainBytes(form: ColumnForm, cells: ColumnCells, from: number, to: number): number {
  if (form.words > 0) return (to - from) * form.words * 4;
  const { lengths } = cells;
  let bytes = (to - from) * 4;
  for (let value = from; value < to; value += 1) bytes += lengths[value] as number;
  return bytes;
}

/** A chunk's pages: about equal in bytes, none with rows of another chunk. */
export function pageRanges(
  form: ColumnForm,
  cells: ColumnCells,
  chunk: ChunkCells,
  hasDictionary: boolean,
): PageRange[] {
  const { firstRow, rows, firstValue, endValue } = chunk;
  const endRow = firstRow + rows;
  const bytes = hasDictionary ? (endValue - firstValue) * 4 : plainBytes(form, cells, firstValue, endValue);
  const pages = Math.ceil(bytes / PAGE_BYTES);
  if (pages <= 1) return [{ firstRow, endRow, firstValue, endValue }];
  const wanted = bytes / pages;
  const ranges: PageRange[] = [];
  let begin = { firstRow, firstValue };
  let value = firstValue;
  let size = 0;
  for (let row = firstRow; row < endRow; row += 1) {
    if (cells.levels[row] === 1) {
      size += hasDictionary ? 4 : form.words > 0 ? form.words * 4 : (cells.lengths[value] as number) + 4;
      value += 1;
    }
    if (size >= wanted || row === endRow - 1) {
      ranges.push({ ...begin, endRow: row + 1, endValue: value });
      begin = { firstRow: row + 1, firstValue: value };
      size = 0;
    }
  }
  return ranges;
}

/** What a buffer must hold for any encoding of the page's values. */
export function pageBytesMax(
  form: ColumnForm,
  cells: ColumnCells,
  { firstValue, endValue }: PageRange,
  indexBits: number,
): number {
  const values = endValue - firstValue;
  if (indexBits > 0) return 1 + hybridBytesMax(values, indexBits);
  const plain = plainBytes(form, cells, firstValue, endValue) + SLACK_BYTES;
  return form.words === 0 || form.hasDelta ? plain + deltaBytesMax(values, form.words === 2 ? 2 : 1) : plain;
}

export interface WrittenValues {
  readonly encoding: Encoding;
  readonly bytes: number;
}

/** Writes the page's values into the buffer as numbers of dictionary entries. */
export function writeIndexes(
  cells: ColumnCells,
  { firstValue, endValue }: PageRange,
  indexBits: number,
  buffer: PageBuffer,
): WrittenValues {
  buffer.bytes[0] = indexBits;
  const end = writeHybrid(cells.indexes, firstValue, endValue, indexBits, buffer.bytes, 1);
  return { encoding: ENCODING.rleDictionary, bytes: end };
}

/** Writes the page's values into the buffer, at least one. */
export function writeValues(
  form: ColumnForm,
  cells: ColumnCells,
  chunk: ChunkCells,
  { firstValue, endValue }: PageRange,
  buffer: PageBuffer,
): WrittenValues {
  if (form.words === 0) return writeByteArrays(cells, chunk.source, firstValue, endValue, buffer);
  if (form.order === "boolean") return writeBooleans(cells.words, firstValue, endValue, buffer.bytes);
  const plain = (endValue - firstValue) * form.words * 4;
  if (form.hasDelta) {
    const bytes = packNumbers(form, cells.words, firstValue, endValue, buffer);
    if (bytes >= 0 && bytes <= plain * DELTA_SHARE_MAX)
      return { encoding: ENCODING.deltaBinaryPacked, bytes };
  }
  const width = form.words * 4;
  buffer.bytes.set(cells.bytes.subarray(firstValue * width, endValue * width));
  return { encoding: ENCODING.plain, bytes: plain };
}

/** Packs integers as differences; -1 if they are none to pack. */
export function packNumbers(
  form: ColumnForm,
  words: Int32Array,
  from: number,
  to: number,
  { bytes, view }: PageBuffer,
): number {
  return form.words === 1
    ? packInt32(words, from, to, bytes, view, 0)
    : packInt64(words, from, to, bytes, view, 0);
}

function writeBooleans(words: Int32Array, from: number, to: number, out: Uint8Array): WrittenValues {
  const bytes = Math.ceil((to - from) / 8);
  out.fill(0, 0, bytes);
  for (let value = from; value < to; value += 1) {
    const at = (value - from) >> 3;
    out[at] = (out[at] as number) | ((words[value] as number) << ((value - from) & 7));
  }
  return { encoding: ENCODING.plain, bytes };
}

/** Lengths first, then all bytes: they compress better apart. In PLAIN each length is in front of its bytes. */
function writeByteArrays(
  cells: ColumnCells,
  source: Uint8Array,
  from: number,
  to: number,
  buffer: PageBuffer,
): WrittenValues {
  const { starts, lengths } = cells;
  const { bytes: out, view } = buffer;
  const packed = packInt32(lengths, from, to, out, view, 0);
  if (packed >= 0) {
    const bytes = writeBytes(cells, source, from, to, buffer, packed);
    return { encoding: ENCODING.deltaLengthByteArray, bytes };
  }
  let at = 0;
  for (let value = from; value < to; value += 1) {
    const start = starts[value] as number;
    const length = lengths[value] as number;
    view.setInt32(at, length, true);
    out.set(source.subarray(start, start + length), at + 4);
    at += 4 + length;
  }
  return { encoding: ENCODING.plain, bytes: at };
}

/** The bytes of values, one behind the other, from `at`; returns where they ended. */
function writeBytes(
  { starts, lengths }: ColumnCells,
  source: Uint8Array,
  from: number,
  to: number,
  { bytes: out, view }: PageBuffer,
  at: number,
): number {
  const first = starts[from] as number;
  const end = (starts[to - 1] as number) + (lengths[to - 1] as number);
  let next = at;
  if (end - first >= (to - from) * LONG_BYTES && at + end - first <= out.length) {
    // All at once, and then each is moved over the gap in front of it.
    out.set(source.subarray(first, end), at);
    const shift = at - first;
    for (let value = from; value < to; value += 1) {
      const start = shift + (starts[value] as number);
      const length = lengths[value] as number;
      out.copyWithin(next, start, start + length);
      next += length;
    }
    return next;
  }
  const sourceView = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const sourceEnd = source.length - SLACK_BYTES;
  for (let value = from; value < to; value += 1) {
    const start = starts[value] as number;
    const length = lengths[value] as number;
    if (length <= SHORT_BYTES && start + length <= sourceEnd) {
      // Compiled, this is a load and a store of 64 bits: no BigInt is made.
      for (let byte = 0; byte < length; byte += 8) {
        view.setBigInt64(next + byte, sourceView.getBigInt64(start + byte, true), true);
      }
    } else {
      out.set(source.subarray(start, start + length), next);
    }
    next += length;
  }
  return next;
}
