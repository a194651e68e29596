/**
 * What to do next, and why. Pure: policy, catalog, inventory and an instant go in, steps come out. `firnline plan`
 * prints it and `run` executes exactly it.
 *
 * The order is: finish what an earlier run began, then move or delete what is due, oldest day first, then rewrite what
 * was superseded in part, then cool down.
 */
import { dueDayHot, dueDayWarm } from "../policy/ages.ts";
import type { Policy, Rule } from "../policy/policy.ts";
import type { DayUtc, EpochMicros } from "../rows/day.ts";
import { partitionId, type PartitionKey } from "../segment/partition-key.ts";
import type { SegmentState } from "../segment/state.ts";
import { blockersFor } from "./blockers.ts";
import { cool, isDueForCold, isWaiting, waitingForRule } from "./cooling.ts";
import { isPastKeeping, planKeeping } from "./expiry.ts";
import { holdOver } from "./holds.ts";
import { LeafPlan, type Way } from "./leaves.ts";
import { emptied, idOf, isExportedAnew, openPartitions, quarantined } from "./open-partitions.ts";
import { compareText, inOrder } from "./order.ts";
import { keepingReasonFor, reasonFor } from "./reasons.ts";
import type { Held, Plan, PlanInput, PlannedSegment, Stage, Step } from "./step.ts";

export function makePlan(given: PlanInput): Plan {
  const { input, ...keeping } = planKeeping(given);
  const open = openPartitions(input);
  const leaves = new LeafPlan(input);
  const held: Held[] = [
    ...keptHot(input),
    ...quarantined(input, open),
    ...leaves.held(),
    ...waitingForRule(input),
    ...keeping.held,
  ];
  const unfinished = inOrder(input.catalog.unfinished);
  const archived = new Set(input.catalog.archived.map(partitionId));
  const moved: Step[] = [];
  const replaced = new Set<string>();
  for (const partition of due(input)) {
    const { leaf, rule, day, rows, ruleOf } = partition;
    const hold = (reason: string, count = rows): void => {
      held.push({ leaf, rule, day, rows: count, reason, needsPerson: false });
    };
    if (!ruleOf.archive && input.policy.prune === "off") {
      hold(reasonFor.pruneOff);
      continue;
    }
    // Rows of a delete-only rule are nowhere else; all others are kept in the archive.
    const kept = ruleOf.archive ? null : holdOver(input.catalog.holds, day, day);
    if (kept !== null) {
      hold(keepingReasonFor.deleteHeld(kept));
      continue;
    }
    const way = ruleOf.archive ? leaves.wayOf(leaf, rule) : null;
    if (way?.by === "nothing") {
      hold(way.reason);
      continue;
    }
    const before = open.get(partitionId(partition));
    // Rows that came, or went, while the others waited for their leaf.
    const hasChanged = way?.by === "leaf" && way.drops && before?.isSealed === true && before.rows !== rows;
    const isReplaced = before !== undefined && (hasChanged || isExportedAnew(input, before, rows));
    if (before !== undefined && !isReplaced) {
      const more = rows - before.rows;
      if (way?.by === "leaf" && !way.drops) hold(way.reason);
      else if (more > 0n) hold(reasonFor.lateWhileBusy(more), more);
      continue;
    }
    // A packed segment is of no single leaf.
    const late =
      archived.has(partitionId(partition)) || archived.has(partitionId({ ...partition, leaf: null }));
    const reason = isReplaced
      ? reasonFor.exportedAnew(rows, before?.rows ?? 0n, before?.isRetried === true)
      : late
        ? reasonFor.late(rows)
        : reasonFor.due(ruleOf.hotDays, day, input.asOf, way?.by === "rows" ? way.because : null);
    const bytes = rows * BigInt(input.inventory.rowBytes);
    const stages = stagesFor(input, ruleOf, day, way);
    if (isReplaced) replaced.add(partitionId(partition));
    const more = isPastKeeping(ruleOf, day, input.asOf) ? pastKeeping(input, ruleOf) : "";
    const why = `${reason}${more}`;
    moved.push({ stages, leaf, rule, day, replaces: isReplaced, segment: null, rows, bytes, reason: why });
  }
  for (const segment of emptied(input, open)) {
    const { leaf, rule, dayFrom: day } = segment;
    const before = open.get(idOf(segment));
    const reason = reasonFor.exportedAnew(0n, before?.rows ?? 0n, before?.isRetried === true);
    replaced.add(idOf(segment));
    const common = { leaf, rule, day, replaces: true, segment: null, rows: 0n, bytes: 0n, reason };
    moved.push({ ...common, stages: ["export", "seal"] });
  }
  moved.sort(byDay);
  const resumed = unfinished
    .filter((segment) => !(replaced.has(idOf(segment)) && isReplaceable(segment)))
    .map((segment) => resume(input, segment, leaves.wayOf(segment.leaf, segment.rule)));
  const rewritten = inOrder(input.catalog.dueForRewrite).map((segment) => rewrite(input, segment));
  const cooled = cool(input, held);
  // A sealed segment of an archive-only pipeline, or one that waits for its leaf, has nothing left to do.
  const hot = [...resumed.filter((step) => step.stages.length > 0), ...moved];
  const steps = [...hot, ...leaves.drained(hot), ...rewritten, ...cooled, ...keeping.steps];
  return { asOf: input.asOf, steps, held, blockers: blockersFor(input, moved) };
}

/** Segments in the other states have nothing to be replaced, and go their way: I7. */
const isReplaceable = ({ state }: PlannedSegment): boolean => state === "sealed" || state === "pruning";

interface DuePartition extends PartitionKey {
  readonly ruleOf: Rule;
  readonly rows: bigint;
}

const byDay = (left: PartitionKey, right: PartitionKey): number =>
  left.day - right.day ||
  compareText(left.rule, right.rule) ||
  compareText(left.leaf?.name ?? "", right.leaf?.name ?? "");

function due(input: PlanInput): DuePartition[] {
  const rules = new Map(input.policy.rules.map((rule) => [rule.name, rule]));
  return input.inventory.partitions
    .flatMap(({ leaf, rule, day, rows }) => {
      const ruleOf = rules.get(rule);
      return ruleOf !== undefined && rows > 0n && day <= dueDayHot(ruleOf, input.asOf)
        ? [{ leaf, rule, ruleOf, day, rows }]
        : [];
    })
    .sort(byDay);
}

const pastKeeping = ({ policy }: PlanInput, { coldDays }: Rule): string =>
  keepingReasonFor.pastKeeping(coldDays as number, policy.archive.recoveryDays);

function stagesFor(input: PlanInput, rule: Rule, day: DayUtc, way: Way | null): Stage[] {
  if (!rule.archive) return ["delete"];
  if (input.policy.prune === "off") return ["export", "seal"];
  return ["export", "seal", ...leavingStages(input, rule, day, way)];
}

/** How sealed rows leave the table, and what follows at once. */
function leavingStages(input: PlanInput, rule: Rule | undefined, dayTo: DayUtc, way: Way | null): Stage[] {
  if (way?.by === "nothing" || (way?.by === "leaf" && !way.drops)) return [];
  const goesCold = isDueForCold(input, rule, dayTo);
  return [way?.by === "leaf" ? "drop" : "prune", ...(goesCold ? (["transition"] as const) : [])];
}

/** The rest of the way of a segment that an earlier run began. */
function resume(input: PlanInput, segment: PlannedSegment, way: Way): Step {
  const rule = input.policy.rules.find(({ name }) => name === segment.rule);
  const prunes = input.policy.prune !== "off" && !isKeptHot(input, rule, segment.dayTo);
  const rest = prunes ? leavingStages(input, rule, segment.dayTo, way) : [];
  const { rowsUnpruned, rowsQuarantined, rowsUnknown } = segment;
  const known: Stage[] =
    rowsUnknown > 0n ? ["reconcile", ...rest] : rowsUnpruned > rowsQuarantined ? rest : [];
  const stages: Readonly<Record<SegmentState, Stage[]>> = {
    exporting: ["abandon"],
    // What it replaces may have changed since it was exported.
    uploaded: segment.replaces ? ["abandon"] : ["seal", ...rest],
    sealed: known,
    pruning: known,
    warm: [],
    cooling: isWaiting(input, segment) ? [] : ["transition"],
    cold: [],
    expiring: ["expire"],
    expired: [],
    abandoned: [],
    superseded: [],
  };
  return {
    stages: stages[segment.state],
    leaf: segment.leaf,
    rule: segment.rule,
    day: segment.dayFrom,
    replaces: false,
    segment: segment.segment,
    rows: segment.state === "pruning" ? rowsUnpruned : segment.rows,
    bytes: segment.object?.bytes ?? 0n,
    reason: resumeReason(segment, way),
  };
}

function resumeReason({ state, rowsUnknown, rowsUnpruned }: PlannedSegment, way: Way): string {
  if (rowsUnknown > 0n) return reasonFor.reconcile(rowsUnknown);
  const goesWhole = way.by === "leaf" && way.drops && (state === "sealed" || state === "pruning");
  return goesWhole ? way.reason : reasonFor.resume(state, rowsUnpruned);
}

/** Segments are rewritten without the chunks that another one holds now; what is due then goes cold at once. */
function rewrite(input: PlanInput, segment: PlannedSegment): Step {
  const { leaf, rule, dayFrom: day, dayTo, rows, object } = segment;
  const goesCold = isDueForCold(
    input,
    input.policy.rules.find(({ name }) => name === rule),
    dayTo,
  );
  return {
    stages: goesCold ? ["rewrite", "transition"] : ["rewrite"],
    leaf,
    rule,
    day,
    replaces: false,
    segment: segment.segment,
    rows,
    bytes: object?.bytes ?? 0n,
    reason: reasonFor.rewrite,
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
    const isOpen = !["exporting", "cooling", "expiring"].includes(segment.state);
    if (!isOpen || rule === undefined || !isKeptHot(input, rule, segment.dayTo)) return [];
    const { leaf, rule: name, dayFrom: day, rowsUnpruned: rows } = segment;
    return [{ leaf, rule: name, day, rows, reason: reasonFor.keptHot(rule.hotDays), needsPerson: false }];
  });
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
