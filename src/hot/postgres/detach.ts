/**
 * Takes a leaf out of the partitioned table. CONCURRENTLY wherever that is possible: writers and readers go on, and it
 * waits for transactions that may still see the leaf. Where the parent has a DEFAULT partition Postgres refuses that;
 * then it is a plain DETACH in a short transaction that gives up rather than queue behind others.
 *
 * Every way is bounded. What is left half done stays pending: readers see its rows (`whole-source.ts`), and the next
 * call finishes it (hazard 26).
 */
import { FirnlineError } from "../../errors.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import { sqlState } from "../../postgres/errors.ts";
import { cancelStatement, runPatiently } from "../../postgres/patient-statement.ts";
import { quoteTable } from "../../postgres/quote.ts";
import type { Leaf, TableName } from "../port.ts";
import { vanished } from "./leaves.ts";

/** A plain DETACH locks out everybody while it waits: not for long. */
const PLAIN_LOCK_MS_MAX = 2_000;
const ATTEMPTS_MAX = 3;
const LOCK_NOT_AVAILABLE = "55P03";

type Attachment =
  | { readonly is: "detached" }
  | { readonly is: "attached" | "pending"; readonly parent: TableName; readonly hasDefaultSibling: boolean };

export async function detachLeaf(
  database: Database,
  leaf: Leaf,
  waitMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const now = await readAttachment(database, leaf);
    if (now.is === "detached") return;
    const detach = `ALTER TABLE ${quoteTable(now.parent)} DETACH PARTITION ${quoteTable(leaf)}`;
    try {
      // A run that was killed may have left the statement behind, at work in the server.
      await cancelStatement(database, `${detach} CONCURRENTLY`);
      if (now.is === "pending") await finalize(database, leaf, `${detach} FINALIZE`, waitMs);
      else if (now.hasDefaultSibling) await detachPlainly(database, detach);
      else {
        const { ending, ...more } = await runPatiently(database, `${detach} CONCURRENTLY`, "detach", {
          waitMs,
          signal,
        });
        if (ending === "cancelled") throw heldUp(leaf, waitMs, "waitedFor" in more ? more.waitedFor : "");
      }
    } catch (error) {
      throw explained(leaf, error);
    }
  }
  throw heldUp(leaf, waitMs, "somebody who attaches it again");
}

async function readAttachment(database: Database, leaf: Leaf): Promise<Attachment> {
  return await database.transaction("repeatable read, read only", "detach", async (tx) => {
    const named = await tx.query("SELECT to_regclass($1) = $2::oid AS is_named", [
      quoteTable(leaf),
      leaf.oid,
    ]);
    if (named.rows[0]?.["is_named"] !== true) throw vanished(leaf.schema, leaf.name);
    const { rows } = await tx.query(
      `SELECT i.inhdetachpending AS pending, p.partdefid <> 0 AS has_default, n.nspname AS schema, c.relname AS name
       FROM pg_inherits i
       JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
       JOIN pg_class c ON c.oid = i.inhparent
       JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE i.inhrelid = $1::oid`,
      [leaf.oid],
      "detach",
    );
    const [row] = rows;
    if (row === undefined) return { is: "detached" };
    return {
      is: row["pending"] === true ? "pending" : "attached",
      parent: { schema: row["schema"] as string, name: row["name"] as string },
      hasDefaultSibling: row["has_default"] as boolean,
    };
  });
}

/** FINALIZE may be in a transaction, so its limits may be local. It waits for every older snapshot. */
async function finalize(
  database: Database,
  leaf: TableName,
  statement: string,
  waitMs: number,
): Promise<void> {
  await database.transaction("read write", "detach", async (tx) => {
    await tx.query(`SET LOCAL lock_timeout = ${Math.trunc(waitMs)}`);
    await tx.query(statement, [], "detach").catch((error: unknown) => {
      const isLate = error instanceof FirnlineError && sqlState(error.cause) === LOCK_NOT_AVAILABLE;
      throw isLate ? heldUp(leaf, waitMs, "an older transaction") : error;
    });
  });
}

async function detachPlainly(database: Database, statement: string): Promise<void> {
  await database.transaction("read write", "detach", async (tx) => {
    const lockMs = Math.min(PLAIN_LOCK_MS_MAX, database.lockTimeoutMs);
    await tx.query(`SET LOCAL lock_timeout = ${Math.trunc(lockMs)}`);
    await tx.query(statement, [], "detach");
  });
}

function heldUp({ schema, name }: TableName, waitMs: number, waitedFor: string): FirnlineError {
  return new FirnlineError({
    code: "E_DETACH",
    subject: `${schema}.${name}`,
    problem: `it could not be detached within ${waitMs} ms (waiting for ${waitedFor})`,
    hint: "Its rows are still found; the next run goes on. End that transaction if it is idle",
  });
}

const FOREIGN_KEY_VIOLATION = "23503";
const DEPENDENT_OBJECTS = "2BP01";

/** What Postgres says about a partition is about that one: the others go on. */
export function explained(leaf: TableName, error: unknown): unknown {
  if (!(error instanceof FirnlineError)) return error;
  const state = sqlState(error.cause);
  const isRefused = state === FOREIGN_KEY_VIOLATION || state === DEPENDENT_OBJECTS;
  return isRefused ? refusedBy(leaf, error.problem.replace(/^\w+: /, ""), error) : error;
}

function refusedBy({ schema, name }: TableName, what: string, cause: unknown): FirnlineError {
  return new FirnlineError({
    code: "E_DETACH",
    subject: `${schema}.${name}`,
    problem: `Postgres does not let it go: ${what}`,
    hint: "Remove what refers to it, or set prune: rows. Nothing was deleted",
    cause,
  });
}

/** Of one table only one partition can be half detached. Throws `E_DETACH` while that is another one. */
export async function requireNonePending(tx: Transaction, leaf: Leaf): Promise<void> {
  const { rows } = await tx.query(
    `SELECT other.inhrelid::regclass::text AS other FROM pg_inherits i
     JOIN pg_inherits other ON other.inhparent = i.inhparent AND other.inhrelid <> i.inhrelid AND other.inhdetachpending
     WHERE i.inhrelid = $1::oid`,
    [leaf.oid],
    "detach",
  );
  if (rows[0] === undefined) return;
  throw new FirnlineError({
    code: "E_DETACH",
    subject: `${leaf.schema}.${leaf.name}`,
    problem: `it cannot be detached while ${String(rows[0]["other"])} is only half detached`,
    hint: "It follows when that one is dropped",
  });
}

/** Throws `E_DETACH` while something besides the source refers to the leaf: then it could be detached, but not dropped. */
export async function requireUnreferenced(tx: Transaction, leaf: Leaf): Promise<void> {
  const { rows } = await tx.query(
    `SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS dependent
     FROM pg_depend d
     JOIN pg_class c ON c.oid = $1::oid
     LEFT JOIN pg_type t ON t.oid = c.reltype
     WHERE d.deptype = 'n'
       AND ((d.refclassid = 'pg_class'::regclass
             AND (d.refobjid = c.oid OR d.refobjid IN (SELECT indexrelid FROM pg_index WHERE indrelid = c.oid)))
            OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, t.typarray)))
       -- What belongs to the leaf goes with it.
       AND NOT EXISTS (SELECT FROM pg_depend o
                       WHERE o.classid = d.classid AND o.objid = d.objid AND o.deptype IN ('a', 'i')
                         AND o.refclassid = 'pg_class'::regclass AND o.refobjid = c.oid)
       -- Parts of a constraint on the source go when the leaf is detached.
       AND NOT (d.classid = 'pg_constraint'::regclass
                AND EXISTS (SELECT FROM pg_constraint f
                            WHERE f.oid = d.objid AND (f.conparentid <> 0 OR f.conrelid = c.oid)))
     ORDER BY 1 LIMIT 5`,
    [leaf.oid],
    "dependents",
  );
  if (rows.length === 0) return;
  throw refusedBy(leaf, `${rows.map((row) => String(row["dependent"])).join(", ")} depends on it`, undefined);
}
