/** What deleting costs without any proof: the ranges and the commits of Firnline's prune, as plain DELETEs. */
import type pg from "pg";
import { readSettings } from "../../../src/config.ts";

/** Rows of one UTC day, from the first (time, key) on up to the next range's. */
interface DeleteRange {
  readonly day: string;
  readonly from: readonly [ts: string, id: string];
  /** Null: up to the end of the day. */
  readonly to: readonly [ts: string, id: string] | null;
}

const BOUNDS = `
  SELECT to_char(ts, 'YYYY-MM-DD') AS day, ts::text AS ts, id::text AS id
  FROM (SELECT ts, id, row_number() OVER (PARTITION BY date_trunc('day', ts) ORDER BY ts, id) AS number FROM public.audit) AS rows
  WHERE number % $1 = 1 ORDER BY rows.ts, rows.id`;

/** Ranges of so many rows as Firnline's chunks have, day by day. */
export async function readRanges(client: pg.Client): Promise<DeleteRange[]> {
  const { chunk } = readSettings({}).limits;
  const { rows } = await client.query<{ day: string; ts: string; id: string }>(BOUNDS, [chunk.rowsMax]);
  return rows.map(({ day, ts, id }, index) => {
    const next = rows[index + 1];
    return { day, from: [ts, id], to: next === undefined || next.day !== day ? null : [next.ts, next.id] };
  });
}

const UP_TO_BOUND = `DELETE FROM ONLY public.audit
  WHERE ts >= $1::timestamptz AND ts <= $3::timestamptz AND (ts, id) >= ($1::timestamptz, $2::bigint) AND (ts, id) < ($3::timestamptz, $4::bigint)`;
const UP_TO_DAY_END = `DELETE FROM ONLY public.audit
  WHERE ts >= $1::timestamptz AND ts < $3::timestamptz + interval '1 day' AND (ts, id) >= ($1::timestamptz, $2::bigint)`;

/** As many ranges a commit as Firnline takes: more and more while they are quick, from the start again on the next day. */
export async function deleteRanges(client: pg.Client, ranges: readonly DeleteRange[]): Promise<number> {
  const { pruneChunksMax, pruneTargetMs } = readSettings({}).limits;
  let rows = 0;
  let size = 1;
  let day = "";
  for (let at = 0; at < ranges.length;) {
    const first = ranges[at] as DeleteRange;
    if (first.day !== day) size = 1;
    day = first.day;
    const batch = ranges.slice(at, at + size).filter((range) => range.day === first.day);
    const startedMs = performance.now();
    await client.query("BEGIN");
    for (const { from, to } of batch) {
      const deleted = await client.query(to === null ? UP_TO_DAY_END : UP_TO_BOUND, [
        ...from,
        ...(to ?? [first.day]),
      ]);
      rows += deleted.rowCount ?? 0;
    }
    await client.query("COMMIT");
    at += batch.length;
    const tookMs = performance.now() - startedMs;
    if (tookMs < pruneTargetMs / 2) size = Math.min(size * 2, pruneChunksMax);
    else if (tookMs > pruneTargetMs) size = Math.max(1, Math.floor(size / 2));
  }
  return rows;
}
