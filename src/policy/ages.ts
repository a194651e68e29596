/**
 * When a day is due. Ages are counted in whole UTC days from the end of the record's own day, so that a
 * session time zone, a DST change or the moment of an upload cannot move them (I11):
 *
 *     day d is due at dayEnd(d) + keep,   due when dayEnd(d) + keep <= asOf
 *
 * Since both sides are whole days, that is `d <= dayOf(asOf) - keep - 1`. A segment of several days is due
 * when its last day is. The results are bounds, not lists: every day up to and including them is due.
 */
import { invariant } from "../errors.ts";
import { addDays, dayEnd, dayOf, MICROS_PER_DAY, type DayUtc, type EpochMicros } from "../rows/day.ts";
import type { Rule } from "./policy.ts";

/** The latest day that is at least `keepDays` whole days past its end at `asOf`. */
export function dueDay(keepDays: number, asOf: EpochMicros): DayUtc {
  invariant(Number.isSafeInteger(keepDays) && keepDays >= 0, "ages", `keepDays is ${keepDays}`);
  return addDays(dayOf(asOf), -keepDays - 1);
}

/** The instant at which `day` becomes due: `dayEnd(day) + keepDays`. `plan` prints it. */
export function dueInstant(day: DayUtc, keepDays: number): EpochMicros {
  return (dayEnd(day) + BigInt(keepDays) * MICROS_PER_DAY) as EpochMicros;
}

/** The latest day whose rows have been hot long enough: they may leave Postgres. */
export function dueDayHot(rule: Pick<Rule, "hotDays">, asOf: EpochMicros): DayUtc {
  return dueDay(rule.hotDays, asOf);
}

/**
 * The latest day whose objects have been warm long enough to go cold; `null` (never) for a rule that archives
 * nothing. Ask only when the policy has a cold tier: a rule alone does not know.
 */
export function dueDayWarm(rule: Pick<Rule, "archive" | "warmDays">, asOf: EpochMicros): DayUtc | null {
  return rule.archive ? dueDay(rule.warmDays, asOf) : null;
}

/** The latest day whose objects expire; `null` (never) when the rule keeps forever or archives nothing. */
export function dueDayCold(rule: Pick<Rule, "archive" | "coldDays">, asOf: EpochMicros): DayUtc | null {
  return rule.archive && rule.coldDays !== null ? dueDay(rule.coldDays, asOf) : null;
}
