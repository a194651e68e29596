/** The hot port on PostgreSQL 15 to 18. */
import { FirnlineError } from "../../errors.ts";
import type { Column } from "../../rows/column.ts";
import type { RawRows } from "../../rows/copy-binary.ts";
import type { DayUtc } from "../../rows/day.ts";
import { firstBound, sortRows } from "../../rows/row-order.ts";
import type { NewSha256 } from "../../segment/digest.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import { quoteLiteral, quoteTable } from "../../postgres/quote.ts";
import type {
  Census,
  ChunkDelete,
  ChunkLimits,
  ExportedChunk,
  Hot,
  Inventory,
  PartitionExport,
  PartitionName,
  PruneOutcome,
  PruneSteps,
  SourceTable,
  TimeRange,
} from "../port.ts";
import { readAtMost, readChunks } from "./copy-reader.ts";
import {
  BASE_TYPE,
  describeSource,
  readFingerprint,
  readSideEffects,
  type SourceRequest,
} from "./describe.ts";
import { dayRange, refuseAmbiguous, timeLimitsOf } from "./days.ts";
import { readCensus, readInventory } from "./inventory.ts";
import { judgeSideEffects } from "./table-facts.ts";
import { selected, sqlDelete, sqlExport, sqlWhere, timeBound, timeIdentifier } from "./sql-text.ts";

/** Rolls a prune back without being an error. */
class Refused extends Error {}

export class PostgresHot implements Hot<Transaction> {
  readonly #database: Database;
  readonly #newHash: NewSha256;
  readonly #request: SourceRequest;

  constructor(options: { database: Database; newHash: NewSha256; request: SourceRequest }) {
    this.#database = options.database;
    this.#newHash = options.newHash;
    this.#request = options.request;
  }

  async describe(): Promise<SourceTable> {
    return await describeSource(this.#database, this.#newHash, this.#request);
  }

  async inventory(source: SourceTable, lastDay: DayUtc): Promise<Inventory> {
    return await this.#database.transaction("repeatable read, read only", "inventory", async (tx) => {
      await this.#lock(tx, source, "ACCESS SHARE");
      return await readInventory(tx, source, lastDay);
    });
  }

  async census(source: SourceTable): Promise<Census> {
    return await this.#database.transaction("repeatable read, read only", "census", async (tx) => {
      await this.#lock(tx, source, "ACCESS SHARE");
      return await readCensus(tx, source);
    });
  }

  async exportPartition<T>(
    source: SourceTable,
    partition: PartitionName,
    limits: ChunkLimits,
    consume: (rows: PartitionExport) => Promise<T>,
  ): Promise<T> {
    return await this.#database.transaction("repeatable read, read only", "export", async (tx) => {
      // The lock comes before anything that takes a snapshot (hazard 6), then the definition, then the rows.
      await this.#lock(tx, source, "ACCESS SHARE");
      await this.#sameDefinition(tx, source);
      const range = await dayRange(tx, source, partition.day);
      const sql = sqlExport(source, range, predicateOf(source, partition.rule));
      return await consume({
        range,
        chunks: withBounds(source, readChunks(tx, sql, source.columns.length, limits, "export")),
      });
    });
  }

  async prune(
    source: SourceTable,
    predicate: string | null,
    chunks: readonly ChunkDelete[],
    steps: PruneSteps<Transaction>,
  ): Promise<PruneOutcome> {
    try {
      return await this.#database.transaction("read write", "prune", async (tx) => {
        await this.#lock(tx, source, "ROW EXCLUSIVE");
        await this.#sameDefinition(tx, source);
        await this.#noSideEffects(tx, source);
        if ((await steps.before(tx)) === "done") return "done";
        for (const [index, chunk] of chunks.entries()) {
          const sql = sqlDelete(source, chunk.range, predicate);
          const deleted = await readAtMost(tx, sql, source.columns.length, chunk, "prune");
          if (deleted === null || !steps.judge(index, sortRows(source, deleted))) throw new Refused();
        }
        // A definition that changed while rows were read would have changed what their bytes mean (hazard 13).
        await this.#sameDefinition(tx, source);
        // The lock keeps constraints and triggers out, but not a publication of all tables.
        await this.#noSideEffects(tx, source);
        await steps.after(tx);
        return "pruned";
      });
    } catch (error) {
      if (error instanceof FirnlineError && error.cause instanceof Refused) return "refused";
      throw error;
    }
  }

  async deleteOnly(
    source: SourceTable,
    partition: PartitionName,
    rowsMax: number,
    after: (tx: Transaction, deleted: { rows: number; from: string; to: string }) => Promise<void>,
  ): Promise<number> {
    return await this.#database.transaction("read write", "delete", async (tx) => {
      await this.#lock(tx, source, "ROW EXCLUSIVE");
      await this.#sameDefinition(tx, source);
      await this.#noSideEffects(tx, source);
      const range = await dayRange(tx, source, partition.day);
      const table = quoteTable(source.table);
      const time = timeIdentifier(source);
      const where = sqlWhere(source, range, predicateOf(source, partition.rule));
      const { rows } = await tx.query(
        // No alias and no join: a table or column may have any name (hazard 19).
        `WITH deleted AS (
           DELETE FROM ONLY ${table}
           WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY ${table} WHERE ${where}
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
    return await this.#database.transaction("repeatable read, read write", "retrieve", async (tx) => {
      // Lock first, then read: a table dropped in between would look empty (hazard 7).
      await this.#lock(tx, source, "ACCESS SHARE");
      await this.#sameDefinition(tx, source);
      const found = await first(tx);
      const { from, to } = await timeLimitsOf(tx, source, range);
      const sql = sqlExport(source, { from: timeBound(from), to: timeBound(to) }, null);
      return {
        first: found,
        spooled: await spool(readChunks(tx, sql, source.columns.length, limits, "retrieve")),
      };
    });
  }

  async timeLimits(source: SourceTable, range: TimeRange): Promise<{ from: bigint; to: bigint }> {
    return await this.#database.transaction("repeatable read, read only", "range", async (tx) => {
      await refuseAmbiguous(tx, source, range);
      return await timeLimitsOf(tx, source, range);
    });
  }

  async encodeValue(source: SourceTable, column: Column, value: string): Promise<Uint8Array> {
    try {
      return await this.#database.transaction("repeatable read, read only", "where", async (tx) => {
        // Without its modifier: a cast to varchar(3) would cut the value and find rows that it is not equal to.
        const { rows } = await tx.query(BASE_TYPE, [source.table.oid, column.attnum], "where");
        const cast = `${quoteLiteral(value)}::${String(rows[0]?.["type"])}`;
        const sql = `COPY (SELECT ${selected(column.select, cast)}) TO STDOUT (FORMAT binary)`;
        const found = await readAtMost(tx, sql, 1, { rowsMax: 1, bytesMax: 1 << 20 }, "where");
        return (found as RawRows).columns[0]?.subarray(4) as Uint8Array;
      });
    } catch (error) {
      if (!(error instanceof FirnlineError) || error.retryable) throw error;
      throw new FirnlineError({
        code: "E_INPUT",
        subject: `--where ${column.name}`,
        problem: `"${value}" is not a value of type ${column.type}`,
        hint: "Write the value as Postgres would read it",
        cause: error,
      });
    }
  }

  async #lock(tx: Transaction, source: SourceTable, mode: "ACCESS SHARE" | "ROW EXCLUSIVE"): Promise<void> {
    await tx.query(`LOCK TABLE ONLY ${quoteTable(source.table)} IN ${mode} MODE`, [], "lock");
  }

  /** Hazards 10 and 20, again under lock: what `describe` found may be hours old. */
  async #noSideEffects(tx: Transaction, source: SourceTable): Promise<void> {
    const subject = `${source.table.schema}.${source.table.name}`;
    const [finding] = judgeSideEffects(subject, await readSideEffects(tx, source.table.oid));
    if (finding !== undefined) throw finding;
  }

  async #sameDefinition(tx: Transaction, source: SourceTable): Promise<void> {
    const { rows } = await tx.query("SELECT to_regclass($1)::oid::text AS oid", [quoteTable(source.table)]);
    const found = await readFingerprint(tx, this.#newHash, source.table.oid);
    if (rows[0]?.["oid"] === source.table.oid && found === source.fingerprint) return;
    throw new FirnlineError({
      code: "E_SOURCE",
      subject: `${source.table.schema}.${source.table.name}`,
      problem: "the table's definition changed since this run, or this segment's export, looked at it",
      hint: "Nothing was deleted; run again, and the rows are compared with the new definition",
    });
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

async function* withBounds(
  source: SourceTable,
  chunks: AsyncIterable<RawRows>,
): AsyncGenerator<ExportedChunk, void, undefined> {
  for await (const rows of chunks) yield { first: firstBound(source, rows), rows };
}
