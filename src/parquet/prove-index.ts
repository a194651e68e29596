/**
 * Proof of a segment's index, at the seal: every bound, count, place and filter in it is held against the pages that it
 * speaks of. A reader that prunes by an index that was not proved would lose rows without a trace (I8), and so would any
 * other engine, from a file that came out of a fault in our encoder.
 */
import type { RawRows } from "../rows/copy-binary.ts";
import type { Column } from "../rows/column.ts";
import type { Manifest } from "../segment/manifest.ts";
import { filterHolds } from "./decode/bloom-filter.ts";
import { type Cells, physicalType } from "./decode/cells.ts";
import type { PageWitness } from "./decode/column-pages.ts";
import { CellOrder, type Extremes } from "./decode/extremes.ts";
import type { DataPage } from "./decode/page.ts";
import { comparePlain, plainOrder, type PlainOrder } from "./decode/plain-order.ts";
import { XxHash64 } from "./decode/xxhash64.ts";
import {
  type Bounds,
  type ColumnEntry,
  columnEntry,
  type PageEntry,
  type SegmentIndex,
} from "./read-index.ts";
import { decodeColumns, type RowGroupLayout, type SegmentLayout } from "./read-segment.ts";

export interface ProvedRowGroup {
  readonly chunks: RawRows[];
  /** What the index says wrongly; null when all of it is true. */
  readonly problem: string | null;
}

/**
 * Decodes a row group, as `decodeRowGroup` does, and holds the index against it on the way: all is looked at once, and each
 * value of a dictionary once a page. Throws `E_FORMAT` where the pages cannot be decoded.
 */
export async function proveRowGroup(
  manifest: Manifest,
  layout: SegmentLayout,
  index: SegmentIndex,
  group: number,
  bytes: Uint8Array,
): Promise<ProvedRowGroup> {
  const place = layout.rowGroups[group] as RowGroupLayout;
  const proofs = manifest.columns.map(
    (column, at) =>
      new ColumnProof(
        column,
        columnEntry(index, group, at),
        (place.columns[at] as { start: number }).start,
        place.rows,
      ),
  );
  const chunks = decodeColumns(manifest, place, bytes, proofs);
  const wrong = proofs.findIndex((proof) => proof.finish() !== null);
  const problem =
    wrong < 0
      ? null
      : `the index of column ${manifest.columns[wrong]?.name} is wrong in the row group from row ${place.firstRow} on: ` +
        (proofs[wrong]?.finish() ?? "");
  return { chunks, problem };
}

/** Holds one column's entry against its pages. The first thing that is wrong is kept. */
class ColumnProof implements PageWitness {
  readonly #entry: ColumnEntry;
  readonly #order: PlainOrder;
  /** Of the column chunk in the object. */
  readonly #start: number;
  readonly #rows: number;
  readonly #hash = new XxHash64();
  #dictionary: {
    readonly order: CellOrder;
    readonly pageOf: Uint32Array;
    readonly listed: Uint32Array;
  } | null = null;
  #pages = 0;
  #firstRow = 0;
  #nulls = 0;
  #isMinThere = false;
  #isMaxThere = false;
  #lastValue: Uint8Array | null = null;
  #problem: string | null = null;

  constructor(column: Column, entry: ColumnEntry, start: number, rows: number) {
    this.#entry = entry;
    this.#order = plainOrder(column, physicalType(column).width);
    this.#start = start;
    this.#rows = rows;
  }

  dictionary(values: Cells): void {
    this.#dictionary = {
      order: new CellOrder(this.#order, values),
      pageOf: new Uint32Array(values.count),
      listed: new Uint32Array(values.count),
    };
    this.#requireInFilter(values);
  }

  page(page: DataPage, values: Cells | null, indexes: Uint32Array | null): void {
    const number = this.#pages;
    this.#pages += 1;
    const entry = this.#entry.pages[number];
    if (entry !== undefined) {
      const isHere =
        entry.start === this.#start + page.start &&
        entry.end === this.#start + page.end &&
        entry.firstRow === this.#firstRow &&
        entry.rows === page.rows;
      if (!isHere) this.#fail(`page ${number} lies elsewhere`);
      if (entry.nulls !== null && entry.nulls !== page.nulls)
        this.#fail(`page ${number} has ${page.nulls} nulls, not ${entry.nulls}`);
      if (entry.isEmpty && page.nulls !== page.rows) this.#fail(`page ${number} is not empty`);
    }
    this.#firstRow += page.rows;
    this.#nulls += page.nulls;
    if (this.#entry.isSorted && page.nulls > 0) this.#fail(`page ${number} has nulls, and is not sorted`);
    if (values !== null) this.#requireInFilter(values);
    const order = values === null ? this.#dictionary?.order : new CellOrder(this.#order, values);
    if (order === undefined || (values === null && indexes === null)) return;
    if (hasBounds(this.#entry) || (entry !== undefined && hasBounds(entry)))
      this.#requireBounds(number, entry, this.#extremes(order, values, indexes));
    if (this.#entry.isSorted) this.#requireSorted(number, order, values?.count ?? 0, indexes);
  }

  /** What is wrong; called when all pages were shown. */
  finish(): string | null {
    const { pages, nulls } = this.#entry;
    if (pages.length > 0 && pages.length !== this.#pages)
      this.#fail(`there are ${this.#pages} pages, not ${pages.length}`);
    if (nulls !== null && nulls !== this.#nulls) this.#fail(`there are ${this.#nulls} nulls, not ${nulls}`);
    if (this.#firstRow !== this.#rows) this.#fail(`there are ${this.#firstRow} rows`);
    const { min, max, isMinExact, isMaxExact } = this.#entry;
    if (isMinExact && min !== null && !this.#isMinThere) this.#fail("its lowest value is another one");
    if (isMaxExact && max !== null && !this.#isMaxThere) this.#fail("its highest value is another one");
    this.#requireOrder();
    return this.#problem;
  }

  #fail(problem: string): void {
    this.#problem ??= problem;
  }

  /** Of a dictionary's values, each that the page has is looked at once. */
  #extremes(order: CellOrder, values: Cells | null, indexes: Uint32Array | null): Extremes | null {
    if (values !== null || indexes === null || this.#dictionary === null)
      return order.extremes(null, values?.count ?? 0);
    const { pageOf, listed } = this.#dictionary;
    let count = 0;
    for (let at = 0; at < indexes.length; at += 1) {
      const index = indexes[at] as number;
      if (pageOf[index] === this.#pages) continue;
      pageOf[index] = this.#pages;
      listed[count] = index;
      count += 1;
    }
    return order.extremes(listed, count);
  }

  #requireBounds(number: number, entry: PageEntry | undefined, extremes: Extremes | null): void {
    if (extremes === null) {
      this.#fail(`page ${number} has a NaN, and bounds`);
      return;
    }
    if (!isWithin(this.#order, extremes, this.#entry))
      this.#fail(`a value of page ${number} is out of bounds`);
    if (entry !== undefined && !isWithin(this.#order, extremes, entry))
      this.#fail(`a value of page ${number} is out of that page's bounds`);
    const { min, max } = this.#entry;
    this.#isMinThere ||= min !== null && comparePlain(this.#order, min, extremes.min) === 0;
    this.#isMaxThere ||= max !== null && comparePlain(this.#order, max, extremes.max) === 0;
  }

  #requireSorted(number: number, order: CellOrder, count: number, indexes: Uint32Array | null): void {
    const [first, last] = indexes === null ? [0, count - 1] : [indexes[0], indexes.at(-1)];
    const before = this.#lastValue;
    const isAfter = before === null || comparePlain(this.#order, before, order.value(first as number)) <= 0;
    if (!isAfter || !order.isAscending(indexes, indexes?.length ?? count))
      this.#fail(`page ${number} is not sorted`);
    this.#lastValue = order.value(last as number);
  }

  #requireInFilter(values: Cells): void {
    const { bloomFilter } = this.#entry;
    if (bloomFilter === null) return;
    const hash = this.#hash;
    const { bytes, count } = values;
    for (let index = 0; index < count; index += 1) {
      const start = values.shape === "fixed" ? index * values.width : (values.starts[index] as number);
      const length = values.shape === "fixed" ? values.width : (values.lengths[index] as number);
      hash.hash(bytes, start, start + length);
      if (filterHolds(bloomFilter, hash.low, hash.high)) continue;
      this.#fail("a value is missing from the bloom filter");
      return;
    }
  }

  /** Other engines search bounds that are said to be in order from the middle on. */
  #requireOrder(): void {
    const { pages, order } = this.#entry;
    if (order === "unordered") return;
    const sign = order === "ascending" ? 1 : -1;
    const full = pages.filter((page) => !page.isEmpty);
    for (const [at, page] of full.entries()) {
      const next = full[at + 1];
      if (next === undefined) return;
      for (const [left, right] of [
        [page.min, next.min],
        [page.max, next.max],
      ] as const) {
        if (left === null || right === null || !(comparePlain(this.#order, left, right) * sign <= 0))
          this.#fail(`its pages are not ${order}`);
      }
    }
  }
}

const hasBounds = ({ min, max }: Bounds): boolean => min !== null || max !== null;

function isWithin(order: PlainOrder, { min, max }: Extremes, bounds: Bounds): boolean {
  return (
    (bounds.min === null || comparePlain(order, bounds.min, min) <= 0) &&
    (bounds.max === null || comparePlain(order, bounds.max, max) >= 0)
  );
}
