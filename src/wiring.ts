/**
 * The one place that names adapters: policy and settings go in, a pipeline over real Postgres and a real archive comes
 * out.
 */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openFileArchive } from "./archive/file/file-archive.ts";
import type { Archive } from "./archive/port.ts";
import type { RunRecord, TierTotals } from "./catalog/port.ts";
import { checkSchemaVersion, migrate } from "./catalog/postgres/migrate.ts";
import { PostgresCatalog } from "./catalog/postgres/postgres-catalog.ts";
import type { Settings } from "./config.ts";
import type { Clock, Environment, Progress } from "./environment.ts";
import { FirnlineError } from "./errors.ts";
import { failpointFrom, noFailpoint } from "./failpoint.ts";
import type { Census, SourceTable } from "./hot/port.ts";
import { PostgresHot } from "./hot/postgres/postgres-hot.ts";
import { newHyparquetEncoder } from "./parquet/write-segment.ts";
import type { Plan } from "./plan/plan.ts";
import { parsePolicy, type Policy } from "./policy/policy.ts";
import type { Transaction } from "./postgres/database.ts";
import { Database } from "./postgres/database.ts";
import { type EpochMicros, type EpochMs, microsFromMs } from "./rows/day.ts";
import type { NewSha256 } from "./segment/digest.ts";
import { retrieveRange, type RetrieveResult } from "./retrieve/retrieve-range.ts";
import type { RangeRequest } from "./retrieve/request.ts";
import { planPipeline, runPipeline, type RunSummary } from "./stages/run-pipeline.ts";

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

export interface OpenOptions {
  readonly policy: Policy;
  readonly connectionString: string;
  readonly settings: Settings;
  readonly report?: (progress: Progress) => void;
  readonly clock?: Clock;
}

export interface PlanOptions {
  /** The instant that ages are counted from; now. */
  readonly asOf?: EpochMicros;
  /** Allow a first run over many days. */
  readonly backfill?: boolean;
  /** Allow deleting sooner than the last applied policy (I12). */
  readonly confirmSooner?: boolean;
}

export interface Status {
  readonly pipeline: string;
  readonly table: string;
  readonly census: Census;
  readonly totals: readonly TierTotals[];
  readonly runs: readonly RunRecord[];
  readonly plan: Plan;
}

/** A pipeline that is wired to its database and its archive. Close it with `await using`. */
export class Pipeline implements AsyncDisposable {
  readonly policy: Policy;
  readonly #database: Database;
  readonly #environment: Environment<Transaction>;
  readonly #settings: Settings;

  constructor(options: OpenOptions) {
    const { policy, settings } = options;
    const clock = options.clock ?? systemClock;
    this.policy = policy;
    this.#settings = settings;
    this.#database = openDatabase(options.connectionString, settings, `firnline ${policy.pipeline}`);
    this.#environment = {
      hot: new PostgresHot({
        database: this.#database,
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
      catalog: new PostgresCatalog(this.#database),
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
  }

  /** What a run would do at `asOf`. Touches nothing. */
  async plan(options: PlanOptions = {}): Promise<Plan> {
    const source = await this.#environment.hot.describe();
    return await planPipeline(this.#environment, source, this.#planOptions(options));
  }

  /** Moves everything that is due. Throws `E_LOCKED` while another run is at it. */
  async run(options: PlanOptions & { signal?: AbortSignal } = {}): Promise<RunSummary> {
    await checkSchemaVersion(this.#database);
    return await runPipeline(this.#environment, {
      ...this.#planOptions(options),
      run: randomUUID(),
      holder: { host: hostname(), pid: process.pid, space: processSpace() },
      isDead: ({ host, pid, space }) =>
        host === hostname() && space === processSpace() && pid !== process.pid && !isAlive(pid),
      signal: options.signal ?? new AbortController().signal,
    });
  }

  /** Writes all rows of the range to `out`, or throws. */
  async retrieve(
    request: RangeRequest,
    options: { out: string; requestedBy: string; signal?: AbortSignal },
  ): Promise<RetrieveResult> {
    await checkSchemaVersion(this.#database);
    return await retrieveRange(this.#environment, {
      request,
      out: options.out,
      requestedBy: options.requestedBy,
      temporary: this.#settings.temporary ?? tmpdir(),
      signal: options.signal ?? new AbortController().signal,
    });
  }

  async status(options: { asOf?: EpochMicros; runsMax?: number } = {}): Promise<Status> {
    const { catalog, hot } = this.#environment;
    const source: SourceTable = await hot.describe();
    return {
      pipeline: this.policy.pipeline,
      table: `${source.table.schema}.${source.table.name}`,
      census: await hot.census(source),
      totals: await catalog.totals(this.policy.pipeline),
      runs: await catalog.runs(this.policy.pipeline, options.runsMax ?? 5),
      plan: await planPipeline(
        this.#environment,
        source,
        this.#planOptions({ ...options, backfill: true, confirmSooner: true }),
      ),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#environment.archive[Symbol.asyncDispose]();
    await this.#database[Symbol.asyncDispose]();
  }

  #planOptions(options: PlanOptions): Required<PlanOptions> {
    return {
      asOf: options.asOf ?? microsFromMs(this.#environment.clock.now()),
      backfill: options.backfill ?? false,
      confirmSooner: options.confirmSooner ?? false,
    };
  }
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

/** The space of process ids that this process sees; empty where the system has only one. */
function processSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
