/** The catalog as a whole, in the control schema. */
import type { EpochMs } from "../../rows/day.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import type { ChunkRecord, Lease } from "../port.ts";
import type {
  CatalogContents,
  CatalogSegment,
  GarbageObject,
  RebuildRequest,
  RebuiltCatalog,
  SeenGarbage,
  Upkeep,
} from "../upkeep.ts";
import { readHolds } from "./holds.ts";
import { guard } from "./lease.ts";
import { selectPending } from "./outbox.ts";
import { readSchemaVersion } from "./migrate.ts";
import { IS_READ } from "./removable.ts";
import { rebuild } from "./rebuild.ts";
import { chunkRecord, epochMs, SEGMENT_COLUMNS, segmentRecord } from "./records.ts";
import { selectPipeline } from "./views.ts";

/** Rows of one statement's answer. */
const PAGE_ROWS = 5_000;
/** Objects of one statement. */
const BATCH_OBJECTS = 5_000;

export class PostgresUpkeep implements Upkeep {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async contents(pipeline: string): Promise<CatalogContents | null> {
    return await this.#database.transaction("repeatable read, read only", "contents", async (tx) => {
      if ((await readSchemaVersion(tx)) === 0) return null;
      const record = await selectPipeline(tx, pipeline);
      if (record === null) return null;
      return {
        record,
        pending: await selectPending(tx, pipeline),
        segments: await readSegments(tx, pipeline),
        holds: await readHolds(tx, pipeline),
      };
    });
  }

  async rebuild(request: RebuildRequest, rebuilt: RebuiltCatalog): Promise<Lease> {
    return await this.#database.transaction(
      "read write",
      "rebuild",
      async (tx) => await rebuild(tx, request, rebuilt),
    );
  }

  async garbage(pipeline: string): Promise<SeenGarbage[]> {
    const { rows } = await this.#database.query(
      `SELECT key, version_id, bytes::text, ${epochMs("first_seen")} AS first_seen FROM firnline.garbage
       WHERE pipeline = $1 ORDER BY key, version_id`,
      [pipeline],
      "garbage",
    );
    return rows.map((row) => ({
      key: row["key"] as string,
      versionId: row["version_id"] === "" ? null : (row["version_id"] as string),
      bytes: BigInt(row["bytes"]),
      firstSeen: Number(row["first_seen"]) as EpochMs,
    }));
  }

  async replaceGarbage(lease: Lease, objects: readonly SeenGarbage[]): Promise<void> {
    await this.#guarded(lease, async (tx) => {
      await tx.query("DELETE FROM firnline.garbage WHERE pipeline = $1", [lease.pipeline], "garbage");
      for (let at = 0; at < objects.length; at += BATCH_OBJECTS) {
        const batch = objects.slice(at, at + BATCH_OBJECTS);
        await tx.query(
          `INSERT INTO firnline.garbage (pipeline, key, version_id, bytes, first_seen)
           SELECT $1, o.key, o.version, o.bytes, to_timestamp(o.seen / 1000.0)
           FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS o(key, version, bytes, seen)`,
          [
            lease.pipeline,
            batch.map(({ key }) => key),
            batch.map(({ versionId }) => versionId ?? ""),
            batch.map(({ bytes }) => bytes.toString()),
            batch.map(({ firstSeen }) => firstSeen.toString()),
          ],
          "garbage",
        );
      }
    });
  }

  async forgetGarbage(lease: Lease, objects: readonly GarbageObject[]): Promise<void> {
    await this.#guarded(lease, async (tx) => {
      await tx.query(
        `DELETE FROM firnline.garbage g USING unnest($2::text[], $3::text[]) AS o(key, version)
         WHERE g.pipeline = $1 AND g.key = o.key AND g.version_id = o.version`,
        [lease.pipeline, objects.map(({ key }) => key), objects.map(({ versionId }) => versionId ?? "")],
        "garbage",
      );
    });
  }

  async pinned(pipeline: string): Promise<Set<string>> {
    const { rows } = await this.#database.query(
      `SELECT segment FROM firnline.segment s WHERE s.pipeline = $1 AND ${IS_READ}`,
      [pipeline],
      "pins",
    );
    return new Set(rows.map((row) => row["segment"] as string));
  }

  async endLostRetrievals(lease: Lease, startedBefore: EpochMs): Promise<number> {
    return await this.#guarded(lease, async (tx) => {
      const { rows } = await tx.query(
        `UPDATE firnline.retrieval
         SET state = 'failed', finished_at = now(), error = 'it never told how it ended: its process is taken for dead'
         WHERE pipeline = $1 AND state IN ('restoring', 'reading') AND created_at < to_timestamp($2::bigint / 1000.0)
         RETURNING retrieval`,
        [lease.pipeline, startedBefore.toString()],
        "lost retrievals",
      );
      await tx.query(
        "DELETE FROM firnline.pin WHERE retrieval = ANY ($1)",
        [rows.map((row) => row["retrieval"])],
        "lost retrievals",
      );
      return rows.length;
    });
  }

  async #guarded<T>(lease: Lease, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#database.transaction("read write", "upkeep", async (tx) => {
      await guard(tx, lease);
      return await work(tx);
    });
  }
}

/** Page by page within the one snapshot, so that the driver never holds all rows in their widest form. */
async function readSegments(tx: Transaction, pipeline: string): Promise<Map<string, CatalogSegment>> {
  const chunks = new Map<string, ChunkRecord[]>();
  const found = await tx.query(
    "SELECT segment, chunk, state, rows, was_pruned FROM firnline.chunk WHERE pipeline = $1 ORDER BY segment, chunk",
    [pipeline],
    "contents",
  );
  for (const row of found.rows) {
    const segment = row["segment"] as string;
    const mine = chunks.get(segment) ?? [];
    chunks.set(segment, mine);
    mine.push(chunkRecord(row));
  }
  const segments = new Map<string, CatalogSegment>();
  for (let after = ""; ;) {
    const { rows } = await tx.query(
      `SELECT ${SEGMENT_COLUMNS} FROM firnline.segment s WHERE s.pipeline = $1 AND s.segment > $2
       ORDER BY s.segment LIMIT ${PAGE_ROWS}`,
      [pipeline, after],
      "contents",
    );
    for (const record of rows.map(segmentRecord)) {
      segments.set(record.segment, { record, chunks: chunks.get(record.segment) ?? [] });
      after = record.segment;
    }
    if (rows.length < PAGE_ROWS) return segments;
  }
}
