/** What a retrieval asks of the control schema. */
import { type DayUtc, formatDay, formatInstant } from "../../rows/day.ts";
import { READABLE_STATES } from "../../segment/state.ts";
import type { Transaction } from "../../postgres/database.ts";
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
            (SELECT coalesce(jsonb_agg(c.chunk ORDER BY c.chunk), '[]') FROM firnline.chunk c
             WHERE c.pipeline = s.pipeline AND c.segment = s.segment AND c.state = 'pruned') AS pruned
     FROM firnline.segment s
     WHERE s.pipeline = $1 AND s.day_from <= $3 AND s.day_to >= $2 AND s.state = ANY($4)
     ORDER BY s.day_from, s.segment`,
    [pipeline, formatDay(dayFrom), formatDay(dayTo), READABLE_STATES],
    "segments",
  );
  return rows
    .map((row) => {
      const record = segmentRecord(row);
      return { record, prunedChunks: record.state === "pruning" ? (row["pruned"] as number[]) : null };
    })
    .filter(({ prunedChunks }) => prunedChunks === null || prunedChunks.length > 0);
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
