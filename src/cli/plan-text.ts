/** A plan as lines: for people grouped by what is done and why, for machines one object a step. */
import type { Estimate } from "../plan/estimate.ts";
import type { Held, Plan, Step } from "../plan/step.ts";
import { type DayUtc, formatDay, formatInstant } from "../rows/day.ts";
import { estimateJson, estimateText } from "./estimate-text.ts";
import {
  COLUMNS_MAX,
  formatBytes,
  formatCount,
  formatDays,
  formatNames,
  formatTable,
  jsonLine,
  plural,
  wrapLine,
} from "./format.ts";

/** More steps than this are summed up; `--json` and `--all` show each. */
const STEPS_SHOWN_MAX = 40;
/** A sum has no more lines than this if it can be helped. */
const SUMS_SHOWN_MAX = 30;

export function planJson(pipeline: string, plan: Plan, found: Estimate | null = null): string[] {
  return [
    ...plan.steps.map((step) => jsonLine({ pipeline, step: { ...step, day: formatDay(step.day) } })),
    ...plan.held.map((held) => jsonLine({ pipeline, held: heldJson(held) })),
    ...plan.blockers.map(({ code, subject, message }) =>
      jsonLine({ pipeline, blocker: { code, subject, message } }),
    ),
    ...(found === null ? [] : estimateJson(pipeline, found)),
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

export function planText(
  pipeline: string,
  plan: Plan,
  all: boolean,
  found: Estimate | null = null,
): string[] {
  const { steps, held, blockers } = plan;
  const head = `${pipeline} as of ${formatInstant(plan.asOf).slice(0, 16)}Z`;
  const { rows, bytes } = totalsOf(steps);
  const size = `${plural(steps.length, "step")}, ${plural(rows, "row")}, about ${formatBytes(bytes)}`;
  return [
    `${head}: ${steps.length === 0 ? "nothing to do" : size}`,
    ...(steps.length === 0 ? [] : all || steps.length <= STEPS_SHOWN_MAX ? eachStep(steps) : summedUp(steps)),
    ...(found === null ? [] : estimateText(plan, found)),
    ...heldText(held),
    // In one line, like the error itself.
    ...blockers.map((blocker) => `a run would refuse: ${blocker.message}`),
  ];
}

const indent = (line: string): string => `  ${line}`;

/** Columns that are shown only where they tell something; `cells` has one for each of the header. */
interface Column<T> {
  readonly title: string;
  readonly isRight?: true;
  readonly isShown?: boolean;
  readonly cell: (item: T) => string;
}

function table<T>(columns: readonly Column<T>[], items: readonly T[]): string[] {
  const shown = columns.filter(({ isShown }) => isShown !== false);
  return formatTable(
    shown.map(({ title }) => title),
    items.map((item) => shown.map(({ cell }) => cell(item))),
    shown.flatMap(({ isRight }, at) => (isRight === true ? [at] : [])),
  );
}

/** A rule's name only where there is more to tell than `default`. */
const hasRules = (steps: readonly { readonly rule: string }[]): boolean =>
  steps.some(({ rule }) => rule !== "default");

/** A leaf's name only where a rule's day stands in several. */
function hasLeaves(steps: readonly Step[]): boolean {
  const leaves = new Map<string, string | undefined>();
  return steps.some(({ day, rule, leaf }) => {
    const key = `${day} ${rule}`;
    const isOther = leaves.has(key) && leaves.get(key) !== leaf?.oid;
    leaves.set(key, leaf?.oid);
    return isOther;
  });
}

/** Each step with its reason beside it, or below all of them where a terminal would break the lines. */
function eachStep(steps: readonly Step[]): string[] {
  const columns: Column<Step>[] = [
    { title: "day (UTC)", cell: ({ day }) => formatDay(day) },
    { title: "rule", isShown: hasRules(steps), cell: ({ rule }) => rule },
    { title: "table", isShown: hasLeaves(steps), cell: ({ leaf }) => leaf?.name ?? "" },
    { title: "stages", cell: ({ stages }) => stages.join(" > ") },
    { title: "rows", isRight: true, cell: ({ rows }) => formatCount(rows) },
    { title: "size", isRight: true, cell: ({ bytes }) => formatBytes(bytes) },
  ];
  const why: Column<Step> = { title: "why", cell: ({ reason }) => reason };
  const lines = table([...columns, why], steps).map(indent);
  if (lines.every((line) => line.length <= COLUMNS_MAX)) return lines;
  return [...table(columns, steps).map(indent), ...whys(steps.map(sortable))];
}

interface Group {
  readonly stages: string;
  from: DayUtc;
  to: DayUtc;
  readonly rules: Set<string>;
  readonly days: Set<DayUtc>;
  rows: bigint;
  bytes: bigint;
}

/** How steps are put together, from fine to coarse: characters of the day's text, and whether rules stay apart. */
const LEVELS = [
  { period: 7, byRule: true, words: "by month" },
  { period: 4, byRule: true, words: "by year" },
  { period: 7, byRule: false, words: "by month over all rules" },
  { period: 4, byRule: false, words: "by year over all rules" },
  { period: 0, byRule: false, words: "over all days and rules" },
] as const;

/** What differs from step to step of one kind: ages, counts, leaves. `hot keeps 30 days` stays, as it tells rules apart. */
const kindOf = (reason: string): string =>
  reason
    .replaceAll(/\d{4}-\d{2}-\d{2}|\d+ (?:days? ago|rows?\b|bytes\b)/g, "#")
    .replaceAll(/\b(?:leaf|left in|detached) [^\s,;]+/g, "#");

/** A step with what it is grouped by; there may be many thousands, and several levels are tried. */
interface Sortable {
  readonly step: Step;
  readonly day: string;
  readonly stages: string;
  readonly kind: string;
}

const sortable = (step: Step): Sortable => ({
  step,
  day: formatDay(step.day),
  stages: step.stages.join(" > "),
  kind: kindOf(step.reason),
});

function groupSteps(steps: readonly Sortable[], { period, byRule }: (typeof LEVELS)[number]): Group[] {
  const groups = new Map<string, Group>();
  for (const { step, day: text, stages, kind } of steps) {
    const { day, rule, rows, bytes } = step;
    const key = `${text.slice(0, period)}\n${stages}\n${byRule ? `${rule}\n${kind}` : ""}`;
    let group = groups.get(key);
    if (group === undefined) {
      group = { stages, from: day, to: day, rules: new Set(), days: new Set(), rows: 0n, bytes: 0n };
      groups.set(key, group);
    }
    // What an earlier run began comes first, whatever its day.
    if (day < group.from) group.from = day;
    if (day > group.to) group.to = day;
    group.rules.add(rule);
    group.days.add(day);
    group.rows += rows;
    group.bytes += bytes;
  }
  return [...groups.values()];
}

/** The finest of the levels that is no longer than a list of steps may be. */
function summedUp(steps: readonly Step[]): string[] {
  const sorted = steps.map(sortable);
  let groups: Group[] = [];
  let words = "";
  for (const level of LEVELS) {
    groups = groupSteps(sorted, level);
    words = level.words;
    if (groups.length <= SUMS_SHOWN_MAX) break;
  }
  const rulesOf = ({ rules }: Group): string =>
    rules.size === 1 ? ([...rules][0] as string) : `${rules.size} rules`;
  const columns: Column<Group>[] = [
    { title: "day (UTC)", cell: ({ from, to }) => formatDays(from, to) },
    { title: "rule", isShown: hasRules(steps), cell: rulesOf },
    { title: "days", isRight: true, cell: ({ days }) => formatCount(days.size) },
    { title: "stages", cell: ({ stages }) => stages },
    { title: "rows", isRight: true, cell: ({ rows }) => formatCount(rows) },
    { title: "size", isRight: true, cell: ({ bytes }) => formatBytes(bytes) },
  ];
  return [
    ...table(columns, groups).map(indent),
    ...whys(sorted),
    indent(`summed up ${words}; --all lists every step`),
  ];
}

const WHYS_SHOWN_MAX = 6;

/** Each kind of reason once, with the first of its steps and the rules that it is true of. */
function whys(steps: readonly Sortable[]): string[] {
  const kinds = [...Map.groupBy(steps, ({ kind }) => kind).values()] as [Sortable, ...Sortable[]][];
  const withRules = hasRules(steps.map(({ step }) => step));
  const lines = kinds.map((same) => {
    const [first] = same;
    const more = same.length === 1 ? "" : ` and ${formatCount(same.length - 1)} more`;
    const rules = withRules ? [...new Set(same.map(({ step }) => step.rule))] : [];
    const who = withRules ? ` of ${formatNames(rules, "rule")}` : "";
    const isAlone = kinds.every(([other]) => other === first || other.day !== first.day);
    const what = withRules || isAlone ? "" : ` (${first.stages})`;
    return `why ${first.day}${more}${who}${what}: ${first.step.reason}`;
  });
  const more = lines.length - WHYS_SHOWN_MAX;
  return [
    ...lines.slice(0, WHYS_SHOWN_MAX),
    ...(more > 0 ? [`and ${plural(more, "reason")} more; --all tells each`] : []),
  ].flatMap((line) => wrapLine(indent(line)));
}

const HELD_SHOWN_MAX = 10;
const HELD_KINDS_SHOWN_MAX = 5;

/** What needs a person comes first. Many partitions are put together by rule and reason. */
export function heldText(held: readonly Held[]): string[] {
  if (held.length === 0) return [];
  const sorted = held.toSorted((left, right) => Number(right.needsPerson) - Number(left.needsPerson));
  const lines = held.length <= HELD_SHOWN_MAX ? sorted.map(heldLine) : heldKinds(sorted);
  const waiting = held.filter(({ needsPerson }) => needsPerson).length;
  const until = waiting === 0 ? "" : `, ${formatCount(waiting)} of them until a person does something`;
  const head = `held back: ${plural(held.length, "partition")}${until}`;
  return [head, ...lines.map(indent).flatMap(wrapLine)];
}

const heldLine = ({ rule, day, reason }: Held): string => `${formatDay(day)} ${rule}: ${reason}`;

function heldKinds(held: readonly Held[]): string[] {
  const kinds = Map.groupBy(held, ({ reason }) => kindOf(reason));
  const lines = [...kinds.values()].map((same) => {
    const [first] = same as [Held, ...Held[]];
    if (same.length === 1) return heldLine(first);
    const days = same.map(({ day }) => day).sort((left, right) => left - right);
    const range = formatDays(days[0] as DayUtc, days.at(-1) as DayUtc);
    const rules = formatNames([...new Set(same.map(({ rule }) => rule))], "rule");
    const isSame = same.every(({ reason }) => reason === first.reason) ? "" : ", the first";
    return `${range}, ${plural(same.length, "partition")} of ${rules}${isSame}: ${first.reason}`;
  });
  const more = lines.length - HELD_KINDS_SHOWN_MAX;
  return [
    ...lines.slice(0, HELD_KINDS_SHOWN_MAX),
    ...(more > 0 ? [`and ${plural(more, "kind")} more; --json lists them all`] : []),
  ];
}
