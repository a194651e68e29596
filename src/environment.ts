/**
 * What the flow works with: ports, time, randomness, limits and a place to report to. `wiring.ts` fills it in; stages
 * and retrievals take it as an argument and know no adapter.
 */
import type { Archive } from "./archive/port.ts";
import type { DetachingLeaves } from "./catalog/detaching.ts";
import type { Holds } from "./catalog/holds.ts";
import type { Catalog } from "./catalog/port.ts";
import type { Restores } from "./catalog/restores.ts";
import type { Upkeep } from "./catalog/upkeep.ts";
import { FirnlineError } from "./errors.ts";
import type { Failpoint } from "./failpoint.ts";
import type { LeafDrop } from "./hot/leaf-drop.ts";
import type { ChunkLimits, Hot } from "./hot/port.ts";
import type { PresentRows } from "./hot/present-rows.ts";
import type { DecodeGroup } from "./parquet/decode-group.ts";
import type { NewSegmentEncoder } from "./parquet/segment-encoder.ts";
import type { Policy } from "./policy/policy.ts";
import type { EpochMs } from "./rows/day.ts";
import type { NewSha256 } from "./segment/digest.ts";

export interface Limits {
  readonly chunk: ChunkLimits;
  readonly rowGroupRowsMax: number;
  readonly rowGroupBytesMax: number;
  /** A segment ends at the first chunk that takes its object past this. */
  readonly segmentBytesMax: number;
  /** Chunks in one deleting transaction. */
  readonly pruneChunksMax: number;
  /** How long one deleting transaction should take, in milliseconds. */
  readonly pruneTargetMs: number;
  readonly deleteRowsMax: number;
  readonly attemptsMax: number;
  /** How long detaching a leaf waits for other transactions, in milliseconds. */
  readonly detachWaitMs: number;
  readonly leaseMs: number;
  /** Partitions that are under way at once, each in another stage. */
  readonly concurrency: number;
  /** While others write: the share of the time that the database may work for a run, above 0; 1 is all of it. */
  readonly paceShare: number;
  /** Others write when they do so often in a second; 0: they always do. */
  readonly paceWrites: number;
}

export interface Clock {
  /** Wall clock: leases, journal entries, restores. Policy ages never use it. */
  now(): EpochMs;
  /** Monotonic, in milliseconds; only differences mean anything. */
  monotonicMs(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Progress {
  readonly stage:
    | "export"
    | "seal"
    | "prune"
    | "pack"
    | "transition"
    | "expire"
    | "lock"
    | "delete"
    | "columns"
    | "restore"
    | "read"
    | "reconcile"
    | "journal"
    | "manifests"
    | "verify"
    | "collect";
  readonly subject: string;
  readonly rows: bigint;
  readonly bytes: bigint;
  /** When more is expected, where it is waited for and something says. */
  readonly nextAt?: EpochMs | null;
}

export interface Environment<Tx> {
  readonly hot: Hot<Tx>;
  readonly leafDrop: LeafDrop<Tx>;
  readonly presentRows: PresentRows;
  readonly catalog: Catalog<Tx>;
  /** The catalog's leaves on their way out. */
  readonly detaching: DetachingLeaves<Tx>;
  /** The catalog's holds, and what keeps a segment besides. */
  readonly holds: Holds;
  /** The catalog as a whole. */
  readonly upkeep: Upkeep;
  /** The catalog's restored copies of cold objects. */
  readonly restores: Restores;
  readonly archive: Archive;
  readonly policy: Policy;
  readonly newHash: NewSha256;
  readonly newUuid: () => string;
  readonly random: (bytes: number) => Uint8Array;
  readonly newEncoder: NewSegmentEncoder;
  readonly decodeGroup: DecodeGroup;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly failpoint: Failpoint;
  /** Smallest object that this archive's cold classes pay for, unless the policy says another. */
  readonly coldBytesMin: bigint;
  /** Name and version of this program; goes into manifests and the journal. */
  readonly writer: string;
  readonly report: (progress: Progress) => void;
}

/** Throws why the run must stop, between two steps that may be left apart. */
export function checkpoint(signal: AbortSignal): void {
  if (!signal.aborted) return;
  if (signal.reason instanceof FirnlineError) throw signal.reason;
  throw new FirnlineError({
    code: "E_INTERRUPTED",
    subject: "run",
    problem: "it was asked to stop",
    hint: "Everything done so far is checkpointed; run again to go on",
  });
}

/** An instant for the journal: RFC 3339 in UTC with milliseconds. */
export function timestamp(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}
