/**
 * Some chunks and some columns of a row group, from the bytes of their pages alone. The pages of our encoder end with the
 * chunks, and the index says where they lie; of a column without such pages the whole column chunk is needed.
 */
import type { Column } from "../rows/column.ts";
import type { RawColumn } from "../rows/copy-binary.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { ColumnPages } from "./decode/column-pages.ts";
import { columnEntry, type SegmentIndex } from "./read-index.ts";
import {
  type ByteRange,
  foreign,
  pieceOf,
  readable,
  type RowGroupLayout,
  type SegmentLayout,
} from "./read-segment.ts";

/** Bytes of the object from `start` on. */
export interface ObjectPiece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** A chunk with the columns that were asked for. */
export interface PartialChunk {
  /** Its number in the manifest. */
  readonly chunk: number;
  readonly rows: number;
  /** As many as the manifest has; null for those that were not asked for. */
  readonly columns: readonly (RawColumn | null)[];
}

/** Chunks and columns of one row group, by their numbers in the manifest; chunks in ascending order. */
export interface Selection {
  readonly group: number;
  readonly chunks: readonly number[];
  readonly columns: readonly number[];
}

/** What has to be read for a selection: ranges in the order of the object, none of which touches the next. */
export function selectedRanges(
  manifest: Manifest,
  layout: SegmentLayout,
  index: SegmentIndex,
  { group, chunks, columns }: Selection,
): ByteRange[] {
  const ranges = columns
    .flatMap((column) => {
      const { pages, dictionary, whole } = columnPages(manifest, layout, index, group, column, chunks);
      return whole === null ? [...(dictionary === null ? [] : [dictionary]), ...pages] : [whole];
    })
    .sort((left, right) => left.start - right.start);
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

/**
 * Decodes a selection. Each of its ranges has to lie within one of the pieces, which may hold more. Throws `E_FORMAT` when
 * the pages are not what the index says.
 */
export function decodeSelected(
  manifest: Manifest,
  layout: SegmentLayout,
  index: SegmentIndex,
  { group, chunks, columns }: Selection,
  pieces: readonly ObjectPiece[],
): PartialChunk[] {
  const { rows: groupRows, chunkFrom, chunkTo } = layout.rowGroups[group] as RowGroupLayout;
  const bytesOf = ({ start, end }: ByteRange): Uint8Array => {
    const piece = pieces.find((one) => one.start <= start && end <= one.start + one.bytes.length);
    if (piece === undefined) throw foreign(manifest.object.key, `bytes ${start} to ${end} were not read`);
    return piece.bytes.subarray(start - piece.start, end - piece.start);
  };
  const decoded = columns.map((number) => {
    const column = manifest.columns[number] as Column;
    const chunkOf = (chunk: number): ManifestChunk => manifest.chunks[chunk] as ManifestChunk;
    return readable(manifest, column, () => {
      const decoder = new ColumnPages(column, groupRows);
      const { pages, dictionary, whole } = columnPages(manifest, layout, index, group, number, chunks);
      if (whole !== null) {
        const all = manifest.chunks.slice(chunkFrom, chunkTo).map((chunk) => pieceOf(chunk, number));
        const found = decoder.decode(bytesOf(whole), all);
        return chunks.map((chunk) => found[chunk - chunkFrom] as RawColumn);
      }
      if (dictionary !== null) decoder.decode(bytesOf(dictionary), []);
      return chunks.map(
        (chunk, at) =>
          decoder.decode(bytesOf(pages[at] as ByteRange), [pieceOf(chunkOf(chunk), number)])[0] as RawColumn,
      );
    });
  });
  return chunks.map((chunk, at) => ({
    chunk,
    rows: (manifest.chunks[chunk] as ManifestChunk).rows,
    columns: manifest.columns.map((_, number) => decoded[columns.indexOf(number)]?.[at] ?? null),
  }));
}

/** A range of pages for each chunk, or the whole column chunk where pages and chunks do not end together. */
function columnPages(
  manifest: Manifest,
  layout: SegmentLayout,
  index: SegmentIndex,
  group: number,
  column: number,
  chunks: readonly number[],
): { pages: readonly ByteRange[]; dictionary: ByteRange | null; whole: ByteRange | null } {
  const { columns, chunkFrom, rows } = layout.rowGroups[group] as RowGroupLayout;
  const { pages, dictionary } = columnEntry(index, group, column);
  const found: ByteRange[] = [];
  for (const chunk of chunks) {
    const firstRow = manifest.chunks.slice(chunkFrom, chunk).reduce((sum, one) => sum + one.rows, 0);
    const lastRow = firstRow + (manifest.chunks[chunk] as ManifestChunk).rows;
    const first = pages.find((page) => page.firstRow === firstRow);
    const last = pages.find((page) => page.firstRow + page.rows === lastRow);
    if (first === undefined || last === undefined || lastRow > rows)
      return { pages: [], dictionary: null, whole: columns[column] as ByteRange };
    found.push({ start: first.start, end: last.end });
  }
  return { pages: found, dictionary, whole: null };
}
