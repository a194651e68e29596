/** How large the table is, for an estimate: cheap on any size. */
import type { Transaction } from "../../postgres/database.ts";
import type { SourceTable, TableSize } from "../port.ts";

/** Up to here counting takes about a second; above, the planner is asked what it believes. */
const COUNTED_BYTES_MAX = 256n * 1024n * 1024n;

/** The caller has locked `table`, which `rowsOf` wrote. */
export async function readTableSize(
  tx: Transaction,
  source: SourceTable,
  table: string,
  countedBytesMax = COUNTED_BYTES_MAX,
): Promise<TableSize> {
  const size = await tx.query(
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::text AS bytes FROM unnest($1::oid[]) AS oid",
    [source.leaves.map(({ oid }) => oid)],
    "table size",
  );
  const bytes = BigInt(size.rows[0]?.["bytes"] as string);
  if (bytes <= countedBytesMax) {
    const { rows } = await tx.query(`SELECT count(*)::text AS rows FROM ${table}`, [], "table size");
    return { bytes, rows: BigInt(rows[0]?.["rows"] as string), isCounted: true };
  }
  // Unlike `reltuples` this knows how many pages the table has by now, and guesses where it was never analyzed.
  const { rows } = await tx.query(`EXPLAIN (FORMAT JSON) SELECT FROM ${table}`, [], "table size");
  const plan = rows[0]?.["QUERY PLAN"] as readonly { readonly Plan: { readonly "Plan Rows": number } }[];
  return { bytes, rows: BigInt(Math.round(plan[0]?.Plan["Plan Rows"] ?? 0)), isCounted: false };
}
