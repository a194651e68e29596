/** What a retrieval asks of the control schema. */
import { type DayUtc, formatDay, formatInstant } from "../../rows/day.ts";
import { READABLE_STATES } from "../../segment/state.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import type { ReadableSegment, RetrievalRequest, RetrievalResult } from "../port.ts";
import { insertEntry } from "./outbox.ts";
import { SEGMENT_COLUMNS, segmentRecord } from "./records.ts";

export async function readableSegments(
  tx: Transaction,
  pipeline: string,
  dayFrom: DayUtc,
  dayTo: DayUtc,
): Promise<ReadableSegment[]> {
  const { rows } = await tx.query(
    `SELECT ${SEGMENT_COLUMNS},
            (SELECT coalesce(jsonb_agg(c.chunk ORDER BY c.chunk) FILTER (WHERE c.state IN ('pruned', 'unknown')), '[]')
             FROM firnline.chunk c
             WHERE c.pipeline = s.pipeline AND c.segment = s.segment HAVING count(*) > 0) AS pruned
     FROM firnline.segment s
     WHERE s.pipeline = $1 AND s.day_from <= $3 AND s.day_to >= $2 AND s.state = ANY($4)
     ORDER BY s.day_from, s.segment`,
    [pipeline, formatDay(dayFrom), formatDay(dayTo), READABLE_STATES],
    "segments",
  );
  return rows
    .map((row) => ({
      record: segmentRecord(row),
      // A segment without chunk rows is wholly pruned and nothing of it is superseded.
      prunedChunks: (row["pruned"] ?? null) as number[] | null,
    }))
    .filter(({ prunedChunks }) => prunedChunks === null || prunedChunks.length > 0);
}

export async function startRetrieval(
  database: Database,
  pipeline: string,
  request: RetrievalRequest,
): Promise<void> {
  await database.query(
    `INSERT INTO firnline.retrieval (retrieval, pipeline, requested_by, range_from, range_to, filter, state)
     VALUES ($1, $2, $3, $4, $5, $6, 'restoring')`,
    [
      request.retrieval,
      pipeline,
      request.requestedBy,
      formatInstant(request.from),
      formatInstant(request.to),
      JSON.stringify(request.where),
    ],
    "retrieval",
  );
}

export async function pinSegments(
  tx: Transaction,
  pipeline: string,
  retrieval: string,
  segments: readonly string[],
): Promise<void> {
  await tx.query("UPDATE firnline.retrieval SET state = 'reading' WHERE retrieval = $1", [retrieval], "pin");
  await tx.query(
    "INSERT INTO firnline.pin (retrieval, pipeline, segment) SELECT $1, $2, unnest($3::text[])",
    [retrieval, pipeline, segments],
    "pin",
  );
}

export async function finishRetrieval(
  tx: Transaction,
  pipeline: string,
  request: RetrievalRequest,
  result: RetrievalResult | { error: string },
  at: string,
): Promise<void> {
  await tx.query("DELETE FROM firnline.pin WHERE retrieval = $1", [request.retrieval], "retrieval");
  const failed = "error" in result;
  await tx.query(
    `UPDATE firnline.retrieval SET state = $2, finished_at = now(), rows = $3, sha256 = $4, error = $5
     WHERE retrieval = $1`,
    [
      request.retrieval,
      failed ? "failed" : "done",
      failed ? null : result.rows.toString(),
      failed ? null : result.sha256,
      failed ? result.error : null,
    ],
    "retrieval",
  );
  if (failed) return;
  const { rows } = await tx.query(
    "SELECT lease_epoch::text AS epoch FROM firnline.pipeline WHERE pipeline = $1",
    [pipeline],
    "retrieval",
  );
  // A retrieval holds no lease and so must not write the journal; the next run publishes this.
  await insertEntry(tx, {
    pipeline,
    run: `retrieval ${request.retrieval}`,
    epoch: BigInt(rows[0]?.["epoch"] as string),
    at,
    event: {
      type: "retrieved",
      retrieval: request.retrieval,
      requestedBy: request.requestedBy,
      from: formatInstant(request.from),
      to: formatInstant(request.to),
      where: request.where.map(({ column, value }) => ({ column, value })),
      rows: result.rows.toString(),
      sha256: result.sha256,
    },
  });
}
