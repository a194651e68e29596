/**
 * Reads a segment's Parquet, one row group at a time, and turns its pages into the raw chunks that were exported. It works
 * on bytes: a JavaScript value a cell costs more than all else together, and as dates, decimals and texts they lose
 * microseconds, digits and byte order marks. It shares no code with the encoder, whose witness it is at the seal.
 *
 * The file is not trusted: sizes come from the manifest, the footer and pages are capped, and a type that does not fit
 * the manifest's column is `E_FORMAT`.
 */
import type { SchemaElement } from "hyparquet";
import { FirnlineError } from "../errors.ts";
import type { Column } from "../rows/column.ts";
import type { RawColumn, RawRows } from "../rows/copy-binary.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { ColumnPages, type PageWitness, type Piece } from "./decode/column-pages.ts";
import { type Footer, type FooterElement, readFooter } from "./decode/footer.ts";
import { parquetSchema } from "./parquet-schema.ts";

/** Half-open range of bytes of the object. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export type ReadRange = (range: ByteRange) => Promise<Uint8Array>;

/** Most footers are smaller than this, so that one request gets them whole. */
const TAIL_BYTES = 64 * 1024;
const FOOTER_BYTES_MAX = 256 * 1024 * 1024;
/** Far more than ours have: bounds are texts of other writers' lengths. */
const FOOTER_BYTES = 16 * 1024 * 1024;
const COLUMN_CHUNK_BYTES = 64 * 1024;
const TRAILER_BYTES = 8;
const ZSTD = 6;

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
  readonly rowGroups: readonly RowGroupLayout[];
}

export function foreign(key: string, problem: string, cause?: unknown): FirnlineError {
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

/**
 * Reads the footer and lays the manifest's chunks over the file's row groups. `known`: the object's last bytes, where they
 * were read before.
 */
export async function readLayout(
  manifest: Manifest,
  read: ReadRange,
  known: Uint8Array | null = null,
): Promise<SegmentLayout> {
  const key = manifest.object.key;
  const bytes = Number(manifest.object.bytes);
  if (bytes < TRAILER_BYTES + 4) throw foreign(key, `${bytes} bytes are too few for a Parquet file`);
  const readWhole = async (range: ByteRange): Promise<Uint8Array> => {
    const piece = await read(range);
    if (piece.length === range.end - range.start) return piece;
    throw foreign(key, `of bytes ${range.start} to ${range.end} came ${piece.length}`);
  };
  let tail = known ?? (await readWhole({ start: Math.max(0, bytes - TAIL_BYTES), end: bytes }));
  if (tail.length < TRAILER_BYTES) throw foreign(key, `a tail of ${tail.length} bytes`);
  const trailer = new DataView(tail.buffer, tail.byteOffset + tail.length - TRAILER_BYTES, TRAILER_BYTES);
  if (trailer.getUint32(4, true) !== 0x31524150) throw foreign(key, "it does not end with PAR1");
  const footerBytes = trailer.getUint32(0, true) + TRAILER_BYTES;
  if (footerBytes > footerBytesMax(manifest) || footerBytes > bytes)
    throw foreign(key, `a footer of ${footerBytes} bytes`);
  if (footerBytes > tail.length) tail = await readWhole({ start: bytes - footerBytes, end: bytes });
  try {
    const inside = tail.subarray(tail.length - footerBytes, tail.length - TRAILER_BYTES);
    const footer = readSegmentFooter(manifest, inside);
    requireSchema(manifest, footer);
    return { rowGroups: layRowGroups(manifest, footer, bytes) };
  } catch (cause) {
    if (cause instanceof FirnlineError) throw cause;
    throw foreign(key, "its footer cannot be read", cause);
  }
}

/** What a footer says, and what it takes in memory, grows with what the manifest has. */
export function readSegmentFooter({ columns, rowGroups }: Manifest, bytes: Uint8Array): Footer {
  return readFooter(bytes, columns.length, columns.length * rowGroups.length);
}

const footerBytesMax = ({ columns, rowGroups }: Manifest): number =>
  Math.min(FOOTER_BYTES_MAX, FOOTER_BYTES + columns.length * rowGroups.length * COLUMN_CHUNK_BYTES);

/** The physical schema must be the one that the manifest's columns have. */
function requireSchema(manifest: Manifest, { schema }: Footer): void {
  const [root, ...elements] = schema;
  const [, ...expected] = parquetSchema(manifest.columns);
  const isSame = ({ name, type, type_length: length }: SchemaElement, found?: FooterElement): boolean =>
    found?.name === name &&
    found.type === type &&
    (type !== "FIXED_LEN_BYTE_ARRAY" || found.typeLength === length) &&
    found.repetition === "OPTIONAL" &&
    found.children === 0;
  if (
    root?.children !== elements.length ||
    elements.length !== expected.length ||
    !expected.every((element, at) => isSame(element, elements[at]))
  ) {
    const found = elements.map(({ name, type }) => `${name} ${type ?? "(nested)"}`).join(", ");
    throw foreign(manifest.object.key, `its columns are ${found}`);
  }
}

function layRowGroups(manifest: Manifest, footer: Footer, bytes: number): RowGroupLayout[] {
  const key = manifest.object.key;
  if (footer.rowGroups !== manifest.rowGroups.length) {
    throw foreign(key, `it has ${footer.rowGroups} row groups, expected ${manifest.rowGroups.length}`);
  }
  let firstRow = 0;
  let chunkFrom = 0;
  let lastEnd = 4;
  return manifest.rowGroups.map((chunks, index) => {
    const group = footer.rowGroup(index);
    const chunkTo = chunkFrom + chunks;
    const rows = manifest.chunks.slice(chunkFrom, chunkTo).reduce((sum, chunk) => sum + chunk.rows, 0);
    if (group.rows !== rows)
      throw foreign(key, `row group ${index} has ${group.rows} rows, expected ${rows}`);
    if (group.columns.length !== manifest.columns.length)
      throw foreign(key, `row group ${index} has ${group.columns.length} columns`);
    const columns = group.columns.map((column, at): ByteRange => {
      const { name } = manifest.columns[at] as Column;
      if (
        column.codec !== ZSTD ||
        column.type !== footer.schema[at + 1]?.type ||
        column.filePath !== undefined
      )
        throw foreign(key, `row group ${index}, column ${name} is not ZSTD or of another type`);
      if (column.path.length !== 1 || column.path[0] !== name)
        throw foreign(key, `row group ${index} has ${column.path.join(".")} in the place of ${name}`);
      const start = column.dictionaryPageOffset ?? column.dataPageOffset ?? -1;
      const end = start + (column.bytes ?? -1);
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
  _layout: SegmentLayout,
  group: RowGroupLayout,
  bytes: Uint8Array,
): Promise<RawRows[]> {
  return decodeColumns(manifest, group, bytes, []);
}

/** As `decodeRowGroup`; the witnesses, one a column, are shown its pages. */
export function decodeColumns(
  manifest: Manifest,
  group: RowGroupLayout,
  bytes: Uint8Array,
  witnesses: readonly PageWitness[],
): RawRows[] {
  const chunks = manifest.chunks.slice(group.chunkFrom, group.chunkTo);
  const columns = manifest.columns.map((column, at) => {
    const { start, end } = group.columns[at] as ByteRange;
    const pages = new ColumnPages(column, group.rows, witnesses[at]);
    return readable(manifest, column, () =>
      pages.decode(
        bytes.subarray(start - group.start, end - group.start),
        chunks.map((chunk) => pieceOf(chunk, at)),
      ),
    );
  });
  return chunks.map(({ rows }, index) => ({
    rows,
    columns: columns.map((column) => column[index] as RawColumn),
  }));
}

/** A chunk as the decoder of one column wants it. */
export function pieceOf({ rows, exceptions }: ManifestChunk, column: number): Piece {
  return { rows, exceptions: exceptions.filter((exception) => exception.column === column) };
}

/** Whatever is wrong with pages is `E_FORMAT` of the object. */
export function readable<T>(manifest: Manifest, column: Column, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (cause instanceof FirnlineError) throw cause;
    const problem = `column ${column.name} cannot be decoded (${(cause as Error).message})`;
    throw foreign(manifest.object.key, problem, cause);
  }
}
