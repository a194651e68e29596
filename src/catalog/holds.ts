/**
 * The catalog's holds, and what keeps a segment besides: locks, legal holds, retrievals. A hold is in force when `place`
 * resolves, whatever run is at work: everything that removes something asks for holds in the transaction that decides it,
 * behind the pipeline's row, which `place` locks. Whoever commits first wins.
 */
import type { DayUtc, EpochMs } from "../rows/day.ts";
import type { SegmentRecord } from "./port.ts";
import type { SegmentLock } from "./segment-lock.ts";

export interface Hold {
  readonly hold: string;
  /** Both included. */
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly reason: string;
  readonly placedBy: string;
  readonly placedAt: EpochMs;
  readonly released: { readonly reason: string; readonly by: string; readonly at: EpochMs } | null;
}

/** Segments of a rule and day that expired, or are about to: no answer has their rows any more. */
export interface ExpiredDays {
  readonly rule: string;
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly segments: number;
  readonly rows: bigint;
}

export interface KeptRecord extends SegmentRecord {
  /** Whether a retrieval reads it. */
  readonly isRead: boolean;
}

/** What is to be locked: ages of the record as `archive.lock` says, at this instant. */
export interface LockWish {
  readonly mode: SegmentLock["mode"];
  readonly keepDays: number;
  readonly now: EpochMs;
}

export interface UnprotectedQuery {
  /** Null: segments need no lock. */
  readonly lock: LockWish | null;
  /** Whether the store has legal holds; if not, the catalog alone keeps what is held. */
  readonly legalHolds: boolean;
  readonly countMax: number;
}

export interface Holds {
  /** Oldest first, released ones too. Empty on a database without the control schema. */
  list(pipeline: string): Promise<Hold[]>;
  /**
   * Puts the hold in force and adds its entry to the outbox. Tells what it came too late for. From then on it is not known
   * whether the segments of its days have a legal hold: each is looked at, whatever was done to it before.
   */
  place(pipeline: string, hold: Omit<Hold, "released">): Promise<Pick<ExpiredDays, "segments" | "rows">>;
  /** Ends a hold and adds that to the outbox. Of its segments the same is not known. `E_INPUT` where it is not in force. */
  release(pipeline: string, hold: string, released: NonNullable<Hold["released"]>): Promise<void>;

  /** Wholly pruned segments that end on or before that day, oldest first. */
  dueForExpiry(pipeline: string, until: DayUtc): Promise<KeptRecord[]>;
  /**
   * Wholly pruned segments whose lock is not known to be long enough, and all segments whose legal hold is not what the
   * holds want; oldest first.
   */
  unprotected(pipeline: string, query: UnprotectedQuery): Promise<KeptRecord[]>;
  /** Of the segments with one of these days, all that are in the archive; their number and rows. */
  archived(pipeline: string, dayFrom: DayUtc, dayTo: DayUtc): Promise<Pick<ExpiredDays, "segments" | "rows">>;
  /** What the store was seen to have on both objects, as the record names them; another version's is not known. */
  protectionSeen(
    pipeline: string,
    record: SegmentRecord,
    seen: { readonly lock: SegmentLock | null; readonly isHeld: boolean | null },
  ): Promise<void>;
  /** Segments with one of these days that expired, or are about to, without `except`. */
  expired(
    pipeline: string,
    dayFrom: DayUtc,
    dayTo: DayUtc,
    except: readonly string[],
  ): Promise<ExpiredDays[]>;
}
