/** One simulated world: a clock, a database, a store, and processes that work with them. */
import { createHash } from "node:crypto";
import { PostgresDetaching } from "../../src/catalog/postgres/detaching.ts";
import { PostgresHolds } from "../../src/catalog/postgres/holds.ts";
import { readMigrations } from "../../src/catalog/postgres/migrate.ts";
import { PostgresCatalog } from "../../src/catalog/postgres/postgres-catalog.ts";
import { PostgresRestores } from "../../src/catalog/postgres/restores.ts";
import { PostgresUpkeep } from "../../src/catalog/postgres/upkeep.ts";
import type { Environment, Limits } from "../../src/environment.ts";
import { noFailpoint } from "../../src/failpoint.ts";
import type { SourceTable } from "../../src/hot/port.ts";
import { PostgresLeafDrop } from "../../src/hot/postgres/drop-leaf.ts";
import { PostgresHot } from "../../src/hot/postgres/postgres-hot.ts";
import { PostgresPresentRows } from "../../src/hot/postgres/present-rows.ts";
import { decodeGroup } from "../../src/parquet/decode-group.ts";
import { newParquetEncoder } from "../../src/parquet/encode/parquet-encoder.ts";
import type { NewSegmentEncoder } from "../../src/parquet/segment-encoder.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Database, Transaction } from "../../src/postgres/database.ts";
import type { Column, ValueKind } from "../../src/rows/column.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import type { SourceIdentity } from "../../src/segment/journal.ts";
import { TABLE } from "../model/terms.ts";
import { SimulatedStore, type Witness } from "./archive.ts";
import { Chance } from "./chance.ts";
import { MemoryDatabase, type State } from "./database.ts";
import { type Process, Scheduler } from "./scheduler.ts";
import type { Row } from "./sql/compile-expression.ts";
import { Statements } from "./sql/compile-statement.ts";
import { oidOf } from "./sql/functions.ts";
import { applyScript, type Tables } from "./sql/schema.ts";

/** Sizes, so that a few rows make several chunks, row groups and segments. */
export interface Sizes {
  readonly chunkRows: number;
  readonly rowGroupRows: number;
  readonly isSplit: boolean;
  readonly pruneChunks: number;
  readonly deleteRows: number;
  readonly concurrency: number;
  /** Whether the store keeps versions. */
  readonly isVersioned: boolean;
}

const LEASE_MS = 60_000;
const COLUMNS: readonly (readonly [string, string, ValueKind])[] = [
  ["id", "bigint", "int8"],
  ["ts", "timestamp with time zone", "timestamptz"],
  ["action", "text", "text"],
  ["note", "text", "text"],
  ["amount", "integer", "int4"],
];

const SCRIPTS = [
  "CREATE TABLE firnline.migration (version int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
  ...readMigrations().map(({ sql }) => sql),
  `CREATE TABLE ${TABLE} (id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text NOT NULL, note text, amount int)`,
];

const tables: Tables = new Map();
for (const script of SCRIPTS) applyScript(tables, script);
const statements = new Statements(tables);

const migrations = new Map<bigint, Row>(
  readMigrations().map(({ version, name }) => [
    BigInt(-version),
    {
      version: BigInt(version),
      name,
      applied_at: 0n,
      ctid: BigInt(-version),
      tableoid: "firnline.migration",
    },
  ]),
);

/** Migrated, and empty. */
export const EMPTY: State = new Map(
  [...tables.keys()].map((name) => [
    name,
    name === "firnline.migration" ? migrations : new Map<bigint, Row>(),
  ]),
);

const newHash: Environment<Transaction>["newHash"] = () => createHash("sha256");

/** The real adapter, but for the questions to the catalogs of the server. */
class SimulatedHot extends PostgresHot {
  readonly #rules: Policy["rules"];

  constructor(database: Database, policy: Policy) {
    const { table, time, zone, key } = policy.source;
    super({
      database,
      newHash,
      listDetaching: async () => [],
      request: { table, time, zone, key, rules: policy.rules, deletes: policy.prune !== "off" },
    });
    this.#rules = policy.rules;
  }

  override async identify(): Promise<SourceIdentity> {
    return { systemIdentifier: "1", databaseOid: "5", tableOid: oidOf(TABLE) };
  }

  override async describe(): Promise<SourceTable> {
    const [schema = "", name = ""] = TABLE.split(".");
    const oid = oidOf(TABLE);
    const rules = this.#rules;
    return {
      table: { schema, name, oid },
      identity: await this.identify(),
      fingerprint: createHash("sha256").update("the simulated table").digest("hex"),
      isPartitioned: false,
      leaves: [{ schema, name, oid, partition: null }],
      columns: COLUMNS.map(([column, type, kind], at): Column => ({
        name: column,
        attribute: column,
        attnum: at + 1,
        type,
        select: "value",
        kind,
        precision: null,
        scale: null,
      })),
      looseCollations: { columns: [], exist: false },
      timeColumn: 1,
      zone: null,
      keyColumns: [0],
      // As `predicates.ts` puts them together.
      rules: rules.map(({ name: rule, when }, index) => {
        const terms = rules.slice(0, index).map((earlier) => `(${earlier.when}) IS NOT TRUE`);
        if (when !== null) terms.push(`(${when}) IS TRUE`);
        return { name: rule, predicate: terms.length === 0 ? null : terms.join(" AND ") };
      }),
    };
  }
}

export class World {
  readonly scheduler: Scheduler;
  readonly database: MemoryDatabase;
  readonly store: SimulatedStore;
  readonly #chance: Chance;
  readonly #sizes: Sizes;

  constructor(options: { seed: number; now: number; sizes: Sizes; witness: Witness }) {
    this.#chance = new Chance(options.seed);
    this.#sizes = options.sizes;
    this.scheduler = new Scheduler(options.now, new Chance(options.seed + 1));
    this.database = new MemoryDatabase({
      state: EMPTY,
      scheduler: this.scheduler,
      chance: this.#chance,
      statements,
      idleInTransactionMs: LEASE_MS,
    });
    this.scheduler.onKill = (process) => this.database.abortOf(process);
    this.scheduler.onTime = () => this.database.throwOutIdle();
    this.store = new SimulatedStore({
      scheduler: this.scheduler,
      chance: this.#chance,
      versioned: options.sizes.isVersioned,
      witness: options.witness,
    });
  }

  /** What a process works with: the stages' own environment, real but for the outside. */
  environment(process: Process, policy: Policy): Environment<Transaction> {
    const { scheduler } = this;
    const chance = this.#chance;
    const session = this.database.session(process);
    const database = session as unknown as Database;
    const sizes = this.#sizes;
    const limits: Limits = {
      chunk: { rowsMax: sizes.chunkRows, bytesMax: 1 << 20 },
      rowGroupRowsMax: sizes.rowGroupRows,
      rowGroupBytesMax: 1 << 20,
      segmentBytesMax: sizes.isSplit ? 1 : 1 << 20,
      pruneChunksMax: sizes.pruneChunks,
      pruneTargetMs: 250,
      deleteRowsMax: sizes.deleteRows,
      attemptsMax: 3,
      detachWaitMs: 1_000,
      leaseMs: LEASE_MS,
      concurrency: sizes.concurrency,
      // Nobody else writes to this server.
      paceShare: 1,
      paceWrites: 0,
    };
    return {
      hot: new SimulatedHot(database, policy),
      leafDrop: new PostgresLeafDrop({ database, newHash }),
      presentRows: new PostgresPresentRows({ database, newHash }),
      catalog: new PostgresCatalog(database),
      detaching: new PostgresDetaching(database),
      holds: new PostgresHolds(database),
      upkeep: new PostgresUpkeep(database),
      restores: new PostgresRestores(database),
      archive: this.store.of(process),
      policy,
      newHash,
      newUuid: () => chance.uuid(),
      random: (bytes) => chance.bytes(bytes),
      newEncoder: this.#encoder(newParquetEncoder("firnline version 0.0.0")),
      decodeGroup: async (job) => await decodeGroup(newHash, job),
      clock: {
        now: () => (scheduler.now + process.clockMs) as EpochMs,
        monotonicMs: () => scheduler.now,
        sleep: async (ms, signal) => await scheduler.sleep(process, ms, signal),
      },
      limits,
      failpoint: noFailpoint,
      coldBytesMin: 0n,
      writer: "firnline 0.0.0",
      report: () => {},
    };
  }

  /** Pages are compressed in other threads; nobody has a turn meanwhile. */
  #encoder(inner: NewSegmentEncoder): NewSegmentEncoder {
    const { scheduler } = this;
    const meanwhile = async <T>(work: () => Promise<T>): Promise<T> => {
      scheduler.busy += 1;
      try {
        return await work();
      } finally {
        scheduler.busy -= 1;
      }
    };
    return (...args) => {
      const encoder = inner(...args);
      return {
        rowGroup: async (chunks) => await meanwhile(async () => await encoder.rowGroup(chunks)),
        finish: async () => await meanwhile(async () => await encoder.finish()),
      };
    };
  }
}
