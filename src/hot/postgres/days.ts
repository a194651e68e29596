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
import type { KeyRange } from "../../rows/key-range.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteLiteral, quoteTable } from "../../postgres/quote.ts";
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

export async function dayRange(tx: Transaction, source: SourceTable, day: DayUtc): Promise<KeyRange> {
  const { from, to } = await timeLimitsOf(tx, source, { from: dayStart(day), to: dayEnd(day) });
  return { from: timeBound(from), to: timeBound(to) };
}

/**
 * The row's day as a number. For a plain timestamp the days' limits are converted once and each row is placed between
 * them, exactly as `dayRange` does it: converting each row instead could disagree in the hour that a clock is set back.
 */
export async function dayExpression(tx: Transaction, source: SourceTable, range: string): Promise<string> {
  const time = timeIdentifier(source);
  if (source.zone === null) return `((${time} AT TIME ZONE 'UTC')::date - '1970-01-01'::date)`;
  const { rows } = await tx.query(
    `SELECT (extract(epoch FROM min(${time})) * 1000000)::bigint::text AS first,
            (extract(epoch FROM max(${time})) * 1000000)::bigint::text AS last
     FROM ONLY ${quoteTable(source.table)} WHERE ${range}`,
    [],
    "inventory",
  );
  const first = rows[0]?.["first"];
  if (first === null || first === undefined) return "0";
  // One day more on either side covers every zone's offset.
  const from = Math.max(DAY_MIN, dayOf(BigInt(String(first)) as EpochMicros) - 1);
  const to = Math.min(DAY_MAX, dayOf(BigInt(String(rows[0]?.["last"])) as EpochMicros) + 1);
  return `(${from - 1} + width_bucket(${time}, ARRAY(
    SELECT ((date '1970-01-01' + n)::timestamp AT TIME ZONE 'UTC') AT TIME ZONE ${quoteLiteral(source.zone)}
    FROM generate_series(${from}, ${to}) n ORDER BY n)))`;
}
