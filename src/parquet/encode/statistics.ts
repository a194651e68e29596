/**
 * Bounds as they stand in the file: of texts and bytes at most 64 bytes, where a maximum that is cut is rounded up so that
 * it stays above every value. A page's or column chunk's bounds are there as a pair or not at all.
 * Source: https://github.com/apache/parquet-format/blob/master/PageIndex.md
 */
import { compareBounds, type Order } from "./bounds.ts";
import { BOUNDARY_ORDER, type BoundaryOrder } from "./parquet-format.ts";
import { ELEMENT, ThriftWriter } from "./thrift-writer.ts";

export const BOUND_BYTES_MAX = 64;

export interface Bounds {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
  /** False where it was cut. */
  readonly isMinExact: boolean;
  readonly isMaxExact: boolean;
}

export interface PageStatistics {
  readonly rows: number;
  readonly nulls: number;
  /** Null where every cell is null, or where there are none to be had. */
  readonly bounds: Bounds | null;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

/** Copies of two values as bounds; null if the largest one has nothing short above it. */
export function boundsOfBytes(min: Uint8Array, max: Uint8Array, isText: boolean): Bounds | null {
  const isMinExact = min.length <= BOUND_BYTES_MAX;
  const isMaxExact = max.length <= BOUND_BYTES_MAX;
  const upper = isMaxExact ? max.slice() : isText ? roundedUpText(max) : roundedUp(max);
  if (upper === null) return null;
  const end = isMinExact ? min.length : isText ? characterEnd(min) : BOUND_BYTES_MAX;
  return { min: min.slice(0, end), max: upper, isMinExact, isMaxExact };
}

/** Where the last whole character of the first 64 bytes ends; at 64 in what is no UTF-8. */
function characterEnd(bytes: Uint8Array): number {
  for (let end = BOUND_BYTES_MAX; end > BOUND_BYTES_MAX - 4; end -= 1) {
    if (((bytes[end] as number) & 0xc0) !== 0x80) return end;
  }
  return BOUND_BYTES_MAX;
}

function roundedUp(bytes: Uint8Array): Uint8Array | null {
  let last = BOUND_BYTES_MAX - 1;
  while (last >= 0 && bytes[last] === 0xff) last -= 1;
  if (last < 0) return null;
  const rounded = bytes.slice(0, last + 1);
  rounded[last] = (rounded[last] as number) + 1;
  return rounded;
}

/** The next character in the place of the last one that has a next; whole characters, so that it stays UTF-8. */
function roundedUpText(bytes: Uint8Array): Uint8Array | null {
  let characters: string[];
  try {
    characters = [...strictUtf8.decode(bytes.subarray(0, characterEnd(bytes)))];
  } catch {
    return roundedUp(bytes);
  }
  while (characters.length > 0) {
    const code = (characters.pop() as string).codePointAt(0) as number;
    if (code === 0x10_ffff) continue;
    const next = String.fromCodePoint(code === 0xd7ff ? 0xe000 : code + 1);
    const rounded = utf8.encode(characters.join("") + next);
    if (rounded.length <= BOUND_BYTES_MAX) return rounded;
  }
  return null;
}

/** Bounds of a column chunk from those of its pages; null if a page has values and no bounds. */
export function mergedBounds(order: Order, pages: readonly PageStatistics[]): Bounds | null {
  let merged: Bounds | null = null;
  for (const { bounds, rows, nulls } of pages) {
    if (bounds === null) {
      if (rows === nulls) continue;
      return null;
    }
    merged = merged === null ? bounds : widerOf(order, merged, bounds);
  }
  return merged;
}

/** Of two equal bounds the exact one: the value is there. */
function widerOf(order: Order, left: Bounds, right: Bounds): Bounds {
  const below = compareBounds(order, left.min, right.min);
  const above = compareBounds(order, left.max, right.max);
  return {
    min: below <= 0 ? left.min : right.min,
    isMinExact:
      below === 0 ? left.isMinExact || right.isMinExact : below < 0 ? left.isMinExact : right.isMinExact,
    max: above >= 0 ? left.max : right.max,
    isMaxExact:
      above === 0 ? left.isMaxExact || right.isMaxExact : above > 0 ? left.isMaxExact : right.isMaxExact,
  };
}

function boundaryOrder(order: Order, pages: readonly PageStatistics[]): BoundaryOrder {
  let isAscending = true;
  let isDescending = true;
  let before: Bounds | null = null;
  for (const { bounds } of pages) {
    if (bounds === null) continue;
    if (before !== null) {
      const steps = [
        compareBounds(order, before.min, bounds.min),
        compareBounds(order, before.max, bounds.max),
      ];
      if (steps.some((step) => step > 0)) isAscending = false;
      if (steps.some((step) => step < 0)) isDescending = false;
    }
    before = bounds;
  }
  if (isAscending) return BOUNDARY_ORDER.ascending;
  return isDescending ? BOUNDARY_ORDER.descending : BOUNDARY_ORDER.unordered;
}

/** The column index of a column chunk; null if a page has values and no bounds. */
export function columnIndexBytes(order: Order, pages: readonly PageStatistics[]): Uint8Array | null {
  if (pages.some(({ bounds, rows, nulls }) => bounds === null && rows !== nulls)) return null;
  const thrift = new ThriftWriter();
  thrift.list(1, ELEMENT.bool, pages.length);
  for (const { bounds } of pages) thrift.boolElement(bounds === null);
  const nothing = new Uint8Array(0);
  thrift.list(2, ELEMENT.binary, pages.length);
  for (const { bounds } of pages) thrift.binaryElement(bounds?.min ?? nothing);
  thrift.list(3, ELEMENT.binary, pages.length);
  for (const { bounds } of pages) thrift.binaryElement(bounds?.max ?? nothing);
  thrift.i32(4, boundaryOrder(order, pages));
  thrift.list(5, ELEMENT.i64, pages.length);
  for (const { nulls } of pages) thrift.integerElement(nulls);
  thrift.end();
  return thrift.take();
}
