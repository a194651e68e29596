/**
 * Smallest and largest value of a page, as positions among the values; and the order of bounds that are bytes already.
 * Orders are those of Parquet's column orders: integers signed, texts, bytes and uuids unsigned byte by byte, a
 * DECIMAL of 16 bytes by its sign.
 * Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, ColumnOrder
 */
import type { ColumnCells } from "./column-cells.ts";

export type Order = "boolean" | "int32" | "int64" | "float" | "double" | "unsigned16" | "signed16" | "bytes";

/** Positions of a smallest and a largest value. */
export interface Extremes {
  min: number;
  max: number;
}

export function extremesOfInt32(words: Int32Array, from: number, to: number, found: Extremes): void {
  let min = from;
  let max = from;
  let minWord = words[from] as number;
  let maxWord = minWord;
  for (let at = from + 1; at < to; at += 1) {
    const word = words[at] as number;
    if (word < minWord) {
      min = at;
      minWord = word;
    } else if (word > maxWord) {
      max = at;
      maxWord = word;
    }
  }
  found.min = min;
  found.max = max;
}

export function extremesOfInt64(words: Int32Array, from: number, to: number, found: Extremes): void {
  let min = from;
  let max = from;
  let minLow = (words[from * 2] as number) >>> 0;
  let minHigh = words[from * 2 + 1] as number;
  let maxLow = minLow;
  let maxHigh = minHigh;
  for (let at = from + 1; at < to; at += 1) {
    const low = (words[at * 2] as number) >>> 0;
    const high = words[at * 2 + 1] as number;
    if (high > maxHigh || (high === maxHigh && low > maxLow)) {
      max = at;
      maxLow = low;
      maxHigh = high;
    } else if (high < minHigh || (high === minHigh && low < minLow)) {
      min = at;
      minLow = low;
      minHigh = high;
    }
  }
  found.min = min;
  found.max = max;
}

/** False if there is a NaN: it is above all numbers for Postgres and most engines, and bounds would leave it out. */
export function extremesOfFloats(
  floats: Float32Array | Float64Array,
  from: number,
  to: number,
  found: Extremes,
): boolean {
  let min = from;
  let max = from;
  for (let at = from; at < to; at += 1) {
    const value = floats[at] as number;
    if (Number.isNaN(value)) return false;
    if (value < (floats[min] as number)) min = at;
    else if (value > (floats[max] as number)) max = at;
  }
  found.min = min;
  found.max = max;
  return true;
}

/** Values of 16 big-endian bytes. */
export function extremesOf16(
  view: DataView,
  from: number,
  to: number,
  isSigned: boolean,
  found: Extremes,
): void {
  // The sign's bit flips the order of the first words, so that all can be compared unsigned.
  const flip = isSigned ? 0x8000_0000 : 0;
  let min = from;
  let max = from;
  let minFirst = (view.getUint32(from * 16) ^ flip) >>> 0;
  let maxFirst = minFirst;
  for (let at = from + 1; at < to; at += 1) {
    const first = (view.getUint32(at * 16) ^ flip) >>> 0;
    if (first <= minFirst && (first < minFirst || isBelow16(view, at, min))) {
      min = at;
      minFirst = first;
    } else if (first >= maxFirst && (first > maxFirst || isBelow16(view, max, at))) {
      max = at;
      maxFirst = first;
    }
  }
  found.min = min;
  found.max = max;
}

/** For two values whose first words are equal. */
function isBelow16(view: DataView, left: number, right: number): boolean {
  for (let byte = 4; byte < 16; byte += 4) {
    const leftWord = view.getUint32(left * 16 + byte);
    const rightWord = view.getUint32(right * 16 + byte);
    if (leftWord !== rightWord) return leftWord < rightWord;
  }
  return false;
}

/**
 * What the smallest and the largest value so far have in common, in whole words, and the word behind it: a value that
 * begins alike and whose next word is between those two is neither.
 */
class Between {
  #start = 0;
  #shared = 0;
  #low = 0xffff_ffff;
  #high = 0;

  set(view: DataView, min: number, minLength: number, max: number, maxLength: number): void {
    const end = Math.min(minLength, maxLength) - 4;
    let shared = 0;
    while (shared <= end && view.getInt32(min + shared) === view.getInt32(max + shared)) shared += 4;
    const isKnown = shared <= end;
    this.#start = min;
    this.#shared = shared;
    this.#low = isKnown ? view.getUint32(min + shared) : 0xffff_ffff;
    this.#high = isKnown ? view.getUint32(max + shared) : 0;
  }

  has(view: DataView, start: number, length: number): boolean {
    if (length < this.#shared + 4) return false;
    const word = view.getUint32(start + this.#shared);
    if (word <= this.#low || word >= this.#high) return false;
    for (let at = 0; at < this.#shared; at += 4) {
      if (view.getInt32(start + at) !== view.getInt32(this.#start + at)) return false;
    }
    return true;
  }
}

/**
 * Values of any length in `view`, where the cells' `starts` and `lengths` say. Where each has a dictionary entry, an
 * entry is looked at once a page: `seen` holds for each the number of the last page that it was seen in.
 */
export function extremesOfBytes(
  view: DataView,
  cells: ColumnCells,
  from: number,
  to: number,
  seen: Int32Array | null,
  page: number,
  found: Extremes,
): void {
  const { starts, lengths, indexes } = cells;
  const between = new Between();
  let min = from;
  let max = from;
  for (let at = from + 1; at < to; at += 1) {
    if (seen !== null) {
      const entry = indexes[at] as number;
      if (seen[entry] === page) continue;
      seen[entry] = page;
    }
    const start = starts[at] as number;
    const length = lengths[at] as number;
    if (between.has(view, start, length)) continue;
    const minStart = starts[min] as number;
    const minLength = lengths[min] as number;
    const maxStart = starts[max] as number;
    const maxLength = lengths[max] as number;
    if (compareInView(view, start, length, maxStart, maxLength) > 0) {
      max = at;
      between.set(view, minStart, minLength, start, length);
    } else if (compareInView(view, start, length, minStart, minLength) < 0) {
      min = at;
      between.set(view, start, length, maxStart, maxLength);
    }
  }
  found.min = min;
  found.max = max;
}

/** Byte by byte, unsigned; the shorter of two that begin alike comes first. */
function compareInView(
  view: DataView,
  left: number,
  leftLength: number,
  right: number,
  rightLength: number,
): number {
  const shared = leftLength < rightLength ? leftLength : rightLength;
  let at = 0;
  for (; at + 4 <= shared; at += 4) {
    const leftWord = view.getUint32(left + at);
    const rightWord = view.getUint32(right + at);
    if (leftWord !== rightWord) return leftWord < rightWord ? -1 : 1;
  }
  for (; at < shared; at += 1) {
    const difference = view.getUint8(left + at) - view.getUint8(right + at);
    if (difference !== 0) return difference;
  }
  return leftLength - rightLength;
}

/** The order of two bounds as they stand in the file. */
export function compareBounds(order: Order, left: Uint8Array, right: Uint8Array): number {
  if (order === "bytes" || order === "boolean" || order === "unsigned16" || order === "signed16") {
    const flip = order === "signed16" ? 0x80 : 0;
    const shared = Math.min(left.length, right.length);
    for (let at = 0; at < shared; at += 1) {
      const sign = at === 0 ? flip : 0;
      const difference = ((left[at] as number) ^ sign) - ((right[at] as number) ^ sign);
      if (difference !== 0) return difference;
    }
    return left.length - right.length;
  }
  const [leftView, rightView] = [left, right].map(
    ({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength),
  ) as [DataView, DataView];
  if (order === "int32") return leftView.getInt32(0, true) - rightView.getInt32(0, true);
  if (order === "float") return leftView.getFloat32(0, true) - rightView.getFloat32(0, true);
  if (order === "double") return leftView.getFloat64(0, true) - rightView.getFloat64(0, true);
  const difference = leftView.getBigInt64(0, true) - rightView.getBigInt64(0, true);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}
