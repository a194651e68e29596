/**
 * All rows of the source within one snapshot: those of the table, and those of leaves that were detached and are not
 * dropped yet. Each is read exactly once, however far the detaching is: a scan of the parent leaves a leaf out exactly
 * when the snapshot shows it as detached, or as being detached, and then it is read by its own name.
 *
 * Locks come before the snapshot. A leaf that was dropped in between is no empty table but an error (hazards 7 and 26),
 * upon which all is read anew.
 */
import { FirnlineError } from "../../errors.ts";
import type { DetachingLeaf } from "../../segment/detaching-leaf.ts";
import type { Database, Transaction, TransactionMode } from "../../postgres/database.ts";
import { sqlState } from "../../postgres/errors.ts";
import { quoteTable } from "../../postgres/quote.ts";
import type { SourceTable, TableName } from "../port.ts";
import { vanished } from "./leaves.ts";
import { only, rowsOf, whole } from "./sql-text.ts";

/** The catalog's leaves on their way out, within the caller's snapshot. */
export type ListDetaching = (tx: Transaction) => Promise<readonly DetachingLeaf[]>;

/** A run drops one leaf after the other; each costs a reader that comes at the wrong moment two attempts. */
const ATTEMPTS_MAX = 20;
// The table, or its schema with it.
const UNDEFINED: readonly (string | undefined)[] = ["42P01", "3F000"];

/** The leaves that are on their way out are not those that were locked. */
class Moved extends Error {}

interface Listed extends TableName {
  readonly oid: string;
}

/** `work` gets what to put after FROM. The mode is one with a snapshot for the whole transaction. */
export async function readWhole<T>(
  database: Database,
  source: SourceTable,
  listDetaching: ListDetaching,
  mode: Exclude<TransactionMode, "read write">,
  op: string,
  work: (tx: Transaction, rows: string) => Promise<T>,
): Promise<T> {
  let expected: readonly Listed[] = source.leaves.filter(({ partition }) => partition?.isDetaching === true);
  for (let attempt = 1; ; attempt += 1) {
    const locking: Listed[] = [];
    let listed: readonly DetachingLeaf[] = [];
    try {
      return await database.transaction(mode, op, async (tx) => {
        await tx.query(`LOCK TABLE ${whole(source)} IN ACCESS SHARE MODE`, [], "lock");
        if (!source.isPartitioned) return await work(tx, whole(source));
        for (const leaf of expected) {
          locking.push(leaf);
          await tx.query(`LOCK TABLE ${only(leaf)} IN ACCESS SHARE MODE`, [], "lock");
        }
        locking.length = 0;
        listed = await listDetaching(tx);
        if (listed.some(({ oid }) => !expected.some((leaf) => leaf.oid === oid))) throw new Moved();
        return await work(tx, rowsOf(source, await readApart(tx, source, listed)));
      });
    } catch (error) {
      const cause = error instanceof FirnlineError ? error.cause : undefined;
      const dropped = UNDEFINED.includes(sqlState(cause)) ? locking.at(-1) : undefined;
      if (!(cause instanceof Moved) && dropped === undefined) throw error;
      if (attempt >= ATTEMPTS_MAX) throw busy(source, error);
      expected = cause instanceof Moved ? listed : expected.filter((leaf) => leaf !== dropped);
    }
  }
}

/** Of the listed leaves, those that a scan of the table leaves out in this snapshot. They are locked. */
async function readApart(
  tx: Transaction,
  source: SourceTable,
  listed: readonly DetachingLeaf[],
): Promise<TableName[]> {
  if (listed.length === 0) return [];
  const { rows } = await tx.query(
    `WITH RECURSIVE tree AS (
       SELECT inhrelid FROM pg_inherits WHERE inhparent = $1::oid AND NOT inhdetachpending
       UNION ALL
       SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.inhrelid AND NOT i.inhdetachpending)
     SELECT l.oid::text, to_regclass(l.name) = l.oid AS is_named
     FROM unnest($2::oid[], $3::text[]) AS l(oid, name) WHERE NOT EXISTS (SELECT FROM tree WHERE inhrelid = l.oid)`,
    [source.table.oid, listed.map(({ oid }) => oid), listed.map(quoteTable)],
    "leaves",
  );
  const apart = listed.filter(({ oid }) => rows.some((row) => row["oid"] === oid));
  for (const { oid, schema, name } of apart) {
    // The lock is on a table of that name, which may be another one.
    if (rows.find((row) => row["oid"] === oid)?.["is_named"] !== true) throw vanished(schema, name);
  }
  return apart;
}

function busy(source: SourceTable, cause: unknown): FirnlineError {
  return new FirnlineError({
    code: "E_DETACH",
    subject: `${source.table.schema}.${source.table.name}`,
    problem: "its partitions are being dropped faster than they can be looked at",
    hint: "Wait for the run that does it, then try again",
    retryable: true,
    cause,
  });
}
