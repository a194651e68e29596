/**
 * Fields of a `numeric(p,s)` to the unscaled number in words: INT32, INT64 or 16 big-endian bytes. What fits a
 * JavaScript number is put together digit by digit; the rest goes through BigInt, as does everything that Postgres
 * would not have sent. What does not come back byte for byte is an exception.
 */
import type { Column } from "../../rows/column.ts";
import { bytesEqual } from "../../rows/hex.ts";
import { decodeNumeric, encodeNumeric } from "../../rows/numeric.ts";
import { type DecimalWidth, decimalWidth } from "../parquet-schema.ts";
import { addException, brokenColumn, type ColumnCells, type RawCells } from "./column-cells.ts";

const WORDS: Readonly<Record<DecimalWidth, 1 | 2 | 4>> = { int32: 1, int64: 2, fixed: 4 };
const TWO_32 = 4_294_967_296;
/** Not a number that is taken apart here. */
const ELSEWHERE = Number.NaN;
const DIGITS_MAX = 4;

export const decimalWords = (column: Column): 1 | 2 | 4 => WORDS[decimalWidth(column.precision as number)];

/**
 * The unscaled number, if Postgres could have sent the field and it fits; `ELSEWHERE` if that needs a closer look.
 * The wire form is in `rows/numeric.ts`.
 */
function quickUnscaled(view: DataView, start: number, length: number, scale: number): number {
  if (length < 8) return ELSEWHERE;
  const count = view.getUint16(start);
  const sign = view.getUint16(start + 4);
  if (length !== 8 + count * 2 || view.getUint16(start + 6) !== scale) return ELSEWHERE;
  if ((sign !== 0 && sign !== 0x4000) || count === 0 || count > DIGITS_MAX) return ELSEWHERE;
  let value = 0;
  let digit = 1;
  for (let index = 0; index < count; index += 1) {
    digit = view.getUint16(start + 8 + index * 2);
    // A first digit of zero is not how Postgres writes it.
    if (digit > 9999 || (index === 0 && digit === 0)) return ELSEWHERE;
    value = value * 10_000 + digit;
  }
  if (digit === 0 || value > Number.MAX_SAFE_INTEGER) return ELSEWHERE;
  let shift = (view.getInt16(start + 2) - count + 1) * 4 + scale;
  if (shift > 15 || shift < -3) return ELSEWHERE;
  for (; shift > 0; shift -= 1) value *= 10;
  for (; shift < 0; shift += 1) {
    if (value % 10 !== 0) return ELSEWHERE;
    value /= 10;
  }
  if (value > Number.MAX_SAFE_INTEGER) return ELSEWHERE;
  return sign === 0 ? value : -value;
}

/** The unscaled number, or null if the field would not come back. */
function exactUnscaled(raw: Uint8Array, start: number, length: number, column: Column): bigint | null {
  const parts = decodeNumeric(raw, start, length);
  if (parts === null || typeof parts.unscaled === "string" || parts.scale !== column.scale) return null;
  const limit = 10n ** BigInt(column.precision as number);
  if (parts.unscaled >= limit || parts.unscaled <= -limit) return null;
  return bytesEqual(encodeNumeric(parts), raw.subarray(start, start + length)) ? parts.unscaled : null;
}

function putNumber(words: Int32Array, to: number, value: number, wordCount: number): void {
  const high = Math.floor(value / TWO_32);
  if (wordCount < 4) {
    words[to] = value;
    if (wordCount === 2) {
      words[to] = value - high * TWO_32;
      words[to + 1] = high;
    }
    return;
  }
  words[to] = words[to + 1] = value < 0 ? -1 : 0;
  words[to + 2] = swapped(high);
  words[to + 3] = swapped(value - high * TWO_32);
}

function putBigInt(words: Int32Array, to: number, value: bigint, wordCount: number): void {
  const word = (index: number): number => Number(BigInt.asIntN(32, value >> BigInt(index * 32)));
  for (let index = 0; index < wordCount; index += 1) {
    words[to + index] = wordCount < 4 ? word(index) : swapped(word(3 - index));
  }
}

/** The bytes of a word in the other order. */
function swapped(value: number): number {
  const word = value | 0;
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** Takes a chunk's fields apart; returns the number of values. The levels of its rows must all be 1. */
export function gatherDecimal(column: Column, from: RawCells, cells: ColumnCells): number {
  const { raw, view, rows, firstRow, firstValue } = from;
  const { levels, words } = cells;
  const wordCount = decimalWords(column);
  const scale = column.scale as number;
  const limit = 10 ** (column.precision as number);
  const end = raw.length;
  let at = 0;
  let to = firstValue * wordCount;
  for (let row = 0; row < rows; row += 1) {
    const length = at + 4 <= end ? view.getInt32(at) : -2;
    at += 4;
    if (length === -1) {
      levels[firstRow + row] = 0;
      continue;
    }
    if (length < 0 || at + length > end) throw brokenColumn(from, row);
    const quick = quickUnscaled(view, at, length, scale);
    if (quick < limit && quick > -limit) {
      putNumber(words, to, quick, wordCount);
      to += wordCount;
    } else {
      const value = exactUnscaled(raw, at, length, column);
      if (value === null) {
        levels[firstRow + row] = 0;
        addException(from.exceptions, from.column, row, raw.subarray(at, at + length));
      } else {
        putBigInt(words, to, value, wordCount);
        to += wordCount;
      }
    }
    at += length;
  }
  if (at !== end) throw brokenColumn(from, rows);
  return to / wordCount - firstValue;
}
