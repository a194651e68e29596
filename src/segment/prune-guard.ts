/**
 * The last word before a COMMIT that deletes rows (I1): the rows that the DELETE itself returned, in key order, must
 * have exactly the digests that the sealed manifest holds. Pure; the transaction is `stages/prune.ts`.
 */
import type { Manifest } from "./manifest.ts";
import { columnName, firstDifference } from "./seal-verdict.ts";

export interface DeletedChunk {
  readonly rows: number;
  /** Column digests of the returned rows, with the manifest's salts. */
  readonly digests: readonly string[];
}

export type PruneVerdict =
  | { readonly verdict: "proven" }
  | {
      readonly verdict: "drift";
      readonly rowsArchived: number;
      readonly rowsFound: number;
      readonly reason: string;
    };

export function pruneVerdict(manifest: Manifest, chunkIndex: number, deleted: DeletedChunk): PruneVerdict {
  const chunk = manifest.chunks[chunkIndex];
  const drift = (reason: string): PruneVerdict => ({
    verdict: "drift",
    rowsArchived: chunk?.rows ?? 0,
    rowsFound: deleted.rows,
    reason,
  });
  if (chunk === undefined) return drift(`the manifest has no chunk ${chunkIndex}`);
  if (deleted.rows !== chunk.rows) {
    const more = deleted.rows - chunk.rows;
    return drift(
      more > 0
        ? `${more} ${more === 1 ? "row" : "rows"} came in after the export`
        : `${-more} ${more === -1 ? "row is" : "rows are"} gone since the export`,
    );
  }
  const column = firstDifference(chunk, deleted.digests);
  if (column !== null) return drift(`column ${columnName(manifest, column)} changed since the export`);
  return { verdict: "proven" };
}
