/**
 * Retention is written in whole days, because a row's age is counted in whole UTC days and nothing else
 * (I11). Weeks, months and years are refused instead of converted: a year of 365 days and one of 366 are not
 * the same law.
 */
import { read, refuse, shown, type Reading } from "./readers/reading.ts";

/** A whole number of days, at least 1. */
export type Days = number & { readonly __unit: "Days" };

/** No record is kept in Postgres for less: a day must have ended before it can be exported whole. */
const KEEP_DAYS_MIN = 1;
/** A hundred years of 365 days; longer is `forever`. */
const KEEP_DAYS_MAX = 36_500;

export const KEEP_PATTERN = "^[1-9][0-9]{0,4}d$";
export const KEEP_OR_FOREVER_PATTERN = "^([1-9][0-9]{0,4}d|forever)$";

const WRITE_DAYS = "Write whole days, for example 30d";

/** What to write for a count of another unit; only weeks have an exact answer. */
function daysInstead(count: number, unit: string): string {
  if (/^w/i.test(unit) && count > 0 && count * 7 <= KEEP_DAYS_MAX) return `Write it in days: ${count * 7}d`;
  if (/^y/i.test(unit)) return "Write it in days, for example 365d or 366d for a year";
  if (/^mo/i.test(unit) || unit === "M") return "Write it in days, for example 30d or 31d for a month";
  return WRITE_DAYS;
}

/** Reads `30d`. Nothing else is a keep: no other unit, no sign, no fraction, no leading zero. */
export function readKeep(text: string): Reading<Days> {
  if (text === "forever") {
    return refuse(
      'forever is not a retention of this tier (found "forever")',
      "Write whole days, for example 365d; only the cold tier keeps forever",
    );
  }
  const match = /^(\d{1,9})\s*([A-Za-z]*)$/.exec(text);
  const unit = match?.[2] ?? "";
  const count = Number(match?.[1]);
  if (!match) return refuse(`not a number of days (found ${shown(text)})`, WRITE_DAYS);
  if (unit === "")
    return refuse(`the unit is missing (found ${shown(text)})`, `Write ${count > 0 ? count : 30}d for days`);
  if (unit !== "d")
    return refuse(`retention is written in days (found ${shown(text)})`, daysInstead(count, unit));
  if (count < KEEP_DAYS_MIN) {
    return refuse(
      `shorter than the floor of ${KEEP_DAYS_MIN} day (found ${shown(text)})`,
      "Write 1d or more",
    );
  }
  if (count > KEEP_DAYS_MAX) {
    return refuse(
      `longer than ${KEEP_DAYS_MAX} days (found ${shown(text)})`,
      `Write ${KEEP_DAYS_MAX}d or less`,
    );
  }
  if (text !== `${count}d`)
    return refuse(`not a plain number of days (found ${shown(text)})`, `Write ${count}d`);
  return read(count as Days);
}

/** Reads `2555d` or `forever`; forever is `null`. */
export function readKeepOrForever(text: string): Reading<Days | null> {
  if (text === "forever") return read(null);
  const reading = readKeep(text);
  if (reading.ok || reading.hint === null) return reading;
  return refuse(reading.problem, `${reading.hint}, or forever`);
}

/** Reads `14d`, the time that something is kept in case it is missed. */
export function readWindow(text: string): Reading<Days> {
  if (text !== "forever") return readKeep(text);
  return refuse(
    'not a number of days (found "forever")',
    "Write whole days, for example 14d; what `firnline collect` is never run on is kept for ever",
  );
}

/** `30d`, or `forever` for `null`: the text that `readKeepOrForever` reads back. */
export function formatKeep(days: number | null): string {
  return days === null ? "forever" : `${days}d`;
}
