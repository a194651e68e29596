/** A database for one history after another: fresh tables, an empty control schema and an archive in memory for each. */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type MemoryArchive, openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import { readSettings } from "../../src/config.ts";
import type { Environment, Limits } from "../../src/environment.ts";
import { noFailpoint } from "../../src/failpoint.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { migrateDatabase, systemClock, wire, type Wired } from "../../src/wiring.ts";
import { policyOf, TABLE, type Terms } from "./terms.ts";

/** Sizes, so that a few rows make several chunks, row groups and segments. */
export interface Sizes {
  readonly chunkRows: number;
  readonly rowGroupRows: number;
  /** Whether each row group is a segment of its own. */
  readonly isSplit: boolean;
  readonly pruneChunks: number;
  /** Whether the archive keeps versions. */
  readonly isVersioned: boolean;
}

type Any = Environment<unknown>;

const SETTINGS = readSettings({
  FIRNLINE_LOCK_TIMEOUT_MS: "20000",
  FIRNLINE_DELETE_ROWS: "2",
  FIRNLINE_PACE_PERCENT: "100",
});
/** Whoever waits so long for a lock waits for ever, and the history is wrong. */
const WAIT_MS_MAX = 20_000;
/** Policies whose connections are kept. */
const WIRES_MAX = 3;

/** Leaves that were detached are no part of the table any more, and have to be found by their names. */
const DROP_TABLES = `
  DO $$ DECLARE one regclass; BEGIN
    DROP TABLE IF EXISTS ${TABLE} CASCADE;
    FOR one IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
      EXECUTE 'DROP TABLE ' || one;
    END LOOP;
    DROP TYPE IF EXISTS public.level;
  END $$`;

const createTable = (isPartitioned: boolean): string => `
  CREATE TYPE public.level AS ENUM ('low', 'mid', 'high');
  CREATE TABLE ${TABLE} (
    id bigint, ts timestamptz NOT NULL, action text NOT NULL,
    level public.level, amount int, note text, tag text, PRIMARY KEY (id${isPartitioned ? ", ts" : ""}))
    ${isPartitioned ? "PARTITION BY RANGE (ts)" : ""};
  CREATE INDEX ON ${TABLE} (ts)`;

export class Lane implements AsyncDisposable {
  readonly application: pg.Client;
  /** Looks on, and never waits for the application. */
  readonly onlooker: pg.Client;
  readonly folder: string;
  readonly #url: string;
  readonly #wires = new Map<string, Wired>();

  private constructor(url: string, folder: string) {
    this.#url = url;
    this.folder = folder;
    this.application = new pg.Client(url);
    this.onlooker = new pg.Client(url);
  }

  /** On an empty database. */
  static async open(url: string): Promise<Lane> {
    await migrateDatabase(url, SETTINGS);
    const lane = new Lane(url, await mkdtemp(join(tmpdir(), "firnline-model-")));
    for (const client of [lane.application, lane.onlooker]) {
      client.on("error", () => {}); // told by the query that it fails
      await client.connect();
      await client.query(`SET TimeZone = 'UTC'; SET lock_timeout = ${WAIT_MS_MAX}`);
    }
    return lane;
  }

  /** Forgets the last history. */
  async reset(isPartitioned: boolean): Promise<void> {
    const { rows } = await this.onlooker.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname = 'firnline' AND tablename <> 'migration'`,
    );
    const deletes = rows.map(({ name }) => `DELETE FROM ${name}`).join("; ");
    await this.application.query(
      `${DROP_TABLES}; ${createTable(isPartitioned)}; SET session_replication_role = replica; ${deletes}; RESET session_replication_role`,
    );
  }

  newArchive(sizes: Sizes, random: (bytes: number) => Uint8Array): MemoryArchive {
    return openMemoryArchive({
      now: systemClock.now,
      random,
      restoreDelayMs: 0,
      versioned: sizes.isVersioned,
      url: "memory://events",
    });
  }

  /** What a run or a retrieval works with: everything is real, but for the archive, time and chance. */
  async environment(
    terms: Terms,
    { sizes, isPartitioned }: { sizes: Sizes; isPartitioned: boolean },
    parts: { archive: MemoryArchive; random: (bytes: number) => Uint8Array },
  ): Promise<Any> {
    const { environment } = await this.#wired(terms, isPartitioned);
    const limits: Limits = {
      ...environment.limits,
      chunk: { ...environment.limits.chunk, rowsMax: sizes.chunkRows },
      rowGroupRowsMax: sizes.rowGroupRows,
      segmentBytesMax: sizes.isSplit ? 1 : environment.limits.segmentBytesMax,
      pruneChunksMax: sizes.pruneChunks,
      detachWaitMs: WAIT_MS_MAX,
    };
    return {
      ...environment,
      ...parts,
      limits,
      newUuid: () => uuidOf(parts.random(16)),
      // Retries need not wait; ages are counted from `asOf` alone; batches grow as if everything were quick.
      clock: { now: () => Date.now() as EpochMs, monotonicMs: () => 0, sleep: pauseShortly },
      failpoint: noFailpoint,
      coldBytesMin: 0n,
    } as unknown as Any;
  }

  async #wired(terms: Terms, isPartitioned: boolean): Promise<Wired> {
    const key = JSON.stringify([terms, isPartitioned]);
    const known = this.#wires.get(key);
    this.#wires.delete(key);
    const wired =
      known ??
      wire({ policy: policyOf(terms, isPartitioned), connectionString: this.#url, settings: SETTINGS });
    this.#wires.set(key, wired);
    const [oldest] = this.#wires;
    if (this.#wires.size > WIRES_MAX && oldest !== undefined) {
      this.#wires.delete(oldest[0]);
      await oldest[1][Symbol.asyncDispose]();
    }
    return wired;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const wired of this.#wires.values()) await wired[Symbol.asyncDispose]();
    await this.application.end();
    await this.onlooker.end();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Twenty seconds between two heartbeats become two, a retry's fifth of a second a blink. */
async function pauseShortly(ms: number, signal?: AbortSignal): Promise<void> {
  await systemClock.sleep(ms / 10, signal);
}

/** Chance that comes again with its seed. */
export function seededRandom(seed: string): (bytes: number) => Uint8Array {
  let count = 0;
  return (bytes) => {
    count += 1;
    return new Uint8Array(createHash("sha512").update(`${seed} ${count}`).digest().subarray(0, bytes));
  };
}

function uuidOf(bytes: Uint8Array): `${string}-${string}-${string}-${string}-${string}` {
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}
