/** A table's rows as pg's objects, in the order of time, some thousand at once. */
import type pg from "pg";

const FETCH_ROWS = 10_000;

export async function* selectRows(
  client: pg.Client,
  rows: number,
): AsyncGenerator<Record<string, unknown>[], void, undefined> {
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  await client.query(
    `DECLARE rows NO SCROLL CURSOR FOR SELECT * FROM public.audit WHERE id <= ${rows} ORDER BY ts, id`,
  );
  for (;;) {
    const batch = await client.query<Record<string, unknown>>(`FETCH ${FETCH_ROWS} FROM rows`);
    if (batch.rows.length === 0) break;
    yield batch.rows;
  }
  await client.query("COMMIT");
}
