/**
 * Instants and days. A row's day is the UTC day of its time column and nothing else (I11): no session time zone,
 * no local clock and no floating point takes part. Instants are microseconds in a bigint, as Postgres keeps them;
 * `Date` would lose the microseconds.
 */
import { FirnlineError } from "../errors.ts";

/** Microseconds since 1970-01-01T00:00:00Z. */
export type EpochMicros = bigint & { readonly __unit: "EpochMicros" };
/** Milliseconds since 1970-01-01T00:00:00Z, of a wall clock. */
export type EpochMs = number & { readonly __unit: "EpochMs" };
/** Whole days since 1970-01-01, of the proleptic Gregorian calendar in UTC. */
export type DayUtc = number & { readonly __unit: "DayUtc" };

export const MICROS_PER_DAY = 86_400_000_000n;
/** Postgres counts microseconds from 2000-01-01; this is that instant in `EpochMicros`. */
export const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;
/** Postgres counts dates from 2000-01-01; this is that day in `DayUtc`. */
export const POSTGRES_EPOCH_DAY = 10_957;

/** The archive's calendar. Rows outside of it are leftovers that `status` reports, like infinite times. */
export const DAY_MIN = -719_162 as DayUtc; // 0001-01-01
export const DAY_MAX = 2_932_896 as DayUtc; // 9999-12-31

export function dayOf(instant: EpochMicros): DayUtc {
  const quotient = instant / MICROS_PER_DAY;
  const floor = instant % MICROS_PER_DAY < 0n ? quotient - 1n : quotient;
  return Number(floor) as DayUtc;
}

/** The first instant of `day`; the day is the half-open range from here to `dayStart(day + 1)`. */
export function dayStart(day: DayUtc): EpochMicros {
  return (BigInt(day) * MICROS_PER_DAY) as EpochMicros;
}

export function dayEnd(day: DayUtc): EpochMicros {
  return (BigInt(day + 1) * MICROS_PER_DAY) as EpochMicros;
}

export function addDays(day: DayUtc, count: number): DayUtc {
  return (day + count) as DayUtc;
}

interface CivilDate {
  /** Astronomical year: 0 is 1 BC. */
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
export function civilFromDay(day: number): CivilDate {
  const z = day + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor(
    (doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365,
  );
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  return {
    year: yoe + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: doy - Math.floor((153 * mp + 2) / 5) + 1,
  };
}

/** Source: Howard Hinnant, days_from_civil. */
export function dayFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const doe = yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy;
  return era * 146_097 + doe - 719_468;
}

const pad = (value: number, width: number): string => String(value).padStart(width, "0");

/** `2026-01-03`; years before 1 and after 9999 do not occur in the archive's calendar. */
export function formatDay(day: DayUtc): string {
  const date = civilFromDay(day);
  return `${pad(date.year, 4)}-${pad(date.month, 2)}-${pad(date.day, 2)}`;
}

/** Reads `2026-01-03`; throws `E_INPUT` on anything else, 2026-02-30 included. */
export function parseDay(text: string, subject = "date"): DayUtc {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  const day = match ? dayFromCivil(Number(match[1]), Number(match[2]), Number(match[3])) : Number.NaN;
  if (!Number.isSafeInteger(day) || day < DAY_MIN || formatDay(day as DayUtc) !== text) {
    throw new FirnlineError({
      code: "E_INPUT",
      subject,
      problem: `"${text}" is not a date of the calendar`,
      hint: "Write it as YYYY-MM-DD, for example 2024-03-31",
    });
  }
  return day as DayUtc;
}

function clockOf(microsOfDay: bigint): string {
  const seconds = Number(microsOfDay / 1_000_000n);
  const micros = Number(microsOfDay % 1_000_000n);
  return `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}.${pad(micros, 6)}`;
}

/** `2026-01-03T04:05:06.000007Z`, always with six digits; years beyond 9999 get as many digits as they need. */
export function formatInstant(instant: EpochMicros): string {
  const day = dayOf(instant);
  const date = civilFromDay(day);
  const year = date.year < 0 ? `-${pad(-date.year, 6)}` : pad(date.year, 4);
  return `${year}-${pad(date.month, 2)}-${pad(date.day, 2)}T${clockOf(instant - dayStart(day))}Z`;
}

/** A day in the form that Postgres reads under `DateStyle = ISO`: years before 1 are written as `BC`. */
export function formatPostgresDate(day: DayUtc): string {
  const [date, era] = postgresDate(day);
  return date + era;
}

/** A timestamp in that form. No zone is appended; the caller adds `+00` for a timestamptz. */
export function formatPostgresTimestamp(instant: EpochMicros): string {
  const day = dayOf(instant);
  const [date, era] = postgresDate(day);
  return `${date} ${clockOf(instant - dayStart(day))}${era}`;
}

function postgresDate(dayUtc: DayUtc): [date: string, era: string] {
  const { year, month, day } = civilFromDay(dayUtc);
  const bc = year <= 0;
  return [`${pad(bc ? 1 - year : year, 4)}-${pad(month, 2)}-${pad(day, 2)}`, bc ? " BC" : ""];
}

/** Reads an RFC 3339 instant with up to six digits of a second and a zone (`Z`, `+02:00`); throws `E_INPUT`. */
export function parseInstant(text: string, subject = "instant"): EpochMicros {
  const match =
    /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?([Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)$/.exec(
      text,
    );
  const hour = Number(match?.[2]);
  const minute = Number(match?.[3]);
  const second = Number(match?.[4] ?? 0);
  if (!match || hour > 23 || minute > 59 || second > 59) {
    throw new FirnlineError({
      code: "E_INPUT",
      subject,
      problem: `"${text}" is not an instant with a zone`,
      hint: "Write a UTC day as 2024-03-31, or an instant as 2024-03-31T12:00:00Z or 2024-03-31T14:00:00+02:00",
    });
  }
  const zone = match[6] as string;
  let offsetMinutes = 0;
  if (zone !== "Z" && zone !== "z") {
    const digits = zone.slice(1).replace(":", "");
    offsetMinutes = (Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))) * (zone[0] === "-" ? -1 : 1);
  }
  const seconds = BigInt((hour * 60 + minute - offsetMinutes) * 60 + second);
  const fraction = BigInt((match[5] ?? "").padEnd(6, "0"));
  return (dayStart(parseDay(match[1] as string, subject)) + seconds * 1_000_000n + fraction) as EpochMicros;
}

export function microsFromMs(ms: EpochMs): EpochMicros {
  return (BigInt(ms) * 1000n) as EpochMicros;
}
