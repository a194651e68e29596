/**
 * What readable copies of cold objects cost and how long they take, said before they are asked for. Pure.
 *
 * The sum is of what is asked for: bytes, requests, and the copies themselves, which a bucket keeps beside the cold
 * objects at the price of STANDARD. A copy stays to the midnight after its last day, so one day more is counted: a limit
 * that a person set must not be passed by the bill.
 */
import { classPrices, type Money, perGb, perThousand, type PriceList, type RestoreTier } from "./cost.ts";

/** Cold objects of one class. */
export interface ColdObjects {
  readonly storageClass: string;
  readonly objects: bigint;
  readonly bytes: bigint;
}

export interface RestoreEstimate {
  /** Null where the list has no price for it. */
  readonly cost: Money | null;
  /** Until the last one is readable, as the store promises; null where nothing promises, or nothing is asked for. */
  readonly minutesMax: number | null;
}

export interface RestoreAsked {
  readonly tier: RestoreTier;
  /** Days that the copies stay. */
  readonly days: number;
  /** Copies are to be made of these. */
  readonly fresh: readonly ColdObjects[];
  /** Copies of these are readable, and are to stay longer. */
  readonly longer: readonly ColdObjects[];
}

/** The output of a vault's job costs nothing to keep, and cannot be kept longer. */
const VAULT = "GLACIER_VAULT";
const DAYS_PER_MONTH = 30n;

export function restoreEstimate(prices: PriceList | null, asked: RestoreAsked): RestoreEstimate {
  const { tier, fresh, longer } = asked;
  if (prices === null) return { cost: null, minutesMax: null };
  const priceOf = (storageClass: string) => classPrices(prices, storageClass)?.restores[tier] ?? null;
  let cost: Money | null = 0n;
  for (const { storageClass, objects, bytes } of [...fresh, ...longer]) {
    const price = priceOf(storageClass);
    if (cost === null || price === null) cost = null;
    else {
      cost += perThousand(objects, price.perThousandRequests);
      cost += copyCost(prices, storageClass, bytes, asked.days);
    }
  }
  for (const { storageClass, bytes } of fresh) {
    if (cost !== null) cost += perGb(bytes, priceOf(storageClass)?.perGb ?? 0n);
  }
  const minutes = fresh.map(({ storageClass }) => priceOf(storageClass)?.minutesMax ?? null);
  const isPromised = minutes.length > 0 && minutes.every((one) => one !== null);
  return { cost, minutesMax: isPromised ? Math.max(...(minutes as number[])) : null };
}

/** Of keeping copies of these bytes for so many days. */
function copyCost(prices: PriceList, storageClass: string, bytes: bigint, days: number): Money {
  if (storageClass === VAULT) return 0n;
  const { perGbMonth } = prices.classes.STANDARD;
  return perGb(bytes * BigInt(days + 1), perGbMonth) / DAYS_PER_MONTH;
}
