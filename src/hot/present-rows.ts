/** What the table holds now of rows that are archived: read only, for whoever has to find out where rows are. */
import type { RawRows } from "../rows/copy-binary.ts";
import type { LeafName } from "../segment/partition-key.ts";
import type { ChunkDelete, Leaf, SealedRows, SourceTable } from "./port.ts";

export interface PresentRows {
  /**
   * Rows in a chunk's range and under its predicate, in the order of its digests. Null where they cannot be its own: there
   * are more than its limits allow, or the leaf is defined otherwise by now.
   */
  ofChunk(
    source: SourceTable,
    sealed: Pick<SealedRows, "leaf" | "fingerprint" | "predicate">,
    chunk: ChunkDelete,
  ): Promise<RawRows | null>;
  /** Whether the table is still there, a partition of anything or not. */
  isThere(leaf: LeafName | Leaf): Promise<boolean>;
}
