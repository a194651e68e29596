/** What goes into a plan, and what comes out of it. */
import type { FirnlineError } from "../errors.ts";
import type { AppliedPolicy } from "../policy/journaled.ts";
import type { Policy } from "../policy/policy.ts";
import type { DayUtc, EpochMicros, EpochMs } from "../rows/day.ts";
import type { LeafName, PartitionKey } from "../segment/partition-key.ts";
import type { SegmentState } from "../segment/state.ts";
import type { PlannedHold } from "./holds.ts";

export type Stage =
  | "abandon"
  | "reconcile"
  | "export"
  | "seal"
  | "prune"
  | "drop"
  | "rewrite"
  | "pack"
  | "transition"
  | "expire"
  | "lock"
  | "delete";

export interface Step {
  /** What will be done to this partition or segment, in order. */
  readonly stages: readonly Stage[];
  /** Null where the source is a plain table. */
  readonly leaf: LeafName | null;
  readonly rule: string;
  readonly day: DayUtc;
  /** Whether the rows are in the archive already, and are exported anew in place of that. */
  readonly replaces: boolean;
  /** The segment that is taken up again; null for rows that are not in any segment yet. */
  readonly segment: string | null;
  /** The segments that become one. */
  readonly packs?: readonly string[];
  readonly rows: bigint;
  /** Estimated bytes in the table for rows that leave it, else the bytes of the object. */
  readonly bytes: bigint;
  readonly reason: string;
}

/** Something that is due and will not be done, with the reason. */
export interface Held {
  readonly leaf: LeafName | null;
  readonly rule: string;
  readonly day: DayUtc;
  readonly rows: bigint;
  readonly reason: string;
  /** Whether nothing will happen until a person does something. */
  readonly needsPerson: boolean;
}

export interface Plan {
  readonly asOf: EpochMicros;
  readonly steps: readonly Step[];
  readonly held: readonly Held[];
  /** Why a run would refuse to start. Empty: it would go. */
  readonly blockers: readonly FirnlineError[];
}

/** What the plan needs to know of a segment; the catalog's record has it. */
export interface PlannedSegment {
  readonly segment: string;
  readonly state: SegmentState;
  readonly leaf: LeafName | null;
  readonly rule: string;
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly rows: bigint;
  readonly replaces: boolean;
  readonly rowsUnpruned: bigint;
  readonly rowsQuarantined: bigint;
  readonly rowsUnknown: bigint;
  readonly object: { readonly bytes: bigint } | null;
  /** When its object was tagged for the bucket's rule to move it. */
  readonly taggedAt?: EpochMs | null;
  /** Segments of one shape can be packed into one; null where it is not known. */
  readonly shape?: string | null;
}

/** What the plan needs to know of a wholly pruned segment that may expire, or that is to be locked. */
export interface KeptSegment extends PlannedSegment {
  /** What ages were counted from when it was archived; null where nobody knows. */
  readonly archivedAsOf: EpochMicros | null;
  /** Its Object Lock, and whether a legal hold is on it, as far as the catalog knows; null: it does not. */
  readonly lock: { readonly until: EpochMs } | null;
  readonly isHeld: boolean | null;
  /** Whether a retrieval reads it. */
  readonly isRead: boolean;
}

/** What the plan needs to know of a leaf. */
export interface PlannedLeaf {
  readonly leaf: LeafName;
  /** Every row's time is in here; null where the bounds say nothing about it, as with hashes and DEFAULT partitions. */
  readonly range: { readonly from: EpochMicros; readonly to: EpochMicros } | null;
  /** Whether this role may drop it. */
  readonly canDrop: boolean;
  /** Whether an earlier run began to take it out of the table. */
  readonly isDetaching: boolean;
}

export interface PlanInput {
  readonly policy: Policy;
  readonly asOf: EpochMicros;
  readonly inventory: {
    readonly partitions: readonly (PartitionKey & { readonly rows: bigint })[];
    readonly rowBytes: number;
  };
  /** The leaves of a partitioned source. */
  readonly leaves?: readonly PlannedLeaf[];
  /** Without a key no row can be named, and only whole leaves go. True unless said otherwise. */
  readonly hasKey?: boolean;
  readonly catalog: {
    readonly unfinished: readonly PlannedSegment[];
    readonly dueForRewrite: readonly PlannedSegment[];
    readonly dueForCold: readonly PlannedSegment[];
    readonly archived: readonly PartitionKey[];
    readonly everMoved: boolean;
    /** Wholly pruned segments that are old enough to expire by any rule. */
    readonly dueForExpiry?: readonly KeptSegment[];
    /** Segments whose lock is too short, or whose legal hold is not what the holds want. */
    readonly unprotected?: readonly KeptSegment[];
    /** In force, oldest first. */
    readonly holds?: readonly PlannedHold[];
  };
  /** Smallest object that is worth a cold class in this store, unless the policy says another. */
  readonly coldBytesMin: bigint;
  /** Tagged segments that the store was asked for, and that the bucket's rule has not moved yet. */
  readonly waiting?: ReadonlySet<string>;
  /** The wall clock, which they wait by; `asOf` unless said otherwise. */
  readonly now?: EpochMicros;
  /** `--backfill`: a first run may move more than `FIRST_RUN_DAYS_MAX` days. */
  readonly backfill: boolean;
  /** The policy as last applied and journaled; null before the first run. */
  readonly previous?: AppliedPolicy | null;
  /** `--confirm-sooner`: the owner knows that the policy lets go of rows sooner than the last one did. */
  readonly confirmSooner?: boolean;
  /** `--retry-quarantined`: rows that changed again and again are exported anew once more. */
  readonly retryQuarantined?: boolean;
}
