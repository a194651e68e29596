/** The DELETEs of a prune: each chunk's rows are judged while the server deletes the next chunk's. */
import type { RawRows } from "../../rows/copy-binary.ts";
import { sortRows } from "../../rows/row-order.ts";
import type { SpareBuffers } from "../../rows/spare-buffers.ts";
import type { Transaction } from "../../postgres/database.ts";
import type { PruneSteps, SealedRows, SourceTable } from "../port.ts";
import { readAtMost } from "./copy-reader.ts";
import { selectionsOf, sqlDelete } from "./sql-text.ts";

/**
 * Deletes the chunks in order; false as soon as one is refused. The rows of two chunks are in memory at most (I10). The
 * statement under way is always waited for: the transaction must be free to roll back (I9).
 */
export async function deleteJudged(
  tx: Transaction,
  source: SourceTable,
  { leaf, predicate, chunks }: SealedRows,
  judge: PruneSteps<Transaction>["judge"],
  spare: SpareBuffers,
): Promise<boolean> {
  const selects = selectionsOf(source);
  let last: { readonly index: number; readonly rows: RawRows } | null = null;
  for (const [index, chunk] of chunks.entries()) {
    // The statement is on its way before the digests of the last chunk are taken.
    const deleting = readAtMost(
      tx,
      sqlDelete(source, leaf, chunk.range, predicate),
      selects,
      chunk,
      "prune",
      spare,
    );
    const judging = isProven(source, last, judge);
    const [deleted, judged] = await Promise.allSettled([deleting, judging]);
    if (judged.status === "rejected") throw judged.reason;
    if (deleted.status === "rejected") throw deleted.reason;
    if (!judged.value || deleted.value === null) return false;
    if (last !== null) spare.give(last.rows.columns);
    last = { index, rows: deleted.value };
  }
  const judged = await isProven(source, last, judge);
  if (last !== null) spare.give(last.rows.columns);
  return judged;
}

async function isProven(
  source: SourceTable,
  chunk: { readonly index: number; readonly rows: RawRows } | null,
  judge: PruneSteps<Transaction>["judge"],
): Promise<boolean> {
  return chunk === null || judge(chunk.index, sortRows(source, chunk.rows));
}
