/**
 * The end of the file: bloom filters, column indexes, offset indexes, then the footer and its length. What it takes of a row
 * group is encoded as soon as the row group is placed, and kept as bytes, as there are thousands of them (I10).
 * Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, FileMetaData
 */
import type { SchemaElement } from "hyparquet";
import { ByteLog } from "./byte-log.ts";
import { CONVERTED_TYPES, MAGIC, OPTIONAL, PHYSICAL_TYPES } from "./parquet-format.ts";
import {
  columnChunkStart,
  METADATA_BEFORE_PLACES,
  type PlacedColumn,
  type PlacedRowGroup,
} from "./placed-column.ts";
import { ELEMENT, ThriftWriter } from "./thrift-writer.ts";

/** Of the format: data pages v2 and everything else that is written here. */
const VERSION = 2;

/** Lengths of a column chunk's parts. */
const PARTS = 4;

type WrittenRowGroup = Omit<PlacedRowGroup, "columns"> & { readonly uncompressedBytes: number };

export class FileEnd {
  readonly #schema: readonly SchemaElement[];
  readonly #bloomFilters = new ByteLog();
  readonly #columnIndexes = new ByteLog();
  readonly #offsetIndexes = new ByteLog();
  /** Of each column chunk what the footer says before it comes to the places of the three above. */
  readonly #chunkStarts = new ByteLog();
  /** Of each column chunk the bytes in these four, in this order; 0 where it has none. */
  readonly #lengths: number[] = [];
  readonly #rowGroups: WrittenRowGroup[] = [];
  #rows = 0n;

  constructor(schema: readonly SchemaElement[]) {
    this.#schema = schema;
  }

  /** The file's next row group. */
  add({ columns, ...group }: PlacedRowGroup): void {
    for (const [index, column] of columns.entries()) this.#addColumn(index, column);
    const uncompressedBytes = columns.reduce((sum, column) => sum + column.uncompressedBytes, 0);
    this.#rowGroups.push({ ...group, uncompressedBytes });
    this.#rows += BigInt(group.rows);
  }

  #addColumn(index: number, column: PlacedColumn): void {
    const { name, type } = this.#schema[index + 1] as SchemaElement;
    const chunkStart = columnChunkStart(column, name, PHYSICAL_TYPES[type as string] as number);
    const { bloomFilter, columnIndex, offsetIndex } = column;
    for (const [log, bytes] of [
      [this.#bloomFilters, bloomFilter],
      [this.#columnIndexes, columnIndex],
      [this.#offsetIndexes, offsetIndex],
      [this.#chunkStarts, chunkStart],
    ] as const) {
      if (bytes !== null) log.append(bytes);
      this.#lengths.push(bytes?.length ?? 0);
    }
  }

  /** All bytes from `start`, where the pages end, with `before` in front of them. */
  bytes(
    start: number,
    before: readonly Uint8Array[],
    file: { readonly metadata: Readonly<Record<string, string>>; readonly createdBy: string },
  ): Uint8Array {
    const footer = this.#footer(start, file);
    const trailer = new Uint8Array(8);
    new DataView(trailer.buffer).setUint32(0, footer.length, true);
    trailer.set(MAGIC, 4);
    const indexes = [this.#bloomFilters, this.#columnIndexes, this.#offsetIndexes];
    return concatenated([...before, ...indexes.flatMap((log) => log.pieces()), footer, trailer]);
  }

  #footer(
    start: number,
    {
      metadata,
      createdBy,
    }: { readonly metadata: Readonly<Record<string, string>>; readonly createdBy: string },
  ): Uint8Array {
    const schema = this.#schema;
    const thrift = new ThriftWriter(64 * 1024);
    thrift.i32(1, VERSION);
    thrift.list(2, ELEMENT.struct, schema.length);
    for (const element of schema) writeSchemaElement(thrift, element);
    thrift.i64(3, this.#rows);
    thrift.list(4, ELEMENT.struct, this.#rowGroups.length);
    this.#writeRowGroups(thrift, start);
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
    thrift.list(7, ELEMENT.struct, schema.length - 1);
    for (let column = 1; column < schema.length; column += 1) {
      thrift.structElement();
      thrift.emptyStruct(1);
      thrift.end();
    }
    thrift.end();
    return thrift.take();
  }

  #writeRowGroups(thrift: ThriftWriter, start: number): void {
    const columns = this.#schema.length - 1;
    const chunkStarts = concatenated(this.#chunkStarts.pieces());
    const columnIndexes = start + this.#bloomFilters.length;
    // Where the next column chunk's parts begin: each is behind that of the one before.
    const places = [start, columnIndexes, columnIndexes + this.#columnIndexes.length, 0];
    let chunk = 0;
    const next = (part: number): { readonly at: number; readonly bytes: number } => {
      const at = places[part] as number;
      const bytes = this.#lengths[chunk * PARTS + part] as number;
      places[part] = at + bytes;
      return { at, bytes };
    };
    for (const group of this.#rowGroups) {
      thrift.structElement();
      thrift.list(1, ELEMENT.struct, columns);
      for (let column = 0; column < columns; column += 1) {
        const [bloomFilter, columnIndex, offsetIndex, known] = [next(0), next(1), next(2), next(3)];
        thrift.structElement();
        thrift.resume(chunkStarts.subarray(known.at, known.at + known.bytes), METADATA_BEFORE_PLACES);
        if (bloomFilter.bytes > 0) {
          thrift.i64(14, bloomFilter.at);
          thrift.i32(15, bloomFilter.bytes);
        }
        thrift.end();
        thrift.i64(4, offsetIndex.at);
        thrift.i32(5, offsetIndex.bytes);
        if (columnIndex.bytes > 0) {
          thrift.i64(6, columnIndex.at);
          thrift.i32(7, columnIndex.bytes);
        }
        thrift.end();
        chunk += 1;
      }
      thrift.i64(2, group.uncompressedBytes);
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
  }
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
