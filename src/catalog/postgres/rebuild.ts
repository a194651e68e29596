/** Puts what an archive says of a pipeline in the place of what the control schema says of it. */
import { FirnlineError, invariant } from "../../errors.ts";
import { formatDay } from "../../rows/day.ts";
import type { Transaction } from "../../postgres/database.ts";
import type { Lease } from "../port.ts";
import type { RebuildRequest, RebuiltCatalog, RebuiltSegment } from "../upkeep.ts";
import { forgetLegalHolds } from "./holds.ts";
import { staleLease } from "./lease.ts";
import { insertEntry } from "./outbox.ts";
import { secondPipeline } from "./register.ts";

const BATCH_SEGMENTS = 1_000;

export async function rebuild(
  tx: Transaction,
  request: RebuildRequest,
  rebuilt: RebuiltCatalog,
): Promise<Lease> {
  const { pipeline, segments } = rebuilt;
  const second = await secondPipeline(tx, pipeline, rebuilt.source);
  if (second !== null) throw second;
  const lease = await replacePipeline(tx, request, rebuilt);
  await tx.query("DELETE FROM firnline.draft WHERE pipeline = $1", [pipeline], "rebuild");
  await tx.query("DELETE FROM firnline.chunk WHERE pipeline = $1", [pipeline], "rebuild");
  await tx.query(
    "DELETE FROM firnline.outbox WHERE entry_id = ANY ($1::uuid[])",
    [rebuilt.forgotten],
    "rebuild",
  );
  // What a retrieval reads at this moment stays pinned, if the archive has it at all.
  const known = [pipeline, segments.map(({ segment }) => segment)];
  for (const table of ["pin", "restore", "segment"]) {
    await tx.query(
      `DELETE FROM firnline.${table} WHERE pipeline = $1 AND NOT (segment = ANY ($2))`,
      known,
      "rebuild",
    );
  }
  for (let at = 0; at < segments.length; at += BATCH_SEGMENTS) {
    await insertSegments(tx, pipeline, segments.slice(at, at + BATCH_SEGMENTS));
  }
  await replaceHolds(tx, rebuilt);
  await forgetLegalHolds(tx, pipeline, null);
  await listDetached(tx, rebuilt);
  if (rebuilt.decision !== null) {
    const { event, at } = rebuilt.decision;
    await insertEntry(tx, { pipeline, run: request.run, epoch: lease.epoch, at, event });
  }
  return lease;
}

async function replaceHolds(tx: Transaction, { pipeline, holds }: RebuiltCatalog): Promise<void> {
  await tx.query("DELETE FROM firnline.hold WHERE pipeline = $1", [pipeline], "rebuild");
  const rows = holds.map(({ hold, dayFrom, dayTo, reason, placedBy, placedAt, released }) => ({
    hold,
    pipeline,
    day_from: formatDay(dayFrom),
    day_to: formatDay(dayTo),
    reason,
    placed_by: placedBy,
    placed_at: new Date(placedAt).toISOString(),
    released_by: released?.by ?? null,
    release_reason: released?.reason ?? null,
    released_at: released === null ? null : new Date(released.at).toISOString(),
  }));
  await tx.query(
    "INSERT INTO firnline.hold SELECT * FROM jsonb_populate_recordset(NULL::firnline.hold, $1)",
    [JSON.stringify(rows)],
    "rebuild",
  );
  // A hold needs no lease. The pipeline's row is locked by now: of those that were placed or released while the archive
  // was being read, all are here.
  await tx.query(
    `INSERT INTO firnline.hold (hold, pipeline, day_from, day_to, reason, placed_by, placed_at)
     SELECT (event ->> 'hold')::uuid, pipeline, (event ->> 'dayFrom')::date, (event ->> 'dayTo')::date,
            event ->> 'reason', event ->> 'placedBy', at::timestamptz
     FROM firnline.outbox WHERE pipeline = $1 AND event ->> 'type' = 'hold' ON CONFLICT DO NOTHING`,
    [pipeline],
    "rebuild",
  );
  await tx.query(
    `UPDATE firnline.hold h SET released_by = o.event ->> 'releasedBy', release_reason = o.event ->> 'reason',
       released_at = o.at::timestamptz
     FROM firnline.outbox o WHERE o.pipeline = $1 AND o.event ->> 'type' = 'released'
       AND h.pipeline = $1 AND h.hold::text = o.event ->> 'hold' AND h.released_at IS NULL`,
    [pipeline],
    "rebuild",
  );
}

async function listDetached(tx: Transaction, { pipeline, detached }: RebuiltCatalog): Promise<void> {
  // What is listed and gone was dropped by hand: no reader would find it.
  await tx.query(
    `DELETE FROM firnline.detaching WHERE pipeline = $1
       AND to_regclass(format('%I.%I', leaf_schema, leaf_name))::oid::text IS DISTINCT FROM leaf_oid`,
    [pipeline],
    "rebuild",
  );
  for (const { oid, schema, name, parent, bound, range } of detached) {
    await tx.query(
      `INSERT INTO firnline.detaching
         (pipeline, leaf_oid, leaf_schema, leaf_name, parent_schema, parent_name, bound, range_from, range_to)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
      [
        pipeline,
        oid,
        schema,
        name,
        parent.schema,
        parent.name,
        bound,
        range.from.toString(),
        range.to.toString(),
      ],
      "rebuild",
    );
  }
}

/** The row, under the lease, with an epoch above the journal's and above its own. */
async function replacePipeline(
  tx: Transaction,
  { run, holder, durationMs, lease }: RebuildRequest,
  rebuilt: RebuiltCatalog,
): Promise<Lease> {
  const { pipeline, archiveId, archiveUrl, source, policy, journal, epoch } = rebuilt;
  const values = [
    pipeline,
    archiveId,
    archiveUrl,
    JSON.stringify(source),
    policy === null ? null : JSON.stringify(policy),
    journal.n.toString(),
    journal.sha256,
    run,
    JSON.stringify(holder),
    epoch.toString(),
    durationMs,
  ];
  const expires = "clock_timestamp() + $11 * interval '1 millisecond'";
  const { rows } =
    lease === null
      ? await tx.query(
          `INSERT INTO firnline.pipeline (pipeline, archive_id, archive_url, source, policy, journal_n, journal_sha256,
                                          lease_run, lease_holder, lease_epoch, lease_expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::bigint + 1, ${expires})
           ON CONFLICT DO NOTHING RETURNING lease_epoch::text AS epoch`,
          values,
          "rebuild",
        )
      : await tx.query(
          `UPDATE firnline.pipeline
           SET archive_id = $2, archive_url = $3, source = $4, policy = $5, journal_n = $6, journal_sha256 = $7,
               lease_run = $8, lease_holder = $9, lease_epoch = greatest(lease_epoch, $10::bigint) + 1,
               lease_expires_at = ${expires}
           WHERE pipeline = $1 AND lease_run = $12 AND lease_epoch = $13 RETURNING lease_epoch::text AS epoch`,
          [...values, lease.run, lease.epoch.toString()],
          "rebuild",
        );
  const found = rows[0]?.["epoch"] as string | undefined;
  if (found !== undefined) return { pipeline, run, epoch: BigInt(found) };
  if (lease !== null) throw staleLease(lease);
  throw new FirnlineError({
    code: "E_LOCKED",
    subject: `pipeline ${pipeline}`,
    problem: "a run began while its catalog was being rebuilt",
    hint: "Nothing was changed; see what it says, then rebuild once more",
  });
}

async function insertSegments(
  tx: Transaction,
  pipeline: string,
  segments: readonly RebuiltSegment[],
): Promise<void> {
  const rows = segments.map((one) => ({
    segment: one.segment,
    state: one.state,
    rule: one.rule,
    day_from: formatDay(one.dayFrom),
    day_to: formatDay(one.dayTo),
    rows: one.rows.toString(),
    bytes: one.object.bytes.toString(),
    storage_class: one.storageClass,
    version_id: one.object.versionId,
    manifest_sha256: `\\x${one.manifest.sha256}`,
    manifest_bytes: one.manifest.bytes.toString(),
    manifest_version_id: one.manifest.versionId,
    tagged_at: one.taggedAt,
    archived_as_of: one.sealedAt,
    // The store knows; the next run asks. Without a hold on its days, now or before, it has no legal hold of ours.
    lock_mode: null,
    locked_until: null,
    legal_hold: false,
    shape: one.shape === null ? null : `\\x${one.shape}`,
    leaf_oid: one.leaf?.oid ?? null,
    leaf_schema: one.leaf?.schema ?? null,
    leaf_name: one.leaf?.name ?? null,
  }));
  const columns = Object.keys(rows[0] ?? {});
  const { rowCount } = await tx.query(
    `INSERT INTO firnline.segment (pipeline, ${columns.join(", ")})
     SELECT $1, ${columns.map((name) => `r.${name}`).join(", ")}
     FROM jsonb_populate_recordset(NULL::firnline.segment, $2) r
     ON CONFLICT (pipeline, segment) DO UPDATE SET replaces = false,
       ${columns.map((name) => `${name} = excluded.${name}`).join(", ")}`,
    [pipeline, JSON.stringify(rows)],
    "rebuild",
  );
  invariant(rowCount === segments.length, `pipeline ${pipeline}`, "not every segment was written");
  const chunks = segments.flatMap(({ segment, chunks: mine }) =>
    mine.map((chunk) => ({ segment, ...chunk })),
  );
  await tx.query(
    `INSERT INTO firnline.chunk (pipeline, segment, chunk, state, rows, was_pruned)
     SELECT $1, c.segment, c.chunk, c.state, c.rows, c.was_pruned
     FROM unnest($2::text[], $3::int[], $4::text[], $5::int[], $6::boolean[])
       AS c(segment, chunk, state, rows, was_pruned)`,
    [
      pipeline,
      chunks.map(({ segment }) => segment),
      chunks.map(({ chunk }) => chunk),
      chunks.map(({ state }) => state),
      chunks.map(({ rows: count }) => count),
      chunks.map(({ wasPruned }) => wasPruned),
    ],
    "rebuild",
  );
}
