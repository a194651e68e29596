/** What a plan comes to, as lines: a table of the tiers before and after, then what to know and what to think about. */
import { BUILT_IN, type Money, type PriceList } from "../plan/cost.ts";
import type { Duration, Estimate, Holding, MoveCost, TierEstimate } from "../plan/estimate.ts";
import type { DurationWarning } from "../plan/minimum-durations.ts";
import type { PackingDecision, PackingVerdict } from "../plan/packing.ts";
import type { Plan } from "../plan/step.ts";
import {
  decimalOf,
  formatBytes,
  formatCount,
  formatMoney,
  formatNames,
  formatSeconds,
  formatTable,
  jsonLine,
  plural,
  wrapLine,
} from "./format.ts";

/** Lines for machines: a warning, a packing decision, and at last the estimate. Money is in whole units, as decimals. */
export function estimateJson(pipeline: string, found: Estimate): string[] {
  const { before, after } = found;
  const money = (value: Money | null): string | null => (value === null ? null : decimalOf(value));
  const holding = ({ perMonth, ...rest }: Holding): object => ({ ...rest, perMonth: money(perMonth) });
  const { move, duration, ratio, isCounted, unpriced, prices, daysAhead } = found;
  return [
    ...found.warnings.map((one) => jsonLine({ pipeline, warning: { ...one, cost: money(one.cost) } })),
    ...found.packing.map((one) =>
      jsonLine({ pipeline, packing: { ...one, saving: money(one.saving), once: money(one.once) } }),
    ),
    jsonLine({
      pipeline,
      estimate: {
        currency: prices?.currency ?? null,
        tiers: found.tiers.map((tier) => ({
          ...tier,
          before: holding(tier.before),
          after: holding(tier.after),
        })),
        perMonth: { before: money(before), after: money(after) },
        move: { ...move, cost: money(move.cost) },
        duration: duration === null ? null : durationJson(duration),
        archivedRow: { bytes: Number(ratio.bytes) / Number(ratio.rows), from: ratio.from },
        isCounted,
        daysAhead,
        unpriced,
        prices: prices === null ? null : pricesJson(prices),
      },
    }),
  ];
}

const pricesJson = ({ source, date, region, origin }: PriceList): object => ({
  source,
  date,
  region,
  origin,
});

const durationJson = ({ seconds, rowsPerSecond, runs }: Duration): object => ({
  seconds: Math.round(seconds * 10) / 10,
  rowsPerSecond: Math.round(rowsPerSecond),
  runs,
});

/** Lines for people. What moves nothing has no table. */
export function estimateText(plan: Plan, found: Estimate): string[] {
  const changes = plan.steps.length > 0;
  return [
    ...(changes ? ["", ...tierTable(found)] : []),
    ...(changes ? [...moneyText(found), ...durationText(plan, found), ...basisText(found)] : []),
    ...found.warnings.slice(0, WARNINGS_SHOWN_MAX).map((warning) => warningText(warning, found)),
    ...(found.warnings.length > WARNINGS_SHOWN_MAX
      ? [`and ${plural(found.warnings.length - WARNINGS_SHOWN_MAX, "warning")} more; --json has all`]
      : []),
    ...packingText(found),
    ...pricesText(plan, found),
  ].flatMap((line) => (line === "" ? [""] : wrapLine(`  ${line}`)));
}

const WARNINGS_SHOWN_MAX = 5;
const CENT = 10_000_000n;
/** Less of the table than this is ordinary: new rows fill it within days. */
const FREED_SHARE_SHOWN_MIN = 10n;

function tierTable({ tiers, before, after, prices }: Estimate): string[] {
  const name = ({ tier, storageClass }: TierEstimate): string =>
    storageClass === null ? tier : `${tier} ${storageClass}`;
  const money = (value: Money | null): string =>
    value === null || prices === null ? "?" : formatMoney(value, prices.currency);
  const cells = tiers.map((tier) => [
    name(tier),
    formatCount(tier.before.rows),
    formatCount(tier.after.rows),
    formatBytes(tier.before.bytes),
    formatBytes(tier.after.bytes),
    ...(prices === null ? [] : [money(tier.before.perMonth), money(tier.after.perMonth)]),
  ]);
  if (prices !== null) cells.push(["together", "", "", "", "", money(before), money(after)]);
  const header = ["tier", "rows now", "after", "size now", "after"];
  return formatTable(
    prices === null ? header : [...header, "a month now", "after"],
    cells,
    [1, 2, 3, 4, 5, 6],
  );
}

function moneyText({ before, after, move, prices, unpriced }: Estimate): string[] {
  if (prices === null || before === null || after === null) return [];
  const change = after - before;
  const word =
    change === 0n
      ? "as much a month as now"
      : `${about(change < 0n ? -change : change, prices)} a month ${change < 0n ? "less" : "more"}`;
  const cost = move.cost ?? 0n;
  const of = cost < CENT ? "" : ` (${requests(move)})`;
  return [
    `${word}; the move costs ${about(cost, prices)} once${of}`,
    ...unpriced.map((storageClass) => `no price is known for ${storageClass}; it is not in the sums`),
  ];
}

/** Nobody's bill is exact to the cent before it is written. */
function about(value: Money, { currency }: PriceList): string {
  return value < CENT ? `less than ${formatMoney(CENT, currency)}` : `about ${formatMoney(value, currency)}`;
}

function requests({ writes, transitions }: MoveCost): string {
  return [plural(writes, "write"), ...(transitions === 0n ? [] : [plural(transitions, "transition")])].join(
    ", ",
  );
}

function durationText({ steps }: Plan, { duration }: Estimate): string[] {
  if (duration !== null) {
    const pace = formatCount(Number(duration.rowsPerSecond.toPrecision(2)));
    const from = duration.runs === 1 ? "the last run" : `the last ${duration.runs} runs`;
    return [
      `takes about ${formatSeconds(duration.seconds)}, at the ${pace} rows/s of ${from} that moved rows`,
    ];
  }
  const moves = steps.some(
    ({ stages, rows }) => rows > 0n && !stages.every((stage) => stage === "transition"),
  );
  return moves ? ["no earlier run moved rows, so nothing tells how long this takes"] : [];
}

/** What the figures rest on, where that is not obvious. */
function basisText({ tiers, ratio, isCounted, move, daysAhead, rowsDeleted }: Estimate): string[] {
  const [hot] = tiers;
  const isMuch = rowsDeleted > 0n && rowsDeleted * FREED_SHARE_SHOWN_MIN >= (hot?.before.rows ?? 0n);
  const perRow = formatBytes(Number(ratio.bytes) / Number(ratio.rows));
  return [
    ...(daysAhead > 0 ? [`looks ${plural(daysAhead, "day")} ahead: rows still to come are not in it`] : []),
    ...(isCounted
      ? []
      : ["rows in the table are an estimate of Postgres: it is too large to be counted for this"]),
    ...(move.newObjects === 0n
      ? []
      : [
          ratio.from === "segments"
            ? `sizes of new objects are estimated: ${perRow} a row, as in those before`
            : "sizes of new objects are estimated: a sixth of the table's, as nothing is archived yet",
        ]),
    ...(isMuch
      ? ["hot after is what its rows need: the file stays as large until new rows fill it or it is rewritten"]
      : []),
  ];
}

function warningText(warning: DurationWarning, { prices }: Estimate): string {
  const { storageClass, daysMin, days, objects, rules } = warning;
  const cost = prices === null ? "" : about(warning.cost, prices);
  switch (warning.about) {
    case "policy":
      return (
        `warning: ${storageClass} charges at least ${plural(daysMin, "day")}, and objects of ` +
        `${formatNames(rules, "rule")} are in it for ${plural(days, "day")}`
      );
    case "plan":
      return (
        `warning: ${plural(objects, "object")} to go to ${storageClass} with ${objects === 1n ? "" : "as few as "}` +
        `${plural(days, "day")} left to keep, and it charges at least ${daysMin}: ${cost} for nothing`
      );
    case "first-move":
      return (
        `warning: ${plural(objects, "object")} to be written as ${storageClass} and moved on at once, and it charges ` +
        `at least ${plural(daysMin, "day")}: ${cost} for nothing; STANDARD as warm class would not`
      );
  }
}

const PACKING: Readonly<Record<PackingVerdict, string>> = {
  pays: "are packed by month and go cold",
  "costs-more": "are packed by month and go cold",
  "too-small": "even packed by month they are too small for the cold class",
  "not-over": "their month is not over yet",
};

/** A line for each verdict; `--json` has every month. */
function packingText({ packing, prices }: Estimate): string[] {
  return Object.entries(PACKING).flatMap(([verdict, words]) => {
    const mine = packing.filter((one) => one.verdict === verdict);
    if (mine.length === 0) return [];
    const sum = (of: (one: PackingDecision) => bigint): bigint =>
      mine.reduce((total, one) => total + of(one), 0n);
    const objects = sum((one) => one.objects);
    const bytes = formatBytes(sum((one) => one.bytes));
    const what = `${plural(objects, "small object")} of ${plural(mine.length, "month")} (${bytes})`;
    if (verdict !== "pays" && verdict !== "costs-more") {
      return [`${what} ${objects === 1n ? "stays" : "stay"} warm: ${words}`];
    }
    const saving = prices === null ? null : sum((one) => one.saving ?? 0n);
    const once = sum((one) => one.once ?? 0n);
    const money =
      saving === null || prices === null
        ? ""
        : ` (${about(saving, prices)} a month less, ${about(once, prices)} once)`;
    const hint =
      verdict === "pays"
        ? ""
        : ", which costs more than a year of it saves: a larger tiers.cold.objectBytesMin keeps them warm";
    return [`${what} ${words}${money}${hint}`];
  });
}

/** Only where there is money above. */
function pricesText(plan: Plan, { prices, warnings, packing }: Estimate): string[] {
  if (prices === null || plan.steps.length + warnings.length + packing.length === 0) return [];
  const { currency, region, date, origin } = prices;
  const hint = origin === BUILT_IN ? "; --prices FILE takes yours" : "";
  return [`prices: ${currency}, ${region}, ${date} (${origin})${hint}`];
}
