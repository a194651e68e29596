/**
 * The outbox: journal entries that are decided, in the transaction that made them true, and numbered later. Publishing
 * one moves the journal's head and applies what the event says, in one transaction: the catalog follows the journal.
 */
import { assertNever, invariant } from "../../errors.ts";
import { fromHex } from "../../rows/hex.ts";
import { type ChunksOf, growthKey, type JournalEvent, type JournalHead } from "../../segment/journal.ts";
import { type ChunkState, REPLACEABLE_CHUNKS } from "../../segment/state.ts";
import type { Transaction } from "../../postgres/database.ts";
import type { PendingEntry } from "../pending-entry.ts";
import type { Lease } from "../port.ts";
import { moveSegment, moveChunks, settleSegment } from "./chunks.ts";
import { staleLease } from "./lease.ts";
import type { Row } from "./records.ts";

export async function insertEntry(
  tx: Transaction,
  entry: { pipeline: string; run: string; epoch: bigint; at: string; event: JournalEvent },
): Promise<void> {
  await tx.query(
    "INSERT INTO firnline.outbox (pipeline, run, epoch, at, event) VALUES ($1, $2, $3, $4, $5)",
    [entry.pipeline, entry.run, entry.epoch.toString(), entry.at, JSON.stringify(entry.event)],
    "outbox",
  );
}

/** Happen once to a segment. What is decided shows in its state only when it is journaled. */
const DECIDED_ONCE: ReadonlySet<JournalEvent["type"]> = new Set<JournalEvent["type"]>([
  "sealed",
  "packed",
  "prune-started",
  "tagged",
  "transitioned",
  "expire-intent",
  "expired",
]);

/** I5: the same thing decided twice would make a journal that contradicts itself, and no rebuild could read. */
export async function requireUndecided(
  tx: Transaction,
  pipeline: string,
  event: JournalEvent,
): Promise<void> {
  if (!DECIDED_ONCE.has(event.type)) return;
  const { rows } = await tx.query(
    "SELECT event FROM firnline.outbox WHERE pipeline = $1 AND event ->> 'type' = $2",
    [pipeline, event.type],
    "outbox",
  );
  const decided = new Set(rows.flatMap((row) => segmentsOf(row["event"] as JournalEvent)));
  for (const segment of segmentsOf(event)) {
    invariant(!decided.has(segment), `segment ${segment}`, `${event.type} is decided, and not journaled yet`);
  }
}

/** What an event is about, and what that takes the place of. */
function segmentsOf(event: JournalEvent): string[] {
  const replaced = event.type === "packed" ? event.from : event.type === "sealed" ? event.supersedes : [];
  return [...("segment" in event ? [event.segment] : []), ...replaced.map(({ segment }) => segment)];
}

/**
 * Adds rows (and chunks) to the entry that grows, or begins it: one entry a segment or day, not one a batch. The lease is
 * guarded. A row that came late may be older than those of an earlier batch. Times are ISO in one zone, so their texts
 * compare.
 */
export async function mergeEntry(
  tx: Transaction,
  lease: Lease,
  event: Extract<JournalEvent, { type: "pruned" | "deleted" }>,
  at: string,
): Promise<void> {
  await tx.query(
    `INSERT INTO firnline.outbox AS o (pipeline, run, epoch, at, merge_key, event) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (pipeline, merge_key) DO UPDATE SET event = o.event || jsonb_build_object(
       'rows', ((o.event ->> 'rows')::bigint + (excluded.event ->> 'rows')::bigint)::text)
       || CASE WHEN excluded.event ? 'chunks'
               THEN jsonb_build_object('chunks', (o.event -> 'chunks') || (excluded.event -> 'chunks'))
               ELSE jsonb_build_object(
                 'from', least(o.event ->> 'from' COLLATE "C", excluded.event ->> 'from'),
                 'to', greatest(o.event ->> 'to' COLLATE "C", excluded.event ->> 'to')) END`,
    [lease.pipeline, lease.run, lease.epoch.toString(), at, growthKey(event), JSON.stringify(event)],
    "outbox",
  );
}

/** The caller is alone with the lease: nothing is being added to any of them. */
export async function closeGrowing(
  tx: Transaction,
  pipeline: string,
  growing: readonly string[],
): Promise<void> {
  await tx.query(
    "UPDATE firnline.outbox SET merge_key = NULL WHERE pipeline = $1 AND merge_key <> ALL ($2)",
    [pipeline, growing],
    "close entries",
  );
}

export async function selectPending(tx: Transaction, pipeline: string): Promise<PendingEntry[]> {
  const { rows } = await tx.query(
    `SELECT id::text, entry_id::text, run, epoch::text, at, event, merge_key FROM firnline.outbox o
     WHERE pipeline = $1 ORDER BY o.id`,
    [pipeline],
    "outbox",
  );
  return rows.map(pendingEntry);
}

function pendingEntry(row: Row): PendingEntry {
  return {
    growsBy: row["merge_key"] as string | null,
    id: BigInt(row["id"]),
    entryId: row["entry_id"] as string,
    run: row["run"] as string,
    epoch: String(row["epoch"]),
    at: row["at"] as string,
    event: row["event"] as JournalEvent,
  };
}

export async function publishEntry(
  tx: Transaction,
  lease: Lease,
  entry: PendingEntry,
  head: JournalHead,
): Promise<void> {
  // I5 and I6 in one statement: the head moves by one, and only under this lease.
  const moved = await tx.query(
    `UPDATE firnline.pipeline SET journal_n = $4, journal_sha256 = $5
     WHERE pipeline = $1 AND lease_epoch = $2 AND lease_run = $3 AND journal_n = $4::bigint - 1`,
    [lease.pipeline, lease.epoch.toString(), lease.run, head.n.toString(), head.sha256],
    "publish",
  );
  if (moved.rowCount !== 1) throw staleLease(lease);
  const removed = await tx.query(
    "DELETE FROM firnline.outbox WHERE id = $1 AND event = $2",
    [entry.id.toString(), JSON.stringify(entry.event)],
    "publish",
  );
  // I2: what a deletion added to the entry meanwhile would be in no journal.
  invariant(removed.rowCount === 1, `journal entry ${head.n}`, "its outbox row is gone, or has grown");
  await applyEvent(tx, lease.pipeline, entry.event, entry.at);
}

async function applyEvent(tx: Transaction, pipeline: string, event: JournalEvent, at: string): Promise<void> {
  switch (event.type) {
    case "policy":
      await tx.query("UPDATE firnline.pipeline SET policy = $2 WHERE pipeline = $1", [
        pipeline,
        JSON.stringify(event.policy),
      ]);
      return;
    case "sealed":
      await sealed(tx, pipeline, event, "seal-journaled");
      await tx.query(
        "UPDATE firnline.chunk SET state = 'sealed' WHERE pipeline = $1 AND segment = $2 AND state = 'exported'",
        [pipeline, event.segment],
      );
      for (const replaced of event.supersedes) await supersede(tx, pipeline, replaced, REPLACEABLE_CHUNKS);
      return;
    case "packed":
      await sealed(tx, pipeline, event, "pack-journaled");
      // Its rows left the table long ago, with the chunks that it is made of.
      await tx.query("DELETE FROM firnline.chunk WHERE pipeline = $1 AND segment = $2", [
        pipeline,
        event.segment,
      ]);
      for (const packed of event.from) await supersedePacked(tx, pipeline, packed);
      return;
    case "superseded":
      await supersede(tx, pipeline, event, REPLACEABLE_CHUNKS);
      return;
    case "quarantined":
      await moveChunks(tx, pipeline, event, ["sealed", "unknown"], "quarantined");
      return;
    case "reconciled": {
      const { segment, pruned, sealed: back } = event;
      await moveChunks(tx, pipeline, { segment, chunks: pruned }, ["unknown"], "pruned");
      await moveChunks(tx, pipeline, { segment, chunks: back }, ["unknown"], "sealed");
      await settleSegment(tx, pipeline, segment);
      return;
    }
    case "prune-started":
      await moveSegment(tx, pipeline, event.segment, "prune-journaled", {});
      return;
    case "transitioned":
      // Another version has locks of its own, and the one before may have a legal hold still.
      await tx.query(
        `UPDATE firnline.segment s SET lock_mode = NULL, locked_until = NULL, legal_hold = CASE WHEN EXISTS (
           SELECT FROM firnline.hold h WHERE h.pipeline = s.pipeline
             AND h.day_from <= s.day_to AND h.day_to >= s.day_from) THEN NULL ELSE false END
         WHERE pipeline = $1 AND segment = $2 AND version_id IS DISTINCT FROM $3`,
        [pipeline, event.segment, event.object.versionId],
        "transitioned",
      );
      await moveSegment(tx, pipeline, event.segment, "transition-journaled", {
        storage_class: event.storageClass,
        version_id: event.object.versionId,
      });
      return;
    case "tagged":
      await tx.query("UPDATE firnline.segment SET tagged_at = $3 WHERE pipeline = $1 AND segment = $2", [
        pipeline,
        event.segment,
        at,
      ]);
      return;
    case "expire-intent":
      await moveSegment(tx, pipeline, event.segment, "expiry-journaled", {});
      return;
    case "expired":
      await moveSegment(tx, pipeline, event.segment, "wholly-removed", {});
      return;
    case "run-started":
    case "pruned":
    case "deleted":
    case "tombstoned":
    case "adopted":
    case "collected":
    case "retrieved":
    case "restored":
    case "hold":
    case "released":
      // What these say was committed together with their outbox rows.
      return;
    default:
      assertNever(event, "journal event");
  }
}

async function sealed(
  tx: Transaction,
  pipeline: string,
  { segment, manifest }: Extract<JournalEvent, { type: "sealed" | "packed" }>,
  event: "seal-journaled" | "pack-journaled",
): Promise<void> {
  await moveSegment(tx, pipeline, segment, event, {
    manifest_sha256: fromHex(manifest.sha256),
    manifest_bytes: manifest.bytes,
    manifest_version_id: manifest.versionId,
  });
  await tx.query("DELETE FROM firnline.draft WHERE pipeline = $1 AND segment = $2", [pipeline, segment]);
}

async function supersede(
  tx: Transaction,
  pipeline: string,
  replaced: ChunksOf,
  from: readonly ChunkState[],
): Promise<void> {
  await moveChunks(tx, pipeline, replaced, from, "superseded");
  await settleSegment(tx, pipeline, replaced.segment);
}

/** A wholly pruned segment has no chunks here any more; what is packed of it is all of it. */
async function supersedePacked(tx: Transaction, pipeline: string, packed: ChunksOf): Promise<void> {
  const { rows } = await tx.query(
    `SELECT s.state, EXISTS (SELECT FROM firnline.chunk c
       WHERE c.pipeline = s.pipeline AND c.segment = s.segment) AS has_chunks
     FROM firnline.segment s WHERE s.pipeline = $1 AND s.segment = $2`,
    [pipeline, packed.segment],
    "packed",
  );
  if (rows[0]?.["has_chunks"] === true) return await supersede(tx, pipeline, packed, ["pruned"]);
  // I2: without chunks in the catalog, only a warm segment is wholly pruned.
  invariant(
    rows[0]?.["state"] === "warm",
    `segment ${packed.segment}`,
    "it is packed, and not wholly pruned",
  );
  await moveSegment(tx, pipeline, packed.segment, "wholly-superseded", {});
}
