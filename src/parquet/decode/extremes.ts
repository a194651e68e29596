/** The lowest and the highest of a page's values, without a JavaScript value for each. */
import type { Cells } from "./cells.ts";
import { comparePlain, type PlainOrder } from "./plain-order.ts";

export interface Extremes {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
}

/** Compares the values of a column by their numbers. */
export class CellOrder {
  readonly #order: PlainOrder;
  readonly #cells: Cells;
  readonly #view: DataView;

  constructor(order: PlainOrder, cells: Cells) {
    this.#order = order;
    this.#cells = cells;
    this.#view = new DataView(cells.bytes.buffer, cells.bytes.byteOffset, cells.bytes.byteLength);
  }

  /**
   * Of all values, or of those that are listed, at least one. Null when a NaN is among them: it is neither below nor above
   * anything.
   */
  extremes(listed: Uint32Array | null, count: number): Extremes | null {
    let [min, max] = [listed?.[0] ?? 0, listed?.[0] ?? 0];
    for (let index = 0; index < count; index += 1) {
      const at = listed === null ? index : (listed[index] as number);
      const above = this.#compare(at, max);
      if (Number.isNaN(above)) return null;
      if (above > 0) max = at;
      else if (above < 0 && this.#compare(at, min) < 0) min = at;
    }
    return { min: this.value(min), max: this.value(max) };
  }

  /** Whether no value is below the one before it: of all, or of those that are listed, in that order. */
  isAscending(listed: Uint32Array | null, count: number): boolean {
    for (let index = 1; index < count; index += 1) {
      const [before, at] = listed === null ? [index - 1, index] : [listed[index - 1], listed[index]];
      if (!(this.#compare(before as number, at as number) <= 0)) return false;
    }
    return true;
  }

  value(index: number): Uint8Array {
    const cells = this.#cells;
    if (cells.shape === "fixed") return cells.bytes.subarray(index * cells.width, (index + 1) * cells.width);
    const start = cells.starts[index] as number;
    return cells.bytes.subarray(start, start + (cells.lengths[index] as number));
  }

  #compare(left: number, right: number): number {
    const view = this.#view;
    switch (this.#order) {
      case "int32":
        return view.getInt32(left * 4, true) - view.getInt32(right * 4, true);
      case "int64": {
        const upper = view.getInt32(left * 8 + 4, true) - view.getInt32(right * 8 + 4, true);
        return upper === 0 ? view.getUint32(left * 8, true) - view.getUint32(right * 8, true) : upper;
      }
      case "bytes":
        return this.#compareBytes(left, right);
      default:
        return comparePlain(this.#order, this.value(left), this.value(right));
    }
  }

  #compareBytes(left: number, right: number): number {
    const cells = this.#cells;
    const isFixed = cells.shape === "fixed";
    const leftAt = isFixed ? left * cells.width : (cells.starts[left] as number);
    const rightAt = isFixed ? right * cells.width : (cells.starts[right] as number);
    const leftLength = isFixed ? cells.width : (cells.lengths[left] as number);
    const rightLength = isFixed ? cells.width : (cells.lengths[right] as number);
    const { bytes } = cells;
    const view = this.#view;
    const length = Math.min(leftLength, rightLength);
    let at = 0;
    for (; at + 4 <= length; at += 4) {
      const difference = view.getUint32(leftAt + at) - view.getUint32(rightAt + at);
      if (difference !== 0) return difference;
    }
    for (; at < length; at += 1) {
      const difference = (bytes[leftAt + at] as number) - (bytes[rightAt + at] as number);
      if (difference !== 0) return difference;
    }
    return leftLength - rightLength;
  }
}
