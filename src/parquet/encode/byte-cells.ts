/** Fields of any length whose bytes are the value: texts, JSON, bytes. Nothing is copied, the cells point at them. */
import { addException, brokenColumn, type ColumnCells, type RawCells } from "./column-cells.ts";

/** Takes a chunk's fields apart; returns the number of values. The levels of its rows must all be 1. */
export function gatherBytes(from: RawCells, cells: ColumnCells): number {
  const { raw, view, rows, firstRow, firstValue } = from;
  const { levels, starts, lengths } = cells;
  const end = raw.length;
  let at = 0;
  let to = firstValue;
  for (let row = 0; row < rows; row += 1) {
    const length = at + 4 <= end ? view.getInt32(at) : -2;
    at += 4;
    if (length >= 0) {
      starts[to] = at;
      lengths[to] = length;
      to += 1;
      at += length;
    } else if (length === -1) {
      levels[firstRow + row] = 0;
    } else {
      throw brokenColumn(from, row);
    }
  }
  if (at !== end) throw brokenColumn(from, rows);
  return to - firstValue;
}

/** jsonb_send puts a version byte in front, 1 in every release so far; any other is an exception. */
export function gatherJsonb(from: RawCells, cells: ColumnCells): number {
  const { raw, view, rows, firstRow, firstValue } = from;
  const { levels, starts, lengths } = cells;
  const end = raw.length;
  let at = 0;
  let to = firstValue;
  for (let row = 0; row < rows; row += 1) {
    const length = at + 4 <= end ? view.getInt32(at) : -2;
    at += 4;
    if (length > 0 && raw[at] === 1) {
      starts[to] = at + 1;
      lengths[to] = length - 1;
      to += 1;
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
  return to - firstValue;
}
