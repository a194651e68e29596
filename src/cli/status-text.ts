/** The state of a pipeline: tiers, what waits for a run, leftovers, the last runs. */
import { type EpochMicros, type EpochMs, formatDay, formatInstant } from "../rows/day.ts";
import type { SegmentState } from "../segment/state.ts";
import type { Status } from "../pipeline-options.ts";
import { formatBytes, formatCount, formatTable, jsonLine, plural } from "./format.ts";
import { historyFields } from "./history-text.ts";
import { holdFields, holdText } from "./hold-text.ts";

export type Tier = "hot" | "warm" | "cold";

/** States of which rows have left the table, by tier; the others are still hot, whatever lies in the archive. */
const TIER_OF: Readonly<Partial<Record<SegmentState, Tier>>> = {
  pruning: "warm",
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
    // A segment that is pruned in part counts with the rows that have left the table: each row stands in one line.
    const mine = totals.filter(({ state, rowsPruned }) => TIER_OF[state] === tier && rowsPruned > 0n);
    const oldest = mine.flatMap((one) => one.oldest ?? []).sort((a, b) => a - b)[0];
    const newest = mine.flatMap((one) => one.newest ?? []).sort((a, b) => b - a)[0];
    return {
      tier,
      rows: mine.reduce((sum, { rowsPruned }) => sum + rowsPruned, 0n),
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

/** What the next run has to do. */
export interface Backlog {
  /** Days that are due and still in the table. */
  readonly overdueDays: number;
  /** Segments that an earlier run began and did not finish. */
  readonly unfinishedSegments: number;
  /** Warm segments whose records are old enough for the cold class. */
  readonly dueForCold: number;
  /** Segments whose records are older than the policy keeps them. */
  readonly dueForExpiry: number;
  /** Partitions that are due and stay where they are, with a reason. */
  readonly held: number;
}

export function backlogOf({ plan }: Status): Backlog {
  const fresh = plan.steps.filter(({ segment }) => segment === null);
  const begun = plan.steps.filter(({ segment }) => segment !== null);
  const isCooling = (step: (typeof begun)[number]): boolean => step.stages[0] === "transition";
  const isExpiring = (step: (typeof begun)[number]): boolean => step.stages[0] === "expire";
  const isLate = (step: (typeof begun)[number]): boolean =>
    !isCooling(step) && !isExpiring(step) && step.stages[0] !== "lock";
  return {
    overdueDays: new Set(fresh.map(({ day }) => day)).size,
    unfinishedSegments: begun.filter(isLate).length,
    dueForCold: begun.filter(isCooling).length,
    dueForExpiry: begun.filter(isExpiring).length,
    held: plan.held.length,
  };
}

export function statusJson(status: Status): string {
  const { pipeline, table, census } = status;
  const iso = (at: EpochMs | null): string | null => (at === null ? null : new Date(at).toISOString());
  return jsonLine({
    pipeline,
    table,
    tableBytes: census.bytes,
    tiers: tiersOf(status),
    ...backlogOf(status),
    leftovers: census.leftovers,
    expired: expiredOf(status),
    holds: status.holds.map(holdFields),
    runs: status.runs.map((run) => ({
      ...run,
      asOf: formatInstant(run.asOf),
      startedAt: iso(run.startedAt),
      finishedAt: iso(run.finishedAt),
    })),
    ...(status.history === undefined ? {} : { history: historyFields(status.history) }),
  });
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
  const leftovers = Object.entries(census.leftovers).filter(([, count]) => count > 0n);
  return [
    `${pipeline}: table ${table}, ${formatBytes(census.bytes)} with indexes and TOAST`,
    ...formatTable(["tier", "rows", "size", "segments", "oldest", "newest"], rows, [1, 2, 3]).map(
      (line) => `  ${line}`,
    ),
    ...backlogText(backlogOf(status)),
    ...keepingText(status),
    ...leftovers.map(
      ([kind, count]) =>
        `  leftover: ${plural(count, "row")} with ${LEFTOVER[kind]}; no stage ever moves them`,
    ),
    ...(runs.length === 0 ? ["  runs: none yet"] : ["  last runs:", ...runs.map(runLine)]),
  ];
}

function backlogText({ overdueDays, unfinishedSegments, dueForCold, dueForExpiry, held }: Backlog): string[] {
  const waiting = [
    overdueDays > 0 ? `${plural(overdueDays, "day")} to move` : "",
    unfinishedSegments > 0 ? `${plural(unfinishedSegments, "segment")} to finish` : "",
    dueForCold > 0 ? `${plural(dueForCold, "segment")} to cool down` : "",
    dueForExpiry > 0 ? `${plural(dueForExpiry, "segment")} to expire` : "",
  ].filter((part) => part !== "");
  return [
    waiting.length === 0
      ? "  overdue: nothing"
      : `  overdue: ${waiting.join(", ")}; the next run does it, \`firnline plan\` says how`,
    ...(held === 0 ? [] : [`  held back: ${plural(held, "partition")}; \`firnline plan\` says why`]),
  ];
}

/** What the policy let go of, over all of the pipeline's time. */
export function expiredOf({ totals }: Pick<Status, "totals">): { segments: number; rows: bigint } {
  const gone = totals.filter(({ state }) => state === "expiring" || state === "expired");
  return {
    segments: gone.reduce((sum, { segments }) => sum + segments, 0),
    rows: gone.reduce((sum, { rows }) => sum + rows, 0n),
  };
}

function keepingText(status: Status): string[] {
  const { rows, segments } = expiredOf(status);
  return [
    ...status.holds.map((hold) => `  ${holdText(hold)}`),
    ...(segments === 0
      ? []
      : [`  expired: ${plural(rows, "row")} of ${plural(segments, "segment")}, by policy`]),
  ];
}

const LEFTOVER: Readonly<Record<string, string>> = {
  nullTime: "a NULL time",
  infiniteTime: "an infinite time",
  outOfCalendar: "a time before year 1 or after year 9999",
};

/** Counts of a run's summary, in the words of `firnline run`. */
const DONE = {
  exported: "archived",
  pruned: "pruned",
  deleted: "deleted",
  cooled: "cooled",
  expired: "expired",
  drift: "drifted chunks",
} as const;

function runLine({ startedAt, finishedAt, state, summary, error }: Status["runs"][number]): string {
  const started = new Date(startedAt).toISOString().slice(0, 19);
  const took = finishedAt === null ? "" : ` in ${((finishedAt - startedAt) / 1000).toFixed(1)} s`;
  const counts = Object.entries(DONE).flatMap(([name, word]) => {
    const count = BigInt((summary?.[name] as string | number | undefined) ?? 0);
    return count > 0n ? [`${word} ${formatCount(count)}`] : [];
  });
  const done = summary === null ? "" : `: ${counts.length === 0 ? "nothing moved" : counts.join(", ")}`;
  // Several findings stand on several lines there.
  const why = error === null ? "" : `; ${error.replaceAll(/\p{Cc}+/gu, " ")}`;
  return `    ${started}Z ${state}${took}${done}${why}`;
}
