/**
 * A chunk of raw rows in the answer's columns with the place of every field, so that merge, filters and formats can take
 * rows by their number. A column is indexed when it is first asked for: a Parquet answer copies whole runs and needs few.
 */
import { FirnlineError } from "../errors.ts";
import type { Column } from "../rows/column.ts";
import { type FieldIndex, indexFields, type RawColumn, type RawRows } from "../rows/copy-binary.ts";
import { compareFields, type Field } from "../rows/key-range.ts";
import type { OrderColumns } from "../rows/row-order.ts";

const TIME_BYTES = 8;

/** One column of a chunk: where each field lies in `bytes`, and how long it is; -1 for NULL. */
export interface IndexedColumn extends FieldIndex {
  readonly bytes: RawColumn;
  readonly view: DataView;
}

/** Rows `[from, to)` of a chunk. Chunks never change, so a run is good for as long as it is held. */
export interface RowRun {
  /** Where the rows come from: `hot`, or a segment's id. */
  readonly origin: string;
  readonly rows: IndexedRows;
  readonly from: number;
  readonly to: number;
}

export class IndexedRows {
  readonly count: number;
  readonly #raw: readonly RawColumn[];
  readonly #indexed: (IndexedColumn | undefined)[];

  constructor({ rows, columns }: RawRows) {
    this.count = rows;
    this.#raw = columns;
    this.#indexed = columns.map(() => undefined);
  }

  get columnCount(): number {
    return this.#raw.length;
  }

  column(index: number): IndexedColumn {
    const known = this.#indexed[index];
    if (known !== undefined) return known;
    const bytes = this.#raw[index];
    if (bytes === undefined)
      throw new FirnlineError({
        code: "E_INTERNAL",
        subject: "rows",
        problem: `there is no column ${index} among ${this.#raw.length}`,
        hint: "Please report it with the output of --debug",
      });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const indexed = { bytes, view, ...indexFields(bytes, this.count) };
    this.#indexed[index] = indexed;
    return indexed;
  }

  /** The fields of rows `[from, to)` with their length words, as they lie in the raw column. */
  slice(index: number, from: number, to: number): Uint8Array {
    if (from === 0 && to === this.count) return this.#raw[index] as RawColumn;
    const { bytes, starts } = this.column(index);
    const start = (starts[from] as number) - 4;
    return bytes.subarray(start, to === this.count ? bytes.length : (starts[to] as number) - 4);
  }

  isNull(index: number, row: number): boolean {
    return (this.column(index).lengths[row] as number) < 0;
  }

  /** The bytes of a field; none for NULL. */
  field(index: number, row: number): Uint8Array {
    const { bytes, starts, lengths } = this.column(index);
    const start = starts[row] as number;
    return bytes.subarray(start, start + Math.max(0, lengths[row] as number));
  }
}

/** Negative, zero or positive: rows of two chunks by (time, key), as Postgres orders them. */
export function compareRows(
  order: OrderColumns,
  left: IndexedRows,
  leftRow: number,
  right: IndexedRows,
  rightRow: number,
): number {
  const [a, b] = [left.column(order.timeColumn), right.column(order.timeColumn)];
  if (a.lengths[leftRow] === TIME_BYTES && b.lengths[rightRow] === TIME_BYTES) {
    const difference = compareTimes(
      a.view,
      a.starts[leftRow] as number,
      b.view,
      b.starts[rightRow] as number,
    );
    if (difference !== 0) return difference;
  } else {
    const difference = compareField(order, order.timeColumn, left, leftRow, right, rightRow);
    if (difference !== 0) return difference;
  }
  for (const column of order.keyColumns) {
    const difference = compareField(order, column, left, leftRow, right, rightRow);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Two signed 64-bit numbers, without a bigint for either. */
export function compareTimes(left: DataView, leftAt: number, right: DataView, rightAt: number): number {
  const high = left.getInt32(leftAt) - right.getInt32(rightAt);
  return high !== 0 ? high : left.getUint32(leftAt + 4) - right.getUint32(rightAt + 4);
}

/** Whether every field of two rows is the same, byte for byte. */
export function sameContent(
  left: IndexedRows,
  leftRow: number,
  right: IndexedRows,
  rightRow: number,
): boolean {
  for (let column = 0; column < left.columnCount; column += 1) {
    const [a, b] = [left.column(column), right.column(column)];
    const length = a.lengths[leftRow] as number;
    if (length !== b.lengths[rightRow]) return false;
    const [aStart, bStart] = [a.starts[leftRow] as number, b.starts[rightRow] as number];
    for (let at = 0; at < length; at += 1) {
      if (a.bytes[aStart + at] !== b.bytes[bStart + at]) return false;
    }
  }
  return true;
}

function compareField(
  { columns }: OrderColumns,
  column: number,
  left: IndexedRows,
  leftRow: number,
  right: IndexedRows,
  rightRow: number,
): number {
  const { kind } = columns[column] as Column;
  return compareFields(kind, placeOf(left.column(column), leftRow), placeOf(right.column(column), rightRow));
}

const placeOf = ({ bytes, starts, lengths }: IndexedColumn, row: number): Field => ({
  bytes,
  start: starts[row] as number,
  length: lengths[row] as number,
});
