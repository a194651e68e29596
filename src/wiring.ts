/**
 * The one place that names adapters: policy and settings go in, a pipeline over real Postgres and a real archive comes
 * out.
 */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openFileArchive } from "./archive/file/file-archive.ts";
import type { BucketRules } from "./archive/bucket-rules.ts";
import { openLateArchive } from "./archive/late-archive.ts";
import type { Archive } from "./archive/port.ts";
import { PostgresDetaching } from "./catalog/postgres/detaching.ts";
import { requireGrants, type Work } from "./catalog/postgres/grants.ts";
import { PostgresHolds } from "./catalog/postgres/holds.ts";
import { checkSchemaVersion, migrate } from "./catalog/postgres/migrate.ts";
import { PostgresCatalog } from "./catalog/postgres/postgres-catalog.ts";
import { PostgresRestores } from "./catalog/postgres/restores.ts";
import { PostgresUpkeep } from "./catalog/postgres/upkeep.ts";
import type { Settings } from "./config.ts";
import type { Clock, Environment, Progress } from "./environment.ts";
import { FirnlineError } from "./errors.ts";
import { failpointFrom, noFailpoint } from "./failpoint.ts";
import { PostgresLeafDrop } from "./hot/postgres/drop-leaf.ts";
import { PostgresHot } from "./hot/postgres/postgres-hot.ts";
import { PostgresPresentRows } from "./hot/postgres/present-rows.ts";
import { PostgresSurvey } from "./hot/postgres/survey.ts";
import type { Survey } from "./hot/survey.ts";
import { newParquetEncoder } from "./parquet/encode/parquet-encoder.ts";
import { DecodePool } from "./parquet/decode-pool.ts";
import { parsePolicy, type Policy } from "./policy/policy.ts";
import type { Transaction } from "./postgres/database.ts";
import { Database } from "./postgres/database.ts";
import type { EpochMs } from "./rows/day.ts";
import type { NewSha256 } from "./segment/digest.ts";

const packageJson = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};
export const VERSION = packageJson.version;
const WRITER = `firnline ${VERSION}`;
/** Below this S3's cold classes cost more than they save; a file archive has no such limit. */
const S3_COLD_BYTES_MIN = 128n * 1024n;

/** One for the seal of a run or two for a retrieval; the main thread has enough to do with Postgres and the store. */
const DECODE_THREADS = 2;
const DECODE_THREAD_BYTES_MIN = 512 * 1024;
const DECODE_THREAD_HEAP_MIB_MAX = 512;

const newSha256: NewSha256 = () => createHash("sha256");

export const systemClock: Clock = {
  now: () => Date.now() as EpochMs,
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  },
};

/** What a pipeline works with: its ports and limits, over one pool of connections. */
export interface Wired extends AsyncDisposable {
  readonly environment: Environment<Transaction>;
  /** The same for a rebuild of the catalog: partitions that were dropped by hand on their way out are no obstacle. */
  readonly forRebuild: Environment<Transaction>;
  /**
   * Throws `E_CATALOG` unless the control schema is exactly the one that this Firnline knows, and `E_VISIBILITY` where this
   * role may not do such work with it.
   */
  requireSchema(work?: Work): Promise<void>;
}

export interface WireOptions {
  readonly policy: Policy;
  readonly connectionString: string;
  readonly settings: Settings;
  readonly report?: (progress: Progress) => void;
  readonly clock?: Clock;
  /** In the place of the one that the policy names; it is closed with the pipeline. */
  readonly archive?: Archive;
}

/** A policy's ports on real Postgres and a real archive. Nothing is connected before the first use. */
export function wire(options: WireOptions): Wired {
  const { policy, settings } = options;
  const clock = options.clock ?? systemClock;
  const database = openDatabase(options.connectionString, settings, `firnline ${policy.pipeline}`);
  const decoders = new DecodePool({
    threads: DECODE_THREADS,
    threadBytesMin: DECODE_THREAD_BYTES_MIN,
    heapMibMax: DECODE_THREAD_HEAP_MIB_MAX,
  });
  const environment: Environment<Transaction> = {
    hot: hotOf(policy, database),
    leafDrop: new PostgresLeafDrop({ database, newHash: newSha256 }),
    presentRows: new PostgresPresentRows({ database, newHash: newSha256 }),
    catalog: new PostgresCatalog(database),
    detaching: new PostgresDetaching(database),
    holds: new PostgresHolds(database),
    upkeep: new PostgresUpkeep(database),
    restores: new PostgresRestores(database),
    archive: options.archive ?? openArchive(policy, settings, clock),
    policy,
    newHash: newSha256,
    newUuid: randomUUID,
    random: (bytes) => randomBytes(bytes),
    newEncoder: newParquetEncoder(`firnline version ${VERSION}`),
    decodeGroup: decoders.decode,
    clock,
    limits: settings.limits,
    failpoint:
      settings.failpoint === null
        ? noFailpoint
        : failpointFrom(settings.failpoint, (name) => process.kill(process.pid, name)),
    coldBytesMin: coldBytesMinOf(policy),
    writer: WRITER,
    report: options.report ?? (() => {}),
  };
  return {
    environment,
    forRebuild: { ...environment, hot: hotOf(policy, database, "that are there") },
    requireSchema: async (work) => {
      if (work !== undefined) await requireGrants(database, work);
      await checkSchemaVersion(database);
    },
    async [Symbol.asyncDispose]() {
      await decoders[Symbol.asyncDispose]();
      await environment.archive[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Applies the control schema's migrations; returns the names of those that were missing. */
export async function migrateDatabase(connectionString: string, settings: Settings): Promise<string[]> {
  await using database = openDatabase(connectionString, settings, "firnline migrate");
  return await migrate(database);
}

/** Looks at a database that no policy names yet. Nothing is connected before the first question. */
export function openSurvey(connectionString: string, settings: Settings): Survey {
  const database = openDatabase(connectionString, settings, "firnline init");
  return new PostgresSurvey(database, (policy) => hotOf(policy, database));
}

export async function readPolicy(path: string): Promise<Policy> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new FirnlineError({
      code: "E_INPUT",
      subject: path,
      problem: `the policy file cannot be read (${(cause as Error).message})`,
      hint: "Check the path; policies are the .yaml files of the folder pipelines",
      cause,
    });
  }
  return parsePolicy(text, path);
}

/** Smallest object that the archive's cold classes pay for, unless the policy says another. */
export function coldBytesMinOf({ archive }: Policy): bigint {
  return archive.url.startsWith("file:") ? 0n : S3_COLD_BYTES_MIN;
}

/** `detached`: which of the listed leaves are looked for. One that is not found is an error, or else rows were missed. */
function hotOf(policy: Policy, database: Database, detached: "all" | "that are there" = "all"): PostgresHot {
  const detaching = new PostgresDetaching(database);
  return new PostgresHot({
    database,
    newHash: newSha256,
    listDetaching: async (tx) =>
      detached === "all"
        ? await detaching.list(tx, policy.pipeline)
        : await detaching.listPresent(tx, policy.pipeline),
    request: {
      table: policy.source.table,
      time: policy.source.time,
      zone: policy.source.zone,
      key: policy.source.key,
      rules: policy.rules,
      drops: policy.prune === "partitions" ? "only" : policy.prune === "auto" ? "where possible" : "never",
      deletes: policy.prune !== "off",
    },
  });
}

function openDatabase(connectionString: string, settings: Settings, applicationName: string): Database {
  const { connectionsMax, copySilenceMs, limits, lockTimeoutMs, statementMs } = settings;
  const timeouts = { lockTimeoutMs, copySilenceMs, statementMs, idleInTransactionMs: limits.leaseMs };
  return new Database({ connectionString, applicationName, connectionsMax, ...timeouts });
}

/** The lifecycle rules of an `s3://` archive's bucket. */
export async function openBucketRules(archive: Policy["archive"], settings: Settings): Promise<BucketRules> {
  const { now, sleep } = systemClock;
  const random = (bytes: number): Uint8Array => randomBytes(bytes);
  const { openS3BucketRules } = await import("./archive/s3/bucket-rules.ts");
  return openS3BucketRules({ ...archive, limits: settings.s3, now, random, sleep });
}

function openArchive(policy: Policy, settings: Settings, clock: Clock): Archive {
  const { url } = policy.archive;
  if (url.startsWith("file:")) {
    return openFileArchive({
      root: fileURLToPath(url),
      now: clock.now,
      random: (bytes) => randomBytes(bytes),
      restoreDelayMs: settings.fileRestoreDelayMs,
    });
  }
  return openLateArchive(url, async () => await loadBucketArchive(policy, settings, clock));
}

async function loadBucketArchive(policy: Policy, settings: Settings, clock: Clock): Promise<Archive> {
  const [{ openS3Archive }, { openGlacierVault }, { openVaultedArchive }] = await Promise.all([
    import("./archive/s3/s3-archive.ts"),
    import("./archive/vault/glacier-vault.ts"),
    import("./archive/vault/vaulted-archive.ts"),
  ]);
  const { endpoint, region } = policy.archive;
  const random = (bytes: number): Uint8Array => randomBytes(bytes);
  const how = { limits: settings.s3, random, sleep: clock.sleep };
  return openVaultedArchive({
    inner: openS3Archive({ policy, now: clock.now, ...how }),
    openVault: (name) => openGlacierVault({ name, endpoint, region, ...how }),
    target: policy.cold?.vault ?? null,
    now: clock.now,
  });
}
