/**
 * Fields of a fixed length to words: integers, times, floats, uuids and booleans. What does not come back byte for byte
 * is an exception: another length, an instant that does not fit when it is counted from 1970, an infinity, a NaN with a
 * payload.
 */
import type { ValueKind } from "../../rows/column.ts";
import { POSTGRES_EPOCH_DAY, POSTGRES_EPOCH_MICROS } from "../../rows/day.ts";
import { addException, brokenColumn, type ColumnCells, type RawCells } from "./column-cells.ts";

const EPOCH_LOW = Number(BigInt.asIntN(32, POSTGRES_EPOCH_MICROS));
const EPOCH_HIGH = Number(POSTGRES_EPOCH_MICROS >> 32n);
/** Above this the Unix epoch does not fit; infinity, the largest int32, is above it too. */
const DATE_MAX = 2_147_483_647 - POSTGRES_EPOCH_DAY;
const INT32_MIN = -2_147_483_648;
const FLOAT4_NAN = 0x7fc0_0000;
const FLOAT4_INFINITY = 0x7f80_0000;
const FLOAT8_NAN_HIGH = 0x7ff8_0000;
const FLOAT8_INFINITY_HIGH = 0x7ff0_0000;

export type FixedKind = Exclude<
  ValueKind,
  "decimal" | "numeric" | "bytea" | "text" | "json" | "jsonb" | "binary"
>;

const [BOOL, INT2, INT4, FLOAT4, DATE, INT8, INSTANT, FLOAT8, UUID] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/** How a kind is read, the bytes of its field, and the words of its value. */
const FORMS: Readonly<Record<FixedKind, readonly [form: number, fieldBytes: number, words: 1 | 2 | 4]>> = {
  bool: [BOOL, 1, 1],
  int2: [INT2, 2, 1],
  int4: [INT4, 4, 1],
  float4: [FLOAT4, 4, 1],
  date: [DATE, 4, 1],
  int8: [INT8, 8, 2],
  time: [INT8, 8, 2],
  timestamptz: [INSTANT, 8, 2],
  timestamp: [INSTANT, 8, 2],
  float8: [FLOAT8, 8, 2],
  uuid: [UUID, 16, 4],
};

export const wordsOf = (kind: FixedKind): 1 | 2 | 4 => FORMS[kind][2];

export const isFixedKind = (kind: ValueKind): kind is FixedKind => Object.hasOwn(FORMS, kind);

/** Takes a chunk's fields apart; returns the number of values. The levels of its rows must all be 1. */
export function gatherFixed(kind: FixedKind, from: RawCells, cells: ColumnCells): number {
  const { raw, view, rows, firstRow, firstValue } = from;
  const { levels, words } = cells;
  const [form, fieldBytes, wordCount] = FORMS[kind];
  const end = raw.length;
  let at = 0;
  let to = firstValue * wordCount;
  for (let row = 0; row < rows; row += 1) {
    const length = at + 4 <= end ? view.getInt32(at) : INT32_MIN;
    at += 4;
    if (length === fieldBytes && at + length <= end) {
      let isExact = true;
      let isValue = true;
      if (form === INT8) {
        words[to] = view.getInt32(at + 4);
        words[to + 1] = view.getInt32(at);
      } else if (form === INSTANT) {
        const low = view.getInt32(at + 4);
        const high = view.getInt32(at);
        const sumLow = (low + EPOCH_LOW) | 0;
        const sumHigh = (high + EPOCH_HIGH + (sumLow >>> 0 < EPOCH_LOW >>> 0 ? 1 : 0)) | 0;
        words[to] = sumLow;
        words[to + 1] = sumHigh;
        isValue = !((high >= 0 && sumHigh < 0) || (high === INT32_MIN && low === 0));
      } else if (form === UUID) {
        words[to] = view.getInt32(at, true);
        words[to + 1] = view.getInt32(at + 4, true);
        words[to + 2] = view.getInt32(at + 8, true);
        words[to + 3] = view.getInt32(at + 12, true);
      } else if (form === INT4) {
        words[to] = view.getInt32(at);
      } else if (form === INT2) {
        words[to] = view.getInt16(at);
      } else if (form === DATE) {
        const day = view.getInt32(at);
        words[to] = day + POSTGRES_EPOCH_DAY;
        isValue = day <= DATE_MAX && day !== INT32_MIN;
      } else if (form === FLOAT8) {
        const low = view.getInt32(at + 4);
        const high = view.getInt32(at);
        words[to] = low;
        words[to + 1] = high;
        const magnitude = high & 0x7fff_ffff;
        const isNaN = magnitude > FLOAT8_INFINITY_HIGH || (magnitude === FLOAT8_INFINITY_HIGH && low !== 0);
        // A NaN with a payload is written with its bits, but readers may lose them.
        isExact = !isNaN || (high === FLOAT8_NAN_HIGH && low === 0);
      } else if (form === FLOAT4) {
        const bits = view.getInt32(at);
        words[to] = bits;
        isExact = (bits & 0x7fff_ffff) <= FLOAT4_INFINITY || bits === FLOAT4_NAN;
      } else {
        const byte = raw[at] as number;
        words[to] = byte;
        isValue = byte <= 1;
      }
      if (isValue) to += wordCount;
      else levels[firstRow + row] = 0;
      if (!isValue || !isExact)
        addException(from.exceptions, from.column, row, raw.subarray(at, at + length));
      at += length;
    } else if (length === -1) {
      levels[firstRow + row] = 0;
    } else {
      if (length < 0 || at + length > end) throw brokenColumn(from, row);
      levels[firstRow + row] = 0;
      addException(from.exceptions, from.column, row, raw.subarray(at, at + length));
      at += length;
    }
  }
  if (at !== end) throw brokenColumn(from, rows);
  return to / wordCount - firstValue;
}
