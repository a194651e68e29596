/**
 * What to do next, and why. Pure: policy, catalog, inventory and an instant go in, steps come out. `firnline plan`
 * prints it and `run` executes exactly it.
 *
 * The order is: finish what an earlier run began, then move or delete what is due, oldest day first, then cool down.
 */
import { FirnlineError } from "../errors.ts";
import { dueDayHot, dueDayWarm } from "../policy/ages.ts";
import { isDeletedSooner } from "../policy/journaled.ts";
import type { Policy, Rule } from "../policy/policy.ts";
import { type DayUtc, type EpochMicros, formatDay } from "../rows/day.ts";
import type { SegmentState } from "../segment/state.ts";
import { reasonFor } from "./reasons.ts";

export type Stage = "abandon" | "export" | "seal" | "prune" | "transition" | "delete";

export interface Step {
  /** What will be done to this partition or segment, in order. */
  readonly stages: readonly Stage[];
  readonly rule: string;
  readonly day: DayUtc;
  /** The segment that is taken up again; null for rows that are not in any segment yet. */
  readonly segment: string | null;
  readonly rows: bigint;
  /** Estimated bytes in the table for rows that leave it, else the bytes of the object. */
  readonly bytes: bigint;
  readonly reason: string;
}

/** Something that is due and will not be done, with the reason. */
export interface Held {
  readonly rule: string;
  readonly day: DayUtc;
  readonly rows: bigint;
  readonly reason: string;
}

export interface Plan {
  readonly asOf: EpochMicros;
  readonly steps: readonly Step[];
  readonly held: readonly Held[];
  /** Why a run would refuse to start. Empty: it would go. */
  readonly blockers: readonly FirnlineError[];
}

/** What the plan needs to know of a segment; the catalog's record has it. */
export interface PlannedSegment {
  readonly segment: string;
  readonly state: SegmentState;
  readonly rule: string;
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly rows: bigint;
  readonly rowsUnpruned: bigint;
  readonly object: { readonly bytes: bigint } | null;
}

export interface PlanInput {
  readonly policy: Policy;
  readonly asOf: EpochMicros;
  readonly inventory: {
    readonly partitions: readonly { readonly rule: string; readonly day: DayUtc; readonly rows: bigint }[];
    readonly rowBytes: number;
  };
  readonly catalog: {
    readonly unfinished: readonly PlannedSegment[];
    readonly dueForCold: readonly PlannedSegment[];
    readonly archived: readonly { readonly rule: string; readonly day: DayUtc }[];
    readonly everMoved: boolean;
  };
  /** Smallest object that is worth a cold class in this store, unless the policy says another. */
  readonly coldBytesMin: bigint;
  /** `--backfill`: a first run may move more than `FIRST_RUN_DAYS_MAX` days. */
  readonly backfill: boolean;
  /** The policy as last applied and journaled; null before the first run. */
  readonly previous?: Policy | null;
  /** `--confirm-sooner`: the owner knows that the policy lets go of rows sooner than the last one did. */
  readonly confirmSooner?: boolean;
}

/** A first run over more days than this is more likely a mistake in the policy than a wish. */
export const FIRST_RUN_DAYS_MAX = 31;

const nameOf = (rule: string, day: DayUtc): string => `${rule} ${day}`;

export function makePlan(input: PlanInput): Plan {
  const held: Held[] = keptHot(input);
  const unfinished = inOrder(input.catalog.unfinished);
  const resumed = unfinished.map((segment) => resume(input, segment));
  const busy = new Map<string, bigint>();
  for (const segment of unfinished) {
    if (segment.state === "exporting" || segment.state === "cooling") continue;
    const name = nameOf(segment.rule, segment.dayFrom);
    busy.set(name, (busy.get(name) ?? 0n) + segment.rowsUnpruned);
  }
  const archived = new Set(input.catalog.archived.map(({ rule, day }) => nameOf(rule, day)));
  const moved: Step[] = [];
  for (const partition of due(input)) {
    const { rule, day, rows, ruleOf } = partition;
    if (!ruleOf.archive && input.policy.prune === "off") {
      held.push({ rule, day, rows, reason: reasonFor.pruneOff });
      continue;
    }
    const open = busy.get(nameOf(rule, day));
    if (open !== undefined) {
      const more = rows - open;
      const lateReason = input.policy.prune === "off" ? reasonFor.lateUnpruned : reasonFor.lateWhileBusy;
      if (more > 0n) held.push({ rule, day, rows: more, reason: lateReason(more) });
      continue;
    }
    const bytes = rows * BigInt(input.inventory.rowBytes);
    const late = archived.has(nameOf(rule, day));
    const reason = late ? reasonFor.late(rows) : reasonFor.due(ruleOf.hotDays, day, input.asOf);
    moved.push({ stages: stagesFor(input, ruleOf, day), rule, day, segment: null, rows, bytes, reason });
  }
  const cooled = cool(input, held);
  // A sealed segment of an archive-only pipeline has nothing left to do.
  const steps = [...resumed.filter((step) => step.stages.length > 0), ...moved, ...cooled];
  return { asOf: input.asOf, steps, held, blockers: blockersFor(input, moved) };
}

interface DuePartition {
  readonly rule: string;
  readonly ruleOf: Rule;
  readonly day: DayUtc;
  readonly rows: bigint;
}

function due(input: PlanInput): DuePartition[] {
  const rules = new Map(input.policy.rules.map((rule) => [rule.name, rule]));
  return input.inventory.partitions
    .flatMap(({ rule, day, rows }) => {
      const ruleOf = rules.get(rule);
      return ruleOf !== undefined && rows > 0n && day <= dueDayHot(ruleOf, input.asOf)
        ? [{ rule, ruleOf, day, rows }]
        : [];
    })
    .sort((left, right) => left.day - right.day || compareText(left.rule, right.rule));
}

/** Oldest day first, whatever order the catalog tells them in. */
const inOrder = (segments: readonly PlannedSegment[]): PlannedSegment[] =>
  segments.toSorted(
    (left, right) => left.dayFrom - right.dayFrom || compareText(left.segment, right.segment),
  );

const compareText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

function isDueForCold(input: PlanInput, rule: Rule | undefined, dayTo: DayUtc): boolean {
  if (rule === undefined || input.policy.cold === null) return false;
  const last = dueDayWarm(rule, input.asOf);
  return last !== null && dayTo <= last;
}

function stagesFor(input: PlanInput, rule: Rule, day: DayUtc): Stage[] {
  if (!rule.archive) return ["delete"];
  if (input.policy.prune === "off") return ["export", "seal"];
  return ["export", "seal", "prune", ...(isDueForCold(input, rule, day) ? (["transition"] as const) : [])];
}

/** The rest of the way of a segment that an earlier run began. */
function resume(input: PlanInput, segment: PlannedSegment): Step {
  const rule = input.policy.rules.find(({ name }) => name === segment.rule);
  const prunes = input.policy.prune !== "off" && !isKeptHot(input, rule, segment.dayTo);
  const rest: Stage[] = prunes
    ? ["prune", ...(isDueForCold(input, rule, segment.dayTo) ? (["transition"] as const) : [])]
    : [];
  const stages: Readonly<Record<SegmentState, Stage[]>> = {
    exporting: ["abandon"],
    uploaded: ["seal", ...rest],
    sealed: rest,
    pruning: rest,
    warm: [],
    cooling: ["transition"],
    cold: [],
    abandoned: [],
  };
  return {
    stages: stages[segment.state],
    rule: segment.rule,
    day: segment.dayFrom,
    segment: segment.segment,
    rows: segment.state === "pruning" ? segment.rowsUnpruned : segment.rows,
    bytes: segment.object?.bytes ?? 0n,
    reason: reasonFor.resume(segment.state, segment.rowsUnpruned),
  };
}

/** The policy may keep rows hot for longer now than when the segment was begun: then they stay. */
function isKeptHot(input: PlanInput, rule: Rule | undefined, dayTo: DayUtc): boolean {
  return rule !== undefined && dayTo > dueDayHot(rule, input.asOf);
}

/** Verified segments whose rows stay in the table for now. */
function keptHot(input: PlanInput): Held[] {
  if (input.policy.prune === "off") return [];
  return inOrder(input.catalog.unfinished).flatMap((segment) => {
    const rule = input.policy.rules.find(({ name }) => name === segment.rule);
    const isOpen = segment.state !== "exporting" && segment.state !== "cooling";
    if (!isOpen || rule === undefined || !isKeptHot(input, rule, segment.dayTo)) return [];
    const { rule: name, dayFrom: day, rowsUnpruned: rows } = segment;
    return [{ rule: name, day, rows, reason: reasonFor.keptHot(rule.hotDays) }];
  });
}

function cool(input: PlanInput, held: Held[]): Step[] {
  const { cold } = input.policy;
  if (cold === null) return [];
  const bytesMin = cold.objectBytesMin ?? input.coldBytesMin;
  const steps: Step[] = [];
  for (const segment of inOrder(input.catalog.dueForCold)) {
    const rule = input.policy.rules.find(({ name }) => name === segment.rule);
    const { rule: name, dayFrom: day, rows } = segment;
    const bytes = segment.object?.bytes ?? 0n;
    if (rule === undefined) {
      // Kept longer, never shorter: the rule that said when to cool it is gone from the file.
      held.push({ rule: name, day, rows, reason: reasonFor.ruleGone(name) });
    } else if (isDueForCold(input, rule, segment.dayTo)) {
      if (bytes < bytesMin) held.push({ rule: name, day, rows, reason: reasonFor.tooSmall(bytes, bytesMin) });
      else {
        const reason = reasonFor.cool(rule.warmDays, segment.dayTo, input.asOf, cold.storageClass);
        steps.push({
          stages: ["transition"],
          rule: name,
          day,
          segment: segment.segment,
          rows,
          bytes,
          reason,
        });
      }
    }
  }
  return steps;
}

function blockersFor(input: PlanInput, moved: readonly Step[]): FirnlineError[] {
  return [...soonerBlockers(input), ...backfillBlockers(input, moved)];
}

/** I12: nothing is deleted sooner than the last applied policy said, unless a person confirms it. */
function soonerBlockers(input: PlanInput): FirnlineError[] {
  if (input.previous === null || input.previous === undefined || input.confirmSooner === true) return [];
  return isDeletedSooner(input.previous, input.policy).map(
    ({ subject, reason }) =>
      new FirnlineError({
        code: "E_POLICY",
        subject: `pipeline ${input.policy.pipeline}, ${subject}`,
        problem: reason,
        hint: "If that is meant, run once with --confirm-sooner; if not, put the policy back",
      }),
  );
}

function backfillBlockers(input: PlanInput, moved: readonly Step[]): FirnlineError[] {
  const days = new Set(moved.map(({ day }) => day));
  if (input.catalog.everMoved || input.backfill || days.size <= FIRST_RUN_DAYS_MAX) return [];
  const first = moved[0]?.day as DayUtc;
  return [
    new FirnlineError({
      code: "E_POLICY",
      subject: `pipeline ${input.policy.pipeline}`,
      problem:
        `the first run would move ${days.size} days, from ${formatDay(first)} on, ` +
        `and more than ${FIRST_RUN_DAYS_MAX} days at once are only moved when asked for`,
      hint: "Look at `firnline plan`, then run with --backfill",
    }),
  ];
}

/** The last day that any rule lets go of, to know how far the inventory must look. */
export function lastDueDay(policy: Policy, asOf: EpochMicros): DayUtc {
  return Math.max(...policy.rules.map((rule) => dueDayHot(rule, asOf))) as DayUtc;
}

/** The last day that any rule lets go cold; null when nothing goes cold. */
export function lastColdDay(policy: Policy, asOf: EpochMicros): DayUtc | null {
  if (policy.cold === null) return null;
  const days = policy.rules.flatMap((rule) => dueDayWarm(rule, asOf) ?? []);
  return days.length === 0 ? null : (Math.max(...days) as DayUtc);
}
