/**
 * Packing: objects that are too small for the cold class stay warm one by one, but a rule's month of them may be large
 * enough as one object. What is packed depends on sizes alone; whether that saves money is told beside it.
 */
import { dueDayWarm } from "../policy/ages.ts";
import { addDays, civilFromDay, dayFromCivil, type DayUtc } from "../rows/day.ts";
import { monthOf } from "../segment/archive-keys.ts";
import {
  classPrices,
  type Money,
  perThousand,
  type PriceList,
  SMALL_OBJECT_BYTES,
  storageCost,
} from "./cost.ts";
import { compareText } from "./order.ts";
import type { PlanInput, PlannedSegment } from "./step.ts";
import type { StepObjects } from "./stored.ts";

/**
 * `pays`: one object that goes cold. `costs-more`: it does, and the requests cost more than a year of it saves.
 * `too-small`: even together they are below the smallest size, and stay warm. `not-over`: days of that month are still to
 * come.
 */
export type PackingVerdict = "pays" | "costs-more" | "too-small" | "not-over";

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

/** Small objects of one rule, month and shape. */
export interface Pile {
  readonly rule: string;
  /** Of the month. */
  readonly lastDay: DayUtc;
  /** Those that are there. */
  readonly segments: readonly PlannedSegment[];
  readonly objects: bigint;
  readonly rows: bigint;
  readonly bytes: bigint;
}

const MONTHS_TO_PAY = 12n;

/** Oldest month first. What an older version uploaded has no shape, and is a pile of its own. */
export function smallPiles(segments: readonly PlannedSegment[]): Pile[] {
  return new Piles(segments).all;
}

export function packingVerdict(input: PlanInput, pile: Pile): Exclude<PackingVerdict, "costs-more"> {
  const { bytes, lastDay, objects } = pile;
  const rule = input.policy.rules.find(({ name }) => name === pile.rule);
  const dueDay = rule === undefined ? null : dueDayWarm(rule, input.asOf);
  if (dueDay === null || lastDay > dueDay) return "not-over";
  return objects > 1n && bytes >= bytesMinOf(input) ? "pays" : "too-small";
}

/**
 * One decision for each pile, oldest month first: of what is there and due, and of what this plan makes. These are packed by
 * the same run, once they are there.
 */
export function packingDecisions(
  input: PlanInput,
  steps: readonly StepObjects[],
  prices: PriceList | null,
): PackingDecision[] {
  if (input.policy.cold === null) return [];
  const dueDays = new Map(input.policy.rules.map((rule) => [rule.name, dueDayWarm(rule, input.asOf)]));
  const bytesMin = bytesMinOf(input);
  const piles = new Piles(
    input.catalog.dueForCold.filter(
      ({ dayTo, object, rule }) =>
        (object?.bytes ?? 0n) < bytesMin && dayTo <= (dueDays.get(rule) ?? -Infinity),
    ),
  );
  for (const one of steps) if (one.isTooSmall && one.step.packs === undefined) piles.addNew(one);
  return piles.all.map((pile) => {
    const { rule, lastDay, objects, rows, bytes } = pile;
    const money = prices === null ? null : packingCost(input, pile, prices);
    const bySize = packingVerdict(input, pile);
    const isDear = bySize === "pays" && money !== null && money.saving * MONTHS_TO_PAY < money.once;
    const verdict = isDear ? "costs-more" : bySize;
    const { saving = null, once = null } = money ?? {};
    return { rule, month: monthOf(lastDay), objects, rows, bytes, verdict, saving, once };
  });
}

const bytesMinOf = ({ coldBytesMin, policy }: PlanInput): bigint =>
  policy.cold?.objectBytesMin ?? coldBytesMin;

/** A pile that may be added to. */
interface Growing extends Pile {
  segments: PlannedSegment[];
  objects: bigint;
  rows: bigint;
  bytes: bigint;
}

class Piles {
  readonly #piles = new Map<string, Growing>();
  /** By rule and month: the pile that was begun first. */
  readonly #first = new Map<string, Growing>();

  constructor(segments: readonly PlannedSegment[]) {
    for (const segment of segments) {
      const { dayFrom, object, rows, rule, shape = null } = segment;
      const pile = this.#pile(dayFrom, rule, shape ?? segment.segment);
      pile.segments.push(segment);
      add(pile, { objects: 1n, rows, bytes: object?.bytes ?? 0n });
    }
  }

  get all(): Pile[] {
    return [...this.#piles.values()].sort(
      (left, right) => left.lastDay - right.lastDay || compareText(left.rule, right.rule),
    );
  }

  /** Nobody knows its shape yet: mostly that of the others of its month. */
  addNew({ step: { day, rows, rule }, objects, bytes }: StepObjects): void {
    const first = this.#first.get(`${monthEnd(day)} ${rule}`);
    add(first ?? this.#pile(day, rule, ""), { objects, rows, bytes });
  }

  #pile(day: DayUtc, rule: string, shape: string): Growing {
    const lastDay = monthEnd(day);
    const month = `${lastDay} ${rule}`;
    const known = this.#piles.get(`${month} ${shape}`);
    if (known !== undefined) return known;
    const pile = { rule, lastDay, segments: [], objects: 0n, rows: 0n, bytes: 0n };
    this.#piles.set(`${month} ${shape}`, pile);
    if (!this.#first.has(month)) this.#first.set(month, pile);
    return pile;
  }
}

function add(pile: Growing, { objects, rows, bytes }: Pick<Pile, "objects" | "rows" | "bytes">): void {
  pile.objects += objects;
  pile.rows += rows;
  pile.bytes += bytes;
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
