/** What plans, status and retrievals read from the control schema. Nothing in here writes. */
import { FirnlineError } from "../../errors.ts";
import { type DayUtc, formatDay } from "../../rows/day.ts";
import type { Transaction } from "../../postgres/database.ts";
import type { PartitionKey } from "../../segment/partition-key.ts";
import type { ChunksOf } from "../../segment/journal.ts";
import { type ChunkState, REPLACEABLE_CHUNKS } from "../../segment/state.ts";
import type {
  CatalogView,
  PipelineRecord,
  Replaceable,
  RunRecord,
  SegmentRecord,
  TierTotals,
} from "../port.ts";
import { readSchemaVersion } from "./migrate.ts";
import {
  epochMs,
  partitionKey,
  PIPELINE_COLUMNS,
  pipelineRecord,
  runRecord,
  SEGMENT_COLUMNS,
  segmentRecord,
  tierTotals,
} from "./records.ts";

export async function selectPipeline(tx: Transaction, pipeline: string): Promise<PipelineRecord | null> {
  const { rows } = await tx.query(
    `SELECT ${PIPELINE_COLUMNS} FROM firnline.pipeline WHERE pipeline = $1`,
    [pipeline],
    "pipeline",
  );
  return rows[0] === undefined ? null : pipelineRecord(rows[0]);
}

export async function selectSegment(
  tx: Transaction,
  pipeline: string,
  segment: string,
): Promise<SegmentRecord> {
  const { rows } = await tx.query(
    `SELECT ${SEGMENT_COLUMNS} FROM firnline.segment s WHERE s.pipeline = $1 AND s.segment = $2`,
    [pipeline, segment],
    "segment",
  );
  if (rows[0] !== undefined) return segmentRecord(rows[0]);
  throw new FirnlineError({
    code: "E_CATALOG",
    subject: `segment ${segment}`,
    problem: "the catalog does not know it",
    hint: "Was the control schema restored from a backup? Nothing was changed; `firnline catalog rebuild` brings it up",
  });
}

export async function view(
  tx: Transaction,
  pipeline: string,
  coldUntil: DayUtc | null,
  hotDays: readonly DayUtc[],
): Promise<CatalogView> {
  const record = (await readSchemaVersion(tx)) === 0 ? null : await selectPipeline(tx, pipeline);
  if (record === null)
    return {
      pipeline: null,
      unfinished: [],
      dueForRewrite: [],
      dueForCold: [],
      archived: [],
      everMoved: false,
    };
  const select = async (condition: string, values: unknown[]): Promise<SegmentRecord[]> => {
    const { rows } = await tx.query(
      `SELECT ${SEGMENT_COLUMNS} FROM firnline.segment s
         WHERE s.pipeline = $1 AND ${condition} ORDER BY s.day_from, s.segment`,
      [pipeline, ...values],
      "view",
    );
    return rows.map(segmentRecord);
  };
  const archived = await tx.query(
    `SELECT DISTINCT leaf_oid, leaf_schema, leaf_name, rule, hot.day::text AS day
     FROM firnline.segment JOIN unnest($2::date[]) AS hot(day) ON hot.day BETWEEN day_from AND day_to
       WHERE pipeline = $1 AND state IN ('warm', 'cooling', 'cold', 'expiring', 'expired')`,
    [pipeline, hotDays.map(formatDay)],
    "view",
  );
  const ever = await tx.query(
    "SELECT EXISTS (SELECT FROM firnline.segment WHERE pipeline = $1 AND state <> 'abandoned') AS ever",
    [pipeline],
  );
  return {
    pipeline: record,
    unfinished: await select(
      "s.state IN ('exporting', 'uploaded', 'sealed', 'pruning', 'cooling', 'expiring')",
      [],
    ),
    dueForRewrite: await select(
      `s.state = 'warm' AND EXISTS (SELECT FROM firnline.chunk c
         WHERE c.pipeline = s.pipeline AND c.segment = s.segment AND c.state = 'superseded')`,
      [],
    ),
    dueForCold:
      coldUntil === null
        ? []
        : await select(
            `s.state = 'warm' AND s.day_to <= $2 AND NOT EXISTS (
               SELECT FROM firnline.chunk c WHERE c.pipeline = s.pipeline AND c.segment = s.segment)`,
            [formatDay(coldUntil)],
          ),
    archived: archived.rows.map(partitionKey),
    everMoved: ever.rows[0]?.["ever"] === true,
  };
}

export async function totals(tx: Transaction, pipeline: string): Promise<TierTotals[]> {
  if ((await readSchemaVersion(tx)) === 0) return [];
  const { rows } = await tx.query(
    `SELECT s.state, s.storage_class, s.bytes < 131072 AS is_small, count(*) AS segments, sum(s.rows)::text AS rows, sum(s.bytes)::text AS bytes,
              sum(CASE WHEN s.state IN ('warm', 'cooling', 'cold') THEN s.rows - part.superseded
                       ELSE part.pruned END)::text AS rows_pruned,
              min(s.day_from)::text AS oldest, max(s.day_to)::text AS newest
       FROM firnline.segment s
       CROSS JOIN LATERAL (SELECT coalesce(sum(c.rows) FILTER (WHERE c.state = 'pruned'), 0) AS pruned,
                                  coalesce(sum(c.rows) FILTER (WHERE c.state = 'superseded'), 0) AS superseded
                           FROM firnline.chunk c WHERE c.pipeline = s.pipeline AND c.segment = s.segment) part
       WHERE s.pipeline = $1 GROUP BY 1, 2, 3`,
    [pipeline],
    "totals",
  );
  return rows.map(tierTotals);
}

export async function runs(tx: Transaction, pipeline: string, countMax: number): Promise<RunRecord[]> {
  if ((await readSchemaVersion(tx)) === 0) return [];
  const { rows } = await tx.query(
    `SELECT run, state, (extract(epoch FROM as_of) * 1000000)::bigint::text AS as_of,
              ${epochMs("started_at")} AS started_at, ${epochMs("finished_at")} AS finished_at, summary, error
       FROM firnline.run WHERE pipeline = $1 ORDER BY started_at DESC LIMIT $2`,
    [pipeline, countMax],
    "runs",
  );
  return rows.map(runRecord);
}

export async function replaceable(
  tx: Transaction,
  pipeline: string,
  { leaf, rule, day }: PartitionKey,
): Promise<Replaceable> {
  const { rows } = await tx.query(
    `SELECT s.segment, c.state, array_agg(c.chunk ORDER BY c.chunk) AS chunks
     FROM firnline.segment s JOIN firnline.chunk c ON c.pipeline = s.pipeline AND c.segment = s.segment
     WHERE s.pipeline = $1 AND s.rule = $2 AND s.day_from = $3 AND s.leaf_oid IS NOT DISTINCT FROM $4
       AND s.state IN ('sealed', 'pruning') AND c.state = ANY($5)
     GROUP BY s.segment, c.state ORDER BY s.segment, c.state`,
    [pipeline, rule, formatDay(day), leaf?.oid ?? null, REPLACEABLE_CHUNKS],
    "replaceable",
  );
  const inState = (state: ChunkState): ChunksOf[] =>
    rows
      .filter((row) => row["state"] === state)
      .map((row) => ({ segment: row["segment"] as string, chunks: row["chunks"] as number[] }));
  return { sealed: inState("sealed"), quarantined: inState("quarantined") };
}
