/**
 * What goes to the cold class, and what stays warm and why. Objects that are too small for it are packed, a rule's month
 * into one; what waits for the bucket's rule is told. Pure.
 */
import { dueDayWarm } from "../policy/ages.ts";
import type { Rule } from "../policy/policy.ts";
import { type DayUtc, microsFromMs, MICROS_PER_DAY } from "../rows/day.ts";
import { isPastKeeping } from "./expiry.ts";
import { holdOver } from "./holds.ts";
import { daysUntil } from "./lifecycle-rules.ts";
import { inOrder } from "./order.ts";
import { packingVerdict, type Pile, smallPiles } from "./packing.ts";
import { reasonFor } from "./reasons.ts";
import type { Held, PlanInput, PlannedSegment, Step } from "./step.ts";

/** A bucket's rules run once a day and may lag by days more. After this long somebody has to look at them. */
export const RULE_DAYS_MAX = 14;

export function isDueForCold(input: PlanInput, rule: Rule | undefined, dayTo: DayUtc): boolean {
  if (rule === undefined || input.policy.cold === null) return false;
  // A cold class is paid for months: what is about to expire does not go there, unless a hold keeps it.
  if (isPastKeeping(rule, dayTo, input.asOf) && holdOver(input.catalog.holds, dayTo, dayTo) === null) {
    return false;
  }
  const last = dueDayWarm(rule, input.asOf);
  return last !== null && dayTo <= last;
}

/** Whether there is nothing to do about it but to wait for the bucket's rule, or for a policy that says where it goes. */
export function isWaiting({ policy, waiting }: PlanInput, { segment, state }: PlannedSegment): boolean {
  return state === "cooling" && (policy.cold === null || waiting?.has(segment) === true);
}

/** I7: waiting is no step. */
export function waitingForRule(input: PlanInput): Held[] {
  const { cold } = input.policy;
  const now = input.now ?? input.asOf;
  return inOrder(input.catalog.unfinished).flatMap((segment) => {
    const { leaf, rule, dayFrom: day, rows, taggedAt } = segment;
    if (!isWaiting(input, segment)) return [];
    if (cold === null) return [{ leaf, rule, day, rows, reason: reasonFor.nowhere, needsPerson: false }];
    const since = taggedAt === null || taggedAt === undefined ? now : microsFromMs(taggedAt);
    const days = Math.max(0, Number((now - since) / MICROS_PER_DAY));
    const needsPerson = days >= RULE_DAYS_MAX + daysUntil(cold.storageClass);
    const reason = needsPerson ? reasonFor.stuck(days) : reasonFor.waiting(days);
    return [{ leaf, rule, day, rows, reason, needsPerson }];
  });
}

export function cool(input: PlanInput, held: Held[]): Step[] {
  const { cold } = input.policy;
  if (cold === null) return [];
  const bytesMin = cold.objectBytesMin ?? input.coldBytesMin;
  const steps: Step[] = [];
  const warm = inOrder(input.catalog.dueForCold);
  for (const segment of warm) {
    const rule = input.policy.rules.find(({ name }) => name === segment.rule);
    const { leaf, rule: name, dayFrom: day, rows } = segment;
    const bytes = segment.object?.bytes ?? 0n;
    if (rule === undefined) {
      // Kept longer, never shorter: the rule that said when to cool it is gone from the file.
      held.push({ leaf, rule: name, day, rows, reason: reasonFor.ruleGone(name), needsPerson: false });
    } else if (isDueForCold(input, rule, segment.dayTo) && bytes >= bytesMin) {
      const reason = reasonFor.cool(rule.warmDays, segment.dayTo, input.asOf, cold.storageClass);
      const common = {
        leaf,
        rule: name,
        day,
        replaces: false,
        segment: segment.segment,
        rows,
        bytes,
        reason,
      };
      steps.push({ stages: ["transition"], ...common });
    }
  }
  const small = warm.filter(
    ({ dayTo, object, rule }) =>
      (object?.bytes ?? 0n) < bytesMin &&
      isDueForCold(
        input,
        input.policy.rules.find(({ name }) => name === rule),
        dayTo,
      ),
  );
  for (const pile of smallPiles(small)) {
    if (packingVerdict(input, pile) === "pays") steps.push(pack(pile, cold.storageClass));
    else held.push(...kept(input, pile, bytesMin));
  }
  return steps;
}

function pack({ bytes, rows, rule, segments }: Pile, storageClass: string): Step {
  const day = Math.min(...segments.map(({ dayFrom }) => dayFrom)) as DayUtc;
  const leaf = segments[0]?.leaf ?? null;
  return {
    stages: ["pack", "transition"],
    leaf: segments.every((one) => one.leaf?.oid === leaf?.oid) ? leaf : null,
    rule,
    day,
    replaces: false,
    segment: null,
    packs: segments.map(({ segment }) => segment),
    rows,
    bytes,
    reason: reasonFor.pack(bytes, storageClass),
  };
}

function kept(input: PlanInput, pile: Pile, bytesMin: bigint): Held[] {
  const verdict = packingVerdict(input, pile);
  return pile.segments.map(({ leaf, rule, dayFrom: day, rows, object }) => {
    const bytes = object?.bytes ?? 0n;
    const more =
      verdict === "not-over"
        ? reasonFor.monthNotOver
        : pile.segments.length > 1
          ? reasonFor.monthTooSmall(pile.bytes)
          : "";
    const reason = `${reasonFor.tooSmall(bytes, bytesMin)}${more}`;
    return { leaf, rule, day, rows, reason, needsPerson: false };
  });
}
