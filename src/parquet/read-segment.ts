/**
 * Reads a segment's Parquet down to physical values with hyparquet, one row group at a time, and turns them into the
 * raw chunks that were exported. Logical conversion is switched off: as dates, decimals and texts, JavaScript values
 * lose microseconds, digits and byte order marks.
 *
 * The file is not trusted: sizes come from the manifest, the footer and pages are capped, and a type that does not fit
 * the manifest's column is `E_FORMAT`.
 */
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadata,
  parquetRead,
  type SchemaElement,
} from "hyparquet";
import { FirnlineError } from "../errors.ts";
import type { Column } from "../rows/column.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { checkPages, inflate } from "./check-pages.ts";
import { decodeColumn } from "./decode-values.ts";
import { parquetSchema } from "./parquet-schema.ts";

/** Half-open range of bytes of the object. */
interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export type ReadRange = (range: ByteRange) => Promise<Uint8Array>;

/** Most footers are smaller than this, so that one request gets them whole. */
const TAIL_BYTES = 64 * 1024;
const FOOTER_BYTES_MAX = 256 * 1024 * 1024;
const TRAILER_BYTES = 8;

export interface RowGroupLayout extends ByteRange {
  /** Where each column's pages lie in the object. */
  readonly columns: readonly ByteRange[];
  readonly rows: number;
  /** Number of the first row in the file. */
  readonly firstRow: number;
  /** Index of the first chunk and the one after the last, in the manifest. */
  readonly chunkFrom: number;
  readonly chunkTo: number;
}

export interface SegmentLayout {
  readonly metadata: FileMetaData;
  readonly rowGroups: readonly RowGroupLayout[];
}

function foreign(key: string, problem: string, cause?: unknown): FirnlineError {
  return new FirnlineError({
    code: "E_FORMAT",
    subject: key,
    problem,
    hint: "The object is not what the journal says; nothing was deleted. Compare its SHA-256 with the journal",
    op: "parquet.read",
    key,
    cause,
  });
}

/** Reads the footer and lays the manifest's chunks over the file's row groups. */
export async function readLayout(manifest: Manifest, read: ReadRange): Promise<SegmentLayout> {
  const key = manifest.object.key;
  const bytes = Number(manifest.object.bytes);
  if (bytes < TRAILER_BYTES + 4) throw foreign(key, `${bytes} bytes are too few for a Parquet file`);
  const readWhole = async (range: ByteRange): Promise<Uint8Array> => {
    const piece = await read(range);
    if (piece.length === range.end - range.start) return piece;
    throw foreign(key, `of bytes ${range.start} to ${range.end} came ${piece.length}`);
  };
  let tail = await readWhole({ start: Math.max(0, bytes - TAIL_BYTES), end: bytes });
  const trailer = new DataView(tail.buffer, tail.byteOffset + tail.length - TRAILER_BYTES, TRAILER_BYTES);
  if (trailer.getUint32(4, true) !== 0x31524150) throw foreign(key, "it does not end with PAR1");
  const footerBytes = trailer.getUint32(0, true) + TRAILER_BYTES;
  if (footerBytes > FOOTER_BYTES_MAX || footerBytes > bytes)
    throw foreign(key, `a footer of ${footerBytes} bytes`);
  if (footerBytes > tail.length) tail = await readWhole({ start: bytes - footerBytes, end: bytes });
  try {
    const metadata = parquetMetadata(copyToArrayBuffer(tail.subarray(tail.length - footerBytes)));
    requireSchema(manifest, metadata);
    return { metadata, rowGroups: layRowGroups(manifest, metadata, bytes) };
  } catch (cause) {
    if (cause instanceof FirnlineError) throw cause;
    throw foreign(key, "its footer cannot be read", cause);
  }
}

/** hyparquet's text decoder drops a byte order mark in front of a name. */
const nameAsRead = (name: string): string => name.replace(/^\uFEFF/, "");

/**
 * The physical schema must be the one that the manifest's columns have. The logical types are taken off, and from here
 * on columns go by their number: names that differ for Postgres need not differ for the reader.
 */
function requireSchema(manifest: Manifest, metadata: FileMetaData): void {
  const shape = ({ name, type, type_length, repetition_type, num_children }: SchemaElement): string =>
    JSON.stringify([
      name,
      type,
      type === "FIXED_LEN_BYTE_ARRAY" ? type_length : null,
      repetition_type,
      num_children ?? 0,
    ]);
  const [root, ...elements] = metadata.schema;
  const [, ...expected] = parquetSchema(manifest.columns);
  const differs = expected.findIndex((element, at) => {
    const found = elements[at];
    return found === undefined || shape(found) !== shape({ ...element, name: nameAsRead(element.name) });
  });
  if (differs >= 0 || elements.length !== expected.length || root?.num_children !== elements.length) {
    const found = elements.map(({ name, type }) => `${name} ${type ?? "(nested)"}`).join(", ");
    throw foreign(manifest.object.key, `its columns are ${found}`);
  }
  for (const [at, element] of elements.entries()) {
    delete element.converted_type;
    delete element.logical_type;
    element.name = String(at);
  }
}

function layRowGroups(manifest: Manifest, metadata: FileMetaData, bytes: number): RowGroupLayout[] {
  const key = manifest.object.key;
  if (metadata.row_groups.length !== manifest.rowGroups.length) {
    throw foreign(
      key,
      `it has ${metadata.row_groups.length} row groups, expected ${manifest.rowGroups.length}`,
    );
  }
  let firstRow = 0;
  let chunkFrom = 0;
  let lastEnd = 4;
  return metadata.row_groups.map((group, index) => {
    const chunkTo = chunkFrom + (manifest.rowGroups[index] as number);
    const expected = manifest.chunks.slice(chunkFrom, chunkTo).reduce((sum, chunk) => sum + chunk.rows, 0);
    const rows = Number(group.num_rows);
    if (rows !== expected) throw foreign(key, `row group ${index} has ${rows} rows, expected ${expected}`);
    if (group.columns.length !== manifest.columns.length)
      throw foreign(key, `row group ${index} has ${group.columns.length} columns`);
    const columns = group.columns.map(({ meta_data: column, file_path: path }, at): ByteRange => {
      const { name } = manifest.columns[at] as Column;
      if (column?.codec !== "ZSTD" || column.type !== metadata.schema[at + 1]?.type || path !== undefined)
        throw foreign(key, `row group ${index}, column ${name} is not ZSTD or of another type`);
      if (column.path_in_schema.length !== 1 || column.path_in_schema[0] !== nameAsRead(name))
        throw foreign(
          key,
          `row group ${index} has ${column.path_in_schema.join(".")} in the place of ${name}`,
        );
      column.path_in_schema = [String(at)];
      const start = Number(column.dictionary_page_offset ?? column.data_page_offset);
      const end = start + Number(column.total_compressed_size);
      if (!(start >= lastEnd && start < end && end <= bytes))
        throw foreign(key, `row group ${index}, column ${name} lies at ${start}`);
      lastEnd = end;
      return { start, end };
    });
    const start = (columns[0] as ByteRange).start;
    const layout = { start, end: lastEnd, columns, rows, firstRow, chunkFrom, chunkTo };
    firstRow += rows;
    chunkFrom = chunkTo;
    return layout;
  });
}

/** Decodes the chunks of one row group from its bytes, which are those of `group.start` to `group.end`. */
export async function decodeRowGroup(
  manifest: Manifest,
  layout: SegmentLayout,
  group: RowGroupLayout,
  bytes: Uint8Array,
): Promise<RawRows[]> {
  const file: AsyncBuffer = {
    byteLength: Number(manifest.object.bytes),
    slice(start, end) {
      const from = start - group.start;
      const to = (end ?? group.end) - group.start;
      if (from < 0 || to > bytes.length)
        throw foreign(manifest.object.key, `a page lies outside of its row group`);
      return copyToArrayBuffer(bytes.subarray(from, to));
    },
  };
  const pieces = new Map<string, { rowStart: number; data: ArrayLike<unknown> }[]>();
  try {
    for (const { start, end } of group.columns) {
      checkPages(bytes.subarray(start - group.start, end - group.start), group.rows);
    }
    await parquetRead({
      file,
      metadata: layout.metadata,
      rowStart: group.firstRow,
      rowEnd: group.firstRow + group.rows,
      utf8: false,
      compressors: { ZSTD: (input, outputLength) => inflate(input, outputLength) },
      onChunk({ columnName, columnData, rowStart }) {
        const known = pieces.get(columnName);
        const piece = { rowStart, data: columnData };
        if (known === undefined) pieces.set(columnName, [piece]);
        else known.push(piece);
      },
    });
    const values = manifest.columns.map(({ name }, at) =>
      joinPieces(manifest, name, group, pieces.get(String(at))),
    );
    const chunks = manifest.chunks.slice(group.chunkFrom, group.chunkTo);
    let from = 0;
    return chunks.map((chunk) => {
      const raw = rawChunk(manifest, chunk, values, from);
      from += chunk.rows;
      return raw;
    });
  } catch (cause) {
    if (cause instanceof FirnlineError) throw cause;
    throw foreign(manifest.object.key, `a row group cannot be decoded (${(cause as Error).message})`, cause);
  }
}

function rawChunk(
  manifest: Manifest,
  chunk: ManifestChunk,
  values: readonly ArrayLike<unknown>[],
  from: number,
): RawRows {
  return {
    rows: chunk.rows,
    columns: manifest.columns.map((column, index) =>
      decodeColumn(
        column,
        values[index] as ArrayLike<unknown>,
        from,
        from + chunk.rows,
        chunk.exceptions.filter((exception) => exception.column === index),
      ),
    ),
  };
}

/** One array of the row group's values: the reader gives a column in pieces, one or more a page. */
function joinPieces(
  manifest: Manifest,
  name: string,
  group: RowGroupLayout,
  pieces: { rowStart: number; data: ArrayLike<unknown> }[] | undefined,
): ArrayLike<unknown> {
  const sorted = (pieces ?? []).sort((left, right) => left.rowStart - right.rowStart);
  let joined: ArrayLike<unknown> = sorted[0]?.data ?? [];
  if (sorted.length > 1) {
    const all: unknown[] = [];
    for (const { rowStart, data } of sorted) {
      if (rowStart !== group.firstRow + all.length)
        throw foreign(manifest.object.key, `column ${name} has a gap`);
      for (let index = 0; index < data.length; index += 1) all.push(data[index]);
    }
    joined = all;
  }
  if (joined.length !== group.rows) {
    throw foreign(manifest.object.key, `column ${name} has ${joined.length} values for ${group.rows} rows`);
  }
  return joined;
}

function copyToArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.length);
  new Uint8Array(copy).set(bytes);
  return copy;
}
