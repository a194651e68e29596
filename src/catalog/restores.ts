/**
 * Restored copies of cold objects, as the catalog remembers them: who asked for which, when, how, and what became of it.
 * The store's HEAD says how a copy is; this says that it was asked for, so that nobody asks and pays twice.
 *
 *     asked -> restoring -> readable -> expired
 *       \\---------\\----------> failed
 *
 * `asked` is committed, and its journal entry with it, before the store is touched. Of one segment at most one is under
 * way, that is asked, restoring or readable. Nobody needs a lease for these: a row's lock decides who asks the store.
 */
import type { DayUtc, EpochMs } from "../rows/day.ts";
import type { JournalEvent } from "../segment/journal.ts";

export type RestoreTier = Extract<JournalEvent, { type: "restored" }>["tier"];
export type RestoreState = "asked" | "restoring" | "readable" | "expired" | "failed";
export const RESTORES_UNDER_WAY = [
  "asked",
  "restoring",
  "readable",
] as const satisfies readonly RestoreState[];

export interface RestoreRecord {
  readonly id: bigint;
  readonly segment: string;
  readonly rule: string;
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly storageClass: string;
  readonly bytes: bigint;
  /** Who asked; of one that was found under way, who found it. */
  readonly requestedBy: string;
  readonly requestedAt: EpochMs;
  readonly retrieval: string | null;
  /** Null where the store was at it already when it was first looked at. */
  readonly tier: RestoreTier | null;
  readonly days: number | null;
  readonly state: RestoreState;
  /** When it became readable; before that when it is expected to, null where nothing says. */
  readonly readyAt: EpochMs | null;
  /** When the copy goes away, once it is readable. */
  readonly until: EpochMs | null;
  readonly error: string | null;
}

export interface RestoreRequest {
  readonly requestedBy: string;
  /** Null where copies are asked for alone, to be read later. */
  readonly retrieval: string | null;
  readonly tier: RestoreTier;
  readonly days: number;
  readonly now: EpochMs;
}

export interface CopyOf {
  readonly segment: string;
  readonly storageClass: string;
  readonly bytes: bigint;
}

export interface CopySeen {
  readonly state: RestoreState;
  readonly readyAt: EpochMs | null;
  readonly until: EpochMs | null;
  readonly error: string | null;
}

export interface Restores {
  /** Those under way, by their segments. */
  underWay(pipeline: string): Promise<Map<string, RestoreRecord>>;
  /** Newest first, those that have ended too. */
  list(pipeline: string, countMax: number): Promise<RestoreRecord[]>;
  /**
   * Records what the store is about to be asked for, and its journal entry: copies of `fresh`, without those that are
   * under way by now, and a longer stay of `longer`. Returns the segments of `fresh` that are this request's.
   */
  ask(
    pipeline: string,
    request: RestoreRequest,
    fresh: readonly (CopyOf & { readonly readyAt: EpochMs | null })[],
    longer: readonly CopyOf[],
  ): Promise<Set<string>>;
  /**
   * Calls `work` for those of the segments that are `asked` and that nobody else is at, some at a time, and records what
   * it returns. What it throws leaves them as they are.
   */
  handOver(
    pipeline: string,
    segments: readonly string[],
    work: (record: RestoreRecord) => Promise<CopySeen>,
  ): Promise<void>;
  /** Of a copy that was known in this state: how it is now. Changes nothing if somebody else has seen it since. */
  saw(known: Pick<RestoreRecord, "id" | "state">, seen: CopySeen): Promise<void>;
  /** A copy that the store is at, and of which nothing is recorded. */
  found(pipeline: string, request: RestoreRequest, copy: CopyOf, seen: CopySeen): Promise<void>;
}
