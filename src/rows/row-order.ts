/** Rows in (time, key) order. A DELETE returns rows as its scan finds them; digests are taken in key order. */
import type { Column } from "./column.ts";
import { indexFields, RawColumns, type RawRows } from "./copy-binary.ts";
import { type Bound, compareFields, type Field, fieldToText } from "./key-range.ts";

/** The columns that decide the order: time first, then the key. */
export interface OrderColumns {
  readonly columns: readonly Column[];
  readonly timeColumn: number;
  readonly keyColumns: readonly number[];
}

function fieldAt(column: Uint8Array, at: number): Field {
  const length = new DataView(column.buffer, column.byteOffset + at, 4).getInt32(0);
  return { bytes: column, start: at + 4, length };
}

/** Where the first row of a non-empty chunk stands. */
export function firstBound(order: OrderColumns, rows: RawRows): Bound {
  const text = (index: number): string => {
    const { bytes, start, length } = fieldAt(rows.columns[index] as Uint8Array, 0);
    return fieldToText((order.columns[index] as Column).kind, bytes, start, length);
  };
  return { time: text(order.timeColumn), key: order.keyColumns.map(text) };
}

/** The same rows sorted by (time, key); the very same object when they are in order already. */
export function sortRows(order: OrderColumns, rows: RawRows): RawRows {
  const sortColumns = [order.timeColumn, ...order.keyColumns].map((index) => {
    const bytes = rows.columns[index] as Uint8Array;
    return { kind: (order.columns[index] as Column).kind, bytes, ...indexFields(bytes, rows.rows) };
  });
  const compare = (left: number, right: number): number => {
    for (const { kind, bytes, starts, lengths } of sortColumns) {
      const difference = compareFields(
        kind,
        { bytes, start: starts[left] as number, length: lengths[left] as number },
        { bytes, start: starts[right] as number, length: lengths[right] as number },
      );
      if (difference !== 0) return difference;
    }
    return 0;
  };
  let sorted = true;
  for (let row = 1; row < rows.rows && sorted; row += 1) sorted = compare(row - 1, row) <= 0;
  if (sorted) return rows;
  const sequence = Uint32Array.from({ length: rows.rows }, (_, row) => row).sort(compare);
  const out = new RawColumns(rows.columns.length);
  for (const [column, bytes] of rows.columns.entries()) {
    const { starts, lengths } = indexFields(bytes, rows.rows);
    for (const row of sequence) {
      const start = starts[row] as number;
      out.append(column, bytes, start - 4, start + Math.max(0, lengths[row] as number));
    }
  }
  out.rows = rows.rows;
  return out.take();
}
