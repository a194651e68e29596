/**
 * What the archive lets go of, and what keeps it: after `cold.keep` of its rule, counted from its last day, a wholly
 * pruned segment expires, unless a hold has one of its days, a retrieval reads it, or an Object Lock is on it. Pure; the
 * decision itself is made once more in the transaction that records it.
 *
 * Rows that came late, for a day that should have expired already, are archived like all others and stay for the recovery
 * window from then on: an application that writes wrong times must not lose its rows in the night in which it does so.
 */
import { dueDayCold, dueInstant } from "../policy/ages.ts";
import type { Policy, PolicyLock, Rule } from "../policy/policy.ts";
import { addDays, type DayUtc, dayEnd, type EpochMicros, type EpochMs, MICROS_PER_DAY } from "../rows/day.ts";
import { holdOver } from "./holds.ts";
import { inOrder } from "./order.ts";
import { keepingReasonFor } from "./reasons.ts";
import type { Held, KeptSegment, PlanInput, PlannedSegment, Step } from "./step.ts";

export interface Keeping {
  /** Segments that expire, then those whose lock or legal hold is put right. */
  readonly steps: readonly Step[];
  readonly held: readonly Held[];
  /** The same without the segments that expire: nothing else is done to them. */
  readonly input: PlanInput;
}

export function planKeeping(given: PlanInput): Keeping {
  const steps: Step[] = [];
  const held: Held[] = [];
  for (const segment of inOrder(given.catalog.dueForExpiry ?? [])) {
    const rule = given.policy.rules.find(({ name }) => name === segment.rule);
    const reason = obstacle(given, rule, segment);
    if (reason === null) {
      const why = keepingReasonFor.expire(rule?.coldDays as number, segment.dayTo, given.asOf);
      steps.push(stepOf(segment, "expire", why));
    } else if (reason !== NOT_DUE) {
      const { leaf, rule: name, dayFrom: day, rows } = segment;
      held.push({ leaf, rule: name, day, rows, reason, needsPerson: false });
    }
  }
  const leaving = new Set(steps.map(({ segment }) => segment));
  for (const segment of inOrder(given.catalog.unprotected ?? [])) {
    if (!leaving.has(segment.segment)) {
      steps.push(stepOf(segment, "lock", protectionReason(given, segment)));
    }
  }
  return { steps, held, input: leaving.size === 0 ? given : without(given, leaving) };
}

const NOT_DUE = "";

/** Why it stays, `NOT_DUE` for what nobody wonders about, null for nothing. */
function obstacle(input: PlanInput, rule: Rule | undefined, segment: KeptSegment): string | null {
  const { asOf, catalog, policy } = input;
  // Kept longer, never shorter: the rule that said when it expires is gone, or archives nothing any more.
  if (rule === undefined) return keepingReasonFor.ruleGone(segment.rule);
  if (!rule.archive) return keepingReasonFor.ruleChanged(rule.name);
  const last = dueDayCold(rule, asOf);
  if (last === null || segment.dayTo > last) return NOT_DUE;
  const hold = holdOver(catalog.holds, segment.dayFrom, segment.dayTo);
  if (hold !== null) return keepingReasonFor.hold(hold);
  const late = lateUntil(policy, rule, segment);
  if (late !== null && late > asOf) return keepingReasonFor.late(segment.archivedAsOf as EpochMicros, late);
  const until = segment.lock?.until ?? null;
  // A lock ends by the clock of the store; a plan that looks ahead sees those that will have ended.
  const at = input.now !== undefined && input.now > asOf ? input.now : asOf;
  if (until !== null && BigInt(until) * 1_000n > at) return keepingReasonFor.locked(until);
  return segment.isRead ? keepingReasonFor.read : null;
}

/** Until when rows stay that were archived after they should have expired; null for all others. */
function lateUntil(policy: Policy, rule: Rule, { archivedAsOf, dayTo }: KeptSegment): EpochMicros | null {
  if (archivedAsOf === null || rule.coldDays === null) return null;
  if (archivedAsOf < dueInstant(dayTo, rule.coldDays)) return null;
  return (archivedAsOf + BigInt(policy.archive.recoveryDays) * MICROS_PER_DAY) as EpochMicros;
}

/** Whether rows of that day, which are not archived yet, should have expired already. */
export function isPastKeeping(rule: Rule | undefined, day: DayUtc, asOf: EpochMicros): boolean {
  const last = rule === undefined ? null : dueDayCold(rule, asOf);
  return last !== null && day <= last;
}

/** Until when the objects of a segment are locked, in whole days; null where that is past. */
export function lockEnd(lock: PolicyLock, dayTo: DayUtc, now: EpochMs): EpochMs | null {
  const until = Number(dayEnd(addDays(dayTo, lock.keepDays)) / 1_000n) as EpochMs;
  return until > now ? until : null;
}

function protectionReason({ catalog, policy }: PlanInput, segment: KeptSegment): string {
  const hold = holdOver(catalog.holds, segment.dayFrom, segment.dayTo);
  if (hold !== null && segment.isHeld !== true) return keepingReasonFor.putHold(hold);
  if (hold === null && segment.isHeld !== false) return keepingReasonFor.takeHold;
  const days = policy.archive.lock?.keepDays ?? 0;
  return keepingReasonFor.lock(days, addDays(segment.dayTo, days + 1));
}

/** The last day that any rule lets expire; null when nothing expires. */
export function lastExpiryDay(policy: Policy, asOf: EpochMicros): DayUtc | null {
  const days = policy.rules.flatMap((rule) => dueDayCold(rule, asOf) ?? []);
  return days.length === 0 ? null : (Math.max(...days) as DayUtc);
}

function stepOf(segment: PlannedSegment, stage: "expire" | "lock", reason: string): Step {
  const { leaf, rule, dayFrom: day, rows, object } = segment;
  const bytes = object?.bytes ?? 0n;
  return { stages: [stage], leaf, rule, day, replaces: false, segment: segment.segment, rows, bytes, reason };
}

function without(input: PlanInput, leaving: ReadonlySet<string | null>): PlanInput {
  const { catalog } = input;
  const staying = <T extends PlannedSegment>(segments: readonly T[]): T[] =>
    segments.filter(({ segment }) => !leaving.has(segment));
  const unfinished = staying(catalog.unfinished);
  return { ...input, catalog: { ...catalog, unfinished, dueForCold: staying(catalog.dueForCold) } };
}
