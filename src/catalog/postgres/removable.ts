/**
 * Whether something may be removed: asked in the transaction that decides it, behind the lease's `guard`, which holds the
 * pipeline's row. Whoever places a hold locks that row first. In READ COMMITTED the second of the two sees what the first
 * has done: the first to commit wins, and never both.
 */
import { FirnlineError } from "../../errors.ts";
import type { Transaction } from "../../postgres/database.ts";
import { type DayUtc, formatDay } from "../../rows/day.ts";
import { segmentOfKey } from "../../segment/archive-keys.ts";
import type { JournalEvent } from "../../segment/journal.ts";
import type { Row } from "./records.ts";

/** Whether a retrieval pins segment `s`, or has begun and may: its pin shows only when its snapshot's hot rows are spooled. */
export const IS_READ = `(EXISTS (SELECT FROM firnline.pin p WHERE p.pipeline = s.pipeline AND p.segment = s.segment)
  OR EXISTS (SELECT FROM firnline.retrieval r WHERE r.pipeline = s.pipeline AND r.state = 'restoring'
    AND s.day_from <= ((r.range_to - interval '1 microsecond') AT TIME ZONE 'UTC')::date
    AND s.day_to >= (r.range_from AT TIME ZONE 'UTC')::date))`;

/** Asked behind the lease's guard, in the transaction that decides to remove `what`. Throws `E_HELD`. */
export async function requireNoHold(
  tx: Transaction,
  pipeline: string,
  dayFrom: DayUtc,
  dayTo: DayUtc,
  what: string,
): Promise<void> {
  const { rows } = await tx.query(
    `SELECT hold::text, reason FROM firnline.hold
     WHERE pipeline = $1 AND released_at IS NULL AND day_from <= $3 AND day_to >= $2
     ORDER BY placed_at, hold LIMIT 1`,
    [pipeline, formatDay(dayFrom), formatDay(dayTo)],
    "holds",
  );
  if (rows[0] !== undefined) throw heldBy(what, rows[0]);
}

/** The same for events that decide to remove something from the archive. Others are none of its business. */
export async function requireRemovable(
  tx: Transaction,
  pipeline: string,
  event: JournalEvent,
): Promise<void> {
  if (event.type !== "expire-intent" && event.type !== "collected") return;
  const segments =
    event.type === "expire-intent"
      ? [event.segment]
      : event.objects.flatMap(({ key }) => segmentOfKey(key) ?? []);
  const { rows } = await tx.query(
    `SELECT s.segment, h.hold::text, h.reason FROM firnline.segment s
     JOIN firnline.hold h ON h.pipeline = s.pipeline AND h.released_at IS NULL
       AND h.day_from <= s.day_to AND h.day_to >= s.day_from
     WHERE s.pipeline = $1 AND s.segment = ANY ($2) ORDER BY h.placed_at, h.hold LIMIT 1`,
    [pipeline, segments],
    "holds",
  );
  if (rows[0] !== undefined) throw heldBy(`segment ${rows[0]["segment"]}`, rows[0]);
  if (event.type !== "expire-intent") return;
  const read = await tx.query(
    `SELECT FROM firnline.segment s WHERE s.pipeline = $1 AND s.segment = $2 AND ${IS_READ}`,
    [pipeline, event.segment],
    "pins",
  );
  if (read.rowCount === 0) return;
  throw new FirnlineError({
    code: "E_HELD",
    subject: `segment ${event.segment}`,
    problem: "a retrieval reads it",
    hint: "Nothing was removed; the next run tries again",
  });
}

function heldBy(what: string, row: Row): FirnlineError {
  return new FirnlineError({
    code: "E_HELD",
    subject: what,
    problem: `hold ${String(row["hold"]).slice(0, 8)} keeps it: ${row["reason"]}`,
    hint: "Nothing was removed. `firnline hold list` says more",
  });
}
