/**
 * What storage and requests cost. Pure: a price list goes in, sums come out, in whole billionths of its currency, so
 * that a million objects add up without the errors of floating point.
 *
 * Prices are those of one region and of the first tier; nothing here knows discounts, taxes or transfer.
 */
import type { StorageClass } from "../policy/policy.ts";

/** Billionths of the price list's currency. */
export type Money = bigint;

/** A GB is 2^30 bytes, as on an S3 bill. */
const GB = 1n << 30n;
const THOUSAND = 1_000n;
/** What a price a month is divided by to have it a day. */
const DAYS_PER_MONTH = 30n;
/** Below this S3 pads objects of some classes, and monitors none. */
export const SMALL_OBJECT_BYTES = 128n * 1024n;

export const BUILT_IN = "built in";

export const RESTORE_TIERS = ["expedited", "standard", "bulk"] as const;
export type RestoreTier = (typeof RESTORE_TIERS)[number];

export interface RestorePrice {
  readonly perGb: Money;
  readonly perThousandRequests: Money;
  /** How long it takes at most, as the store promises. */
  readonly minutesMax: number;
}

export interface ClassPrices {
  readonly perGbMonth: Money;
  readonly perThousandWrites: Money;
  readonly perThousandReads: Money;
  /** For moving objects into this class. */
  readonly perThousandTransitions: Money;
  /** Monitoring, of objects that are not small. */
  readonly perThousandObjectsMonth: Money;
  readonly perGbRead: Money;
  /** An object is charged for at least so many days. */
  readonly daysMin: number;
  /** An object is charged for at least so many bytes. */
  readonly objectBytesMin: bigint;
  /** Added to each object, at the price of this class, and at that of STANDARD: 32 KiB and 8 KiB in the Glacier classes. */
  readonly overheadBytes: bigint;
  readonly overheadStandardBytes: bigint;
  /** Empty for classes that are read without a restore. */
  readonly restores: Readonly<Partial<Record<RestoreTier, RestorePrice>>>;
}

export interface PriceList {
  readonly source: string;
  /** As the list writes it, e.g. `2026-07`. */
  readonly date: string;
  readonly region: string;
  /** ISO 4217. */
  readonly currency: string;
  readonly hot: { readonly what: string; readonly perGbMonth: Money };
  readonly classes: Readonly<Record<StorageClass, ClassPrices>>;
  /** Where it was read: `BUILT_IN`, or the name of a file. */
  readonly origin: string;
}

/** Objects of one class, all of them small (under 128 KiB) or none. */
export interface ObjectGroup {
  readonly storageClass: string;
  readonly isSmall: boolean;
  readonly objects: bigint;
  readonly bytes: bigint;
}

/** Of a class that the list does not have; null. */
export function classPrices(prices: PriceList, storageClass: string): ClassPrices | null {
  return Object.hasOwn(prices.classes, storageClass) ? prices.classes[storageClass as StorageClass] : null;
}

/** A month of storing these objects; null for a class without a price. */
export function storageCost(prices: PriceList, group: ObjectGroup): Money | null {
  const own = classPrices(prices, group.storageClass);
  if (own === null) return null;
  const { bytes, objects, isSmall } = group;
  const padded = objects * own.objectBytesMin;
  const billed = (bytes > padded ? bytes : padded) + objects * own.overheadBytes;
  const monitored = isSmall ? 0n : rounded(objects * own.perThousandObjectsMonth, THOUSAND);
  const overhead = perGb(objects * own.overheadStandardBytes, prices.classes.STANDARD.perGbMonth);
  return perGb(billed, own.perGbMonth) + overhead + monitored;
}

/** What an object is still charged for when it leaves its class `days` days before its minimum is over. */
export function earlyLeavingCost(prices: PriceList, group: ObjectGroup, days: number): Money {
  return rounded((storageCost(prices, group) ?? 0n) * BigInt(Math.max(0, days)), DAYS_PER_MONTH);
}

export function perGb(bytes: bigint, price: Money): Money {
  return rounded(bytes * price, GB);
}

export function perThousand(count: bigint, price: Money): Money {
  return rounded(count * price, THOUSAND);
}

/** Halves go up. Both are never negative. */
const rounded = (value: bigint, divisor: bigint): bigint => (value + divisor / 2n) / divisor;
