/** A journal entry that is decided and has no number yet. */
import type { UnnumberedEntry } from "../segment/journal.ts";

export interface PendingEntry extends UnnumberedEntry {
  readonly id: bigint;
  /** What deletions find it by, to add to it (`growthKey`); null: it is closed, and stays as it is. */
  readonly growsBy: string | null;
}
