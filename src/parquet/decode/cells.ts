/**
 * The values of a page that are there, NULLs left out, in one of two shapes: numbers and fixed lengths side by side in
 * little-endian order, or byte strings by place and length. Each encoding ends here; what a value means comes later.
 */
import type { Column } from "../../rows/column.ts";
import { parquetSchema } from "../parquet-schema.ts";
import { readDeltas } from "./delta.ts";
import { readRuns } from "./runs.ts";

export interface FixedCells {
  readonly shape: "fixed";
  readonly count: number;
  /** `count` times `width` bytes; a boolean is a byte of 0 or 1. */
  readonly bytes: Uint8Array;
  readonly width: number;
}

export interface ByteCells {
  readonly shape: "bytes";
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

export type Cells = FixedCells | ByteCells;

/** How a column's values lie in the file. */
export interface PhysicalType {
  readonly name: "BOOLEAN" | "INT32" | "INT64" | "FLOAT" | "DOUBLE" | "FIXED_LEN_BYTE_ARRAY" | "BYTE_ARRAY";
  /** Bytes a value, 0 for BYTE_ARRAY. */
  readonly width: number;
}

const WIDTHS: Readonly<Record<Exclude<PhysicalType["name"], "FIXED_LEN_BYTE_ARRAY">, number>> = {
  BOOLEAN: 1,
  INT32: 4,
  INT64: 8,
  FLOAT: 4,
  DOUBLE: 8,
  BYTE_ARRAY: 0,
};

/** The layout was held against this schema before. */
export function physicalType(column: Column): PhysicalType {
  const [, element] = parquetSchema([column]);
  const name = element?.type as PhysicalType["name"];
  return {
    name,
    width: name === "FIXED_LEN_BYTE_ARRAY" ? (element?.type_length as number) : WIDTHS[name],
  };
}

/** The `count` values of `bytes`; throws an `Error` unless they are there. */
export function readCells(type: PhysicalType, encoding: string, bytes: Uint8Array, count: number): Cells {
  if (encoding === "PLAIN") return readPlain(type, bytes, count);
  if (encoding === "RLE" && type.name === "BOOLEAN") return readBooleanRuns(bytes, count);
  if (encoding === "DELTA_BINARY_PACKED" && (type.name === "INT32" || type.name === "INT64"))
    return readDeltaIntegers(type.width, bytes, count);
  if (encoding === "DELTA_LENGTH_BYTE_ARRAY" && type.name === "BYTE_ARRAY")
    return readDeltaLengths(bytes, count);
  throw new Error(`the encoding ${encoding} of ${type.name}`);
}

export function readPlain(type: PhysicalType, bytes: Uint8Array, count: number): Cells {
  if (type.name === "BYTE_ARRAY") return readPlainStrings(bytes, count);
  if (type.name === "BOOLEAN") return readBooleanBits(bytes, count);
  requireBytes(bytes, count * type.width, count);
  return { shape: "fixed", count, bytes, width: type.width };
}

function requireBytes(bytes: Uint8Array, expected: number, count: number): void {
  if (bytes.length !== expected)
    throw new Error(`${bytes.length} bytes of ${count} values, expected ${expected}`);
}

/** Four bytes of length in front of each. */
function readPlainStrings(bytes: Uint8Array, count: number): ByteCells {
  const starts = new Int32Array(count);
  const lengths = new Int32Array(count);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    const length = at + 4 <= bytes.length ? view.getUint32(at, true) : bytes.length;
    at += 4;
    if (length > bytes.length - at) throw new Error(`value ${index} of ${count} is cut`);
    starts[index] = at;
    lengths[index] = length;
    at += length;
  }
  requireBytes(bytes, at, count);
  return { shape: "bytes", count, bytes, starts, lengths };
}

function readDeltaLengths(bytes: Uint8Array, count: number): ByteCells {
  const { low: lengths, high, end } = readDeltas(bytes, count);
  const starts = new Int32Array(count);
  let at = end;
  for (let index = 0; index < count; index += 1) {
    const length = lengths[index] as number;
    if (high[index] !== 0 || length < 0 || length > bytes.length - at)
      throw new Error(`value ${index} of ${count} is cut`);
    starts[index] = at;
    at += length;
  }
  requireBytes(bytes, at, count);
  return { shape: "bytes", count, bytes, starts, lengths };
}

/** Lengths in front say how many bytes of runs follow. */
function readBooleanRuns(bytes: Uint8Array, count: number): FixedCells {
  const cells = new Uint8Array(count);
  if (count > 0) {
    const length = bytes.length < 4 ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (!(length >= 0 && length <= bytes.length - 4)) throw new Error(`${length} bytes of booleans`);
    readRuns(bytes.subarray(4, 4 + length), 1, count, cells);
  }
  return { shape: "fixed", count, bytes: cells, width: 1 };
}

function readBooleanBits(bytes: Uint8Array, count: number): FixedCells {
  requireBytes(bytes, Math.ceil(count / 8), count);
  const cells = new Uint8Array(count);
  for (let index = 0; index < count; index += 1) {
    cells[index] = ((bytes[index >> 3] as number) >> (index & 7)) & 1;
  }
  return { shape: "fixed", count, bytes: cells, width: 1 };
}

function readDeltaIntegers(width: number, bytes: Uint8Array, count: number): FixedCells {
  const { low, high } = readDeltas(bytes, count);
  const cells = new Uint8Array(count * width);
  const view = new DataView(cells.buffer);
  for (let index = 0; index < count; index += 1) {
    view.setInt32(index * width, low[index] as number, true);
    if (width === 8) view.setInt32(index * 8 + 4, high[index] as number, true);
  }
  return { shape: "fixed", count, bytes: cells, width };
}
