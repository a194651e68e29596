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
import type { Archive } from "./archive/port.ts";
import { checkSchemaVersion, migrate } from "./catalog/postgres/migrate.ts";
import { PostgresCatalog } from "./catalog/postgres/postgres-catalog.ts";
import type { Settings } from "./config.ts";
import type { Clock, Environment, Progress } from "./environment.ts";
import { FirnlineError } from "./errors.ts";
import { failpointFrom, noFailpoint } from "./failpoint.ts";
import { PostgresHot } from "./hot/postgres/postgres-hot.ts";
import { newHyparquetEncoder } from "./parquet/write-segment.ts";
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
  /** Throws `E_CATALOG` unless the control schema is exactly the one that this Firnline knows. */
  requireSchema(): Promise<void>;
}

export interface WireOptions {
  readonly policy: Policy;
  readonly connectionString: string;
  readonly settings: Settings;
  readonly report?: (progress: Progress) => void;
  readonly clock?: Clock;
}

/** A policy's ports on real Postgres and a real archive. Nothing is connected before the first use. */
export function wire(options: WireOptions): Wired {
  const { policy, settings } = options;
  const clock = options.clock ?? systemClock;
  const database = openDatabase(options.connectionString, settings, `firnline ${policy.pipeline}`);
  const environment: Environment<Transaction> = {
    hot: new PostgresHot({
      database,
      newHash: newSha256,
      request: {
        table: policy.source.table,
        time: policy.source.time,
        zone: policy.source.zone,
        key: policy.source.key,
        rules: policy.rules,
        wholePartitions: policy.prune === "partitions",
        deletes: policy.prune !== "off",
      },
    }),
    catalog: new PostgresCatalog(database),
    archive: openArchive(policy, settings, clock),
    policy,
    newHash: newSha256,
    newUuid: randomUUID,
    random: (bytes) => randomBytes(bytes),
    newEncoder: newHyparquetEncoder,
    clock,
    limits: settings.limits,
    failpoint:
      settings.failpoint === null
        ? noFailpoint
        : failpointFrom(settings.failpoint, (name) => process.kill(process.pid, name)),
    coldBytesMin: policy.archive.url.startsWith("file:") ? 0n : S3_COLD_BYTES_MIN,
    writer: WRITER,
    report: options.report ?? (() => {}),
  };
  return {
    environment,
    requireSchema: async () => await checkSchemaVersion(database),
    async [Symbol.asyncDispose]() {
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

function openDatabase(connectionString: string, settings: Settings, applicationName: string): Database {
  const { connectionsMax, copySilenceMs, limits, lockTimeoutMs, statementMs } = settings;
  const timeouts = { lockTimeoutMs, copySilenceMs, statementMs, idleInTransactionMs: limits.leaseMs };
  return new Database({ connectionString, applicationName, connectionsMax, ...timeouts });
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
  throw new FirnlineError({
    code: "E_ARCHIVE",
    subject: url,
    problem: "this version keeps archives in folders only",
    hint: "Use a file:// URL until the S3 archive is there",
  });
}
