/** A plan as lines: for people grouped by what is done and why, for machines one object a step. */
import type { Held, Plan, Step } from "../plan/plan.ts";
import { type DayUtc, formatDay, formatInstant } from "../rows/day.ts";
import { formatBytes, formatCount, formatDays, formatTable, jsonLine, plural } from "./format.ts";

/** More steps than this are summed up by month; `--json` and `--all` show each. */
const STEPS_SHOWN_MAX = 40;

export function planJson(pipeline: string, plan: Plan): string[] {
  return [
    ...plan.steps.map((step) => jsonLine({ pipeline, step: { ...step, day: formatDay(step.day) } })),
    ...plan.held.map((held) => jsonLine({ pipeline, held: heldJson(held) })),
    ...plan.blockers.map(({ code, subject, message }) =>
      jsonLine({ pipeline, blocker: { code, subject, message } }),
    ),
    jsonLine({ pipeline, plan: { asOf: formatInstant(plan.asOf), ...totalsOf(plan.steps) } }),
  ];
}

export function heldJson(held: Held): object {
  return { ...held, day: formatDay(held.day) };
}

export function totalsOf(steps: readonly Step[]): { steps: number; rows: bigint; bytes: bigint } {
  return {
    steps: steps.length,
    rows: steps.reduce((sum, step) => sum + step.rows, 0n),
    bytes: steps.reduce((sum, step) => sum + step.bytes, 0n),
  };
}

export function planText(pipeline: string, plan: Plan, all: boolean): string[] {
  const { steps, held, blockers } = plan;
  const head = `${pipeline} as of ${formatInstant(plan.asOf).slice(0, 16)}Z`;
  const { rows, bytes } = totalsOf(steps);
  const size = `${plural(steps.length, "step")}, ${plural(rows, "row")}, about ${formatBytes(bytes)}`;
  return [
    `${head}: ${steps.length === 0 ? "nothing to do" : size}`,
    ...(steps.length === 0 ? [] : all || steps.length <= STEPS_SHOWN_MAX ? eachStep(steps) : byMonth(steps)),
    ...heldText(held),
    ...blockers.map((blocker) => `a run would refuse: ${blocker.message}`),
  ];
}

const indent = (line: string): string => `  ${line}`;

/** The column `rule` only where there is more to tell than `default`. */
function withRule(steps: readonly Step[]): (cells: readonly string[], rule: string) => string[] {
  const isShown = steps.some(({ rule }) => rule !== "default");
  return ([first = "", ...rest], rule) => (isShown ? [first, rule, ...rest] : [first, ...rest]);
}

function eachStep(steps: readonly Step[]): string[] {
  const row = withRule(steps);
  const header = row(["day (UTC)", "stages", "rows", "size", "why"], "rule");
  const cells = steps.map(({ day, rule, stages, rows, bytes, reason }) =>
    row([formatDay(day), stages.join(" > "), formatCount(rows), formatBytes(bytes), reason], rule),
  );
  return formatTable(header, cells, [header.indexOf("rows"), header.indexOf("size")]).map(indent);
}

interface Group {
  readonly first: Step;
  to: DayUtc;
  readonly days: Set<DayUtc>;
  rows: bigint;
  bytes: bigint;
}

/** Two steps of one kind differ in numbers only: the same is done to them, for the same kind of reason. */
function kindOf({ stages, rule, reason }: Step): string {
  return [stages.join(" > "), rule, reason.replaceAll(/\d+ \w+/g, "#")].join("\n");
}

function byMonth(steps: readonly Step[]): string[] {
  const groups = new Map<string, Group>();
  const reasons = new Map<string, string>();
  for (const step of steps) {
    const { day, rows, bytes, reason } = step;
    const month = `${formatDay(day).slice(0, 7)}\n${kindOf(step)}`;
    const known = groups.get(month) ?? { first: step, to: day, days: new Set(), rows: 0n, bytes: 0n };
    known.to = day;
    known.days.add(day);
    known.rows += rows;
    known.bytes += bytes;
    groups.set(month, known);
    const kind = kindOf(step);
    if (!reasons.has(kind)) reasons.set(kind, `why ${formatDay(day)}: ${reason}`);
  }
  const row = withRule(steps);
  const header = row(["day (UTC)", "days", "stages", "rows", "size"], "rule");
  const cells = [...groups.values()].map(({ first, to, days, rows, bytes }) =>
    row(
      [
        formatDays(first.day, to),
        formatCount(days.size),
        first.stages.join(" > "),
        formatCount(rows),
        formatBytes(bytes),
      ],
      first.rule,
    ),
  );
  const right = ["days", "rows", "size"].map((title) => header.indexOf(title));
  return [
    ...formatTable(header, cells, right),
    ...reasons.values(),
    "summed up by month; --all lists every step",
  ].map(indent);
}

const HELD_SHOWN_MAX = 10;

export function heldText(held: readonly Held[]): string[] {
  if (held.length === 0) return [];
  return [
    `held back: ${plural(held.length, "partition")}`,
    ...held
      .slice(0, HELD_SHOWN_MAX)
      .map(({ rule, day, reason }) => indent(`${formatDay(day)} ${rule}: ${reason}`)),
    ...(held.length > HELD_SHOWN_MAX
      ? [indent(`and ${formatCount(held.length - HELD_SHOWN_MAX)} more; --json lists them all`)]
      : []),
  ];
}
