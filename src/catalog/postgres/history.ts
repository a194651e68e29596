/** What each day's runs did: written with the end of a run, read by `status --history`. */
import { TIER_OF_STATE } from "../../plan/stored.ts";
import { type DayUtc, formatDay, parseDay } from "../../rows/day.ts";
import type { Transaction } from "../../postgres/database.ts";
import type { HistoryDay } from "../history-day.ts";
import type { RunOutcome } from "../port.ts";
import { readSchemaVersion } from "./migrate.ts";
import type { Row } from "./records.ts";

/** More than a year, so that a month can be held against the same one a year ago. */
const DAYS_KEPT = 400;
/** The migration that gave the table its last column. */
const SCHEMA_VERSION = 3;

const statesOf = (tier: "warm" | "cold"): string[] =>
  Object.entries(TIER_OF_STATE).flatMap(([state, of]) => (of === tier ? [state] : []));

/** Adds a run to its day, and forgets what is older than the bound. */
export async function addToHistory(
  tx: Transaction,
  pipeline: string,
  { day, archived, pruned, deleted, expired, hot }: RunOutcome["history"],
): Promise<void> {
  await tx.query(
    `INSERT INTO firnline.history AS h (pipeline, day, runs, rows_archived, rows_pruned, rows_deleted, rows_expired, hot_rows,
                                        hot_bytes, warm_bytes, cold_bytes)
     SELECT $1, $2, 1, $3, $4, $5, $10, $6, $7, coalesce(sum(bytes) FILTER (WHERE state = ANY ($8)), 0),
            coalesce(sum(bytes) FILTER (WHERE state = ANY ($9)), 0)
     FROM firnline.segment WHERE pipeline = $1
     ON CONFLICT (pipeline, day) DO UPDATE SET
       runs = h.runs + 1,
       rows_archived = h.rows_archived + excluded.rows_archived,
       rows_pruned = h.rows_pruned + excluded.rows_pruned,
       rows_deleted = h.rows_deleted + excluded.rows_deleted,
       rows_expired = h.rows_expired + excluded.rows_expired,
       hot_rows = coalesce(excluded.hot_rows, h.hot_rows),
       hot_bytes = coalesce(excluded.hot_bytes, h.hot_bytes),
       warm_bytes = excluded.warm_bytes,
       cold_bytes = excluded.cold_bytes`,
    [
      pipeline,
      formatDay(day),
      archived.toString(),
      pruned.toString(),
      deleted.toString(),
      hot?.rows.toString() ?? null,
      hot?.bytes.toString() ?? null,
      statesOf("warm"),
      statesOf("cold"),
      expired.toString(),
    ],
    "history",
  );
  // By number and not by age: a clock that was wrong for a night must not cost the year before.
  await tx.query(
    `DELETE FROM firnline.history WHERE pipeline = $1 AND day <= (
       SELECT day FROM firnline.history WHERE pipeline = $1 ORDER BY day DESC OFFSET ${DAYS_KEPT} LIMIT 1)`,
    [pipeline],
    "history",
  );
}

export async function readHistory(tx: Transaction, pipeline: string, since: DayUtc): Promise<HistoryDay[]> {
  if ((await readSchemaVersion(tx)) < SCHEMA_VERSION) return [];
  const { rows } = await tx.query(
    `SELECT day::text, runs, rows_archived::text, rows_pruned::text, rows_deleted::text, rows_expired::text,
            hot_rows::text, hot_bytes::text, warm_bytes::text, cold_bytes::text
     FROM firnline.history WHERE pipeline = $1 AND day >= $2 ORDER BY day`,
    [pipeline, formatDay(since)],
    "history",
  );
  return rows.map(historyDay);
}

function historyDay(row: Row): HistoryDay {
  const hotRows = row["hot_rows"] as string | null;
  return {
    day: parseDay(row["day"] as string),
    runs: Number(row["runs"]),
    archived: BigInt(row["rows_archived"]),
    pruned: BigInt(row["rows_pruned"]),
    deleted: BigInt(row["rows_deleted"]),
    expired: BigInt(row["rows_expired"]),
    hot: hotRows === null ? null : { rows: BigInt(hotRows), bytes: BigInt(row["hot_bytes"]) },
    warmBytes: BigInt(row["warm_bytes"]),
    coldBytes: BigInt(row["cold_bytes"]),
  };
}
