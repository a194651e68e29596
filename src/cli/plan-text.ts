/** A plan as lines: for people grouped by what is done and why, for machines one object a step. */
import type { Held, Plan, Step } from "../plan/plan.ts";
import { type DayUtc, formatDay, formatInstant } from "../rows/day.ts";
import { formatBytes, formatCount, formatDays, formatTable, jsonLine, plural } from "./format.ts";

/** More steps than this are summed up by month; `--json` and `--all` show each. */
const STEPS_SHOWN_MAX = 40;

export function planJson(pipeline: string, plan: Plan): string[] {
  const dayed = <T extends { day: DayUtc }>(item: T): object => ({ ...item, day: formatDay(item.day) });
  return [
    ...plan.steps.map((step) => jsonLine({ pipeline, step: dayed(step) })),
    ...plan.held.map((held) => jsonLine({ pipeline, held: dayed(held) })),
    ...plan.blockers.map(({ code, subject, message }) =>
      jsonLine({ pipeline, blocker: { code, subject, message } }),
    ),
    jsonLine({ pipeline, plan: { asOf: formatInstant(plan.asOf), ...totalsOf(plan.steps) } }),
  ];
}

export function totalsOf(steps: readonly Step[]): { steps: number; rows: bigint; bytes: bigint } {
  return {
    steps: steps.length,
    rows: steps.reduce((sum, step) => sum + step.rows, 0n),
    bytes: steps.reduce((sum, step) => sum + step.bytes, 0n),
  };
}

interface Line {
  readonly stages: string;
  readonly rule: string;
  readonly from: DayUtc;
  to: DayUtc;
  count: number;
  rows: bigint;
  bytes: bigint;
  readonly reason: string;
}

export function planText(pipeline: string, plan: Plan, all: boolean): string[] {
  const head = `${pipeline} as of ${formatInstant(plan.asOf).slice(0, 16)}Z`;
  const lines: string[] = [];
  if (plan.steps.length === 0) lines.push(`${head}: nothing to do`);
  else {
    const { rows, bytes } = totalsOf(plan.steps);
    lines.push(
      `${head}: ${plural(plan.steps.length, "step")}, ${plural(rows, "row")}, about ${formatBytes(bytes)}`,
    );
    const shown = all || plan.steps.length <= STEPS_SHOWN_MAX ? plan.steps.map(lineOf) : byMonth(plan.steps);
    const cells = shown.map((line) => [
      formatDays(line.from, line.to),
      line.rule,
      line.stages,
      formatCount(line.rows),
      formatBytes(line.bytes),
      line.reason,
    ]);
    lines.push(
      ...formatTable(["day (UTC)", "rule", "stages", "rows", "size", "why"], cells, [3, 4]).map(indent),
    );
    if (shown.length < plan.steps.length) lines.push(indent("(by month; --all lists every step)"));
  }
  lines.push(...heldText(plan.held));
  lines.push(...plan.blockers.map((blocker) => `a run would refuse: ${blocker.message}`));
  return lines;
}

const indent = (line: string): string => `  ${line}`;

const lineOf = (step: Step): Line => ({
  stages: step.stages.join(" > "),
  rule: step.rule,
  from: step.day,
  to: step.day,
  count: 1,
  rows: step.rows,
  bytes: step.bytes,
  reason: step.reason,
});

function byMonth(steps: readonly Step[]): Line[] {
  const groups = new Map<string, Line>();
  for (const step of steps) {
    const line = lineOf(step);
    const key = [line.stages, line.rule, formatDay(step.day).slice(0, 7)].join(" ");
    const known = groups.get(key);
    if (known === undefined) groups.set(key, line);
    else {
      known.to = step.day;
      known.count += 1;
      known.rows += step.rows;
      known.bytes += step.bytes;
    }
  }
  return [...groups.values()].map((line) =>
    line.count === 1 ? line : { ...line, reason: `${plural(line.count, "day")}; the first: ${line.reason}` },
  );
}

const HELD_SHOWN_MAX = 10;

function heldText(held: readonly Held[]): string[] {
  if (held.length === 0) return [];
  return [
    `held back: ${plural(held.length, "partition")}`,
    ...held
      .slice(0, HELD_SHOWN_MAX)
      .map(({ rule, day, reason }) => indent(`${formatDay(day)} ${rule}: ${reason}`)),
    ...(held.length > HELD_SHOWN_MAX
      ? [indent(`and ${held.length - HELD_SHOWN_MAX} more; --json lists them all`)]
      : []),
  ];
}
