/**
 * Chunks of a segment that have a row with the fields that are looked for, and nothing else of it: by statistics, page
 * bounds and bloom filters, then by the sought columns themselves, and only then with all columns.
 *
 * Nothing is left out on account of bytes that are not proved (I8). The index is that of a tail that hashes to the manifest,
 * and seal held it against the values; a column of which it is concluded that it lacks the field hashed to the manifest
 * before.
 */
import { objectLocator } from "../archive/locators.ts";
import { readBytes } from "../archive/read-object.ts";
import { type ArchivedChunk, type SegmentReader, verifyColumns } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { type FilterPart, filterPart, partMayHold } from "../parquet/pin-index.ts";
import { chunksThatMayHold, hasException, readIndex, type SegmentIndex } from "../parquet/read-index.ts";
import {
  decodeSelected,
  type ObjectPiece,
  type PartialChunk,
  selectedRanges,
  type Selection,
} from "../parquet/read-pages.ts";
import {
  type ByteRange,
  readLayout,
  type RowGroupLayout,
  type SegmentLayout,
} from "../parquet/read-segment.ts";
import { indexFields, type RawColumn } from "../rows/copy-binary.ts";
import { toHex } from "../rows/hex.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { readRanges } from "./range-reads.ts";
import type { SoughtField } from "./sought-fields.ts";

/** A tail has some bytes for each page and each distinct value; one that is larger than this is not worth it. */
const TAIL_BYTES_MAX = 32 * 1024 * 1024;

/** A segment whose index is what was sealed. */
export interface ProvedSegment {
  readonly record: SegmentRecord;
  readonly manifest: Manifest;
  readonly layout: SegmentLayout;
  readonly index: SegmentIndex;
}

/**
 * Those of the wanted chunks that the bloom filters do not rule out, in their order. Of each filter that the manifest binds in
 * parts one part is read; where it binds none, nothing is read and nothing ruled out.
 */
export async function chunksInFilters(
  reader: SegmentReader,
  record: SegmentRecord,
  manifest: Manifest,
  wanted: readonly number[],
  sought: readonly SoughtField[],
): Promise<number[]> {
  const left = new Set(wanted);
  const asked: { readonly part: FilterPart; readonly seek: SoughtField; readonly chunks: number[] }[] = [];
  let chunkFrom = 0;
  for (const [group, count] of manifest.rowGroups.entries()) {
    const chunks = numbers({ chunkFrom, chunkTo: chunkFrom + count }).filter((chunk) => left.has(chunk));
    chunkFrom += count;
    for (const seek of chunks.length === 0 ? [] : sought) {
      const part = filterPart(manifest, group, seek.column, seek.field);
      if (part !== null) asked.push({ part, seek, chunks });
    }
  }
  // What lies between two parts is most of what they are read for: to leave it out.
  const ranges = asked.map(({ part }) => part);
  const pieces = await readRanges(reader, objectLocator(reader.pipeline, record), ranges, 0);
  for (const { part, seek, chunks } of asked) {
    if (partMayHold(reader.newHash, part, bytesOf(pieces, part))) continue;
    for (const chunk of chunks) {
      const found = manifest.chunks[chunk] as ManifestChunk;
      if (!hasException(manifest, found, seek.column, seek.field)) left.delete(chunk);
    }
  }
  return wanted.filter((chunk) => left.has(chunk));
}

/** Null where nothing may be left out: there is no index, or its bytes are not those that were sealed. */
export async function openIndex(
  { archive, newHash, pipeline, signal }: SegmentReader,
  record: SegmentRecord,
  manifest: Manifest,
): Promise<ProvedSegment | null> {
  if (manifest.index === undefined) return null;
  // Filters that the manifest binds apart were asked before (`chunksInFilters`).
  const { apart } = manifest.index;
  const { start, sha256 } = apart ?? manifest.index;
  const object = objectLocator(pipeline, record);
  const range = { start: Number(start), end: Number(manifest.object.bytes) };
  if (!(range.start < range.end && range.end - range.start <= TAIL_BYTES_MAX)) return null;
  const tail = await readBytes(archive, object, range, signal);
  if (toHex(newHash().update(tail).digest()) !== sha256) return null;
  const layout = await readLayout(
    manifest,
    async (other) => await readBytes(archive, object, other, signal),
    tail,
  );
  const index = readIndex(manifest, layout, tail, apart === undefined ? "within" : "before");
  return { record, manifest, layout, index };
}

/** Those of the wanted chunks that the index does not rule out, in their order. */
export function chunksWorthReading(
  { manifest, layout, index }: ProvedSegment,
  wanted: readonly number[],
  sought: readonly SoughtField[],
): number[] {
  const left = new Set(wanted);
  for (const [group, { chunkFrom, chunkTo }] of layout.rowGroups.entries()) {
    for (const { column, field } of sought) {
      if (!hasChunk(left, chunkFrom, chunkTo)) break;
      const may = new Set(chunksThatMayHold(manifest, layout, index, group, column, field));
      for (let chunk = chunkFrom; chunk < chunkTo; chunk += 1) if (!may.has(chunk)) left.delete(chunk);
    }
  }
  return wanted.filter((chunk) => left.has(chunk));
}

/** The chunks that have a row with all sought fields, whole and verified; the others are looked at only as far as needed. */
export async function* readSought(
  reader: SegmentReader,
  segment: ProvedSegment,
  chunks: ReadonlySet<number>,
  sought: readonly SoughtField[],
): AsyncGenerator<ArchivedChunk, void, undefined> {
  const { layout, manifest } = segment;
  const soughtColumns = [...new Set(sought.map(({ column }) => column))].sort((left, right) => left - right);
  const otherColumns = [...manifest.columns.keys()].filter((column) => !soughtColumns.includes(column));
  for (const [group, { chunkFrom, chunkTo }] of layout.rowGroups.entries()) {
    if (!hasChunk(chunks, chunkFrom, chunkTo)) continue;
    const own = numbers({ chunkFrom, chunkTo }).filter((chunk) => chunks.has(chunk));
    const looked = await readSelected(reader, segment, { group, chunks: own, columns: soughtColumns });
    const found = looked.filter((chunk) => hasRow(chunk, sought));
    if (found.length === 0) continue;
    const numbersFound = found.map(({ chunk }) => chunk);
    const rest = await readSelected(reader, segment, { group, chunks: numbersFound, columns: otherColumns });
    for (const [at, { chunk, rows, columns }] of found.entries()) {
      const others = (rest[at] as PartialChunk).columns;
      const whole = columns.map((column, number) => (column ?? others[number]) as RawColumn);
      yield { chunk, rows: { rows, columns: whole } };
    }
  }
}

async function readSelected(
  reader: SegmentReader,
  { record, manifest, layout, index }: ProvedSegment,
  selection: Selection,
): Promise<PartialChunk[]> {
  const { newHash, pipeline } = reader;
  const ranges = selectedRanges(manifest, layout, index, selection);
  const pieces = await readRanges(reader, objectLocator(pipeline, record), ranges);
  const chunks = decodeSelected(manifest, layout, index, selection, pieces);
  for (const { chunk, columns } of chunks)
    verifyColumns(newHash, manifest, chunk, columns, selection.columns);
  return chunks;
}

/** Whether there is a row that has all of the fields. */
function hasRow({ rows, columns }: PartialChunk, sought: readonly SoughtField[]): boolean {
  const indexed = sought.map(({ column, field }) => {
    const bytes = columns[column] as RawColumn;
    return { field, bytes, ...indexFields(bytes, rows) };
  });
  for (let row = 0; row < rows; row += 1) {
    const isHere = indexed.every(({ field, bytes, starts, lengths }) => {
      if (lengths[row] !== field.length) return false;
      const start = starts[row] as number;
      for (let at = 0; at < field.length; at += 1) if (bytes[start + at] !== field[at]) return false;
      return true;
    });
    if (isHere) return true;
  }
  return false;
}

/** Each range was read with one of the pieces. */
function bytesOf(pieces: readonly ObjectPiece[], { start, end }: ByteRange): Uint8Array {
  const piece = pieces.find((one) => one.start <= start && end <= one.start + one.bytes.length);
  return piece?.bytes.subarray(start - piece.start, end - piece.start) ?? new Uint8Array();
}

const numbers = ({ chunkFrom, chunkTo }: Pick<RowGroupLayout, "chunkFrom" | "chunkTo">): number[] =>
  Array.from({ length: chunkTo - chunkFrom }, (_, at) => chunkFrom + at);

function hasChunk(chunks: ReadonlySet<number>, from: number, to: number): boolean {
  for (let chunk = from; chunk < to; chunk += 1) if (chunks.has(chunk)) return true;
  return false;
}
