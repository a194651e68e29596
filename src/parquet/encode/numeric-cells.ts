/**
 * Fields of a `numeric` without fixed digits to texts, as `numeric_out` prints them. Fields in the form that Postgres
 * sends are printed digit by digit; all others take the long way through `rows/numeric.ts`, which also says whether they
 * come back byte for byte.
 */
import { bytesEqual } from "../../rows/hex.ts";
import { decodeNumeric, encodeNumeric, numericFromText, numericToText } from "../../rows/numeric.ts";
import { addException, brokenColumn, type ColumnCells, type RawCells } from "./column-cells.ts";

const ZERO = 0x30;
const POINT = 0x2e;
const MINUS = 0x2d;
/** Longer texts take the long way, so that what is reserved for a short one stays small. */
const WEIGHT_MAX = 64;
const SCALE_MAX = 256;
const TEXT_BYTES_MAX = (WEIGHT_MAX + 1) * 4 + SCALE_MAX + 8;
const utf8 = new TextEncoder();

/** The texts of a chunk's numbers, one behind the other. */
export interface NumericTexts {
  readonly values: number;
  readonly source: Uint8Array;
}

/** Where the last of the digits' base-10000 groups goes on behind the scale, it must be zeros there. */
const PADDING = [1, 10, 100, 1000];

/** Prints a field in Postgres' form at `out[at]`; returns where the text ended, or -1 if that needs the long way. */
function printNumeric(view: DataView, start: number, length: number, out: Uint8Array, at: number): number {
  if (length < 8) return -1;
  const count = view.getUint16(start);
  const weight = view.getInt16(start + 2);
  const sign = view.getUint16(start + 4);
  const scale = view.getUint16(start + 6);
  if (length !== 8 + count * 2 || scale > SCALE_MAX || weight > WEIGHT_MAX || weight < -WEIGHT_MAX) return -1;
  if (count === 0) {
    if (sign !== 0 || weight !== 0) return -1;
  } else if ((sign !== 0 && sign !== 0x4000) || !hasCanonicalDigits(view, start + 8, count, weight, scale)) {
    return -1;
  }
  let to = at;
  if (sign !== 0) {
    out[to] = MINUS;
    to += 1;
  }
  if (count === 0 || weight < 0) {
    out[to] = ZERO;
    to += 1;
  } else {
    let isFirst = true;
    for (let group = 0; group <= weight; group += 1) {
      const digit = group < count ? view.getUint16(start + 8 + group * 2) : 0;
      if (!isFirst || digit >= 1000) out[to++] = ZERO + Math.trunc(digit / 1000);
      if (!isFirst || digit >= 100) out[to++] = ZERO + (Math.trunc(digit / 100) % 10);
      if (!isFirst || digit >= 10) out[to++] = ZERO + (Math.trunc(digit / 10) % 10);
      out[to++] = ZERO + (digit % 10);
      isFirst = false;
    }
  }
  if (scale === 0) return to;
  out[to] = POINT;
  to += 1;
  const end = to + scale;
  // Whole groups of four digits: what is written behind the end is written over by what comes next.
  for (let behind = 0; to < end; behind += 1, to += 4) {
    const digit = groupAt(view, start, count, weight, behind);
    out[to] = ZERO + Math.trunc(digit / 1000);
    out[to + 1] = ZERO + (Math.trunc(digit / 100) % 10);
    out[to + 2] = ZERO + (Math.trunc(digit / 10) % 10);
    out[to + 3] = ZERO + (digit % 10);
  }
  return end;
}

/** The base-10000 digit that is number `behind` after the point, from 0. */
function groupAt(view: DataView, start: number, count: number, weight: number, behind: number): number {
  const index = weight + 1 + behind;
  return index >= 0 && index < count ? view.getUint16(start + 8 + index * 2) : 0;
}

/** No zeros at the ends, none above 9999, and nothing behind the scale: there is one form for each number. */
function hasCanonicalDigits(
  view: DataView,
  start: number,
  count: number,
  weight: number,
  scale: number,
): boolean {
  let digit = 0;
  for (let index = 0; index < count; index += 1) {
    digit = view.getUint16(start + index * 2);
    if (digit > 9999 || (index === 0 && digit === 0)) return false;
  }
  if (digit === 0) return false;
  const behind = (count - 1 - weight) * 4 - scale;
  return behind <= 0 || (behind <= 3 && digit % (PADDING[behind] as number) === 0);
}

/** Prints a chunk's fields and points the cells at the texts. The levels of its rows must all be 1. */
export function gatherNumeric(from: RawCells, cells: ColumnCells): NumericTexts {
  const { raw, view, rows, firstRow, firstValue } = from;
  const { levels, starts, lengths } = cells;
  const end = raw.length;
  let source = new Uint8Array(raw.length * 2 + TEXT_BYTES_MAX);
  let used = 0;
  let at = 0;
  let to = firstValue;
  const reserve = (more: number): void => {
    if (used + more <= source.length) return;
    const grown = new Uint8Array(Math.max(source.length * 2, used + more));
    grown.set(source.subarray(0, used));
    source = grown;
  };
  for (let row = 0; row < rows; row += 1) {
    const length = at + 4 <= end ? view.getInt32(at) : -2;
    at += 4;
    if (length === -1) {
      levels[firstRow + row] = 0;
      continue;
    }
    if (length < 0 || at + length > end) throw brokenColumn(from, row);
    if (used + TEXT_BYTES_MAX > source.length) reserve(TEXT_BYTES_MAX);
    let textEnd = printNumeric(view, at, length, source, used);
    if (textEnd < 0) {
      const field = raw.subarray(at, at + length);
      const parts = decodeNumeric(raw, at, length);
      const text = parts === null ? null : numericToText(parts);
      const back = text === null ? null : numericFromText(text);
      if (back === null || !bytesEqual(encodeNumeric(back), field)) {
        // An infinity comes with a scale that its text does not tell: readable, and an exception.
        addException(from.exceptions, from.column, row, field);
      }
      if (text === null) {
        levels[firstRow + row] = 0;
        at += length;
        continue;
      }
      const bytes = utf8.encode(text);
      reserve(bytes.length);
      source.set(bytes, used);
      textEnd = used + bytes.length;
    }
    starts[to] = used;
    lengths[to] = textEnd - used;
    to += 1;
    used = textEnd;
    at += length;
  }
  if (at !== end) throw brokenColumn(from, rows);
  return { values: to - firstValue, source };
}
