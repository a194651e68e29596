/**
 * The text of a value, the same in every format of text and whether the row was hot, warm or cold: numbers of any
 * length digit by digit (a reader of int8 keys must not round them), times as RFC 3339 in UTC with all six digits,
 * bytes as Postgres' hex, everything else as Postgres itself writes it.
 */
import type { Column, ValueKind } from "../../rows/column.ts";
import {
  type DayUtc,
  dayStart,
  type EpochMicros,
  formatInstant,
  POSTGRES_EPOCH_DAY,
  POSTGRES_EPOCH_MICROS,
} from "../../rows/day.ts";
import { toHex } from "../../rows/hex.ts";
import { timeText, uuidText } from "../../rows/key-range.ts";
import { decodeNumeric, numericToText } from "../../rows/numeric.ts";

export type ValueText = (field: Uint8Array) => string;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const INT64_MAX = 9_223_372_036_854_775_807n;
const INT64_MIN = -9_223_372_036_854_775_808n;
const DATE_INFINITY = 2_147_483_647;
const DATE_MINUS_INFINITY = -2_147_483_648;
const FLOAT4_NORMAL_MIN = 2 ** -126;

const viewOf = (field: Uint8Array): DataView =>
  new DataView(field.buffer, field.byteOffset, field.byteLength);

const utf8: ValueText = (field) => decoder.decode(field);
const bytes: ValueText = (field) => `\\x${toHex(field)}`;

function instant(field: Uint8Array, zoned: boolean): string {
  const micros = viewOf(field).getBigInt64(0);
  if (micros === INT64_MAX) return "infinity";
  if (micros === INT64_MIN) return "-infinity";
  const formatted = formatInstant((micros + POSTGRES_EPOCH_MICROS) as EpochMicros);
  return zoned ? formatted : formatted.slice(0, -1);
}

function float(value: number, single: boolean): string {
  if (Object.is(value, -0)) return "-0";
  if (!single || !Number.isFinite(value)) return String(value);
  // Six digits are always kept, except by subnormal numbers.
  for (let digits = Math.abs(value) < FLOAT4_NORMAL_MIN ? 1 : 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

function numeric(field: Uint8Array): string {
  const parts = decodeNumeric(field, 0, field.length);
  return parts === null ? bytes(field) : numericToText(parts);
}

function date(field: Uint8Array): string {
  const days = viewOf(field).getInt32(0);
  if (days === DATE_INFINITY) return "infinity";
  if (days === DATE_MINUS_INFINITY) return "-infinity";
  // As an instant has it, so that years before 1 are written the same way in both.
  const midnight = formatInstant(dayStart((days + POSTGRES_EPOCH_DAY) as DayUtc));
  return midnight.slice(0, midnight.indexOf("T"));
}

export const VALUE_TEXTS: Readonly<Record<ValueKind, ValueText>> = {
  bool: (field) => (field[0] === 0 ? "false" : "true"),
  int2: (field) => String(viewOf(field).getInt16(0)),
  int4: (field) => String(viewOf(field).getInt32(0)),
  int8: (field) => viewOf(field).getBigInt64(0).toString(),
  float4: (field) => float(viewOf(field).getFloat32(0), true),
  float8: (field) => float(viewOf(field).getFloat64(0), false),
  decimal: numeric,
  numeric,
  timestamptz: (field) => instant(field, true),
  timestamp: (field) => instant(field, false),
  date,
  time: (field) => timeText(viewOf(field).getBigInt64(0)),
  uuid: uuidText,
  bytea: bytes,
  text: utf8,
  json: utf8,
  // jsonb_send puts a version byte in front.
  jsonb: (field) => decoder.decode(field.subarray(1)),
  binary: bytes,
};

/** One column as a person sees it. */
export interface ShownColumn {
  /** The attribute's name in the table. */
  readonly name: string;
  /** Where its fields are in a row. */
  readonly index: number;
  readonly kind: ValueKind;
}

/** The columns of a row in formats of text: a binary one gives way to the text beside it, and each stands once. */
export function shownColumns(columns: readonly Column[]): ShownColumn[] {
  const textOf = new Map(
    columns.flatMap((column, index) => (column.select === "text" ? [[column.attribute, index]] : [])),
  );
  return columns.flatMap((column, index) => {
    if (column.kind !== "binary" && column.name !== column.attribute) return [];
    const shown = column.kind === "binary" ? (textOf.get(column.attribute) ?? index) : index;
    return [{ name: column.attribute, index: shown, kind: (columns[shown] as Column).kind }];
  });
}
