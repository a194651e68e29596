/**
 * What packing would give: objects that are too small for the cold class stay warm one by one, but a rule's month of
 * them may be large enough as one object. This says what would be packed and whether it would pay; it packs nothing.
 */
import { dueDayWarm } from "../policy/ages.ts";
import { addDays, civilFromDay, dayFromCivil, type DayUtc, formatDay } from "../rows/day.ts";
import {
  classPrices,
  type Money,
  perThousand,
  type PriceList,
  SMALL_OBJECT_BYTES,
  storageCost,
} from "./cost.ts";
import type { PlanInput } from "./step.ts";
import type { StepObjects } from "./stored.ts";

/**
 * `pays`: one object that goes cold. `too-small`: even together they are below the smallest size, and stay warm.
 * `not-over`: days of that month are still to come. `costs-more`: the requests cost more than a year of it saves.
 */
export type PackingVerdict = "pays" | "too-small" | "not-over" | "costs-more";

export interface PackingDecision {
  readonly rule: string;
  /** `2025-01`. */
  readonly month: string;
  readonly objects: bigint;
  readonly rows: bigint;
  readonly bytes: bigint;
  readonly verdict: PackingVerdict;
  /** What it would save a month, and its requests once; null without prices. */
  readonly saving: Money | null;
  readonly once: Money | null;
}

const MONTHS_TO_PAY = 12n;

interface Pile {
  readonly rule: string;
  readonly lastDay: DayUtc;
  objects: bigint;
  rows: bigint;
  bytes: bigint;
}

/** One decision for each rule's month that has small objects due for the cold class, oldest month first. */
export function packingDecisions(
  input: PlanInput,
  steps: readonly StepObjects[],
  prices: PriceList | null,
): PackingDecision[] {
  const { cold } = input.policy;
  if (cold === null) return [];
  const bytesMin = cold.objectBytesMin ?? input.coldBytesMin;
  const dueDays = new Map(input.policy.rules.map((rule) => [rule.name, dueDayWarm(rule, input.asOf)]));
  const piles = new Map<string, Pile>();
  const add = (rule: string, day: DayUtc, objects: bigint, rows: bigint, bytes: bigint): void => {
    const lastDay = monthEnd(day);
    const key = `${lastDay} ${rule}`;
    const pile = piles.get(key) ?? { rule, lastDay, objects: 0n, rows: 0n, bytes: 0n };
    pile.objects += objects;
    pile.rows += rows;
    pile.bytes += bytes;
    piles.set(key, pile);
  };
  for (const { rule, dayFrom, dayTo, rows, object } of input.catalog.dueForCold) {
    const dueDay = dueDays.get(rule) ?? null;
    const bytes = object?.bytes ?? 0n;
    if (dueDay !== null && dayTo <= dueDay && bytes < bytesMin) add(rule, dayFrom, 1n, rows, bytes);
  }
  for (const { step, objects, bytes, isTooSmall } of steps) {
    if (isTooSmall) add(step.rule, step.day, objects, step.rows, bytes);
  }
  return [...piles.values()]
    .sort((left, right) => left.lastDay - right.lastDay || (left.rule < right.rule ? -1 : 1))
    .map((pile) => decide(input, pile, bytesMin, dueDays.get(pile.rule) ?? null, prices));
}

function decide(
  input: PlanInput,
  pile: Pile,
  bytesMin: bigint,
  dueDay: DayUtc | null,
  prices: PriceList | null,
): PackingDecision {
  const { rule, lastDay, objects, rows, bytes } = pile;
  const month = formatDay(lastDay).slice(0, 7);
  const money = prices === null ? null : packingCost(input, pile, prices);
  const verdict = (): PackingVerdict => {
    if (dueDay === null || lastDay > dueDay) return "not-over";
    if (bytes < bytesMin) return "too-small";
    return money === null || money.saving * MONTHS_TO_PAY >= money.once ? "pays" : "costs-more";
  };
  const { saving = null, once = null } = money ?? {};
  return { rule, month, objects, rows, bytes, verdict: verdict(), saving, once };
}

/** Each object is read once, and one is written, sealed and moved. */
function packingCost(input: PlanInput, pile: Pile, prices: PriceList): { saving: Money; once: Money } {
  const { cold, warm } = input.policy;
  const warmPrices = classPrices(prices, warm.storageClass);
  const coldPrices = cold === null ? null : classPrices(prices, cold.storageClass);
  if (cold === null || warmPrices === null || coldPrices === null) return { saving: 0n, once: 0n };
  const { bytes, objects } = pile;
  const now = storageCost(prices, { storageClass: warm.storageClass, isSmall: true, objects, bytes });
  const isSmall = bytes < SMALL_OBJECT_BYTES;
  const then = storageCost(prices, { storageClass: cold.storageClass, isSmall, objects: 1n, bytes });
  const requests =
    perThousand(objects + PACKED_READS, warmPrices.perThousandReads) +
    perThousand(1n, warmPrices.perThousandWrites) +
    perThousand(PACKED_METADATA_WRITES, prices.classes.STANDARD.perThousandWrites) +
    perThousand(1n, coldPrices.perThousandTransitions);
  return { saving: (now ?? 0n) - (then ?? 0n), once: requests };
}

/** The packed object is read back before it counts; then come its manifest and two journal entries. */
const PACKED_READS = 2n;
const PACKED_METADATA_WRITES = 3n;

function monthEnd(day: DayUtc): DayUtc {
  const { year, month } = civilFromDay(day);
  const next = month === 12 ? dayFromCivil(year + 1, 1, 1) : dayFromCivil(year, month + 1, 1);
  return addDays(next as DayUtc, -1);
}
