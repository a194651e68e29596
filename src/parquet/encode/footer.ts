/**
 * The end of the file: bloom filters, column indexes, offset indexes, then the footer and its length.
 * Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, FileMetaData
 */
import type { SchemaElement } from "hyparquet";
import { CONVERTED_TYPES, MAGIC, OPTIONAL, PHYSICAL_TYPES, ZSTD } from "./parquet-format.ts";
import {
  type IndexPlaces,
  type PlacedColumn,
  type PlacedRowGroup,
  writeColumnChunk,
} from "./placed-column.ts";
import { ELEMENT, ThriftWriter } from "./thrift-writer.ts";

/** Of the format: data pages v2 and everything else that is written here. */
const VERSION = 2;

export interface FileEnd {
  readonly schema: readonly SchemaElement[];
  readonly rowGroups: readonly PlacedRowGroup[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdBy: string;
}

/** All bytes from `start`, where the pages end. */
export function fileEnd(start: number, file: FileEnd): Uint8Array {
  const pieces: Uint8Array[] = [];
  let at = start;
  const place = (piece: Uint8Array | null): number | null => {
    if (piece === null) return null;
    pieces.push(piece);
    at += piece.length;
    return at - piece.length;
  };
  const all = (of: (column: PlacedColumn) => Uint8Array | null): (number | null)[][] =>
    file.rowGroups.map(({ columns }) => columns.map((column) => place(of(column))));
  const bloomFilters = all((column) => column.bloomFilter);
  const columnIndexes = all((column) => column.columnIndex);
  const offsetIndexes = all((column) => column.offsetIndex);
  const footer = footerBytes(file, (group, column) => ({
    bloomFilter: bloomFilters[group]?.[column] ?? null,
    columnIndex: columnIndexes[group]?.[column] ?? null,
    offsetIndex: offsetIndexes[group]?.[column] as number,
  }));
  const trailer = new Uint8Array(8);
  new DataView(trailer.buffer).setUint32(0, footer.length, true);
  trailer.set(MAGIC, 4);
  return concatenated([...pieces, footer, trailer]);
}

export function concatenated(pieces: readonly Uint8Array[]): Uint8Array {
  // Not filled with zeros first: they are megabytes, and all of them are written.
  const { buffer } = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0));
  const bytes = new Uint8Array(buffer);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function footerBytes(
  { schema, rowGroups, metadata, createdBy }: FileEnd,
  placesOf: (group: number, column: number) => IndexPlaces,
): Uint8Array {
  const thrift = new ThriftWriter(64 * 1024);
  thrift.i32(1, VERSION);
  thrift.list(2, ELEMENT.struct, schema.length);
  for (const element of schema) writeSchemaElement(thrift, element);
  const rows = rowGroups.reduce((sum, group) => sum + BigInt(group.rows), 0n);
  thrift.i64(3, rows);
  thrift.list(4, ELEMENT.struct, rowGroups.length);
  const leaves = schema.slice(1);
  for (const [index, group] of rowGroups.entries()) {
    writeRowGroup(thrift, group, leaves, (column) => placesOf(index, column));
  }
  const entries = Object.entries(metadata);
  thrift.list(5, ELEMENT.struct, entries.length);
  for (const [key, value] of entries) {
    thrift.structElement();
    thrift.text(1, key);
    thrift.text(2, value);
    thrift.end();
  }
  thrift.text(6, createdBy);
  // TypeDefinedOrder for each column: without it engines do not trust bounds.
  thrift.list(7, ELEMENT.struct, leaves.length);
  for (const _ of leaves) {
    thrift.structElement();
    thrift.emptyStruct(1);
    thrift.end();
  }
  thrift.end();
  return thrift.take();
}

function writeRowGroup(
  thrift: ThriftWriter,
  group: PlacedRowGroup,
  leaves: readonly SchemaElement[],
  placesOf: (column: number) => IndexPlaces,
): void {
  thrift.structElement();
  thrift.list(1, ELEMENT.struct, group.columns.length);
  for (const [index, column] of group.columns.entries()) {
    const { name, type } = leaves[index] as SchemaElement;
    thrift.structElement();
    writeColumnChunk(
      thrift,
      column,
      { name, type: PHYSICAL_TYPES[type as string] as number, codec: ZSTD },
      placesOf(index),
    );
    thrift.end();
  }
  thrift.i64(
    2,
    group.columns.reduce((sum, { uncompressedBytes }) => sum + uncompressedBytes, 0),
  );
  thrift.i64(3, group.rows);
  if (group.sortedBy !== null) {
    thrift.list(4, ELEMENT.struct, 1);
    thrift.structElement();
    thrift.i32(1, group.sortedBy);
    thrift.bool(2, false); // descending
    thrift.bool(3, false); // nulls first
    thrift.end();
  }
  thrift.i64(5, group.start);
  thrift.i64(6, group.bytes);
  thrift.end();
}

function writeSchemaElement(thrift: ThriftWriter, element: SchemaElement): void {
  const { type, type_length, repetition_type, name, num_children, converted_type, scale, precision } =
    element;
  thrift.structElement();
  if (type !== undefined) thrift.i32(1, PHYSICAL_TYPES[type] as number);
  if (type_length !== undefined) thrift.i32(2, type_length);
  if (repetition_type !== undefined) thrift.i32(3, OPTIONAL);
  thrift.text(4, name);
  if (num_children !== undefined) thrift.i32(5, num_children);
  if (converted_type !== undefined) thrift.i32(6, CONVERTED_TYPES[converted_type] as number);
  if (scale !== undefined) thrift.i32(7, scale);
  if (precision !== undefined) thrift.i32(8, precision);
  if (element.logical_type !== undefined) writeLogicalType(thrift, element.logical_type);
  thrift.end();
}

/** A union: each type has a field of its own. */
function writeLogicalType(thrift: ThriftWriter, logical: NonNullable<SchemaElement["logical_type"]>): void {
  thrift.struct(10);
  if (logical.type === "STRING") {
    thrift.emptyStruct(1);
  } else if (logical.type === "DECIMAL") {
    thrift.struct(5);
    thrift.i32(1, logical.scale);
    thrift.i32(2, logical.precision);
    thrift.end();
  } else if (logical.type === "DATE") {
    thrift.emptyStruct(6);
  } else if (logical.type === "TIME" || logical.type === "TIMESTAMP") {
    thrift.struct(logical.type === "TIME" ? 7 : 8);
    thrift.bool(1, logical.isAdjustedToUTC);
    thrift.struct(2);
    thrift.emptyStruct(2); // microseconds
    thrift.end();
    thrift.end();
  } else if (logical.type === "INTEGER") {
    thrift.struct(10);
    thrift.byte(1, logical.bitWidth);
    thrift.bool(2, logical.isSigned);
    thrift.end();
  } else if (logical.type === "UUID") {
    thrift.emptyStruct(14);
  } else {
    throw new TypeError(`the logical type ${logical.type} is none of ours`);
  }
  thrift.end();
}
