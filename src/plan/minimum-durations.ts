/**
 * Minimum durations: S3 charges an object of most classes for at least 30, 90 or 180 days, however soon it leaves. What
 * a policy lets go of, or a plan moves on, before that is paid for and not used.
 */
import type { Policy, Rule } from "../policy/policy.ts";
import { dayOf, type DayUtc, type EpochMicros } from "../rows/day.ts";
import { classPrices, earlyLeavingCost, type Money, type PriceList } from "./cost.ts";
import type { StepObjects } from "./stored.ts";

export interface DurationWarning {
  readonly storageClass: string;
  readonly daysMin: number;
  /** Rules of which this is true, in the policy's order. */
  readonly rules: readonly string[];
  /**
   * `policy`: every object of these rules leaves the class too early. `plan`: objects of this plan will.
   * `first-move`: this plan writes objects to the warm class and moves them on at once.
   */
  readonly about: "policy" | "plan" | "first-move";
  /** Days in the class, as the policy's ages have it; for a plan, those of the object that leaves first. */
  readonly days: number;
  readonly objects: bigint;
  /** Charged for days after the objects left; 0 where no object of the plan is concerned. */
  readonly cost: Money;
}

export function durationWarnings(
  policy: Policy,
  asOf: EpochMicros,
  steps: readonly StepObjects[],
  prices: PriceList,
): DurationWarning[] {
  return [...policyWarnings(policy, prices), ...planWarnings(policy, asOf, steps, prices)];
}

/** Rules of which every object leaves a class before its minimum. */
function policyWarnings(policy: Policy, prices: PriceList): DurationWarning[] {
  const found = new Map<string, DurationWarning>();
  const check = (rule: Rule, storageClass: string, days: number): void => {
    const daysMin = classPrices(prices, storageClass)?.daysMin ?? 0;
    if (days >= daysMin) return;
    const key = `${storageClass} ${days}`;
    const rules = [...(found.get(key)?.rules ?? []), rule.name];
    found.set(key, { storageClass, daysMin, rules, about: "policy", days, objects: 0n, cost: 0n });
  };
  for (const rule of policy.rules) {
    if (!rule.archive || policy.cold === null) continue;
    check(rule, policy.warm.storageClass, rule.warmDays - rule.hotDays);
    if (rule.coldDays !== null) check(rule, policy.cold.storageClass, rule.coldDays - rule.warmDays);
  }
  return [...found.values()];
}

/** Objects of this plan that will: mostly those of a first move, which are old on the day that they are made. */
function planWarnings(
  policy: Policy,
  asOf: EpochMicros,
  steps: readonly StepObjects[],
  prices: PriceList,
): DurationWarning[] {
  const rules = new Map(policy.rules.map((rule) => [rule.name, rule]));
  const found = new Map<string, DurationWarning>();
  const add = (one: StepObjects, about: "plan" | "first-move", storageClass: string, days: number): void => {
    const daysMin = classPrices(prices, storageClass)?.daysMin ?? 0;
    if (days >= daysMin) return;
    const { objects, bytes, isSmall, step } = one;
    const cost = earlyLeavingCost(prices, { storageClass, isSmall, objects, bytes }, daysMin - days);
    const known = found.get(`${about} ${storageClass}`);
    found.set(`${about} ${storageClass}`, {
      storageClass,
      daysMin,
      about,
      rules: known?.rules.includes(step.rule) === true ? known.rules : [...(known?.rules ?? []), step.rule],
      days: Math.min(days, known?.days ?? days),
      objects: objects + (known?.objects ?? 0n),
      cost: cost + (known?.cost ?? 0n),
    });
  };
  for (const one of steps) {
    if (one.goesTo === null) continue;
    const coldDays = rules.get(one.step.rule)?.coldDays ?? null;
    if (coldDays !== null) add(one, "plan", one.goesTo, daysLeft(one.step.day, coldDays, asOf));
    if (one.isNew) add(one, "first-move", one.storageClass, 0);
  }
  return [...found.values()];
}

/** Whole days until the policy lets go of the day's objects. */
function daysLeft(day: DayUtc, keepDays: number, asOf: EpochMicros): number {
  return Math.max(0, day + 1 + keepDays - dayOf(asOf));
}
