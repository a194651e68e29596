/** Which rows of a chunk are asked for: those of the range of time that have the values of all filters. */
import type { PreparedFilter } from "./filters.ts";
import { compareTimes, type IndexedRows } from "./indexed-rows.ts";
import type { WantedRows } from "./row-cursor.ts";

/** Half-open; values of the time column, in microseconds since 2000. */
export interface TimeLimits {
  readonly from: bigint;
  readonly to: bigint;
}

export function wantedRows(
  timeColumn: number,
  limits: TimeLimits,
  filters: readonly PreparedFilter[],
): WantedRows {
  const bounds = new DataView(new ArrayBuffer(16));
  bounds.setBigInt64(0, limits.from);
  bounds.setBigInt64(8, limits.to);
  return (rows, from) => {
    const isWanted = wanting(rows, timeColumn, bounds, filters);
    let first = from;
    while (first < rows.count && !isWanted(first)) first += 1;
    if (first === rows.count) return null;
    let to = first + 1;
    while (to < rows.count && isWanted(to)) to += 1;
    return { from: first, to };
  };
}

function wanting(
  rows: IndexedRows,
  timeColumn: number,
  bounds: DataView,
  filters: readonly PreparedFilter[],
): (row: number) => boolean {
  if (rows.count === 0) return () => false;
  const { view, starts } = rows.column(timeColumn);
  return (row) => {
    const at = starts[row] as number;
    if (compareTimes(view, at, bounds, 0) < 0 || compareTimes(view, at, bounds, 8) >= 0) return false;
    for (const filter of filters) if (!filter.matches(rows, row)) return false;
    return true;
  };
}
