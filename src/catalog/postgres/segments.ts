/**
 * Writes about one segment and its chunks. The caller holds the lease, or `guard` is called here (I6): before an entry of
 * the outbox is touched, so that whoever is alone with the lease finds all of them at rest.
 */
import { invariant } from "../../errors.ts";
import { type DayUtc, formatDay } from "../../rows/day.ts";
import { fromHex } from "../../rows/hex.ts";
import { segmentId } from "../../segment/archive-keys.ts";
import type { ChunkState } from "../../segment/state.ts";
import type { Transaction } from "../../postgres/database.ts";
import type { Catalog, Lease, SegmentRecord } from "../port.ts";
import { guard } from "./lease.ts";
import { moveSegment, settleSegment } from "./chunks.ts";
import { mergeEntry } from "./outbox.ts";
import { requireNoHold } from "./removable.ts";
import { selectSegment } from "./views.ts";

export async function reserveSegment(
  tx: Transaction,
  lease: Lease,
  segment: Parameters<Catalog<Transaction>["reserveSegment"]>[1],
): Promise<SegmentRecord> {
  const next = await tx.query("SELECT nextval('firnline.segment_sequence')::text AS sequence", [], "reserve");
  const id = segmentId(BigInt(next.rows[0]?.["sequence"] as string), segment.random);
  const day = formatDay(segment.day);
  await tx.query(
    `INSERT INTO firnline.segment (pipeline, segment, state, rule, day_from, day_to, storage_class, replaces,
                                   leaf_oid, leaf_schema, leaf_name, archived_as_of)
     VALUES ($1, $2, 'exporting', $3, $4, $10, $5, $6, $7, $8, $9,
             (SELECT as_of FROM firnline.run WHERE pipeline = $1 AND run = $11))`,
    [
      lease.pipeline,
      id,
      segment.rule,
      day,
      segment.storageClass,
      segment.replaces,
      segment.leaf?.oid ?? null,
      segment.leaf?.schema ?? null,
      segment.leaf?.name ?? null,
      formatDay(segment.dayTo ?? segment.day),
      lease.run,
    ],
    "reserve",
  );
  return await selectSegment(tx, lease.pipeline, id);
}

export async function uploaded(
  tx: Transaction,
  lease: Lease,
  segment: string,
  upload: Parameters<Catalog<Transaction>["uploaded"]>[2],
): Promise<void> {
  await moveSegment(tx, lease.pipeline, segment, "upload-recorded", {
    rows: upload.rows.toString(),
    bytes: upload.object.bytes.toString(),
    version_id: upload.object.versionId,
    shape: fromHex(upload.shape),
  });
  await tx.query(
    `INSERT INTO firnline.chunk (pipeline, segment, chunk, state, rows)
       SELECT $1, $2, n - 1, 'exported', rows FROM unnest($3::int[]) WITH ORDINALITY AS c(rows, n)`,
    [lease.pipeline, segment, upload.chunkRows],
    "uploaded",
  );
  await tx.query("INSERT INTO firnline.draft (pipeline, segment, manifest) VALUES ($1, $2, $3)", [
    lease.pipeline,
    segment,
    upload.draft,
  ]);
}

export async function abandon(tx: Transaction, lease: Lease, segment: string): Promise<void> {
  await moveSegment(tx, lease.pipeline, segment, "given-up", {});
  await tx.query("DELETE FROM firnline.draft WHERE pipeline = $1 AND segment = $2", [
    lease.pipeline,
    segment,
  ]);
  await tx.query("DELETE FROM firnline.chunk WHERE pipeline = $1 AND segment = $2", [
    lease.pipeline,
    segment,
  ]);
}

export async function lockChunks(
  tx: Transaction,
  lease: Lease,
  segment: string,
  chunks: readonly number[],
): Promise<ChunkState[]> {
  const { rows } = await tx.query(
    `SELECT chunk, state FROM firnline.chunk
     WHERE pipeline = $1 AND segment = $2 AND chunk = ANY($3) ORDER BY chunk FOR UPDATE`,
    [lease.pipeline, segment, chunks],
    "lock chunks",
  );
  // The rows of a wholly pruned segment are gone: its chunks are pruned, which is what a lost COMMIT looks like.
  const states = new Map(rows.map((row) => [row["chunk"] as number, row["state"] as ChunkState]));
  return chunks.map((chunk) => states.get(chunk) ?? "pruned");
}

export async function chunksPruned(
  tx: Transaction,
  lease: Lease,
  segment: string,
  chunks: readonly number[],
  rows: bigint,
  at: string,
): Promise<void> {
  const marked = await tx.query(
    `UPDATE firnline.chunk SET state = 'pruned'
     WHERE pipeline = $1 AND segment = $2 AND chunk = ANY($3) AND state = 'sealed'`,
    [lease.pipeline, segment, chunks],
    "mark pruned",
  );
  invariant(
    marked.rowCount === chunks.length,
    `segment ${segment}`,
    `${marked.rowCount} of ${chunks.length} chunks marked`,
  );
  await guard(tx, lease);
  // Two may prune one segment: here the second waits for the first one's COMMIT, and then settles what both have pruned.
  await mergeEntry(tx, lease, { type: "pruned", segment, chunks: [...chunks], rows: rows.toString() }, at);
  await settleSegment(tx, lease.pipeline, segment);
}

export async function rowsDeleted(
  tx: Transaction,
  lease: Lease,
  deleted: { rule: string; day: DayUtc; rows: bigint; from: string; to: string },
  at: string,
): Promise<void> {
  const day = formatDay(deleted.day);
  const { rule, rows, from, to } = deleted;
  // The caller's object may have more in it; an entry with an unknown field would be refused by every reader.
  const event = { type: "deleted" as const, rule, day, rows: rows.toString(), from, to };
  await guard(tx, lease);
  await mergeEntry(tx, lease, event, at);
  // They are nowhere else. Behind the guard: a hold that is being placed waits for this, or this sees it.
  await requireNoHold(tx, lease.pipeline, deleted.day, deleted.day, `the rows of ${rule} ${day}`);
}
