/** A control schema with one pipeline and a lease on it, and the steps that a run takes on it. */
import { createHash, randomBytes } from "node:crypto";

import type { Lease, RunOutcome, SegmentRecord } from "../../src/catalog/port.ts";
import { migrate } from "../../src/catalog/postgres/migrate.ts";
import { PostgresCatalog } from "../../src/catalog/postgres/postgres-catalog.ts";
import type { Database, Transaction } from "../../src/postgres/database.ts";
import { type DayUtc, parseDay } from "../../src/rows/day.ts";
import type { JournalEvent, JournalHead } from "../../src/segment/journal.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { openDatabase } from "./connect.ts";

export const PIPELINE = "audit_logs";
export const AT = "2026-02-03T02:00:00.000Z";
export const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");
export const day = (text: string): DayUtc => parseDay(text);

/** What a run that moved nothing adds to the history. */
export const QUIET_DAY: RunOutcome["history"] = {
  day: day("2026-02-03"),
  archived: 0n,
  pruned: 0n,
  deleted: 0n,
  expired: 0n,
  hot: null,
};

const SOURCE = { systemIdentifier: "7400000000000000001", databaseOid: "5" };
const HOLDER = { host: "h1", pid: 41, space: "s" };
/** Longer than any test, so that no lease expires by itself. */
export const LONG_MS = 3_600_000;

/** Any object's pin, of so many bytes. */
const pinOf = (name: string, bytes: bigint) => ({
  versionId: "v1",
  etag: '"e1"',
  sha256: hashOf(name),
  bytes,
});

export class CatalogScene implements AsyncDisposable {
  readonly url: string;
  readonly database: Database;
  readonly catalog: PostgresCatalog;
  readonly #owned: TestDatabase;
  #runs = 0;

  private constructor(owned: TestDatabase) {
    this.#owned = owned;
    this.url = owned.url;
    this.database = openDatabase(owned.url);
    this.catalog = new PostgresCatalog(this.database);
  }

  static async create(): Promise<CatalogScene> {
    const scene = new CatalogScene(await createDatabase());
    await migrate(scene.database);
    await scene.register(PIPELINE);
    return scene;
  }

  async register(pipeline: string): Promise<void> {
    await this.catalog.register({
      pipeline,
      archiveId: "7c0e6f5a-3c0e-4d9a-9f55-0a4f6f0a9b11",
      archiveUrl: "file:///archive",
      // A table of its own: a table has one pipeline.
      source: { ...SOURCE, tableOid: hashOf(pipeline).replaceAll(/\D/g, "").slice(0, 8) },
    });
  }

  /** A lease for a new run; takes it over from whoever holds it. */
  async lease(pipeline = PIPELINE): Promise<Lease> {
    this.#runs += 1;
    const held = (await this.catalog.pipeline(pipeline))?.lease.run ?? null;
    const answer = await this.catalog.acquireLease({
      pipeline,
      run: `run-${this.#runs}`,
      holder: HOLDER,
      durationMs: LONG_MS,
      ...(held === null ? {} : { takeOver: { run: held } }),
    });
    if (answer.outcome !== "acquired") throw new Error("the lease was not to be had");
    return answer.lease;
  }

  async reserve(lease: Lease, on = "2026-01-03", rule = "default"): Promise<SegmentRecord> {
    return await this.catalog.reserveSegment(lease, {
      leaf: null,
      rule,
      day: day(on),
      storageClass: "STANDARD",
      random: randomBytes(8),
      replaces: false,
    });
  }

  /** A segment that is uploaded, with chunks of so many rows. */
  async upload(lease: Lease, chunkRows: readonly number[], on?: string, rule?: string): Promise<string> {
    const { segment } = await this.reserve(lease, on, rule);
    await this.catalog.uploaded(lease, segment, {
      rows: BigInt(chunkRows.reduce((sum, rows) => sum + rows, 0)),
      object: pinOf(`object ${segment}`, 4_096n),
      chunkRows,
      draft: new TextEncoder().encode(`draft of ${segment}`),
      shape: "0a1b2c3d4e5f6071",
    });
    return segment;
  }

  /** Decides an event and publishes all that is decided, as a run does. */
  async journal(lease: Lease, event: JournalEvent): Promise<void> {
    await this.catalog.enqueue(lease, event, AT);
    await this.publish(lease);
  }

  async publish(lease: Lease): Promise<void> {
    for (const entry of await this.catalog.pending(lease.pipeline)) {
      await this.catalog.published(lease, entry, await this.nextHead(lease.pipeline));
    }
  }

  async nextHead(pipeline = PIPELINE): Promise<JournalHead> {
    const n = ((await this.catalog.pipeline(pipeline))?.journal.n ?? 0n) + 1n;
    return { n, sha256: hashOf(`entry ${n}`) };
  }

  async seal(lease: Lease, segment: string): Promise<void> {
    await this.journal(lease, sealedEvent(segment));
  }

  /** A segment that may be pruned: its chunks are sealed and `prune-started` is journaled. */
  async pruning(lease: Lease, chunkRows: readonly number[], on?: string, rule?: string): Promise<string> {
    const segment = await this.upload(lease, chunkRows, on, rule);
    await this.seal(lease, segment);
    await this.journal(lease, { type: "prune-started", segment });
    return segment;
  }

  /** Prunes these chunks in one transaction, as the stage does. */
  async prune(lease: Lease, segment: string, chunks: readonly number[], rows: bigint): Promise<void> {
    await this.transaction(async (tx) => {
      await this.catalog.lockChunks(tx, lease, segment, chunks);
      await this.catalog.chunksPruned(tx, lease, segment, chunks, rows, AT);
    });
  }

  /** A segment that is wholly pruned. */
  async warm(lease: Lease, chunkRows: readonly number[], on?: string, rule?: string): Promise<string> {
    const segment = await this.pruning(lease, chunkRows, on, rule);
    const rows = BigInt(chunkRows.reduce((sum, count) => sum + count, 0));
    await this.prune(lease, segment, [...chunkRows.keys()], rows);
    await this.publish(lease);
    return segment;
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.database.transaction("read write", "test", work);
  }

  /** Everything in the control schema, table by table. */
  async contents(): Promise<Record<string, unknown>> {
    const { rows } = await this.database.query(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'firnline' ORDER BY 1",
    );
    const contents: Record<string, unknown> = {};
    for (const { name } of rows) {
      const found = await this.database.query(
        `SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text), '[]') AS rows FROM firnline.${name} t`,
      );
      contents[String(name)] = found.rows[0]?.["rows"];
    }
    const sequence = await this.database.query(
      "SELECT last_value::text, is_called FROM firnline.segment_sequence",
    );
    return { ...contents, sequence: sequence.rows };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
    await this.#owned[Symbol.asyncDispose]();
  }
}

export function sealedEvent(segment: string): Extract<JournalEvent, { type: "sealed" }> {
  const pin = (name: string, bytes: bigint) => ({
    key: name,
    ...pinOf(name, bytes),
    bytes: bytes.toString(),
  });
  return {
    type: "sealed",
    segment,
    rule: "default",
    dayFrom: "2026-01-03",
    dayTo: "2026-01-03",
    rows: "60",
    object: pin(`object ${segment}`, 4_096n),
    manifest: pin(`manifest ${segment}`, 512n),
    root: hashOf("root"),
    storageClass: "STANDARD",
    supersedes: [],
  };
}
