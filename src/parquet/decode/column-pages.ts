/**
 * From the pages of a column chunk to raw columns, a piece of rows at a time: the byte-level way from Parquet to COPY
 * fields. Pages may end where they like; those of our encoder end with the chunks.
 */
import type { Column } from "../../rows/column.ts";
import { type RawColumn, RawColumnWriter } from "../../rows/copy-binary.ts";
import { fromHex } from "../../rows/hex.ts";
import type { FieldException } from "../../segment/manifest.ts";
import { ByteFields } from "./byte-fields.ts";
import { type Cells, type PhysicalType, physicalType, readCells, readPlain } from "./cells.ts";
import { type Dictionary, DictionaryFields, newDictionary } from "./dictionary-fields.ts";
import { FieldSink, type FieldSource } from "./field-sink.ts";
import { FixedFields } from "./fixed-fields.ts";
import { DecimalFields, NumericFields } from "./numeric-fields.ts";
import { type DataPage, PageReader } from "./page.ts";
import { readRuns } from "./runs.ts";

function fieldSource(column: Column, cells: Cells): FieldSource {
  if (cells.shape === "bytes") {
    return column.kind === "numeric"
      ? new NumericFields(cells)
      : new ByteFields(cells, column.kind === "jsonb");
  }
  return column.kind === "decimal"
    ? new DecimalFields(cells, column.scale as number)
    : new FixedFields(column.kind, cells);
}

/** Rows that become one raw column, and the fields of it that the manifest has in the file's place. */
export interface Piece {
  readonly rows: number;
  readonly exceptions: readonly FieldException[];
}

/** Is shown a column's pages while they are decoded: each with its place in the bytes that were given. */
export interface PageWitness {
  /** The values of the dictionary, before the first page. */
  dictionary(values: Cells): void;
  /** Its values, or the numbers of the dictionary's that it has; neither where all is NULL. */
  page(page: DataPage, values: Cells | null, indexes: Uint32Array | null): void;
}

/** Decodes pages of one column chunk of a row group. */
export class ColumnPages {
  readonly #column: Column;
  readonly #type: PhysicalType;
  readonly #groupRows: number;
  readonly #witness: PageWitness | null;
  #dictionary: Dictionary | null = null;

  constructor(column: Column, groupRows: number, witness: PageWitness | null = null) {
    this.#column = column;
    this.#type = physicalType(column);
    this.#groupRows = groupRows;
    this.#witness = witness;
  }

  /**
   * A raw column for each piece, from pages that hold the rows of all pieces and no others. The dictionary page has to be
   * among the first bytes that are given. Throws an `Error` that says what is wrong.
   */
  decode(bytes: Uint8Array, pieces: readonly Piece[]): RawColumn[] {
    const rows = pieces.reduce((sum, piece) => sum + piece.rows, 0);
    const reader = new PageReader(bytes, this.#groupRows);
    const sink = new FieldSink();
    const columns: RawColumn[] = [];
    let seen = 0;
    let left = pieces[0]?.rows ?? 0;
    for (let page = reader.next(); page !== null; page = reader.next()) {
      if (page.kind === "dictionary") {
        const values = readPlain(this.#type, page.values, page.count);
        this.#dictionary = newDictionary(fieldSource(this.#column, values), page.count);
        this.#witness?.dictionary(values);
        continue;
      }
      seen += page.rows;
      if (seen > rows) throw new Error(`pages of more than ${rows} values`);
      const defined = definedRows(page);
      const fields = this.#fields(page);
      let field = 0;
      for (let row = 0; row < page.rows;) {
        const count = Math.min(left, page.rows - row);
        field = writeRows(sink, fields, field, defined, row, count);
        row += count;
        left -= count;
        if (left > 0) continue;
        const piece = pieces[columns.length] as Piece;
        columns.push(replaceFields(sink.take(), piece));
        left = pieces[columns.length]?.rows ?? 0;
      }
    }
    if (seen !== rows) throw new Error(`pages of ${seen} values for ${rows} rows`);
    return columns;
  }

  #fields(page: DataPage): FieldSource {
    const count = page.rows - page.nulls;
    if (count === 0) {
      this.#witness?.page(page, null, null);
      return NO_FIELDS;
    }
    if (page.encoding !== "RLE_DICTIONARY") {
      const values = readCells(this.#type, page.encoding, page.values, count);
      this.#witness?.page(page, values, null);
      return fieldSource(this.#column, values);
    }
    if (this.#dictionary === null) throw new Error("indexes without a dictionary");
    const indexes = new Uint32Array(count);
    readRuns(page.values.subarray(1), page.values[0] ?? 0, count, indexes);
    const fields = new DictionaryFields(this.#dictionary, indexes);
    this.#witness?.page(page, null, indexes);
    return fields;
  }
}

const NO_FIELDS: FieldSource = { bytesMax: () => 0, write: () => {} };

/** 1 for each row that has a value, 0 for NULL; null when there is no NULL. */
function definedRows({ levels, rows, nulls }: DataPage): Uint8Array | null {
  const defined = new Uint8Array(rows);
  readRuns(levels, 1, rows, defined);
  let count = 0;
  for (let row = 0; row < rows; row += 1) count += defined[row] as number;
  if (count !== rows - nulls) throw new Error(`${count} values in a page of ${rows} rows and ${nulls} nulls`);
  return nulls === 0 ? null : defined;
}

/** Appends `count` rows from `row` on, the first value of which is field `field`; gives the number of the next field. */
function writeRows(
  sink: FieldSink,
  fields: FieldSource,
  field: number,
  defined: Uint8Array | null,
  row: number,
  count: number,
): number {
  if (defined === null) {
    sink.reserve(fields.bytesMax(field, count));
    fields.write(sink, field, count);
    return field + count;
  }
  const to = row + count;
  let values = 0;
  for (let at = row; at < to; at += 1) values += defined[at] as number;
  sink.reserve(fields.bytesMax(field, values) + (count - values) * 4);
  let next = field;
  for (let from = row, at = row; from < to; from = at) {
    const level = defined[from];
    while (at < to && defined[at] === level) at += 1;
    if (level === 0) {
      sink.nulls(at - from);
    } else {
      fields.write(sink, next, at - from);
      next += at - from;
    }
  }
  return next;
}

/** The raw column with the manifest's fields in the place of the file's. */
function replaceFields(column: RawColumn, { rows, exceptions }: Piece): RawColumn {
  if (exceptions.length === 0) return column;
  const fields = new Map<number, Uint8Array>();
  for (const { row, rows: count, field } of exceptions) {
    const payload = fromHex(field);
    for (let at = row; at < Math.min(row + count, rows); at += 1) fields.set(at, payload);
  }
  const out = new RawColumnWriter(column.length);
  const view = new DataView(column.buffer, column.byteOffset, column.byteLength);
  for (let row = 0, at = 0; row < rows; row += 1) {
    const length = view.getInt32(at);
    const end = at + 4 + Math.max(0, length);
    const field = fields.get(row);
    if (field !== undefined) out.field(field);
    else if (length < 0) out.null();
    else out.field(column.subarray(at + 4, end));
    at = end;
  }
  return out.take();
}
