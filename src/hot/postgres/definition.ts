/** Whether a table is still the one that was looked at. */
import { FirnlineError } from "../../errors.ts";
import type { NewSha256 } from "../../segment/digest.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteTable } from "../../postgres/quote.ts";
import type { TableName } from "../port.ts";
import { readFingerprint } from "./describe.ts";

/** `table` as `only` or `whole` writes it: a partitioned table is locked with all of its partitions. */
export async function lockTable(
  tx: Transaction,
  table: string,
  mode: "ACCESS SHARE" | "ROW EXCLUSIVE" | "SHARE" | "ACCESS EXCLUSIVE",
): Promise<void> {
  await tx.query(`LOCK TABLE ${table} IN ${mode} MODE`, [], "lock");
}

/** Throws `E_SOURCE`. The caller has locked the table (hazard 13). */
export async function requireDefinition(
  tx: Transaction,
  newHash: NewSha256,
  table: TableName & { readonly oid: string },
  fingerprint: string,
): Promise<void> {
  const { rows } = await tx.query("SELECT to_regclass($1)::oid::text AS oid", [quoteTable(table)]);
  const found = await readFingerprint(tx, newHash, table.oid);
  if (rows[0]?.["oid"] === table.oid && found === fingerprint) return;
  throw new FirnlineError({
    code: "E_SOURCE",
    subject: `${table.schema}.${table.name}`,
    problem: "the table's definition changed since this run, or this segment's export, looked at it",
    hint: "Nothing was deleted; run again, and the rows are compared with the new definition",
  });
}
