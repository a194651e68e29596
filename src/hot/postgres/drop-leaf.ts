/**
 * Drops a detached leaf: under lock every row is read back and judged (I1), then all rows are counted by a sequential
 * scan, so that neither a row outside of the sealed chunks nor one that an index misses goes unseen (hazards 11 and 17).
 * The catalog changes in the same transaction (I4).
 *
 * The lock is SHARE while rows are read: nothing can change, and retrievals go on. It becomes ACCESS EXCLUSIVE for the
 * DROP itself, without being let go of in between.
 */
import { FirnlineError } from "../../errors.ts";
import { DAY_MAX, DAY_MIN, type DayUtc, dayEnd, dayStart } from "../../rows/day.ts";
import type { NewSha256 } from "../../segment/digest.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import { quoteTable } from "../../postgres/quote.ts";
import type { DropOutcome, DropSteps, LeafCount, LeafDrop, SealedLeaf } from "../leaf-drop.ts";
import type { Leaf, SourceTable } from "../port.ts";
import { readCut } from "./copy-reader.ts";
import { dayGroups, dayRange, timeLimitsOf } from "./days.ts";
import { lockTable, requireDefinition } from "./definition.ts";
import { detachLeaf, explained, requireNonePending, requireUnreferenced } from "./detach.ts";
import { only, ruleExpression, selectionsOf, sqlExport, sqlWhere, timeBound } from "./sql-text.ts";

/** Rolls a drop back without being an error. */
class Refused extends Error {}

/** More than any chunk may have (64 MiB and its last row). */
const CHUNK_BYTES_MAX = 80 * 1024 * 1024;

export class PostgresLeafDrop implements LeafDrop<Transaction> {
  readonly #database: Database;
  readonly #newHash: NewSha256;

  constructor(options: { database: Database; newHash: NewSha256 }) {
    this.#database = options.database;
    this.#newHash = options.newHash;
  }

  async count(source: SourceTable, leaf: Leaf): Promise<LeafCount> {
    return await this.#database.transaction(
      "repeatable read, read only",
      "count",
      async (tx) => await countPartitions(tx, source, leaf),
    );
  }

  async requireDroppable(leaf: Leaf): Promise<void> {
    await this.#database.transaction("repeatable read, read only", "dependents", async (tx) => {
      await requireUnreferenced(tx, leaf);
      await requireNonePending(tx, leaf);
    });
  }

  async detach(leaf: Leaf, waitMs: number, signal: AbortSignal): Promise<void> {
    await detachLeaf(this.#database, leaf, waitMs, signal);
  }

  async drop(source: SourceTable, sealed: SealedLeaf, steps: DropSteps<Transaction>): Promise<DropOutcome> {
    const { leaf, fingerprint } = sealed;
    try {
      return await this.#database.transaction("read write", "drop", async (tx) => {
        // Asked first: after a lost COMMIT there is no table to lock.
        if ((await steps.before(tx)) === "done") return "done";
        await lockTable(tx, only(leaf), "SHARE");
        await requireDetached(tx, leaf);
        await requireDefinition(tx, this.#newHash, leaf, fingerprint);
        await judgeRows(tx, source, sealed, steps);
        if (!steps.decide(await countRows(tx, leaf))) throw new Refused();
        await lockTable(tx, only(leaf), "ACCESS EXCLUSIVE");
        // Types may change without the table's lock.
        await requireDefinition(tx, this.#newHash, leaf, fingerprint);
        await tx.query(`DROP TABLE ${quoteTable(leaf)} RESTRICT`, [], "drop");
        await steps.after(tx);
        return "dropped";
      });
    } catch (error) {
      if (error instanceof FirnlineError && error.cause instanceof Refused) return "refused";
      throw explained(leaf, error);
    }
  }
}

async function judgeRows(
  tx: Transaction,
  source: SourceTable,
  { leaf, partitions }: SealedLeaf,
  steps: DropSteps<Transaction>,
): Promise<void> {
  for (const [index, { rule, day }] of partitions.entries()) {
    const counts = await steps.begin(index);
    const { predicate } = source.rules.find(({ name }) => name === rule) ?? { predicate: "false" };
    const sql = sqlExport(source, only(leaf), await dayRange(tx, source, day), predicate);
    const cut = readCut(tx, sql, selectionsOf(source), { counts, bytesMax: CHUNK_BYTES_MAX }, "drop");
    let chunk = 0;
    for await (const rows of cut) {
      steps.judge(chunk, rows);
      chunk += 1;
    }
  }
}

async function requireDetached(tx: Transaction, leaf: Leaf): Promise<void> {
  const { rowCount } = await tx.query("SELECT FROM pg_inherits WHERE inhrelid = $1::oid", [leaf.oid]);
  if (rowCount === 0) return;
  throw new FirnlineError({
    code: "E_DETACH",
    subject: `${leaf.schema}.${leaf.name}`,
    problem: "somebody attached it again, or put it below another table, while it was about to be dropped",
    hint: "Nothing was deleted; the next run begins anew",
  });
}

/** No index has a say in it (hazard 11). */
async function countRows(tx: Transaction, leaf: Leaf): Promise<bigint> {
  await scanSequentially(tx);
  const { rows } = await tx.query(`SELECT count(*)::text AS rows FROM ${only(leaf)}`, [], "count");
  return BigInt(rows[0]?.["rows"] as string);
}

async function scanSequentially(tx: Transaction): Promise<void> {
  for (const scan of ["indexscan", "indexonlyscan", "bitmapscan"]) {
    await tx.query(`SET LOCAL enable_${scan} = off`);
  }
  await tx.query("SET LOCAL enable_seqscan = on");
}

/** By a sequential scan, and those apart that belong to no partition. */
async function countPartitions(tx: Transaction, source: SourceTable, leaf: Leaf): Promise<LeafCount> {
  const table = only(leaf);
  await lockTable(tx, table, "ACCESS SHARE");
  const { from, to } = await timeLimitsOf(tx, source, { from: dayStart(DAY_MIN), to: dayEnd(DAY_MAX) });
  const inside = sqlWhere(source, { from: timeBound(from), to: timeBound(to) }, null);
  const days = await dayGroups(tx, source, table, inside);
  await scanSequentially(tx);
  const { rows } = await tx.query(
    `SELECT ${days.dayOf("bin")} AS day, rule, rows FROM (
       SELECT CASE WHEN ${inside} THEN ${days.group} END AS bin,
              CASE WHEN ${inside} THEN ${ruleExpression(source)} END AS rule, count(*)::text AS rows
       FROM ${table} GROUP BY 1, 2) counted
     ORDER BY 1, 2`,
    [],
    "count",
  );
  const dayless = rows.filter((row) => row["day"] === null);
  return {
    partitions: rows
      .filter((row) => row["day"] !== null)
      .map((row) => ({
        leaf,
        rule: source.rules[Number(row["rule"])]?.name as string,
        day: Number(row["day"]) as DayUtc,
        rows: BigInt(row["rows"]),
      })),
    others: dayless.reduce((sum, row) => sum + BigInt(row["rows"]), 0n),
  };
}
