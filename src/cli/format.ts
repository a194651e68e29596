/** Numbers, sizes and tables for people; JSON for machines, with bigints as decimal strings. */
import { formatDay, type DayUtc, type EpochMs } from "../rows/day.ts";

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

const BILLIONTHS = 1_000_000_000n;

/** Billionths as a decimal, exact: `0.00099`. */
export function decimalOf(billionths: bigint): string {
  const sign = billionths < 0n ? "-" : "";
  const digits = (billionths < 0n ? -billionths : billionths).toString().padStart(10, "0");
  return `${sign}${digits.slice(0, -9)}.${digits.slice(-9)}`.replace(/\.?0+$/, "");
}

/** Billionths of a currency for people: `$1,234`, `$0.31`, `EUR 12.50`; what rounds to no cent is `< $0.01`. */
export function formatMoney(billionths: bigint, currency: string): string {
  const unit = currency === "USD" ? "$" : `${currency} `;
  if (billionths === 0n) return `${unit}0`;
  const cents = (billionths * 100n + BILLIONTHS / 2n) / BILLIONTHS;
  if (cents === 0n) return `< ${unit}0.01`;
  if (cents >= 100_000n) return `${unit}${formatCount((cents + 50n) / 100n)}`;
  return `${unit}${cents / 100n}.${(cents % 100n).toString().padStart(2, "0")}`;
}

/** `14 s`, `4 min`, `3 h 20 min`, `2 d 5 h`: as exact as an estimate deserves. */
export function formatSeconds(seconds: number): string {
  if (seconds < 1) return "a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const [large, small, unit, below] =
    minutes < 2_880
      ? [Math.floor(minutes / 60), minutes % 60, "h", "min"]
      : [Math.floor(minutes / 1_440), Math.floor((minutes % 1_440) / 60), "d", "h"];
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${below}`;
}

/** `2026-03-01 14:05Z`. */
export function formatMinute(instant: EpochMs): string {
  return `${new Date(instant).toISOString().slice(0, 16).replace("T", " ")}Z`;
}

const NAMES_SHOWN_MAX = 3;

/** `rule default`, `rules a, b and 17 more`. */
export function formatNames(names: readonly string[], word: string): string {
  const more = names.length - NAMES_SHOWN_MAX;
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(", ");
  return `${word}${names.length === 1 ? "" : "s"} ${shown}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Where a line that a person reads at night should end. */
export const COLUMNS_MAX = 100;

/** Breaks a line at spaces so that it fits; what follows is indented by two more than the line. */
export function wrapLine(line: string): string[] {
  const first = line.length - line.trimStart().length;
  const lines: string[] = [];
  let rest = line;
  let start = first;
  while (rest.length > COLUMNS_MAX) {
    const near = rest.lastIndexOf(" ", COLUMNS_MAX);
    // A word that is longer than a line stands alone.
    const at = near > start ? near : rest.indexOf(" ", start);
    if (at < 0) break;
    lines.push(rest.slice(0, at));
    start = first + 2;
    rest = `${" ".repeat(start)}${rest.slice(at + 1)}`;
  }
  return [...lines, rest];
}
