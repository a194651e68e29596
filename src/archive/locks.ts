/**
 * Object Lock as the port promises it, for adapters that have no store of their own to ask, and the refusals that all
 * word alike. Pure. Source: S3 user guide, "Locking objects with Object Lock".
 */
import { FirnlineError } from "../errors.ts";
import type { EpochMs } from "../rows/day.ts";
import type { Retention } from "./port.ts";
import type { Where } from "./refusals.ts";

export interface LockState {
  readonly retention: Retention | null;
  readonly isHeld: boolean;
}

export const UNLOCKED: LockState = { retention: null, isHeld: false };

/** The lock after `wanted` was asked for; the same object where it is strong enough already. */
export function lengthened(current: Retention | null, wanted: Retention): Retention {
  if (current === null) return wanted;
  const isWeaker = wanted.mode === "GOVERNANCE" && current.mode === "COMPLIANCE";
  const mode = isWeaker ? current.mode : wanted.mode;
  const until = wanted.until > current.until ? wanted.until : current.until;
  return mode === current.mode && until === current.until ? current : { mode, until };
}

/** Throws `E_ARCHIVE` where a lock or a legal hold stands against removing a version at `now`. */
export function assertRemovable({ op, key }: Where, { retention, isHeld }: LockState, now: EpochMs): void {
  if (isHeld) {
    throw new FirnlineError({
      code: "E_ARCHIVE",
      subject: key,
      problem: "a legal hold is on it",
      hint: "Nothing was removed; `firnline hold list` says which holds there are",
      op,
      key,
    });
  }
  if (retention === null || retention.until <= now) return;
  throw new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `it is locked until ${new Date(retention.until).toISOString()} (${retention.mode})`,
    hint: "Nothing was removed; it can go when the lock has ended",
    op,
    key,
  });
}

/** A lock was asked of a store that has none. */
export function noLocks({ op, key }: Where): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: "this archive cannot lock objects",
    hint: "Leave archive.lock out of the policy, or use a bucket with Object Lock",
    op,
    key,
  });
}
