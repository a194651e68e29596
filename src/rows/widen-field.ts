/**
 * Raw fields in a wider type: exactly the bytes that Postgres' own cast gives (`v::narrow::wide`), which a test compares
 * type by type. No number passes through a double on its way, except a float4, of which every value is a float8.
 */
import { FirnlineError, invariant } from "../errors.ts";
import type { ValueKind } from "./column.ts";
import { indexFields, type RawColumn, RawColumnWriter } from "./copy-binary.ts";
import { MICROS_PER_DAY } from "./day.ts";
import { encodeNumeric } from "./numeric.ts";
import { blankPaddedLength, type ColumnType, isBlankPadded } from "./united-type.ts";

/** Writes one field, which is not NULL, in its wider form. */
export type WidenField = (field: Uint8Array, into: RawColumnWriter) => void;

const BYTES: Readonly<Partial<Record<ValueKind, number>>> = {
  int2: 2,
  int4: 4,
  int8: 8,
  float4: 4,
  date: 4,
};
const INTEGERS: ReadonlySet<ValueKind> = new Set<ValueKind>(["int2", "int4", "int8"]);
/** Both bits are set in the sign of NaN and of the infinities, and in no other. */
const NUMERIC_SPECIAL = 0xc000;
const NUMERIC_HEADER_BYTES = 8;
const DATE_INFINITY = 2_147_483_647;
const DATE_MINUS_INFINITY = -2_147_483_648;
/** 294277-01-01, the first day after the timestamps. Source: timestamp.h, TIMESTAMP_END_JULIAN. */
const DATE_AFTER_TIMESTAMPS = 106_751_983;
const INT64_MAX = 9_223_372_036_854_775_807n;
const INT64_MIN = -9_223_372_036_854_775_808n;
const BLANK = 0x20;

/**
 * How fields of type `from` become fields of `to`, which is a `unitedType` of it; null when they are the same bytes.
 * Throws `E_FORMAT` for a field that its type cannot have, and `E_SCHEMA` for a date that no timestamp reaches.
 */
export function widening(name: string, from: ColumnType, to: ColumnType): WidenField | null {
  const widen = chooseWidening(name, from, to);
  const bytes = BYTES[from.kind];
  if (widen === null || bytes === undefined) return widen;
  return (field, into) => {
    if (field.length !== bytes) throw malformed(name, from, field);
    widen(field, into);
  };
}

/** The whole column; NULL stays NULL. */
export function widenColumn(column: RawColumn, rows: number, widen: WidenField): RawColumn {
  const { starts, lengths } = indexFields(column, rows);
  const into = new RawColumnWriter(column.length * 2);
  for (let row = 0; row < rows; row += 1) {
    const [start, length] = [starts[row] as number, lengths[row] as number];
    if (length < 0) into.null();
    else widen(column.subarray(start, start + length), into);
  }
  return into.take();
}

function chooseWidening(name: string, from: ColumnType, to: ColumnType): WidenField | null {
  if (from.kind === "text" && to.kind === "text") return widenText(from.type, to.type);
  if (from.kind !== to.kind && INTEGERS.has(from.kind) && INTEGERS.has(to.kind)) return widenInteger(to.kind);
  if (INTEGERS.has(from.kind) && (to.kind === "numeric" || to.kind === "decimal"))
    return integerToNumeric(to.scale ?? 0);
  // Where the digits after the point are as many as they were, or are each value's own, nothing changes.
  if (from.kind === "decimal" && to.kind === "numeric") return null;
  if (from.kind === "decimal" && to.kind === "decimal")
    return from.scale === to.scale ? null : rescaleNumeric(name, from, to.scale as number);
  if (from.kind === "float4" && to.kind === "float8") return floatToDouble;
  if (from.kind === "date" && to.kind === "timestamp")
    return (field, into) => dateToTimestamp(name, field, into);
  if (from.kind === "jsonb" && to.kind === "json") return (field, into) => into.field(field.subarray(1));
  invariant(from.kind === to.kind, name, `a ${from.type} does not become a ${to.type}`);
  return null;
}

/** Two's complement: the sign bit fills the bytes in front. */
function widenInteger(kind: ValueKind): WidenField {
  const width = BYTES[kind] as number;
  return (field, into) => {
    const { bytes, at } = into.reserve(width);
    const front = width - field.length;
    bytes.fill((field[0] as number) >= 0x80 ? 0xff : 0, at, at + front);
    bytes.set(field, at + front);
  };
}

function integerToNumeric(scale: number): WidenField {
  const factor = 10n ** BigInt(scale);
  return (field, into) => {
    const bits = BigInt(field.length * 8);
    let value = 0n;
    for (const byte of field) value = (value << 8n) | BigInt(byte);
    into.field(encodeNumeric({ unscaled: BigInt.asIntN(Number(bits), value) * factor, scale }));
  };
}

/** More digits after the point are more zeros, which the wire form does not hold: only their number changes. */
function rescaleNumeric(name: string, from: ColumnType, scale: number): WidenField {
  return (field, into) => {
    if (field.length < NUMERIC_HEADER_BYTES) throw malformed(name, from, field);
    const { bytes, view, at } = into.reserve(field.length);
    bytes.set(field, at);
    if ((view.getUint16(at + 4) & NUMERIC_SPECIAL) !== NUMERIC_SPECIAL) view.setUint16(at + 6, scale);
  };
}

/** Every float4 is a float8. A NaN goes bit by bit, since a JavaScript number may lose its payload, and comes out quiet. */
const floatToDouble: WidenField = (field, into) => {
  const from = new DataView(field.buffer, field.byteOffset, field.byteLength);
  const value = from.getFloat32(0);
  const { view, at } = into.reserve(8);
  if (!Number.isNaN(value)) return view.setFloat64(at, value);
  const bits = BigInt(from.getUint32(0));
  view.setBigUint64(at, ((bits & 0x8000_0000n) << 32n) | (0xfffn << 51n) | ((bits & 0x7f_ffffn) << 29n));
};

/** Midnight of the day, as `date::timestamp` has it; the infinities are infinities. */
function dateToTimestamp(name: string, field: Uint8Array, into: RawColumnWriter): void {
  const days = new DataView(field.buffer, field.byteOffset, field.byteLength).getInt32(0);
  const { view, at } = into.reserve(8);
  if (days === DATE_INFINITY) return view.setBigInt64(at, INT64_MAX);
  if (days === DATE_MINUS_INFINITY) return view.setBigInt64(at, INT64_MIN);
  if (days < DATE_AFTER_TIMESTAMPS) return view.setBigInt64(at, BigInt(days) * MICROS_PER_DAY);
  throw new FirnlineError({
    code: "E_SCHEMA",
    subject: `column ${name}`,
    problem: "it holds a date after the year 294276 in one place and timestamps in another, which end there",
    hint: "Retrieve the days before and after the change of its type one by one",
  });
}

/**
 * Texts stay as they are, except those of a `character(n)`: its blanks at the end are padding. A longer `character(n)`
 * has more of them, and any other type none. What a domain is over is not known: its texts stay as they were archived.
 */
function widenText(from: string, to: string): WidenField | null {
  if (from === to || !isBlankPadded(from)) return null;
  const length = blankPaddedLength(to);
  if (length === null) return null;
  return length === undefined
    ? (field, into) => into.field(withoutBlanks(field))
    : (field, into) => padBlanks(field, length, into);
}

export function withoutBlanks(field: Uint8Array): Uint8Array {
  let end = field.length;
  while (end > 0 && field[end - 1] === BLANK) end -= 1;
  return field.subarray(0, end);
}

/** Postgres counts characters, not bytes: those of UTF-8 that do not go on with the one before. */
function padBlanks(field: Uint8Array, length: number, into: RawColumnWriter): void {
  let characters = 0;
  for (const byte of field) if ((byte & 0xc0) !== 0x80) characters += 1;
  const missing = Math.max(0, length - characters);
  const { bytes, at } = into.reserve(field.length + missing);
  bytes.set(field, at);
  bytes.fill(BLANK, at + field.length, at + field.length + missing);
}

function malformed(name: string, { type }: ColumnType, field: Uint8Array): FirnlineError {
  return new FirnlineError({
    code: "E_FORMAT",
    subject: `column ${name}`,
    problem: `a field of ${field.length} bytes is no ${type}`,
    hint: "The segment was damaged before it was sealed, or written by something else",
  });
}
