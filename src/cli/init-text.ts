/** What `firnline init` found, as lines for people and as JSON for machines. */
import type { FirnlineError } from "../errors.ts";
import type { RowsByDay, SurveyedTable } from "../hot/survey.ts";
import { identifierText, tableText } from "../policy/identifier-text.ts";
import { type KeyIndex, rankTimes, type TimeColumn } from "../policy/proposal.ts";
import { civilFromDay, type DayUtc, formatDay } from "../rows/day.ts";
import { formatBytes, formatCount, formatTable, plural } from "./format.ts";
import { errorFields } from "./report.ts";
import { extent, sparkline } from "./sparkline.ts";

export interface Month {
  /** `2026-01`. */
  readonly month: string;
  readonly rows: bigint;
}

/** Oldest first, months without rows between them included; the newest `countMax` of them. */
export function monthsOf({ days }: RowsByDay, countMax: number): Month[] {
  const rows = new Map<number, bigint>();
  for (const one of days) {
    const month = monthNumber(one.day);
    rows.set(month, (rows.get(month) ?? 0n) + one.rows);
  }
  const [first, last] = [days[0], days.at(-1)];
  if (first === undefined || last === undefined) return [];
  const [newest, oldest] = [monthNumber(last.day), monthNumber(first.day)];
  const count = Math.min(countMax, newest - oldest + 1);
  return Array.from({ length: count }, (_, at) => {
    const month = newest - count + 1 + at;
    const year = String(Math.floor(month / 12)).padStart(4, "0");
    return {
      month: `${year}-${String((month % 12) + 1).padStart(2, "0")}`,
      rows: rows.get(month) ?? 0n,
    };
  });
}

function monthNumber(day: DayUtc): number {
  const { year, month } = civilFromDay(day);
  return year * 12 + month - 1;
}

const totalOf = ({ days, outside }: RowsByDay): bigint => days.reduce((sum, { rows }) => sum + rows, outside);

/** A name must not steer the terminal. */
const plain = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");

const nameOf = (table: SurveyedTable): string => plain(tableText(table));

export interface Candidate {
  readonly table: SurveyedTable;
  readonly time: TimeColumn;
  readonly rows: RowsByDay;
}

const MONTHS_IN_LIST = 36;
const OBSTACLES_SHOWN_MAX = 10;

/** The tables that a policy can be proposed for, and the largest ones of the others with the reason. */
export function listText(
  found: {
    readonly candidates: readonly Candidate[];
    /** Tables that could be moved and are smaller than those. */
    readonly smaller: number;
    readonly others: readonly SurveyedTable[];
  },
  { utf8 }: { readonly utf8: boolean },
): string[] {
  const { candidates, smaller, others } = found;
  const lines = candidates.map(({ table, time, rows }) => {
    const months = monthsOf(rows, MONTHS_IN_LIST);
    const [first, last] = [months[0]?.month, months.at(-1)?.month];
    const line = sparkline(
      months.map((month) => month.rows),
      { utf8 },
    );
    return [
      nameOf(table),
      `${rows.isCounted ? "" : "about "}${formatCount(totalOf(rows))}`,
      formatBytes(table.bytes),
      plain(identifierText(time.name)),
      keyNames(table.keys[0]),
      first === undefined ? "" : first === last ? `${line} ${first}` : `${first} ${line} ${last}`,
    ];
  });
  return [
    ...(lines.length === 0
      ? ["no table has rows of a known age and a key"]
      : formatTable(["table", "rows", "size", "time", "key", "rows by month"], lines, [1, 2])),
    ...(smaller > 0 ? [`and ${plural(smaller, "smaller table")}`] : []),
    ...others
      .slice(0, OBSTACLES_SHOWN_MAX)
      .map((table) => `not ${nameOf(table)} (${formatBytes(table.bytes)}): ${table.obstacle?.problem}`),
    ...(others.length > OBSTACLES_SHOWN_MAX
      ? [`and ${plural(others.length - OBSTACLES_SHOWN_MAX, "more table")} that cannot be moved`]
      : []),
  ];
}

const keyNames = (key: KeyIndex | undefined): string =>
  key === undefined ? "none" : plain(key.columns.map(identifierText).join(", "));

const MONTHS_SHOWN_MAX = 14;
const BAR_MAX = 40n;

/** The rows of a table by month, newest first, with the sizes. */
export function tableLines(
  table: SurveyedTable,
  rows: RowsByDay,
  { utf8 }: { readonly utf8: boolean },
): string[] {
  const all = monthsOf(rows, Number.POSITIVE_INFINITY);
  const shown = all.toReversed().slice(0, MONTHS_SHOWN_MAX);
  const earlier = all.slice(0, Math.max(0, all.length - MONTHS_SHOWN_MAX));
  const { max } = extent(shown.map((month) => month.rows)) ?? { max: 0n };
  const bar = (count: bigint): string =>
    max === 0n ? "" : (utf8 ? "█" : "#").repeat(Number((count * BAR_MAX + max / 2n) / max));
  const cells = shown.map((month) => [month.month, formatCount(month.rows), bar(month.rows)]);
  if (earlier.length > 0) {
    const sum = earlier.reduce((total, month) => total + month.rows, 0n);
    cells.push(["earlier", formatCount(sum), `${plural(earlier.length, "month")} from ${earlier[0]?.month}`]);
  }
  return [
    aboutTable(table, rows),
    ...(cells.length === 0 ? [] : formatTable(["month", "rows", ""], cells, [1]).map((line) => `  ${line}`)),
    ...(rows.isCounted ? [] : ["  rows are estimated from a sample of the table's pages"]),
    ...(rows.outside > 0n
      ? [
          `  ${plural(rows.outside, "row")} with no time, or one outside of the calendar, stay in the table for ever`,
        ]
      : []),
  ];
}

/** One line, which is also the head of the policy file. */
export function aboutTable(table: SurveyedTable, rows: RowsByDay): string {
  const [first, last] = [rows.days[0], rows.days.at(-1)];
  const count = `${rows.isCounted ? "" : "about "}${plural(totalOf(rows), "row")}`;
  const leaves = table.isPartitioned ? ` in ${plural(table.leaves, "partition")}` : "";
  const range =
    first === undefined || last === undefined ? "" : `, ${formatDay(first.day)} .. ${formatDay(last.day)}`;
  return `${nameOf(table)}: ${count}${leaves}, ${formatBytes(table.bytes)} with indexes and TOAST${range}`;
}

/** For machines: months as `{month, rows}`, counts as decimal strings. */
export function tableFields(
  table: SurveyedTable,
  found: { time: TimeColumn; rows: RowsByDay } | null,
): object {
  return {
    table: tableText(table),
    bytes: table.bytes,
    partitions: table.isPartitioned ? table.leaves : null,
    times: rankTimes(table.times),
    key: table.keys[0]?.columns ?? null,
    ...(found === null
      ? {}
      : {
          time: found.time.name,
          rows: totalOf(found.rows),
          isCounted: found.rows.isCounted,
          outside: found.rows.outside,
          months: monthsOf(found.rows, Number.POSITIVE_INFINITY),
        }),
    ...(table.obstacle === null ? {} : { obstacle: errorFields(table.obstacle) }),
  };
}

/** What a run would refuse as the table, and the file, are now. */
export function findingsText(findings: readonly FirnlineError[], time: TimeColumn): string[] {
  return [
    ...(time.type === "timestamp"
      ? [`say in the file which zone ${identifierText(time.name)} is written in`]
      : []),
    ...findings.map(({ code, problem, hint }) => `${code} ${problem}. ${hint}.`),
  ].map((line) => `before it can run: ${plain(line)}`);
}
