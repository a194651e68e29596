/**
 * The tail of a segment's object: statistics, page indexes and bloom filters, by which a reader leaves out pages that
 * cannot hold what it looks for. A flipped bit in here would lose rows without a trace (I8). So a tail is read only when it
 * hashes to the manifest's `index`, and `prove-index.ts` has held every bound against the values at the seal.
 *
 * All of it is plain data, and its bytes are copies: it can be sent to another thread.
 */
import type { Column } from "../rows/column.ts";
import { toHex } from "../rows/hex.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { filterHolds, readBloomFilter } from "./decode/bloom-filter.ts";
import { physicalType } from "./decode/cells.ts";
import type { Extent, FooterColumn } from "./decode/footer.ts";
import {
  type PageBounds,
  type PageOrder,
  type PagePlace,
  readColumnIndex,
  readOffsetIndex,
} from "./decode/page-index.ts";
import { comparePlain, plainOfField, plainOrder } from "./decode/plain-order.ts";
import { XxHash64 } from "./decode/xxhash64.ts";
import {
  type ByteRange,
  foreign,
  readSegmentFooter,
  type RowGroupLayout,
  type SegmentLayout,
} from "./read-segment.ts";

const TRAILER_BYTES = 8;

/** Lowest and highest value, in PLAIN encoding, maybe cut short and rounded to the safe side; null where there is none. */
export interface Bounds {
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
  /** Null where nobody counted. */
  readonly nulls: number | null;
}

export interface PageEntry extends ByteRange, Bounds {
  /** The index says that there is nothing but NULL; its bounds mean nothing then. */
  readonly isEmpty: boolean;
  /** Number of the first row in the row group. */
  readonly firstRow: number;
  readonly rows: number;
}

export interface ColumnEntry extends Bounds {
  /** Whether the bound is a value of the column, and not only below or above all of them. */
  readonly isMinExact: boolean;
  readonly isMaxExact: boolean;
  /** Whether the row group's rows are said to be in the ascending order of this column, none of which is NULL. */
  readonly isSorted: boolean;
  /** Of the dictionary page; null where there is none, or nobody knows. */
  readonly dictionary: ByteRange | null;
  /** Empty when the file has no offset index for the column. */
  readonly pages: readonly PageEntry[];
  /** What the column index says of its bounds from page to page: both go up, or both go down. */
  readonly order: PageOrder;
  /** The blocks of its bloom filter; null where there is none, or it was not read. */
  readonly bloomFilter: Uint8Array | null;
}

export interface SegmentIndex {
  /** For each row group its columns, as in the layout. */
  readonly rowGroups: readonly (readonly ColumnEntry[])[];
}

/**
 * Reads the index from `tail`, the object's last bytes, which hash to what the manifest says: with the bloom filters, or what
 * is behind them. Throws `E_FORMAT` when it does not belong to this layout.
 */
export function readIndex(
  manifest: Manifest,
  layout: SegmentLayout,
  tail: Uint8Array,
  filters: "within" | "before" = "within",
): SegmentIndex {
  const read = openIndex(manifest, layout, tail, filters);
  return { rowGroups: layout.rowGroups.map((_, number) => read(number)) };
}

/**
 * The same, a row group at a time and when it is asked for: of a segment of millions of rows the whole index is tens of
 * megabytes as objects (I10). What is called throws `E_FORMAT` as well.
 */
export function openIndex(
  manifest: Manifest,
  layout: SegmentLayout,
  tail: Uint8Array,
  filters: "within" | "before" = "within",
): (rowGroup: number) => readonly ColumnEntry[] {
  const { key } = manifest.object;
  const orForeign = <T>(read: () => T): T => {
    try {
      return read();
    } catch (cause) {
      throw foreign(key, `its index cannot be read (${(cause as Error).message})`, cause);
    }
  };
  return orForeign(() => {
    const trailer = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
    const footerEnd = tail.length - TRAILER_BYTES;
    const footerStart = footerEnd - trailer.getUint32(footerEnd, true);
    if (footerStart < 0) throw new Error("its footer begins before it");
    const footer = readSegmentFooter(manifest, tail.subarray(footerStart, footerEnd));
    if (footer.rowGroups !== layout.rowGroups.length)
      throw new Error(`it has ${footer.rowGroups} row groups`);
    const tailStart = Number(manifest.object.bytes) - tail.length;
    const at = ({ offset, length }: Extent): Uint8Array => {
      const start = offset - tailStart;
      if (!(start >= 0 && length >= 0 && start + length <= footerStart))
        throw new Error(`an index at ${offset}`);
      return tail.subarray(start, start + length);
    };
    return (index) =>
      orForeign(() => {
        const group = layout.rowGroups[index] as RowGroupLayout;
        const { columns, sortedBy } = footer.rowGroup(index);
        // Our encoder says no more, and more would not be proved.
        if (sortedBy.length > 1 || sortedBy.some(({ isDescending }) => isDescending))
          throw new Error(`row group ${index} is sorted by more than a column, or downwards`);
        if (columns.length !== group.columns.length) throw new Error(`row group ${index} has other columns`);
        return columns.map((column, number) => ({
          ...readEntry(group, number, filters === "within" ? column : { ...column, bloomFilter: null }, at),
          isSorted: sortedBy[0]?.column === number,
        }));
      });
  });
}

function readEntry(
  group: RowGroupLayout,
  number: number,
  column: FooterColumn,
  at: (extent: Extent) => Uint8Array,
): Omit<ColumnEntry, "isSorted"> {
  const { offsetIndex, columnIndex, bloomFilter, statistics } = column;
  const places = offsetIndex === null ? [] : readOffsetIndex(at(offsetIndex), group.rows);
  const bounds = columnIndex === null ? null : readColumnIndex(at(columnIndex), places.length);
  const { start } = group.columns[number] as ByteRange;
  const first = places[0]?.start ?? start;
  return {
    nulls: statistics.nulls ?? null,
    min: statistics.min?.slice() ?? null,
    max: statistics.max?.slice() ?? null,
    isMinExact: statistics.isMinExact,
    isMaxExact: statistics.isMaxExact,
    dictionary: first > start ? { start, end: first } : null,
    pages: places.map((place, index) => pageEntry(group, number, places, place, index, bounds?.pages[index])),
    order: bounds?.order ?? "unordered",
    bloomFilter: bloomFilter === null ? null : readBloomFilter(at(bloomFilter)),
  };
}

/** Pages follow each other within the column's bytes, in the order of their rows. */
function pageEntry(
  group: RowGroupLayout,
  number: number,
  places: readonly PagePlace[],
  { start, bytes, firstRow }: PagePlace,
  index: number,
  bounds: PageBounds | undefined,
): PageEntry {
  const column = group.columns[number] as ByteRange;
  const end = start + bytes;
  const next = places[index + 1];
  const lastRow = next?.firstRow ?? group.rows;
  if (
    !(
      start >= column.start &&
      bytes > 0 &&
      end === (next?.start ?? column.end) &&
      firstRow < lastRow &&
      (index > 0 || firstRow === 0)
    )
  ) {
    throw new Error(`page ${index} of column ${number} lies at ${start}, from row ${firstRow} on`);
  }
  const { min = null, max = null, nulls = null, isEmpty = false } = bounds ?? {};
  return { start, end, firstRow, rows: lastRow - firstRow, min, max, nulls, isEmpty };
}

/** The entry of one column of one row group. */
export function columnEntry({ rowGroups }: SegmentIndex, group: number, column: number): ColumnEntry {
  return (rowGroups[group] as readonly ColumnEntry[])[column] as ColumnEntry;
}

/** What a filter asks of a column: to be this field, bit by bit, or to be NULL. */
export type SoughtField = Uint8Array | null;

/**
 * The chunks of a row group, by their numbers in the manifest, that may have a row whose field of the column is `field`. A
 * chunk that is not among them has none. When in doubt, a chunk is among them.
 */
export function chunksThatMayHold(
  manifest: Manifest,
  layout: SegmentLayout,
  index: SegmentIndex,
  group: number,
  column: number,
  field: SoughtField,
): number[] {
  const { chunkFrom, chunkTo } = layout.rowGroups[group] as RowGroupLayout;
  const entry = columnEntry(index, group, column);
  const seeker = newSeeker(manifest.columns[column] as Column, field);
  const isInGroup = groupMayHold(entry, seeker, (layout.rowGroups[group] as RowGroupLayout).rows);
  const found: number[] = [];
  let firstRow = 0;
  for (let number = chunkFrom; number < chunkTo; number += 1) {
    const chunk = manifest.chunks[number] as ManifestChunk;
    const lastRow = firstRow + chunk.rows;
    const isHere =
      hasException(manifest, chunk, column, field) ||
      (isInGroup &&
        (entry.pages.length === 0 ||
          entry.pages.some(
            (page) =>
              page.firstRow < lastRow &&
              page.firstRow + page.rows > firstRow &&
              boundsMayHold(page, seeker, page.rows),
          )));
    if (isHere) found.push(number);
    firstRow = lastRow;
  }
  return found;
}

interface Seeker {
  readonly isNull: boolean;
  /** Null when nothing can be said but that it is a value. */
  readonly plain: Uint8Array | null;
  readonly order: ReturnType<typeof plainOrder>;
}

function newSeeker(column: Column, field: SoughtField): Seeker {
  return {
    isNull: field === null,
    plain: field === null ? null : plainOfField(column, field),
    order: plainOrder(column, physicalType(column).width),
  };
}

function groupMayHold(entry: ColumnEntry, seeker: Seeker, rows: number): boolean {
  if (!boundsMayHold(entry, seeker, rows)) return false;
  if (seeker.plain === null || entry.bloomFilter === null) return true;
  const hash = new XxHash64();
  hash.hash(seeker.plain, 0, seeker.plain.length);
  return filterHolds(entry.bloomFilter, hash.low, hash.high);
}

function boundsMayHold({ min, max, nulls }: Bounds, { isNull, plain, order }: Seeker, rows: number): boolean {
  if (isNull) return nulls !== 0;
  if (nulls === rows) return false;
  if (plain === null) return true;
  // A comparison that fails is NaN, and rules nothing out.
  return !(
    (min !== null && comparePlain(order, plain, min) < 0) ||
    (max !== null && comparePlain(order, plain, max) > 0)
  );
}

/**
 * What stands in the manifest in the place of the file's value is in no statistics and no filter: whether a row of the chunk
 * may have the field that way. A NULL never does.
 */
export function hasException(
  { columns }: Pick<Manifest, "columns">,
  chunk: ManifestChunk,
  column: number,
  field: SoughtField,
): boolean {
  if (field === null || chunk.exceptions.length === 0) return false;
  const sought = plainOfField(columns[column] as Column, field) === null ? null : toHex(field);
  return chunk.exceptions.some(
    (exception) => exception.column === column && (sought === null || exception.field === sought),
  );
}
