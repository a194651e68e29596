/** A pipeline's history as sparklines for people, and as numbers for machines. */
import type { HistoryDay } from "../catalog/history-day.ts";
import { addDays, type DayUtc, formatDay } from "../rows/day.ts";
import { formatBytes, formatCount } from "./format.ts";
import { extent, sparkline } from "./sparkline.ts";

/** A longer history has several days in a mark. */
const MARKS_MAX = 60;

interface Curve {
  readonly name: string;
  /** Null: not known of that day. */
  readonly valueOf: (day: HistoryDay) => bigint | null;
  /** A day without a run moved nothing; how large the tiers were is not known then. */
  readonly isFlow: boolean;
  /** Left out where it is nothing all the time: most archives keep everything. */
  readonly isRare?: true;
  readonly format: (value: bigint) => string;
}

const CURVES: readonly Curve[] = [
  { name: "archived rows", valueOf: ({ archived }) => archived, isFlow: true, format: formatCount },
  { name: "pruned rows", valueOf: ({ pruned }) => pruned, isFlow: true, format: formatCount },
  { name: "deleted rows", valueOf: ({ deleted }) => deleted, isFlow: true, format: formatCount },
  {
    name: "expired rows",
    valueOf: ({ expired }) => expired,
    isFlow: true,
    isRare: true,
    format: formatCount,
  },
  { name: "hot rows", valueOf: ({ hot }) => hot?.rows ?? null, isFlow: false, format: formatCount },
  { name: "hot size", valueOf: ({ hot }) => hot?.bytes ?? null, isFlow: false, format: formatBytes },
  { name: "warm size", valueOf: ({ warmBytes }) => warmBytes, isFlow: false, format: formatBytes },
  { name: "cold size", valueOf: ({ coldBytes }) => coldBytes, isFlow: false, format: formatBytes },
];

/** The last `days` days up to `today`: a mark a day, or several days a mark that add up (rows) or end it (sizes). */
export function historyText(
  history: readonly HistoryDay[],
  { days, today, utf8 }: { readonly days: number; readonly today: DayUtc; readonly utf8: boolean },
): string[] {
  const perMark = Math.ceil(days / MARKS_MAX);
  const count = Math.ceil(days / perMark);
  const from = addDays(today, 1 - days);
  // The oldest mark may have fewer days, as the newest one ends today.
  const firstMark = addDays(today, 1 - count * perMark);
  const pace = perMark === 1 ? "a mark a day" : `${perMark} days a mark`;
  const header = `  history: ${formatDay(from)} .. ${formatDay(today)} (UTC), ${pace}`;
  const known = new Map(history.map((one) => [one.day, one]));
  if (history.every(({ day }) => day < from || day > today)) return [`${header}: no run in that time`];
  const curves = CURVES.filter(
    ({ isRare, valueOf }) => isRare !== true || history.some((one) => valueOf(one) !== 0n),
  );
  const width = Math.max(...curves.map(({ name }) => name.length));
  return [
    header,
    ...curves.map((curve) => {
      const values = Array.from({ length: count }, (_, mark) =>
        markOf(curve, known, addDays(firstMark, mark * perMark), perMark),
      );
      const range = extent(values);
      const last = values.findLast((value) => value !== null) ?? null;
      const figures =
        range === null || last === null
          ? "not known"
          : `min ${curve.format(range.min)}  max ${curve.format(range.max)}  last ${curve.format(last)}`;
      return `    ${curve.name.padEnd(width)}  ${sparkline(values, { utf8 })}  ${figures}`;
    }),
  ];
}

function markOf(
  { valueOf, isFlow }: Curve,
  known: ReadonlyMap<DayUtc, HistoryDay>,
  first: DayUtc,
  days: number,
): bigint | null {
  const values = Array.from({ length: days }, (_, at) => {
    const day = known.get(addDays(first, at));
    return day === undefined ? null : valueOf(day);
  }).filter((value) => value !== null);
  if (isFlow) return values.reduce((sum, value) => sum + value, 0n);
  return values.at(-1) ?? null;
}

/** For machines: the days that had a run. */
export function historyFields(history: readonly HistoryDay[]): object[] {
  return history.map(({ day, runs, archived, pruned, deleted, expired, hot, warmBytes, coldBytes }) => ({
    day: formatDay(day),
    runs,
    archived,
    pruned,
    deleted,
    expired,
    hotRows: hot?.rows ?? null,
    hotBytes: hot?.bytes ?? null,
    warmBytes,
    coldBytes,
  }));
}
