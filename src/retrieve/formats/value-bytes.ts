/**
 * The texts of `value-text.ts`, written byte by byte: what a bulk answer consists of, without a string, a bigint or a view
 * per value. Whatever is out of the ordinary (infinities, years beyond four digits, fields of another length, floats) takes the text itself; a test holds the two against each other, value by value.
 */
import type { ValueKind } from "../../rows/column.ts";
import { civilFromDay, POSTGRES_EPOCH_DAY } from "../../rows/day.ts";
import type { IndexedColumn } from "../indexed-rows.ts";
import type { AnswerBytes } from "./answer-bytes.ts";
import { putNumeric } from "./numeric-bytes.ts";
import { VALUE_TEXTS } from "./value-text.ts";

/** Appends the text of the field of `length` bytes at `start`, which is not NULL. */
export type PutValue = (into: AnswerBytes, column: IndexedColumn, start: number, length: number) => void;

const [ZERO, MINUS, COLON, POINT, UPPER_T, UPPER_Z, BACKSLASH, LOWER_X] = [
  0x30, 0x2d, 0x3a, 0x2e, 0x54, 0x5a, 0x5c, 0x78,
];
const BILLION = 1_000_000_000;
const TWO_32 = 4_294_967_296;
const MICROS_PER_DAY = 86_400_000_000;
/** Digits, a sign, and all that a time has besides. */
const NUMBER_BYTES = 32;
/** From 0001-01-01 to 9999-12-31, days since 2000. */
const [DAY_FIRST, DAY_LAST] = [-730_119, 2_921_939];

const [TRUE, FALSE] = ["true", "false"].map((text) => new TextEncoder().encode(text)) as [
  Uint8Array,
  Uint8Array,
];
const HEX = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));

/** The value as a text that is ASCII. */
function slowly(kind: ValueKind): PutValue {
  const textOf = VALUE_TEXTS[kind];
  return (into, { bytes }, start, length) => into.ascii(textOf(bytes.subarray(start, start + length)));
}

/** Writes a whole number below 2^53 in as many digits as it has; returns where it ends. */
function putWhole(to: Uint8Array, start: number, value: number): number {
  if (value >= BILLION) {
    const high = Math.floor(value / BILLION);
    return putPadded(to, putWhole(to, start, high), value - high * BILLION, 9);
  }
  let digits = 1;
  for (let bound = 10; digits < 9 && value >= bound; bound *= 10) digits += 1;
  return putPadded(to, start, value, digits);
}

/** Writes a whole number below 10^9 in exactly so many digits. */
function putPadded(to: Uint8Array, start: number, value: number, digits: number): number {
  let rest = value | 0;
  for (let at = start + digits - 1; at >= start; at -= 1) {
    const tenth = (rest / 10) | 0;
    to[at] = ZERO + (rest - tenth * 10);
    rest = tenth;
  }
  return start + digits;
}

function putInteger(into: AnswerBytes, value: number): void {
  let at = into.room(NUMBER_BYTES);
  if (value < 0) into.bytes[at++] = MINUS;
  at = putWhole(into.bytes, at, Math.abs(value));
  into.at = at;
}

const int8Slowly = slowly("int8");
const putInt8: PutValue = (into, column, start, length) => {
  if (length !== 8) return int8Slowly(into, column, start, length);
  const value = column.view.getInt32(start) * TWO_32 + column.view.getUint32(start + 4);
  if (Number.isSafeInteger(value)) putInteger(into, value);
  else int8Slowly(into, column, start, length);
};

function integer(kind: "int2" | "int4", bytes: number): PutValue {
  const other = slowly(kind);
  return (into, column, start, length) => {
    if (length !== bytes) other(into, column, start, length);
    else putInteger(into, bytes === 2 ? column.view.getInt16(start) : column.view.getInt32(start));
  };
}

function numeric(kind: "decimal" | "numeric"): PutValue {
  const other = slowly(kind);
  return (into, column, start, length) => {
    if (!putNumeric(into, column, start, length)) other(into, column, start, length);
  };
}

/** Rows come in order of time, so a day's date is worked out once for many. */
const dateKnown = new Uint8Array(10);
let dayKnown = Number.NaN;

/** Writes `2026-01-03` for a day since 2000 of the years 1 to 9999. */
function putDate(to: Uint8Array, start: number, day: number): number {
  if (day !== dayKnown) {
    const date = civilFromDay(day + POSTGRES_EPOCH_DAY);
    let at = putPadded(dateKnown, 0, date.year, 4);
    dateKnown[at] = MINUS;
    at = putPadded(dateKnown, at + 1, date.month, 2);
    dateKnown[at] = MINUS;
    putPadded(dateKnown, at + 1, date.day, 2);
    dayKnown = day;
  }
  for (let index = 0; index < dateKnown.length; index += 1) to[start + index] = dateKnown[index] as number;
  return start + dateKnown.length;
}

/** Writes `04:05:06.000007` for microseconds below a day, or 24:00:00. */
function putClock(to: Uint8Array, start: number, micros: number): number {
  const seconds = Math.floor(micros / 1_000_000);
  const minutes = (seconds / 60) | 0;
  const hours = (minutes / 60) | 0;
  let at = putPadded(to, start, hours, 2);
  to[at] = COLON;
  at = putPadded(to, at + 1, minutes - hours * 60, 2);
  to[at] = COLON;
  at = putPadded(to, at + 1, seconds - minutes * 60, 2);
  to[at] = POINT;
  return putPadded(to, at + 1, micros - seconds * 1_000_000, 6);
}

function instant(kind: "timestamptz" | "timestamp"): PutValue {
  const other = slowly(kind);
  return (into, column, start, length) => {
    if (length !== 8) return other(into, column, start, length);
    const micros = column.view.getInt32(start) * TWO_32 + column.view.getUint32(start + 4);
    const day = Math.floor(micros / MICROS_PER_DAY);
    // Beyond some 285 years around 2000 a double has no microseconds any more.
    if (!Number.isSafeInteger(micros)) return other(into, column, start, length);
    let at = into.room(NUMBER_BYTES);
    at = putDate(into.bytes, at, day);
    into.bytes[at] = UPPER_T;
    at = putClock(into.bytes, at + 1, micros - day * MICROS_PER_DAY);
    if (kind === "timestamptz") into.bytes[at++] = UPPER_Z;
    into.at = at;
  };
}

const dateSlowly = slowly("date");
const putDay: PutValue = (into, column, start, length) => {
  const day = length === 4 ? column.view.getInt32(start) : Number.NaN;
  if (day >= DAY_FIRST && day <= DAY_LAST) into.at = putDate(into.bytes, into.room(NUMBER_BYTES), day);
  else dateSlowly(into, column, start, length);
};

const timeSlowly = slowly("time");
const putTime: PutValue = (into, column, start, length) => {
  if (length !== 8) return timeSlowly(into, column, start, length);
  const micros = column.view.getInt32(start) * TWO_32 + column.view.getUint32(start + 4);
  if (micros < 0 || micros > MICROS_PER_DAY) return timeSlowly(into, column, start, length);
  into.at = putClock(into.bytes, into.room(NUMBER_BYTES), micros);
};

const uuidSlowly = slowly("uuid");
const putUuid: PutValue = (into, column, start, length) => {
  if (length !== 16) return uuidSlowly(into, column, start, length);
  let at = into.room(36);
  const { bytes } = column;
  const to = into.bytes;
  for (let index = 0; index < 16; index += 1) {
    if (index === 4 || index === 6 || index === 8 || index === 10) to[at++] = MINUS;
    const byte = bytes[start + index] as number;
    to[at] = HEX[byte >> 4] as number;
    to[at + 1] = HEX[byte & 15] as number;
    at += 2;
  }
  into.at = at;
};

/** Postgres' hex form, `\x00ff`. */
const putBytes: PutValue = (into, { bytes }, start, length) => {
  let at = into.room(2 + length * 2);
  const to = into.bytes;
  to[at] = BACKSLASH;
  to[at + 1] = LOWER_X;
  at += 2;
  for (let index = start; index < start + length; index += 1, at += 2) {
    const byte = bytes[index] as number;
    to[at] = HEX[byte >> 4] as number;
    to[at + 1] = HEX[byte & 15] as number;
  }
  into.at = at;
};

/** The kinds whose text nobody else could choose: Firnline prints it, in ASCII. */
export const PUT_VALUES: Readonly<Record<Exclude<ValueKind, "text" | "json" | "jsonb">, PutValue>> = {
  bool: (into, { bytes }, start) => into.put(bytes[start] === 0 ? FALSE : TRUE),
  int2: integer("int2", 2),
  int4: integer("int4", 4),
  int8: putInt8,
  float4: slowly("float4"),
  float8: slowly("float8"),
  decimal: numeric("decimal"),
  numeric: numeric("numeric"),
  timestamptz: instant("timestamptz"),
  timestamp: instant("timestamp"),
  date: putDay,
  time: putTime,
  uuid: putUuid,
  bytea: putBytes,
  binary: putBytes,
};
