/**
 * A database with a table, a policy, an archive in a temporary folder, and the truth: a second copy of every row that
 * ever went in, which Firnline never hears of. Pipelines run in this process or as `firnline` processes.
 */
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { readSettings, type Settings } from "../../src/config.ts";
import type { Plan } from "../../src/plan/step.ts";
import { parsePolicy, type Policy } from "../../src/policy/policy.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RetrieveResult } from "../../src/retrieve/retrieve-range.ts";
import { dayStart, type EpochMicros, parseDay, parseInstant } from "../../src/rows/day.ts";
import type { RunSummary } from "../../src/stages/run-pipeline.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { migrateDatabase } from "../../src/wiring.ts";
import { AUDIT_LOGS } from "./audit-rows.ts";
import type { Archive } from "../../src/archive/port.ts";
import { FirnlineProcess } from "./firnline-process.ts";
import { copyDatabase, createMigratedDatabase, runAlone, type TestDatabase } from "./postgres.ts";
import { GrantedRoles, type Role, roleFor } from "./roles.ts";
import type { S3Server } from "./s3-server.ts";

/** From here ages are counted: hot keeps 30 days, so 2026-01-29 is the last day that is due. */
export const AS_OF = "2026-03-01";
export const LAST_DUE = "2026-01-29";
/** Warm keeps 60 days of the record's age: this day goes cold, the next one stays warm. */
export const LAST_COLD = "2025-12-30";

/** Small sizes, so that a few hundred rows make several chunks, row groups and segments. */
export const SMALL = {
  FIRNLINE_CHUNK_ROWS: "50",
  FIRNLINE_ROW_GROUP_ROWS: "100",
  FIRNLINE_SEGMENT_MIB: "0",
  FIRNLINE_PRUNE_CHUNKS: "2",
  FIRNLINE_DELETE_ROWS: "20",
  FIRNLINE_LOCK_TIMEOUT_MS: "1500",
  // Other tests write to the same server, and are nobody to give way to.
  FIRNLINE_PACE_PERCENT: "100",
  FIRNLINE_NICE: "0",
} as const;

export type Environ = Readonly<Record<string, string>>;

/** An archive in a bucket of a real server. */
export interface ScenarioBucket {
  readonly server: S3Server;
  readonly bucket: string;
  /** `firnline` by default. */
  readonly prefix?: string;
  /** More fields of the policy's `archive`: lock, encryption. */
  readonly policy?: Readonly<Record<string, unknown>>;
}

export interface ScenarioOptions {
  /** Statements that make the table. */
  readonly ddl?: string;
  /** The table as the policy names it, which is how SQL does. */
  readonly table?: string;
  readonly source?: Readonly<Record<string, unknown>>;
  readonly tiers?: Readonly<Record<string, unknown>>;
  readonly rules?: readonly Readonly<Record<string, unknown>>[];
  readonly prune?: string;
  /** In a bucket, instead of a temporary folder. */
  readonly archive?: ScenarioBucket;
  /** Columns that get bloom filters. */
  readonly bloomFilters?: readonly string[];
  /** `FIRNLINE_*` for every pipeline and process of the scenario. */
  readonly environ?: Environ;
  /**
   * Whether pipelines and processes connect with the roles of `infra/roles.sql`, each command with its own, instead of as a
   * superuser. So do those of every scenario while `FIRNLINE_TEST_ROLES` is set.
   */
  readonly roles?: boolean;
}

export function instantOf(text: string): EpochMicros {
  return text.length === 10 ? dayStart(parseDay(text)) : parseInstant(text);
}

/** Counts of what a run moved, as plain numbers. */
export function moved(summary: RunSummary): Record<"exported" | "pruned" | "deleted" | "cooled", number> {
  const { exported, pruned, deleted, cooled } = summary;
  return {
    exported: Number(exported),
    pruned: Number(pruned),
    deleted: Number(deleted),
    cooled: Number(cooled),
  };
}

export const NOTHING = { exported: 0, pruned: 0, deleted: 0, cooled: 0 } as const;

export interface RunAs {
  readonly asOf?: string;
  readonly environ?: Environ;
  readonly backfill?: boolean;
  readonly confirmSooner?: boolean;
  readonly url?: string;
}

const planOptions = (as: RunAs): { asOf: EpochMicros; backfill: boolean; confirmSooner: boolean } => ({
  asOf: instantOf(as.asOf ?? AS_OF),
  backfill: as.backfill ?? true,
  confirmSooner: as.confirmSooner ?? false,
});

export interface OpenAs extends Pick<RunAs, "environ" | "url"> {
  /** In the place of the scenario's own. */
  readonly archive?: Archive;
}

export class Scenario implements AsyncDisposable {
  readonly url: string;
  readonly database: string;
  readonly folder: string;
  readonly table: string;
  readonly policyText: string;
  readonly #options: ScenarioOptions;
  readonly #owned: AsyncDisposable;
  #client: Promise<pg.Client> | undefined;
  /** Those over the same database, and copies of it, have them only lent. */
  #roles: GrantedRoles | null = null;
  #ownRoles: GrantedRoles | null = null;

  private constructor(database: TestDatabase, folder: string, options: ScenarioOptions) {
    this.url = database.url;
    this.database = database.name;
    this.folder = folder;
    this.table = options.table ?? "public.audit_logs";
    this.#options = options;
    this.#owned = database;
    this.policyText = policyText(this.table, this.archive, options);
  }

  /** A fresh database with an empty table and the control schema. */
  static async create(options: ScenarioOptions = {}): Promise<Scenario> {
    const scenario = await Scenario.on(await createMigratedDatabase(), options);
    await scenario.#fill();
    return scenario;
  }

  /** Makes the table, the truth and the control schema. */
  async prepare(): Promise<void> {
    await migrateDatabase(this.url, this.settings());
    await this.#fill();
  }

  async #fill(): Promise<void> {
    await this.query(this.#options.ddl ?? AUDIT_LOGS);
    await this.query(`CREATE SCHEMA truth; CREATE TABLE truth.rows (LIKE ${this.table})`);
    if (this.#options.roles ?? process.env["FIRNLINE_TEST_ROLES"] !== undefined) await this.grantRoles();
  }

  /** From here on each command has a role of its own, and the table belongs to somebody else. */
  async grantRoles(): Promise<void> {
    this.#ownRoles = await GrantedRoles.on(this.url, this.database, this.table);
    this.#roles = this.#ownRoles;
  }

  /** The connection of a role, or the one that a command is for; a superuser's where there are no roles. */
  urlFor(who: Role | { readonly command: string }): string {
    const role = typeof who === "string" ? who : roleFor(who.command);
    return role === null || this.#roles === null ? this.url : this.#roles.url(this.url, role);
  }

  /** Over a database that is there already, with an archive of its own. Disposing drops the database too. */
  static async on(database: TestDatabase, options: ScenarioOptions = {}): Promise<Scenario> {
    const folder = await mkdtemp(join(tmpdir(), "firnline-scenario-"));
    const scenario = new Scenario(database, folder, options);
    await mkdir(scenario.policies);
    await writeFile(join(scenario.policies, "audit-logs.yaml"), scenario.policyText);
    return scenario;
  }

  /** The same database and archive under another policy. Disposing it leaves both to the first one. */
  static async over(scenario: Scenario, changes: ScenarioOptions): Promise<Scenario> {
    const database = { url: scenario.url, name: scenario.database, [Symbol.asyncDispose]: async () => {} };
    const other = new Scenario(database, scenario.folder, { ...scenario.#options, ...changes });
    other.#roles = scenario.#roles;
    await writeFile(join(other.policies, "audit-logs.yaml"), other.policyText);
    return other;
  }

  /** The same policy and archive, from another database: a clone, a restored copy. It disposes of neither. */
  static elsewhere(scenario: Scenario, url: string): Scenario {
    const database = { url, name: new URL(url).pathname.slice(1), [Symbol.asyncDispose]: async () => {} };
    const other = new Scenario(database, scenario.folder, scenario.#options);
    other.#roles = scenario.#roles;
    return other;
  }

  /** The same rows in another database, with an empty archive. Connections to this one are closed for it. */
  async copy(options: ScenarioOptions = this.#options): Promise<Scenario> {
    await this.disconnect();
    const copy = await Scenario.on(await copyDatabase({ url: this.url, name: this.database }), options);
    // Grants are copied with the database.
    copy.#roles = this.#roles;
    return copy;
  }

  get archive(): string {
    return join(this.folder, "archive");
  }

  /** Null where the archive is the folder. */
  get bucket(): ScenarioBucket | null {
    return this.#options.archive ?? null;
  }

  /** The folder with the one policy file. */
  get policies(): string {
    return join(this.folder, "pipelines");
  }

  get policy(): Policy {
    return parsePolicy(this.policyText, "audit-logs.yaml");
  }

  settings(environ: Environ = {}): Settings {
    return readSettings({ ...SMALL, ...this.#options.environ, ...inOrder(environ) });
  }

  async query(text: string, values: readonly unknown[] = []): Promise<Record<string, string>[]> {
    const result = await (await this.#connect()).query(text, values.length === 0 ? undefined : [...values]);
    // Several statements at once give several results; the last one is meant.
    return (Array.isArray(result) ? (result.at(-1) as pg.QueryResult) : result).rows;
  }

  async count(condition = "true", table = this.table): Promise<number> {
    const [row] = await this.query(`SELECT count(*)::int AS rows FROM ${table} WHERE ${condition}`);
    return Number(row?.["rows"]);
  }

  async isSomebodyBlocked(): Promise<boolean> {
    return (await this.sessionsBlocked()) > 0;
  }

  /** Sessions of this database that wait for a lock. Asked apart: a transaction would see the first answer for ever. */
  async sessionsBlocked(): Promise<number> {
    const { rows } = await runAlone(
      this.url,
      `SELECT FROM pg_stat_activity
       WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`,
    );
    return rows.length;
  }

  /** Inserts what the SELECT or VALUES gives into the table and into the truth. */
  async insert(select: string): Promise<void> {
    await this.query(
      `WITH fresh AS (INSERT INTO ${this.table} ${select} RETURNING *) INSERT INTO truth.rows SELECT * FROM fresh`,
    );
  }

  /** The same change to the table and to the truth: what an application does to its rows is true. */
  async change(sql: (table: string) => string): Promise<void> {
    await this.query(`BEGIN; ${sql(this.table)}; ${sql("truth.rows")}; COMMIT`);
  }

  /** A pipeline in this process. */
  open({ environ = {}, url = this.urlFor("pruner"), archive }: OpenAs = {}): Pipeline {
    return new Pipeline({
      policy: this.policy,
      connectionString: url,
      settings: this.settings(environ),
      ...(archive === undefined ? {} : { archive }),
    });
  }

  async run(as: RunAs = {}): Promise<RunSummary> {
    await using pipeline = this.open(as);
    return await pipeline.run(planOptions(as));
  }

  /** A run that may fail, as a whole or for single partitions: what went wrong, in order. */
  async failuresOf(as: RunAs = {}): Promise<unknown[]> {
    return await this.run(as).then(
      ({ failures }) => [...failures],
      (error: unknown) => [error],
    );
  }

  async plan(as: RunAs = {}): Promise<Plan> {
    await using pipeline = this.open(as);
    return await pipeline.plan(planOptions(as));
  }

  /** `firnline COMMAND` as a process of its own. */
  spawn(args: readonly string[], environ: Environ = {}): FirnlineProcess {
    const { archive, environ: given } = this.#options;
    const DATABASE_URL = this.urlFor({ command: args[0] as string });
    const own = { DATABASE_URL, ...SMALL, ...archive?.server.environ, ...given };
    return new FirnlineProcess([...args, "--folder", this.policies], { ...own, ...inOrder(environ) });
  }

  /** `firnline run` as a process of its own. */
  spawnRun(environ: Environ = {}, asOf = AS_OF): FirnlineProcess {
    return this.spawn(["run", "--backfill", "--as-of", asOf], environ);
  }

  /** Retrieves a range, by default everything, into a file of its own. */
  async retrieve(
    range: { from?: string; to?: string; where?: readonly string[]; environ?: Environ } = {},
  ): Promise<{ result: RetrieveResult; lines: string[]; out: string }> {
    const url = this.urlFor("retriever");
    await using pipeline = this.open(range.environ === undefined ? { url } : { url, environ: range.environ });
    const out = join(this.folder, `answer-${randomBytes(4).toString("hex")}.ndjson`);
    const request = parseRange(range.from ?? "0001-01-01", range.to ?? "9999-12-31", range.where ?? []);
    const result = await pipeline.retrieve(request, { out, requestedBy: "a test" });
    return { result, out, lines: (await readFile(out, "utf8")).split("\n").filter((line) => line !== "") };
  }

  /** Names in the folder besides the archive and the policy: answers, and what they left behind. */
  async answers(): Promise<string[]> {
    return (await readdir(this.folder)).filter((name) => name !== "archive" && name !== "pipelines").sort();
  }

  async disconnect(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await (await client)?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
    await this.#owned[Symbol.asyncDispose]();
    await this.#ownRoles?.drop(this.url);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #connect(): Promise<pg.Client> {
    this.#client ??= (async () => {
      const client = new pg.Client(this.url);
      client.on("error", () => {}); // told by the query that it fails
      await client.connect();
      // DuckDB, the policy and people speak UTC; the server's zone must not matter (I11).
      await client.query("SET TimeZone = 'Pacific/Kiritimati'");
      return client;
    })();
    return await this.#client;
  }
}

/** The same server, another database. */
export function at(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

function archivePolicy(folder: string, place: ScenarioBucket | undefined): Record<string, unknown> {
  if (place === undefined) return { url: pathToFileURL(folder).href };
  const { server, bucket, prefix = "firnline", policy } = place;
  const { endpoint, region } = server;
  return { url: prefix === "" ? `s3://${bucket}` : `s3://${bucket}/${prefix}`, endpoint, region, ...policy };
}

/** JSON is YAML, and needs no thought about quotes in hostile names. */
/** A run that is stopped somewhere is stopped in the same state each time, unless the test wants its stages to overlap. */
export const inOrder = (environ: Environ): Environ =>
  environ["FIRNLINE_FAILPOINT"] === undefined ? environ : { FIRNLINE_CONCURRENCY: "1", ...environ };

function policyText(table: string, archive: string, options: ScenarioOptions): string {
  const policy = {
    version: 1,
    pipeline: "audit_logs",
    source: { connection: "DATABASE_URL", table, time: "ts", ...options.source },
    archive: {
      ...archivePolicy(archive, options.archive),
      ...(options.bloomFilters === undefined ? {} : { bloomFilters: options.bloomFilters }),
    },
    tiers: {
      hot: { keep: "30d" },
      warm: { keep: "60d" },
      cold: { storageClass: "DEEP_ARCHIVE", keep: "forever" },
      ...options.tiers,
    },
    rules: options.rules ?? [],
    prune: options.prune ?? "auto",
  };
  return `${JSON.stringify(policy, null, 2)}\n`;
}
