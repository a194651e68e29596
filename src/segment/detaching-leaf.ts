/** A leaf on its way out of the source, as the catalog remembers it until its table is dropped. */
import type { EpochMicros } from "../rows/day.ts";
import type { LeafName } from "./partition-key.ts";

export interface DetachingLeaf extends LeafName {
  /** The table that it is, or was, a partition of. */
  readonly parent: { readonly schema: string; readonly name: string };
  /** As `pg_get_expr` prints it, to attach the leaf again. */
  readonly bound: string;
  /** Every row's time is in here: `from` is in, `to` is not. */
  readonly range: { readonly from: EpochMicros; readonly to: EpochMicros };
}
