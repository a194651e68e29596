/** Numbers, sizes and tables for people; JSON for machines, with bigints as decimal strings. */
import { formatDay, type DayUtc } from "../rows/day.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1.4 MiB`: three digits at most, as `pg_size_pretty` reads. */
export function formatBytes(bytes: bigint | number): string {
  let value = Number(bytes);
  let unit = 0;
  // What would be rounded to a fourth digit belongs to the next unit, or loses its decimal.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `1,234,567`. */
export function formatCount(count: bigint | number): string {
  return count.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

export function plural(count: bigint | number, word: string): string {
  return `${formatCount(count)} ${word}${count.toString() === "1" ? "" : "s"}`;
}

/** Columns of text, padded; numbers (right) and words (left) as the header's alignment says. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  const widths = header.map((title, at) =>
    Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) =>
        right.includes(at) ? cell.padStart(widths[at] as number) : cell.padEnd(widths[at] as number),
      )
      .join("  ")
      .trimEnd();
  return [line(header), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)];
}

export function formatDays(from: DayUtc, to: DayUtc): string {
  return from === to ? formatDay(from) : `${formatDay(from)} .. ${formatDay(to)}`;
}

/** One JSON line; totals are decimal strings, because a reader's numbers may end at 2^53. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? item.toString() : item));
}
