/** The catalog port on the control schema `firnline` in the source database. */
import { invariant } from "../../errors.ts";
import { type DayUtc, type EpochMicros, formatInstant } from "../../rows/day.ts";
import type { PartitionKey } from "../../segment/partition-key.ts";
import type { JournalEvent, JournalHead, SourceIdentity } from "../../segment/journal.ts";
import type { ChunkState } from "../../segment/state.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import type { HistoryDay } from "../history-day.ts";
import type { PendingEntry } from "../pending-entry.ts";
import type {
  Catalog,
  CatalogExamination,
  CatalogView,
  ChunkRecord,
  Lease,
  LeaseAnswer,
  LeaseHolder,
  PipelineRecord,
  ReadableSegment,
  Replaceable,
  RetrievalRequest,
  RetrievalResult,
  RunRecord,
  RunOutcome,
  SegmentRecord,
  TierTotals,
} from "../port.ts";
import { examineCatalog } from "./examine.ts";
import { addToHistory, readHistory } from "./history.ts";
import { acquireLease, guard, guardAlone, releaseLease, renewLease } from "./lease.ts";
import { readSchemaVersion } from "./migrate.ts";
import { moveSegment } from "./chunks.ts";
import { closeGrowing, insertEntry, publishEntry, requireUndecided, selectPending } from "./outbox.ts";
import { finishRetrieval, pinSegments, readableSegments, startRetrieval } from "./retrievals.ts";
import { chunkRecord } from "./records.ts";
import { register } from "./register.ts";
import { requireRemovable } from "./removable.ts";
import * as segmentWrites from "./segments.ts";
import * as views from "./views.ts";

export class PostgresCatalog implements Catalog<Transaction> {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async pipeline(pipeline: string): Promise<PipelineRecord | null> {
    return await this.#read("pipeline", async (tx) => {
      if ((await readSchemaVersion(tx)) === 0) return null;
      return await views.selectPipeline(tx, pipeline);
    });
  }

  async view(pipeline: string, coldUntil: DayUtc | null, hotDays: readonly DayUtc[]): Promise<CatalogView> {
    return await this.#read("view", async (tx) => await views.view(tx, pipeline, coldUntil, hotDays));
  }

  async totals(pipeline: string): Promise<TierTotals[]> {
    return await this.#read("totals", async (tx) => await views.totals(tx, pipeline));
  }

  async runs(pipeline: string, countMax: number): Promise<RunRecord[]> {
    return await this.#read("runs", async (tx) => await views.runs(tx, pipeline, countMax));
  }

  async examine(pipeline: string, source: SourceIdentity | null): Promise<CatalogExamination> {
    return await this.#read("examine", async (tx) => await examineCatalog(tx, pipeline, source));
  }

  async history(pipeline: string, since: DayUtc): Promise<HistoryDay[]> {
    return await this.#read("history", async (tx) => await readHistory(tx, pipeline, since));
  }

  async register(record: {
    pipeline: string;
    archiveId: string;
    archiveUrl: string;
    source: SourceIdentity;
  }): Promise<PipelineRecord> {
    return await this.#write("register", async (tx) => await register(tx, record));
  }

  async acquireLease(request: {
    pipeline: string;
    run: string;
    holder: LeaseHolder;
    durationMs: number;
    takeOver?: { run: string };
  }): Promise<LeaseAnswer> {
    return await acquireLease(this.#database, request);
  }

  async renewLease(lease: Lease, durationMs: number): Promise<void> {
    await renewLease(this.#database, lease, durationMs);
  }

  async releaseLease(lease: Lease): Promise<void> {
    await releaseLease(this.#database, lease);
  }

  async startRun(lease: Lease, asOf: EpochMicros): Promise<void> {
    await this.#guarded("start run", lease, async (tx) => {
      await tx.query(
        "INSERT INTO firnline.run (pipeline, run, epoch, as_of, state) VALUES ($1, $2, $3, $4, 'running')",
        [lease.pipeline, lease.run, lease.epoch.toString(), formatInstant(asOf)],
      );
    });
  }

  async finishRun(lease: Lease, outcome: RunOutcome): Promise<void> {
    await this.#guarded("finish run", lease, async (tx) => {
      await tx.query(
        `UPDATE firnline.run SET state = $3, finished_at = now(), summary = $4, error = $5
         WHERE pipeline = $1 AND run = $2`,
        [lease.pipeline, lease.run, outcome.state, JSON.stringify(outcome.summary), outcome.error],
      );
      await addToHistory(tx, lease.pipeline, outcome.history);
    });
  }

  async enqueue(lease: Lease, event: JournalEvent, at: string): Promise<void> {
    await this.#write("enqueue", async (tx) => {
      await guardAlone(tx, lease);
      await requireRemovable(tx, lease.pipeline, event);
      await requireUndecided(tx, lease.pipeline, event);
      await insertEntry(tx, { pipeline: lease.pipeline, run: lease.run, epoch: lease.epoch, at, event });
    });
  }

  async pending(pipeline: string): Promise<PendingEntry[]> {
    return await this.#read("outbox", async (tx) => await selectPending(tx, pipeline));
  }

  async closeEntries(lease: Lease, growing: readonly string[]): Promise<PendingEntry[]> {
    return await this.#write("close entries", async (tx) => {
      await guardAlone(tx, lease);
      await closeGrowing(tx, lease.pipeline, growing);
      return await selectPending(tx, lease.pipeline);
    });
  }

  async published(lease: Lease, entry: PendingEntry, head: JournalHead): Promise<void> {
    await this.#write("publish", async (tx) => await publishEntry(tx, lease, entry, head));
  }

  async reserveSegment(
    lease: Lease,
    segment: Parameters<Catalog<Transaction>["reserveSegment"]>[1],
  ): Promise<SegmentRecord> {
    return await this.#guarded(
      "reserve",
      lease,
      async (tx) => await segmentWrites.reserveSegment(tx, lease, segment),
    );
  }

  async uploaded(
    lease: Lease,
    segment: string,
    upload: Parameters<Catalog<Transaction>["uploaded"]>[2],
  ): Promise<void> {
    await this.#guarded(
      "uploaded",
      lease,
      async (tx) => await segmentWrites.uploaded(tx, lease, segment, upload),
    );
  }

  async draft(pipeline: string, segment: string): Promise<Uint8Array> {
    const { rows } = await this.#database.query(
      "SELECT manifest FROM firnline.draft WHERE pipeline = $1 AND segment = $2",
      [pipeline, segment],
      "draft",
    );
    const draft = rows[0]?.["manifest"] as Uint8Array | undefined;
    invariant(draft !== undefined, `segment ${segment}`, "it has no draft of its manifest");
    return draft;
  }

  async abandon(lease: Lease, segment: string): Promise<void> {
    await this.#guarded("abandon", lease, async (tx) => await segmentWrites.abandon(tx, lease, segment));
  }

  async classRequested(lease: Lease, segment: string): Promise<void> {
    await this.#guarded("cool", lease, async (tx) => {
      await moveSegment(tx, lease.pipeline, segment, "class-requested", {});
    });
  }

  async segment(pipeline: string, segment: string): Promise<SegmentRecord> {
    return await this.#read("segment", async (tx) => await views.selectSegment(tx, pipeline, segment));
  }

  async chunks(pipeline: string, segment: string): Promise<ChunkRecord[]> {
    const { rows } = await this.#database.query(
      "SELECT chunk, state, rows, was_pruned FROM firnline.chunk WHERE pipeline = $1 AND segment = $2 ORDER BY chunk",
      [pipeline, segment],
      "chunks",
    );
    return rows.map(chunkRecord);
  }

  async replaceable(pipeline: string, partition: PartitionKey): Promise<Replaceable> {
    return await this.#read("replaceable", async (tx) => await views.replaceable(tx, pipeline, partition));
  }

  async lockChunks(
    tx: Transaction,
    lease: Lease,
    segment: string,
    chunks: readonly number[],
  ): Promise<ChunkState[]> {
    return await segmentWrites.lockChunks(tx, lease, segment, chunks);
  }

  async chunksPruned(
    tx: Transaction,
    lease: Lease,
    segment: string,
    chunks: readonly number[],
    rows: bigint,
    at: string,
  ): Promise<void> {
    await segmentWrites.chunksPruned(tx, lease, segment, chunks, rows, at);
  }

  async rowsDeleted(
    tx: Transaction,
    lease: Lease,
    deleted: { rule: string; day: DayUtc; rows: bigint; from: string; to: string },
    at: string,
  ): Promise<void> {
    await segmentWrites.rowsDeleted(tx, lease, deleted, at);
  }

  async journalHead(tx: Transaction, pipeline: string): Promise<JournalHead> {
    const record = await views.selectPipeline(tx, pipeline);
    invariant(record !== null, pipeline, "its row is gone");
    return record.journal;
  }

  async readable(
    tx: Transaction,
    pipeline: string,
    dayFrom: DayUtc,
    dayTo: DayUtc,
  ): Promise<ReadableSegment[]> {
    return await readableSegments(tx, pipeline, dayFrom, dayTo);
  }

  async readableNow(pipeline: string, dayFrom: DayUtc, dayTo: DayUtc): Promise<ReadableSegment[]> {
    return await this.#read("segments", async (tx) => await readableSegments(tx, pipeline, dayFrom, dayTo));
  }

  async startRetrieval(pipeline: string, request: RetrievalRequest): Promise<void> {
    await startRetrieval(this.#database, pipeline, request);
  }

  async pinSegments(
    tx: Transaction,
    pipeline: string,
    retrieval: string,
    segments: readonly string[],
  ): Promise<void> {
    await pinSegments(tx, pipeline, retrieval, segments);
  }

  async finishRetrieval(
    pipeline: string,
    request: RetrievalRequest,
    result: RetrievalResult | { error: string },
    at: string,
  ): Promise<void> {
    await this.#write("retrieval", async (tx) => await finishRetrieval(tx, pipeline, request, result, at));
  }

  async #read<T>(op: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#database.transaction("repeatable read, read only", op, work);
  }

  async #write<T>(op: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#database.transaction("read write", op, work);
  }

  /** A write that first makes sure of the lease, and holds it until the COMMIT (I6). */
  async #guarded<T>(op: string, lease: Lease, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#write(op, async (tx) => {
      await guard(tx, lease);
      return await work(tx);
    });
  }
}
