/** The results for people. */
import type { Result } from "./result.ts";

const HEAD = ["case", "rows", "rows/s", "of floor", "wall s", "Node s", "Postgres s", "RSS MB", "MB out", ""];

export function formatTable(results: readonly Result[]): string {
  const rows = [HEAD, ...results.map(cells)];
  const widths = HEAD.map((_, index) => Math.max(...rows.map((row) => (row[index] ?? "").length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) =>
        index === 0 || index === HEAD.length - 1
          ? cell.padEnd(widths[index] ?? 0)
          : cell.padStart(widths[index] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return `${rows.map(line).join("\n")}\n`;
}

function cells(result: Result): string[] {
  return [
    result.case,
    result.rows.toLocaleString("en"),
    result.rowsPerSecond?.toLocaleString("en") ?? "-",
    result.ratioToFloor?.toFixed(2) ?? "-",
    result.seconds.toFixed(2),
    result.cpuNodeSeconds.toFixed(2),
    result.cpuPostgresSeconds?.toFixed(2) ?? "-",
    megabytes(result.peakRssBytes),
    result.bytes === null ? "-" : megabytes(result.bytes),
    extras(result),
  ];
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

const COMMON: ReadonlySet<string> = new Set([
  "case",
  "rows",
  "rounds",
  "rowsPerSecond",
  "ratioToFloor",
  "seconds",
  "secondsMin",
  "secondsMax",
  "cpuNodeSeconds",
  "cpuPostgresSeconds",
  "peakRssBytes",
  "bytes",
]);

function extras(result: Result): string {
  return Object.entries(result)
    .filter(([name]) => !COMMON.has(name))
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}
