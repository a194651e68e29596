/** Raw columns from plain fields, and whole `COPY ... (FORMAT binary)` streams from raw columns: Postgres' side. */
import { indexFields, type RawColumn, RawColumnWriter, type RawRows } from "../../src/rows/copy-binary.ts";

export type FieldBytes = Uint8Array | null;

const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00);

export const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values);

export function rawColumn(fields: readonly FieldBytes[]): RawColumn {
  const writer = new RawColumnWriter(16);
  for (const field of fields) {
    if (field === null) writer.null();
    else writer.field(field);
  }
  return writer.take();
}

/** `fields[row][column]`; every row has `columnCount` fields. */
export function rawRows(columnCount: number, fields: readonly (readonly FieldBytes[])[]): RawRows {
  return {
    rows: fields.length,
    columns: Array.from({ length: columnCount }, (_, column) =>
      rawColumn(fields.map((row) => row[column] ?? null)),
    ),
  };
}

/** The fields of a raw column, NULL as null. */
export function fieldsOf(column: RawColumn, rows: number): FieldBytes[] {
  const { starts, lengths } = indexFields(column, rows);
  return Array.from({ length: rows }, (_, row) => {
    const [start, length] = [starts[row] as number, lengths[row] as number];
    return length < 0 ? null : column.slice(start, start + length);
  });
}

export interface StreamOptions {
  readonly flags?: number;
  readonly extension?: Uint8Array;
  /** False leaves the end marker out. */
  readonly end?: boolean;
}

/** What Postgres sends for these rows, written here from its documentation and not from our decoder. */
export function copyStream(
  rows: readonly (readonly FieldBytes[])[],
  { flags = 0, extension = new Uint8Array(0), end = true }: StreamOptions = {},
): Uint8Array {
  const pieces: Uint8Array[] = [SIGNATURE, int32(flags), int32(extension.length), extension];
  for (const row of rows) {
    pieces.push(int16(row.length));
    for (const field of row) {
      if (field === null) pieces.push(int32(-1));
      else pieces.push(int32(field.length), field);
    }
  }
  if (end) pieces.push(int16(-1));
  return joined(pieces);
}

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

export function int16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  new DataView(bytes.buffer).setInt16(0, value);
  return bytes;
}

export function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  return bytes;
}

export function int64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value);
  return bytes;
}
