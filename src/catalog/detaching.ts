/**
 * What the catalog knows of leaves on their way out: detached from the source, or about to be, and still holding rows.
 * A leaf is listed before it is detached and forgotten in the transaction that drops it, so that a reader's snapshot
 * shows each of its rows exactly once: in the table, in the listed leaf, or in the archive (I2).
 *
 * A leaf that is listed and attached stays listed: the statement that detaches it may still be at work in the server,
 * though its run is dead or was taken over. Readers do no harm by looking.
 */
import type { DetachingLeaf } from "../segment/detaching-leaf.ts";
import type { Lease, SegmentRecord } from "./port.ts";

export interface DetachingLeaves<Tx> {
  /** Within the caller's snapshot. Empty on a database without the control schema. */
  list(tx: Tx, pipeline: string): Promise<DetachingLeaf[]>;
  /** Before a leaf is detached. One that is listed already is listed as it is now. */
  add(lease: Lease, leaf: DetachingLeaf): Promise<void>;
  /** Locks the entry for this transaction. False: the leaf was dropped, by a COMMIT whose reply was lost. */
  lock(tx: Tx, lease: Lease, oid: string): Promise<boolean>;
  /** The leaf is dropped in this transaction; checks the lease, the COMMIT follows. */
  dropped(tx: Tx, lease: Lease, oid: string): Promise<void>;
  /** Segments of the leaf with rows that are still in it, or may be. */
  openSegments(pipeline: string, oid: string): Promise<SegmentRecord[]>;
}
