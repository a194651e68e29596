/** The state of a pipeline for people: tiers, table, what is overdue, the last runs, leftovers. */
import { type EpochMicros, formatDay, formatInstant } from "../rows/day.ts";
import type { SegmentState } from "../segment/state.ts";
import type { Status } from "../wiring.ts";
import { formatBytes, formatCount, formatTable, plural } from "./format.ts";

export type Tier = "hot" | "warm" | "cold";

/** States whose rows have left the table, by tier; the others are still hot, whatever lies in the archive. */
const TIER_OF: Readonly<Partial<Record<SegmentState, Tier>>> = {
  warm: "warm",
  cooling: "warm",
  cold: "cold",
};

export interface TierLine {
  readonly tier: Tier;
  readonly rows: bigint;
  readonly bytes: bigint;
  readonly oldest: string | null;
  readonly newest: string | null;
  readonly segments: number | null;
}

export function tiersOf(status: Status): TierLine[] {
  const { census, totals } = status;
  const instant = (micros: EpochMicros | null): string | null =>
    micros === null ? null : formatInstant(micros);
  const archived = (tier: Tier): TierLine => {
    const mine = totals.filter(({ state }) => TIER_OF[state] === tier);
    const oldest = mine.flatMap((one) => one.oldest ?? []).sort((a, b) => a - b)[0];
    const newest = mine.flatMap((one) => one.newest ?? []).sort((a, b) => b - a)[0];
    return {
      tier,
      rows: mine.reduce((sum, { rows }) => sum + rows, 0n),
      bytes: mine.reduce((sum, { bytes }) => sum + bytes, 0n),
      oldest: oldest === undefined ? null : formatDay(oldest),
      newest: newest === undefined ? null : formatDay(newest),
      segments: mine.reduce((sum, { segments }) => sum + segments, 0),
    };
  };
  const hot: TierLine = {
    tier: "hot",
    rows: census.rows,
    bytes: census.bytes,
    oldest: instant(census.oldest),
    newest: instant(census.newest),
    segments: null,
  };
  return [hot, archived("warm"), archived("cold")];
}

/** Days that are due and still in the table. */
export function overdueDays(status: Status): number {
  return new Set(
    status.plan.steps
      .filter(({ segment, stages }) => segment === null && stages.length > 0)
      .map(({ day }) => day),
  ).size;
}

export function statusText(status: Status): string[] {
  const { census, pipeline, runs, table } = status;
  const rows = tiersOf(status).map(({ tier, rows: count, bytes, oldest, newest, segments }) => [
    tier,
    formatCount(count),
    formatBytes(bytes),
    segments === null ? "" : formatCount(segments),
    (oldest ?? "").slice(0, 10),
    (newest ?? "").slice(0, 10),
  ]);
  const overdue = overdueDays(status);
  const leftovers = Object.entries(census.leftovers).filter(([, count]) => count > 0n);
  return [
    `${pipeline}: table ${table}, ${formatBytes(census.bytes)} with indexes and TOAST`,
    ...formatTable(["tier", "rows", "size", "segments", "oldest", "newest"], rows, [1, 2, 3]).map(
      (line) => `  ${line}`,
    ),
    overdue === 0
      ? "  overdue: nothing"
      : `  overdue: ${plural(overdue, "day")}; the next run moves them, \`firnline plan\` shows how`,
    ...leftovers.map(
      ([kind, count]) =>
        `  leftover: ${plural(count, "row")} with ${LEFTOVER[kind]}; no stage ever moves them`,
    ),
    ...(runs.length === 0 ? ["  runs: none yet"] : ["  last runs:", ...runs.map(runLine)]),
  ];
}

const LEFTOVER: Readonly<Record<string, string>> = {
  nullTime: "a NULL time",
  infiniteTime: "an infinite time",
  outOfCalendar: "a time before year 1 or after year 9999",
};

function runLine(run: Status["runs"][number]): string {
  const started = new Date(run.startedAt).toISOString().slice(0, 19);
  const took = run.finishedAt === null ? "" : ` in ${((run.finishedAt - run.startedAt) / 1000).toFixed(1)} s`;
  const { exported = "0", pruned = "0", cooled = "0" } = (run.summary ?? {}) as Record<string, string>;
  const done = run.summary === null ? "" : `, archived ${exported}, pruned ${pruned}, cooled ${cooled}`;
  return `    ${started}Z ${run.state}${took}${done}${run.error === null ? "" : `: ${run.error}`}`;
}
