/** What keeps a segment, as the catalog remembers it. */
import type { EpochMicros, EpochMs } from "../rows/day.ts";

/** An Object Lock. */
export interface SegmentLock {
  readonly mode: "GOVERNANCE" | "COMPLIANCE";
  readonly until: EpochMs;
}

export interface SegmentKeeping {
  /** What ages were counted from when it was archived; null where nobody knows. */
  readonly archivedAsOf: EpochMicros | null;
  /** The Object Lock and the legal hold that object and manifest were last seen to have; null: nobody has looked. */
  readonly lock: SegmentLock | null;
  readonly isHeld: boolean | null;
}
