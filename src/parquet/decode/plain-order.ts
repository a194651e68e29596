/**
 * Values in PLAIN encoding, as bounds and bloom filters have them: a field of COPY's layout turned into one, and the order
 * of a column's values.
 */
import type { Column, ValueKind } from "../../rows/column.ts";
import { FIXED_FIELD_BYTES } from "./fixed-fields.ts";

/** What a column's values are compared as. Byte strings are unsigned and go from front to back. */
export type PlainOrder = "bool" | "int32" | "int64" | "float" | "double" | "int128" | "bytes";

const ORDERS: Readonly<Record<Exclude<ValueKind, "decimal">, PlainOrder>> = {
  bool: "bool",
  int2: "int32",
  int4: "int32",
  int8: "int64",
  float4: "float",
  float8: "double",
  numeric: "bytes",
  timestamptz: "int64",
  timestamp: "int64",
  date: "int32",
  time: "int64",
  uuid: "bytes",
  bytea: "bytes",
  text: "bytes",
  json: "bytes",
  jsonb: "bytes",
  binary: "bytes",
};

/** A DECIMAL's integer has 4, 8 or 16 bytes. */
export function plainOrder({ kind }: Column, width: number): PlainOrder {
  if (kind !== "decimal") return ORDERS[kind];
  return width === 4 ? "int32" : width === 8 ? "int64" : "int128";
}

/** Kinds in which equal values can be written in more ways than one: they are never looked for by their bytes. */
const MANY_FORMS: ReadonlySet<ValueKind> = new Set<ValueKind>(["float4", "float8", "decimal", "numeric"]);

const EPOCH_DAYS = 10_957n;
const EPOCH_MICROS = 946_684_800_000_000n;

/** The value of the file that stands for a field; null where nothing can be said. */
export function plainOfField({ kind }: Column, field: Uint8Array): Uint8Array | null {
  if (MANY_FORMS.has(kind)) return null;
  const size = FIXED_FIELD_BYTES[kind];
  if (size === undefined) {
    if (kind !== "jsonb") return field;
    return field[0] === 1 ? field.subarray(1) : null;
  }
  if (field.length !== size) return null;
  if (kind === "uuid") return field;
  if (kind === "bool") return field[0] === 0 || field[0] === 1 ? field : null;
  const view = new DataView(field.buffer, field.byteOffset, size);
  const value =
    size === 2 ? BigInt(view.getInt16(0)) : size === 4 ? BigInt(view.getInt32(0)) : view.getBigInt64(0);
  const epoch = kind === "date" ? EPOCH_DAYS : kind.startsWith("timestamp") ? EPOCH_MICROS : 0n;
  const bits = size === 8 ? 64 : 32;
  const moved = value + epoch;
  // What does not fit when it is counted from 1970 is an exception of the manifest. Its lowest bits are looked for here,
  // and may be found: then a page is read for nothing.
  const plain = new DataView(new ArrayBuffer(bits / 8));
  if (bits === 32) plain.setInt32(0, Number(BigInt.asIntN(32, moved)), true);
  else plain.setBigInt64(0, BigInt.asIntN(64, moved), true);
  return new Uint8Array(plain.buffer);
}

/** Below 0 when `left` comes first, NaN when there is no order: a NaN, or bytes of another length than the type's. */
export function comparePlain(order: PlainOrder, left: Uint8Array, right: Uint8Array): number {
  if (order === "bytes") return compareBytes(left, right);
  const [one, other] = [numberOf(order, left), numberOf(order, right)];
  if (one === null || other === null) return Number.NaN;
  return one < other ? -1 : one > other ? 1 : one === other ? 0 : Number.NaN;
}

export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    const difference = (left[at] as number) - (right[at] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

const WIDTHS: Readonly<Record<Exclude<PlainOrder, "bytes">, number>> = {
  bool: 1,
  int32: 4,
  int64: 8,
  float: 4,
  double: 8,
  int128: 16,
};

function numberOf(order: Exclude<PlainOrder, "bytes">, plain: Uint8Array): number | bigint | null {
  if (plain.length !== WIDTHS[order]) return null;
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  switch (order) {
    case "bool":
      return view.getUint8(0);
    case "int32":
      return view.getInt32(0, true);
    case "int64":
      return view.getBigInt64(0, true);
    case "float":
      return view.getFloat32(0, true);
    case "double":
      return view.getFloat64(0, true);
    case "int128":
      return (view.getBigInt64(0) << 64n) | view.getBigUint64(8);
  }
}
