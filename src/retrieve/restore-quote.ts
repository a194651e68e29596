/**
 * What making cold segments readable comes to, and whether somebody agreed to that. Nothing is asked of the store before.
 */
import type { RestoreTier } from "../archive/port.ts";
import type { CopyOf } from "../catalog/restores.ts";
import { FirnlineError } from "../errors.ts";
import { sizeText } from "../plan/advice.ts";
import type { Money, PriceList } from "../plan/cost.ts";
import { type ColdObjects, restoreEstimate } from "../plan/restore-cost.ts";

export const TIER_DEFAULT: RestoreTier = "Standard";
/** Enough for a retrieval that is taken up again after a weekend. */
export const COPY_DAYS_DEFAULT = 3;

export interface RestoreQuote {
  /** Segments of which copies must be asked for, one object each. */
  readonly segments: readonly string[];
  readonly bytes: bigint;
  readonly storageClasses: readonly string[];
  /** Segments whose copies would go away before everything is read, and have to stay longer. */
  readonly longer: readonly string[];
  /** Copies that were asked for before, and cost nothing more. */
  readonly underWay: number;
  /** Copies that can be read already. */
  readonly readable: number;
  readonly tier: RestoreTier;
  /** Days that the copies stay. */
  readonly days: number;
  /** Billionths of `currency`; null where no price is known. 0 in a folder, which is no cold store. */
  readonly cost: Money | null;
  readonly currency: string | null;
  /** Whose prices these are; requests to list and read, and traffic out of the region, are not in them. */
  readonly region: string | null;
  /** Until the last copy that must be asked for is readable, as the store promises. */
  readonly minutesMax: number | null;
}

/** What may be spent: anything; this much at most, in billionths of the price list's currency; or what somebody says. */
export type RestoreAllowance =
  | "any"
  | { readonly costMax: Money }
  | ((quote: RestoreQuote) => boolean | Promise<boolean>);

export interface RestoreTerms {
  /** `Standard` by default. */
  readonly tier?: RestoreTier;
  /** Days that copies stay; 3 by default. */
  readonly days?: number;
  /** Whether copies that are there already stay for the `days` that are named too; else they stay until they are read. */
  readonly lengthen?: boolean;
  /** The owner's; else those of `FIRNLINE_PRICES`, else the built-in ones for S3. */
  readonly prices?: PriceList;
  /** Without it, what costs something, or may, is refused. */
  readonly allow?: RestoreAllowance;
  /** Told what is about to be asked for, before anything is spent; again if more is needed. */
  readonly onQuote?: (quote: RestoreQuote) => void;
}

export interface QuoteInput {
  readonly fresh: readonly CopyOf[];
  readonly longer: readonly CopyOf[];
  readonly underWay: number;
  readonly readable: number;
  readonly tier: RestoreTier;
  readonly days: number;
  readonly prices: PriceList | null;
  /** Nobody is paid for it: a folder. */
  readonly isFree: boolean;
}

export function quoteOf(input: QuoteInput): RestoreQuote {
  const { fresh, longer, underWay, readable, tier, days, prices, isFree } = input;
  const estimate = restoreEstimate(prices, {
    tier: tier.toLowerCase() as Lowercase<RestoreTier>,
    days,
    fresh: byClass(fresh),
    longer: byClass(longer),
  });
  const isNothing = fresh.length + longer.length === 0;
  return {
    segments: fresh.map(({ segment }) => segment),
    bytes: fresh.reduce((sum, { bytes }) => sum + bytes, 0n),
    storageClasses: [...new Set(fresh.map(({ storageClass }) => storageClass))].sort(),
    longer: longer.map(({ segment }) => segment),
    underWay,
    readable,
    tier,
    days,
    cost: isNothing || (isFree && prices === null) ? 0n : estimate.cost,
    currency: prices?.currency ?? null,
    region: prices?.region ?? null,
    minutesMax: estimate.minutesMax,
  };
}

function byClass(copies: readonly CopyOf[]): ColdObjects[] {
  const groups = Map.groupBy(copies, ({ storageClass }) => storageClass);
  return [...groups].map(([storageClass, group]) => ({
    storageClass,
    objects: BigInt(group.length),
    bytes: group.reduce((sum, { bytes }) => sum + bytes, 0n),
  }));
}

/** Throws `E_INPUT` unless `allow` covers the quote, with what this retrieval has spent so far. */
export async function requireAllowed(
  pipeline: string,
  quote: RestoreQuote,
  spent: Money,
  allow: RestoreAllowance | undefined,
): Promise<void> {
  const { cost } = quote;
  if (cost === 0n || allow === "any") return;
  if (allow === undefined) {
    throw refused(pipeline, quote, "and nobody agreed to that", `Add --yes${limitHint(quote, spent)}`);
  }
  if (typeof allow === "function") {
    if (await allow(quote)) return;
    throw refused(
      pipeline,
      quote,
      "and the answer was no",
      "Ask for less, or for a cheaper --tier; Bulk is the slowest",
    );
  }
  const limit = moneyText(allow.costMax, quote.currency);
  if (cost === null) {
    throw refused(
      pipeline,
      quote,
      `and no price says whether that is below ${limit}`,
      "Name the prices of your store in FIRNLINE_PRICES, or add --yes instead of --max-cost",
    );
  }
  if (spent + cost <= allow.costMax) return;
  const before = spent === 0n ? "" : `, after ${moneyText(spent, quote.currency)} that were spent already`;
  throw refused(
    pipeline,
    quote,
    `which is more than ${limit}${before}`,
    `Add --yes${limitHint(quote, spent)}`,
  );
}

function refused(pipeline: string, quote: RestoreQuote, why: string, hint: string): FirnlineError {
  const { bytes, cost, currency, days, longer, region, segments, storageClasses, tier } = quote;
  const what =
    segments.length > 0
      ? `${counted(segments.length, "cold segment")} (${sizeText(bytes)} in ${storageClasses.join(", ")}) must be restored first`
      : `${counted(longer.length, "restored copy", "restored copies")} must stay longer`;
  const money =
    cost === null
      ? "at a cost that is not known"
      : `for about ${moneyText(cost, currency)} by the prices of ${region}`;
  return new FirnlineError({
    code: "E_INPUT",
    subject: `pipeline ${pipeline}`,
    problem: `${what}, ${money} (tier ${tier}, readable for ${counted(days, "day")}), ${why}`,
    hint: `Nothing was asked of the store. ${hint}`,
    op: "restore",
  });
}

function limitHint({ cost, currency }: RestoreQuote, spent: Money): string {
  if (cost === null || currency === null) return "";
  return ` or --max-cost ${moneyText(spent + cost, null)}`;
}

const BILLIONTHS = 1_000_000_000n;
const CENT = BILLIONTHS / 100n;

/** In cents, rounded up: a limit of so much is enough. */
function moneyText(money: Money, currency: string | null): string {
  const cents = (money + CENT - 1n) / CENT;
  const text = `${cents / 100n}.${(cents % 100n).toString().padStart(2, "0")}`;
  return currency === null ? text : `${text} ${currency}`;
}

const counted = (count: number, one: string, more = `${one}s`): string =>
  `${count} ${count === 1 ? one : more}`;

/** Before anything is spent: `E_INPUT` where a class has no such tier. */
export function requireTier(pipeline: string, tier: RestoreTier, copies: readonly CopyOf[]): void {
  if (tier !== "Expedited") return;
  const deep = copies.filter(({ storageClass }) => storageClass === "DEEP_ARCHIVE").length;
  if (deep === 0) return;
  throw new FirnlineError({
    code: "E_INPUT",
    subject: `pipeline ${pipeline}`,
    problem: `${counted(deep, "segment")} of the range ${deep === 1 ? "is" : "are"} in DEEP_ARCHIVE, which has no Expedited restore`,
    hint: "Nothing was asked of the store. Use --tier Standard (within 12 hours) or Bulk (within 48 hours)",
    op: "restore",
  });
}
