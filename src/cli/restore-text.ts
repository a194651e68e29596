/** Restored copies as lines: what they cost before they are asked for, and how they are. */
import type { RestoreRecord } from "../catalog/restores.ts";
import type { RehydrateResult } from "../retrieve/rehydrate.ts";
import type { RestoreQuote } from "../retrieve/restore-quote.ts";
import type { EpochMs } from "../rows/day.ts";
import { formatDay } from "../rows/day.ts";
import {
  decimalOf,
  formatBytes,
  formatDays,
  formatMinute,
  formatMoney,
  formatSeconds,
  formatTable,
  jsonLine,
  plural,
} from "./format.ts";

/** Lines for people. What of the range is cold; then what would be asked for, and what is not. */
export function quoteText(pipeline: string, quote: RestoreQuote): string[] {
  const { bytes, days, longer, minutesMax, readable, segments, storageClasses, tier, underWay } = quote;
  const isAsking = segments.length + longer.length > 0;
  const eta = minutesMax === null ? [] : [`readable within ${formatSeconds(minutesMax * 60)}`];
  const head =
    segments.length === 0
      ? `${pipeline}: no cold segment needs to be asked for`
      : `${pipeline}: ${plural(segments.length, "cold segment")} to restore first, ` +
        `${formatBytes(bytes)} in ${storageClasses.join(", ")}`;
  return [
    head,
    ...(longer.length > 0 ? [`  ${plural(longer.length, "restored segment")} to stay longer`] : []),
    ...(isAsking
      ? [`  ${[`tier ${tier}`, ...eta, `for ${plural(days, "day")}`, sumText(quote)].join(", ")}`]
      : []),
    ...(underWay > 0 ? [`  ${plural(underWay, "segment")} being restored already, at no further cost`] : []),
    ...(readable > 0 ? [`  ${plural(readable, "restored segment")} readable already`] : []),
  ];
}

/** `about $0.31`, as a part of a sentence. */
export function sumText({ cost, currency, region }: RestoreQuote): string {
  if (cost === null) return "at a cost that no price list tells";
  if (cost === 0n) return "at no cost";
  return `for about ${formatMoney(cost, currency ?? "USD")} by the prices of ${region}`;
}

export function quoteJson(pipeline: string, quote: RestoreQuote): string {
  return jsonLine({ pipeline, quote: quoteObject(quote) });
}

const quoteObject = (quote: RestoreQuote): object => ({
  ...quote,
  cost: quote.cost === null ? null : decimalOf(quote.cost),
});

export function rehydrateText(pipeline: string, result: RehydrateResult): string[] {
  const { asked, quote, segments, waiting } = result;
  if (segments === 0) return [`${pipeline}: nothing of this range is archived`];
  const what =
    asked.length > 0
      ? `asked for ${plural(asked.length, "segment")} (${formatBytes(quote.bytes)})`
      : "asked for nothing";
  const how = waiting === 0 ? "all can be read" : `${plural(waiting, "segment")} not readable yet`;
  return [
    `${pipeline}: ${what}, of ${plural(segments, "segment")} in the range ${how}`,
    ...(waiting > 0 ? ["`firnline restores` shows when they are; `firnline retrieve` waits for them"] : []),
  ];
}

export function rehydrateJson(pipeline: string, { quote, ...result }: RehydrateResult): string {
  return jsonLine({ pipeline, rehydrate: { ...result, quote: quoteObject(quote) } });
}

/** One table; those that ended have no dates to wait for. */
export function restoresText(pipeline: string, restores: readonly RestoreRecord[], all: boolean): string[] {
  if (restores.length === 0)
    return [`${pipeline}: no restore ${all ? "was ever asked for" : "is under way"}`];
  const header = ["segment", "days", "size", "tier", "asked by", "since", "state", "ready", "until"];
  const cells = restores.map((one) => [
    one.segment,
    formatDays(one.dayFrom, one.dayTo),
    formatBytes(one.bytes),
    one.tier ?? "(found)",
    one.requestedBy,
    formatMinute(one.requestedAt),
    one.state,
    readyText(one),
    one.until === null ? "" : formatMinute(one.until),
  ]);
  const errors = restores.flatMap(({ error, segment }) => (error === null ? [] : [`${segment}: ${error}`]));
  return [
    `${pipeline}: ${plural(restores.length, "restore")}`,
    ...formatTable(header, cells, [2]),
    ...errors,
  ];
}

function readyText({ readyAt, state }: RestoreRecord): string {
  if (state === "readable") return "now";
  if (readyAt === null || (state !== "asked" && state !== "restoring")) return "";
  return `by ${formatMinute(readyAt)}`;
}

export function restoreJson(pipeline: string, record: RestoreRecord): string {
  const { id: _, dayFrom, dayTo, requestedAt, readyAt, until, ...rest } = record;
  const instant = (at: EpochMs | null): string | null => (at === null ? null : new Date(at).toISOString());
  return jsonLine({
    pipeline,
    restore: {
      ...rest,
      dayFrom: formatDay(dayFrom),
      dayTo: formatDay(dayTo),
      requestedAt: instant(requestedAt),
      readyAt: instant(readyAt),
      until: instant(until),
    },
  });
}
