/** Days and instants as values of the table's time column. Only here do zones matter, and Postgres converts them. */
import {
  DAY_MAX,
  DAY_MIN,
  type DayUtc,
  dayEnd,
  dayOf,
  dayStart,
  type EpochMicros,
  formatInstant,
  POSTGRES_EPOCH_MICROS,
} from "../../rows/day.ts";
import { FirnlineError } from "../../errors.ts";
import type { KeyRange } from "../../rows/key-range.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteLiteral } from "../../postgres/quote.ts";
import type { SourceTable, TimeRange } from "../port.ts";
import { timeBound, timeIdentifier } from "./sql-text.ts";

/** Instants as values of the time column, in microseconds since 2000. Postgres itself converts a plain timestamp. */
export async function timeLimitsOf(
  tx: Transaction,
  source: SourceTable,
  range: TimeRange,
): Promise<{ from: bigint; to: bigint }> {
  if (source.zone === null) {
    return { from: range.from - POSTGRES_EPOCH_MICROS, to: range.to - POSTGRES_EPOCH_MICROS };
  }
  const { rows } = await tx.query(
    `SELECT (extract(epoch FROM ($1::timestamptz AT TIME ZONE $3)) * 1000000)::bigint::text AS from,
            (extract(epoch FROM ($2::timestamptz AT TIME ZONE $3)) * 1000000)::bigint::text AS to`,
    [formatInstant(range.from), formatInstant(range.to), source.zone],
    "zone",
  );
  return {
    from: BigInt(String(rows[0]?.["from"])) - POSTGRES_EPOCH_MICROS,
    to: BigInt(String(rows[0]?.["to"])) - POSTGRES_EPOCH_MICROS,
  };
}

/**
 * Where a clock was set back, a plain timestamp stands for two instants and a range that begins or ends there has no
 * one answer: it is refused. A UTC midnight is always a limit, because that is how days are cut.
 */
export async function refuseAmbiguous(tx: Transaction, source: SourceTable, range: TimeRange): Promise<void> {
  if (source.zone === null) return;
  for (const instant of [range.from, range.to]) {
    if (instant === dayStart(dayOf(instant))) continue;
    const { rows } = await tx.query(
      `SELECT count(*)::int AS readings FROM generate_series(-6, 6) AS halves
       WHERE ($1::timestamptz + halves * interval '30 minutes') AT TIME ZONE $2
           = ($1::timestamptz AT TIME ZONE $2)
          OR (($1::timestamptz AT TIME ZONE $2) AT TIME ZONE $2) <> $1::timestamptz`,
      [formatInstant(instant), source.zone],
      "zone",
    );
    if (rows[0]?.["readings"] === 1) continue;
    throw new FirnlineError({
      code: "E_INPUT",
      subject: formatInstant(instant),
      problem: `clocks in ${source.zone} were set back around it, so rows of that hour may lie before or after it`,
      hint: "Choose a limit outside of that hour, or a whole UTC day",
    });
  }
}

export async function dayRange(tx: Transaction, source: SourceTable, day: DayUtc): Promise<KeyRange> {
  const { from, to } = await timeLimitsOf(tx, source, { from: dayStart(day), to: dayEnd(day) });
  return { from: timeBound(from), to: timeBound(to) };
}

/** What rows are grouped by, and the day as a number that a group is of: it is worked out once a group, not once a row. */
export interface DayGroups {
  readonly group: string;
  readonly dayOf: (group: string) => string;
}

/** Not 1970: up to 15.5 and 16.1, `date_bin` is a day off at midnights before its origin. All rows are from year 1 on. */
const FIRST_DAY = "'0001-01-01 00:00:00+00'::timestamptz";

/**
 * The row's day. For a plain timestamp the days' limits are converted once and each row is placed between them, exactly as
 * `dayRange` does it: converting each row instead could disagree in the hour that a clock is set back.
 */
export async function dayGroups(
  tx: Transaction,
  source: SourceTable,
  from: string,
  range: string,
): Promise<DayGroups> {
  const time = timeIdentifier(source);
  if (source.zone === null) {
    return {
      // Whole numbers only: a cast to date works out a calendar date for each row.
      group: `date_bin('1 day', ${time}, ${FIRST_DAY})`,
      dayOf: (bin) => `((${bin} AT TIME ZONE 'UTC')::date - '1970-01-01'::date)`,
    };
  }
  const { rows } = await tx.query(
    `SELECT (extract(epoch FROM min(${time})) * 1000000)::bigint::text AS first,
            (extract(epoch FROM max(${time})) * 1000000)::bigint::text AS last
     FROM ${from} WHERE ${range}`,
    [],
    "inventory",
  );
  const first = rows[0]?.["first"];
  if (first === null || first === undefined) return { group: "0", dayOf: (day) => day };
  // One day more on either side covers every zone's offset.
  const firstDay = Math.max(DAY_MIN, dayOf(BigInt(String(first)) as EpochMicros) - 1);
  const lastDay = Math.min(DAY_MAX, dayOf(BigInt(String(rows[0]?.["last"])) as EpochMicros) + 1);
  const bucket = `width_bucket(${time}, ARRAY(
    SELECT ((date '1970-01-01' + n)::timestamp AT TIME ZONE 'UTC') AT TIME ZONE ${quoteLiteral(source.zone)}
    FROM generate_series(${firstDay}, ${lastDay}) n ORDER BY n))`;
  return { group: bucket, dayOf: (found) => `(${firstDay - 1} + ${found})` };
}
