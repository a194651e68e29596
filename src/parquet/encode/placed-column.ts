/** Pages with their headers in the order of the file, and what the footer says about a column chunk. */
import type { EncodedColumn } from "./column-encoder.ts";
import { type DataPage, dataPageHeader, dictionaryPageHeader } from "./page.ts";
import { type Encoding, ENCODING, PAGE, ZSTD } from "./parquet-format.ts";
import { type Bounds, columnIndexBytes, mergedBounds } from "./statistics.ts";
import { ELEMENT, ThriftWriter } from "./thrift-writer.ts";

/** A column chunk that has its place. */
export interface PlacedColumn {
  /** Where the first page begins in the file, the dictionary page if there is one. */
  readonly start: number;
  readonly dataStart: number;
  readonly hasDictionary: boolean;
  readonly values: number;
  readonly nulls: number;
  readonly compressedBytes: number;
  readonly uncompressedBytes: number;
  readonly bounds: Bounds | null;
  /** Data pages by encoding. */
  readonly pages: ReadonlyMap<Encoding, number>;
  readonly columnIndex: Uint8Array | null;
  readonly offsetIndex: Uint8Array;
  readonly bloomFilter: Uint8Array | null;
}

export interface PlacedRowGroup {
  readonly start: number;
  readonly rows: number;
  readonly bytes: number;
  readonly columns: readonly PlacedColumn[];
  /** The column that its rows are sorted by. */
  readonly sortedBy: number | null;
}

/** Appends the column's pages to `pieces`, as soon as they are compressed; `start` is where they go in the file. */
export async function placeColumn(
  column: EncodedColumn,
  start: number,
  pieces: Uint8Array[],
): Promise<PlacedColumn> {
  const { form, dictionary, pages, bloomFilter, rows } = column;
  let at = start;
  let uncompressedBytes = 0;
  const append = (header: Uint8Array, rawBytes: number, parts: readonly Uint8Array[]): number => {
    const size = parts.reduce((sum, { length }) => sum + length, header.length);
    pieces.push(header, ...parts);
    at += size;
    uncompressedBytes += header.length + rawBytes;
    return size;
  };
  if (dictionary !== null) {
    const compressed = await dictionary.compressed;
    append(dictionaryPageHeader(dictionary, compressed.length), dictionary.rawBytes, [compressed]);
  }
  const dataStart = at;
  const locations = new ThriftWriter();
  locations.list(1, ELEMENT.struct, pages.length);
  let firstRow = 0;
  for (const page of pages) {
    const compressed = await page.compressed;
    const offset = at;
    const header = dataPageHeader(page, compressed.length);
    const size = append(header, page.levels.length + page.rawBytes, [page.levels, compressed]);
    locations.structElement();
    locations.i64(1, offset);
    locations.i32(2, size);
    locations.i64(3, firstRow);
    locations.end();
    firstRow += page.statistics.rows;
  }
  locations.end();
  const statistics = pages.map((page) => page.statistics);
  return {
    start,
    dataStart,
    hasDictionary: dictionary !== null,
    values: rows,
    nulls: statistics.reduce((sum, { nulls }) => sum + nulls, 0),
    compressedBytes: at - start,
    uncompressedBytes,
    bounds: mergedBounds(form.order, statistics),
    pages: countedByEncoding(pages),
    columnIndex: columnIndexBytes(form.order, statistics),
    offsetIndex: locations.take(),
    bloomFilter,
  };
}

function countedByEncoding(pages: readonly DataPage[]): Map<Encoding, number> {
  const counts = new Map<Encoding, number>();
  for (const { encoding } of pages) counts.set(encoding, (counts.get(encoding) ?? 0) + 1);
  return counts;
}

/** The fields, from the outermost on, after which the places of indexes and bloom filters follow in a ColumnChunk. */
export const METADATA_BEFORE_PLACES = [3, 13] as const;

/** A ColumnChunk up to `METADATA_BEFORE_PLACES`. */
export function columnChunkStart(column: PlacedColumn, name: string, type: number): Uint8Array {
  const encodings = [
    ...new Set([...(column.hasDictionary ? [ENCODING.plain] : []), ENCODING.rle, ...column.pages.keys()]),
  ];
  const thrift = new ThriftWriter();
  thrift.i64(2, column.start);
  thrift.struct(3);
  thrift.i32(1, type);
  thrift.list(2, ELEMENT.i32, encodings.length);
  for (const encoding of encodings) thrift.integerElement(encoding);
  thrift.list(3, ELEMENT.binary, 1);
  thrift.textElement(name);
  thrift.i32(4, ZSTD);
  thrift.i64(5, column.values);
  thrift.i64(6, column.uncompressedBytes);
  thrift.i64(7, column.compressedBytes);
  thrift.i64(9, column.dataStart);
  if (column.hasDictionary) thrift.i64(11, column.start);
  writeStatistics(thrift, column);
  thrift.list(13, ELEMENT.struct, column.pages.size + (column.hasDictionary ? 1 : 0));
  if (column.hasDictionary) writePageCount(thrift, PAGE.dictionary, ENCODING.plain, 1);
  for (const [encoding, count] of column.pages) writePageCount(thrift, PAGE.dataV2, encoding, count);
  return thrift.take();
}

function writeStatistics(thrift: ThriftWriter, { bounds, nulls }: PlacedColumn): void {
  thrift.struct(12);
  thrift.i64(3, nulls);
  if (bounds !== null) {
    thrift.binary(5, bounds.max);
    thrift.binary(6, bounds.min);
    thrift.bool(7, bounds.isMaxExact);
    thrift.bool(8, bounds.isMinExact);
  }
  thrift.end();
}

function writePageCount(thrift: ThriftWriter, page: number, encoding: Encoding, count: number): void {
  thrift.structElement();
  thrift.i32(1, page);
  thrift.i32(2, encoding);
  thrift.i32(3, count);
  thrift.end();
}
