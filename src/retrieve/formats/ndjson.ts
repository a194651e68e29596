/**
 * NDJSON: one JSON object a line, as Postgres' own `to_jsonb` would print the row, so that a consumer sees the same
 * whether a row was hot, warm or cold. Numbers of any length are printed digit by digit (a reader of int8 keys must not
 * round them), times are RFC 3339 in UTC with all six digits. Written for speed: a renderer a column, no row object.
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
import type { RowCursor } from "../row-cursor.ts";

type Render = (field: Uint8Array) => string;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const INT64_MAX = 9_223_372_036_854_775_807n;
const INT64_MIN = -9_223_372_036_854_775_808n;
const DATE_INFINITY = 2_147_483_647;
const DATE_MINUS_INFINITY = -2_147_483_648;
const FLOAT4_NORMAL_MIN = 2 ** -126;

const viewOf = (field: Uint8Array): DataView =>
  new DataView(field.buffer, field.byteOffset, field.byteLength);

const text: Render = (field) => JSON.stringify(decoder.decode(field));

/** Valid JSON holds line breaks only between its tokens; there they may be spaces. */
const embedded = (json: string): string => json.replace(/[\r\n]+/g, " ");

function instant(field: Uint8Array, zoned: boolean): string {
  const micros = viewOf(field).getBigInt64(0);
  if (micros === INT64_MAX) return '"infinity"';
  if (micros === INT64_MIN) return '"-infinity"';
  const formatted = formatInstant((micros + POSTGRES_EPOCH_MICROS) as EpochMicros);
  return `"${zoned ? formatted : formatted.slice(0, -1)}"`;
}

function float(value: number, single: boolean): string {
  if (!Number.isFinite(value))
    return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
  if (Object.is(value, -0)) return "-0";
  if (!single) return String(value);
  // Six digits are always kept, except by subnormal numbers.
  for (let digits = Math.abs(value) < FLOAT4_NORMAL_MIN ? 1 : 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

function numeric(field: Uint8Array): string {
  const parts = decodeNumeric(field, 0, field.length);
  if (parts === null) return `"\\\\x${toHex(field)}"`;
  const printed = numericToText(parts);
  return typeof parts.unscaled === "string" ? `"${printed}"` : printed;
}

function date(field: Uint8Array): string {
  const days = viewOf(field).getInt32(0);
  if (days === DATE_INFINITY) return '"infinity"';
  if (days === DATE_MINUS_INFINITY) return '"-infinity"';
  // As an instant has it, so that years before 1 are written the same way in both.
  const midnight = formatInstant(dayStart((days + POSTGRES_EPOCH_DAY) as DayUtc));
  return `"${midnight.slice(0, midnight.indexOf("T"))}"`;
}

const RENDERERS: Readonly<Record<ValueKind, Render>> = {
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
  time: (field) => `"${timeText(viewOf(field).getBigInt64(0))}"`,
  uuid: (field) => `"${uuidText(field)}"`,
  bytea: (field) => `"\\\\x${toHex(field)}"`,
  text,
  json: (field) => embedded(decoder.decode(field)),
  jsonb: (field) => embedded(decoder.decode(field.subarray(1))),
  binary: (field) => `"\\\\x${toHex(field)}"`,
};

interface Rendered {
  readonly column: number;
  readonly prefix: string;
  readonly render: Render;
}

/** Prints the current row of a cursor, line break included. A binary column gives way to the text beside it. */
export function ndjsonRow(columns: readonly Column[]): (row: RowCursor) => string {
  const textOf = new Map(
    columns.flatMap((column, index) => (column.select === "text" ? [[column.attribute, index]] : [])),
  );
  const rendered: Rendered[] = [];
  for (const [index, column] of columns.entries()) {
    if (column.kind !== "binary" && column.name !== column.attribute) continue;
    const shown = column.kind === "binary" ? (textOf.get(column.attribute) ?? index) : index;
    const prefix = `${rendered.length === 0 ? "{" : ","}${JSON.stringify(column.attribute)}:`;
    rendered.push({
      column: shown as number,
      prefix,
      render: RENDERERS[(columns[shown as number] as Column).kind],
    });
  }
  return (row) => {
    let line = "";
    for (const { column, prefix, render } of rendered) {
      line += prefix + (row.isNull(column) ? "null" : render(row.field(column)));
    }
    return `${line}}\n`;
  };
}
