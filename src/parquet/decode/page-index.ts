/**
 * Offset index and column index: where each data page of a column chunk lies, and which values it has.
 * Source: https://github.com/apache/parquet-format/blob/master/PageIndex.md
 */
import { integer, list, ThriftReader, type ThriftValue } from "./thrift.ts";

export interface PagePlace {
  readonly start: number;
  /** Of the page, its header included. */
  readonly bytes: number;
  /** Within the row group. */
  readonly firstRow: number;
}

export interface PageBounds {
  readonly isEmpty: boolean;
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
  readonly nulls: number | null;
}

/** For each page a place with its three numbers, or a bound, a count and a flag; and what the format may have besides. */
const PAGE_VALUES_MAX = 8;
const INDEX_VALUES_MAX = 64;
const valuesMax = (pages: number): number => INDEX_VALUES_MAX + pages * PAGE_VALUES_MAX;

/** `pagesMax` are as many as there can be. Throws an `Error` when the bytes are no offset index. */
export function readOffsetIndex(bytes: Uint8Array, pagesMax: number): PagePlace[] {
  return (list(new ThriftReader(bytes, valuesMax(pagesMax)).struct(), 1) ?? []).map((place) => {
    if (!(place instanceof Map)) throw new Error("a place of a page that is none");
    return {
      start: integer(place, 1) ?? -1,
      bytes: integer(place, 2) ?? -1,
      firstRow: integer(place, 3) ?? -1,
    };
  });
}

const ORDERS = ["unordered", "ascending", "descending"] as const;
export type PageOrder = (typeof ORDERS)[number];

/** Throws an `Error` when the bytes are no column index of so many pages. */
export function readColumnIndex(bytes: Uint8Array, pages: number): { pages: PageBounds[]; order: PageOrder } {
  const index = new ThriftReader(bytes, valuesMax(pages)).struct();
  const empty = list(index, 1) ?? [];
  const [mins, maxs] = [list(index, 2) ?? [], list(index, 3) ?? []];
  const nulls = list(index, 5);
  if (empty.length !== pages) throw new Error(`${empty.length} bounds of ${pages} pages`);
  if (mins.length !== empty.length || maxs.length !== empty.length || (nulls ?? mins).length !== empty.length)
    throw new Error("a column index of unequal lists");
  return {
    // A page of nothing but nulls has bounds that mean nothing.
    pages: empty.map((isEmpty, page) => ({
      isEmpty: isEmpty === true,
      min: isEmpty === true ? null : bound(mins[page]),
      max: isEmpty === true ? null : bound(maxs[page]),
      nulls: nulls === undefined ? null : count(nulls[page]),
    })),
    order: ORDERS[integer(index, 4) ?? 0] ?? "unordered",
  };
}

function bound(value: ThriftValue | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value.slice();
  throw new Error("a bound that is no value");
}

function count(value: ThriftValue | undefined): number {
  if (typeof value === "number" && value >= 0) return value;
  throw new Error("a number of nulls that is none");
}
