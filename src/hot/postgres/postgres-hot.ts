/** The hot port on PostgreSQL 15 to 18. */
import { FirnlineError } from "../../errors.ts";
import type { Column } from "../../rows/column.ts";
import type { RawRows } from "../../rows/copy-binary.ts";
import type { DayUtc, EpochMs } from "../../rows/day.ts";
import { SpareBuffers } from "../../rows/spare-buffers.ts";
import type { NewSha256 } from "../../segment/digest.ts";
import type { SourceIdentity } from "../../segment/journal.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import type {
  Census,
  ChunkLimits,
  Examination,
  Hot,
  HotAges,
  Inventory,
  Leaf,
  PartitionExport,
  PartitionName,
  PruneOutcome,
  PruneSteps,
  Purpose,
  SealedRows,
  SourceTable,
  TableSize,
  TimeRange,
  WriteCount,
} from "../port.ts";
import { exportChunks, readChunks } from "./copy-reader.ts";
import { deleteJudged } from "./delete-judged.ts";
import { lockTable, requireDefinition } from "./definition.ts";
import {
  describeSource,
  identifySource,
  readFingerprint,
  readSideEffects,
  type SourceRequest,
} from "./describe.ts";
import { examineSource, readClock } from "./examine.ts";
import { dayRange, refuseAmbiguous, timeLimitsOf } from "./days.ts";
import { readCensus, readInventory } from "./inventory.ts";
import { noSuchValue, readBaseType, readValue } from "./read-value.ts";
import { judgeSideEffects } from "./table-facts.ts";
import { readTableSize } from "./table-size.ts";
import {
  only,
  selectionsOf,
  sqlExport,
  sqlMissingKeys,
  sqlWhere,
  timeBound,
  timeIdentifier,
} from "./sql-text.ts";
import { type ListDetaching, readWhole } from "./whole-source.ts";
import { readWrites } from "./writes.ts";

/** Rolls a prune back without being an error. */
class Refused extends Error {}

export class PostgresHot implements Hot<Transaction> {
  readonly #database: Database;
  readonly #newHash: NewSha256;
  readonly #request: SourceRequest;
  readonly #listDetaching: ListDetaching;
  /** From one partition, and one transaction, to the next. */
  readonly #spare = new SpareBuffers();

  constructor(options: {
    database: Database;
    newHash: NewSha256;
    request: SourceRequest;
    listDetaching: ListDetaching;
  }) {
    this.#database = options.database;
    this.#newHash = options.newHash;
    this.#request = options.request;
    this.#listDetaching = options.listDetaching;
  }

  async describe(purpose: Purpose = "move"): Promise<SourceTable> {
    const request = { ...this.#request, deletes: this.#request.deletes && purpose === "move" };
    return await describeSource(this.#database, this.#newHash, request, this.#listDetaching);
  }

  async identify(): Promise<SourceIdentity> {
    return await identifySource(this.#database, this.#request.table);
  }

  async examine(ages: HotAges): Promise<Examination> {
    return await examineSource(this.#database, {
      ...this.#request,
      ...ages,
      graceMs: this.#database.lockTimeoutMs,
      describe: async () => await this.describe(),
    });
  }

  async now(): Promise<EpochMs> {
    return await readClock(this.#database);
  }

  async writes(): Promise<WriteCount> {
    return await readWrites(this.#database);
  }

  giveWay(isNeeded: boolean): void {
    this.#database.givesWay = isNeeded;
  }

  async inventory(source: SourceTable, lastDay: DayUtc): Promise<Inventory> {
    return await this.#readWhole(
      source,
      "inventory",
      async (tx, rows) => await readInventory(tx, source, rows, lastDay),
    );
  }

  async size(source: SourceTable): Promise<TableSize> {
    return await this.#readWhole(
      source,
      "table size",
      async (tx, rows) => await readTableSize(tx, source, rows),
    );
  }

  async census(source: SourceTable): Promise<Census> {
    return await this.#readWhole(source, "census", async (tx, rows) => await readCensus(tx, source, rows));
  }

  async exportPartition<T>(
    source: SourceTable,
    partition: PartitionName,
    limits: ChunkLimits,
    consume: (rows: PartitionExport) => Promise<T>,
  ): Promise<T> {
    return await this.#database.transaction("repeatable read, read only", "export", async (tx) => {
      // The lock comes before anything that takes a snapshot (hazard 6), then the definition, then the rows.
      await lockTable(tx, only(partition.leaf), "ACCESS SHARE");
      await requireDefinition(tx, this.#newHash, source.table, source.fingerprint);
      const range = await dayRange(tx, source, partition.day);
      const sql = sqlExport(source, only(partition.leaf), range, predicateOf(source, partition.rule));
      return await consume({
        range,
        fingerprint: await readFingerprint(tx, this.#newHash, partition.leaf.oid),
        chunks: exportChunks(tx, source, sql, limits, this.#spare),
      });
    });
  }

  async prune(source: SourceTable, rows: SealedRows, steps: PruneSteps<Transaction>): Promise<PruneOutcome> {
    const { leaf, fingerprint } = rows;
    try {
      return await this.#database.transaction("read write", "prune", async (tx) => {
        await lockTable(tx, only(leaf), "ROW EXCLUSIVE");
        await requireDefinition(tx, this.#newHash, leaf, fingerprint);
        await this.#noSideEffects(tx, source, leaf);
        if ((await steps.before(tx)) === "done") return "done";
        if (!(await deleteJudged(tx, source, rows, steps.judge, this.#spare))) throw new Refused();
        // A definition that changed while rows were read would have changed what their bytes mean (hazard 13).
        await requireDefinition(tx, this.#newHash, leaf, fingerprint);
        // The lock keeps constraints and triggers out, but not a publication of all tables.
        await this.#noSideEffects(tx, source, leaf);
        await steps.after(tx);
        return "pruned";
      });
    } catch (error) {
      if (error instanceof FirnlineError && error.cause instanceof Refused) return "refused";
      throw error;
    }
  }

  async fingerprint(leaf: Leaf): Promise<string> {
    return await this.#database.transaction("repeatable read, read only", "fingerprint", async (tx) =>
      readFingerprint(tx, this.#newHash, leaf.oid),
    );
  }

  async deleteOnly(
    source: SourceTable,
    partition: PartitionName,
    rowsMax: number,
    after: (tx: Transaction, deleted: { rows: number; from: string; to: string }) => Promise<void>,
  ): Promise<number> {
    return await this.#database.transaction("read write", "delete", async (tx) => {
      const table = only(partition.leaf);
      await lockTable(tx, table, "ROW EXCLUSIVE");
      await requireDefinition(tx, this.#newHash, source.table, source.fingerprint);
      await this.#noSideEffects(tx, source, partition.leaf);
      const range = await dayRange(tx, source, partition.day);
      const time = timeIdentifier(source);
      const where = sqlWhere(source, range, predicateOf(source, partition.rule));
      const { rows } = await tx.query(
        // No alias and no join: a table or column may have any name (hazard 19).
        `WITH deleted AS (
           DELETE FROM ${table}
           WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${table} WHERE ${where}
                                   ORDER BY ${time} LIMIT ${Math.trunc(rowsMax)})) AND ${where}
           RETURNING ${time} AS firnline_time
         )
         SELECT count(*)::int AS rows, min(firnline_time)::text AS first, max(firnline_time)::text AS last FROM deleted`,
        [],
        "delete",
      );
      const count = Number(rows[0]?.["rows"]);
      if (count > 0) {
        await after(tx, { rows: count, from: String(rows[0]?.["first"]), to: String(rows[0]?.["last"]) });
      }
      return count;
    });
  }

  async readRange<A, B>(
    source: SourceTable,
    range: TimeRange,
    limits: ChunkLimits,
    first: (tx: Transaction) => Promise<A>,
    spool: (chunks: AsyncIterable<RawRows>) => Promise<B>,
  ): Promise<{ first: A; spooled: B }> {
    const work = async (tx: Transaction, rows: string): Promise<{ first: A; spooled: B }> => {
      await requireDefinition(tx, this.#newHash, source.table, source.fingerprint);
      const found = await first(tx);
      const { from, to } = await timeLimitsOf(tx, source, range);
      const sql = sqlExport(source, rows, { from: timeBound(from), to: timeBound(to) }, null);
      return {
        first: found,
        spooled: await spool(readChunks(tx, sql, selectionsOf(source), limits, "retrieve")),
      };
    };
    const [database, list] = [this.#database, this.#listDetaching];
    return await readWhole(database, source, list, "repeatable read, read write", "retrieve", work);
  }

  async timeLimits(source: SourceTable, range: TimeRange): Promise<{ from: bigint; to: bigint }> {
    return await this.#database.transaction("repeatable read, read only", "range", async (tx) => {
      await refuseAmbiguous(tx, source, range);
      return await timeLimitsOf(tx, source, range);
    });
  }

  async encodeValue(column: Pick<Column, "name" | "type" | "select">, value: string): Promise<Uint8Array> {
    try {
      return await this.#database.transaction(
        "repeatable read, read only",
        "where",
        async (tx) => await readValue(tx, column, value),
      );
    } catch (error) {
      if (!(error instanceof FirnlineError) || error.retryable || error.code === "E_INPUT") throw error;
      throw noSuchValue(column, value, error);
    }
  }

  async baseType(type: string): Promise<string | null> {
    return await this.#database.transaction(
      "repeatable read, read only",
      "where",
      async (tx) => await readBaseType(tx, type),
    );
  }

  async missingKeys(source: SourceTable, keys: readonly (readonly string[])[]): Promise<number[]> {
    if (keys.length === 0) return [];
    return await this.#readWhole(source, "keys", async (tx, rows) => {
      const columns = source.keyColumns.map((_, at) => keys.map((key) => key[at] as string));
      const missing = await tx.query(sqlMissingKeys(source, rows), columns, "keys");
      return missing.rows.map((row) => Number(row["missing"]));
    });
  }

  async #readWhole<T>(
    source: SourceTable,
    op: string,
    work: (tx: Transaction, rows: string) => Promise<T>,
  ): Promise<T> {
    const list = this.#listDetaching;
    return await readWhole(this.#database, source, list, "repeatable read, read only", op, work);
  }

  /** Hazards 10 and 20, again under lock: what `describe` found may be hours old. */
  async #noSideEffects(tx: Transaction, source: SourceTable, leaf: Leaf): Promise<void> {
    const subject = `${source.table.schema}.${source.table.name}`;
    const oids = [...new Set([source.table.oid, leaf.oid])];
    const [finding] = judgeSideEffects(subject, await readSideEffects(tx, oids));
    if (finding !== undefined) throw finding;
  }
}

function predicateOf(source: SourceTable, rule: string): string | null {
  const found = source.rules.find(({ name }) => name === rule);
  if (found !== undefined) return found.predicate;
  throw new FirnlineError({
    code: "E_POLICY",
    subject: `rule ${rule}`,
    problem: "the policy has no rule of that name",
    hint: "Put the rule back; its segments are not finished",
  });
}
