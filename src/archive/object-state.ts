/**
 * What is recorded beside an object's bytes: its storage class, its tags and its restored copy. Pure;
 * adapters that have no store of their own to ask (file, memory) keep a record of this and the clock decides
 * what it means.
 *
 *     instant class ---------------------------------------------> readable, no end
 *     archived --restore--> restoring --readyAt--> readable --until--> archived
 *
 * A copy is asked for once: another request while it is under way changes nothing, one while it is readable
 * can only lengthen it, so that no reader loses the copy that it counts on.
 */
import { FirnlineError, invariant } from "../errors.ts";
import type { EpochMs } from "../rows/day.ts";
import { type Access, CLASSES_THAT_NEED_RESTORE, type RestoreTier } from "./port.ts";

export const STORAGE_CLASS_DEFAULT = "STANDARD";
export const RESTORE_DAYS_MAX = 3650;
/** S3's limits on tags. All adapters hold them, so that nothing passes a test that a bucket refuses. */
export const TAGS_MAX = 10;
const TAG_KEY = /^(?!aws:)[\p{L}\p{N} _.:/=+@-]{1,128}$/u;
const TAG_VALUE = /^[\p{L}\p{N} _.:/=+@-]{0,256}$/u;
const STORAGE_CLASS = /^[A-Za-z0-9_-]{1,64}$/;
const MS_PER_DAY = 86_400_000;

export interface RestoredCopy {
  readonly readyAt: EpochMs;
  readonly until: EpochMs;
}

export interface ObjectState {
  readonly storageClass: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly restored: RestoredCopy | null;
}

/** How long a restore takes, in milliseconds, where there is no real cold store behind. */
export interface RestoreDelays {
  readonly restoreDelayMs: number;
  readonly restoreDelayByTier?: Readonly<Partial<Record<RestoreTier, number>>>;
}

export interface RestoreRequest {
  readonly days: number;
  readonly tier: RestoreTier;
}

/** The state of a new object. Throws `E_INTERNAL` where the class is not a name. */
export function newState(storageClass = STORAGE_CLASS_DEFAULT): ObjectState {
  invariant(
    STORAGE_CLASS.test(storageClass),
    "storage class",
    `${JSON.stringify(storageClass)} is not a name`,
  );
  return { storageClass, tags: {}, restored: null };
}

export function accessOf(state: ObjectState, now: EpochMs): Access {
  if (!CLASSES_THAT_NEED_RESTORE.has(state.storageClass)) return { state: "readable", until: null };
  if (state.restored === null || now >= state.restored.until) return { state: "archived" };
  if (now < state.restored.readyAt) return { state: "restoring", readyAt: state.restored.readyAt };
  return { state: "readable", until: state.restored.until };
}

/** Throws `E_COLD` unless the bytes can be read at `now`; `retryable` once a copy is under way. */
export function assertReadable(op: string, key: string, state: ObjectState, now: EpochMs): void {
  const access = accessOf(state, now);
  if (access.state === "readable") return;
  const restoring = access.state === "restoring";
  const ready = restoring && access.readyAt !== null ? new Date(access.readyAt).toISOString() : "later";
  throw new FirnlineError({
    code: "E_COLD",
    subject: key,
    problem: restoring
      ? `the object is in ${state.storageClass} and its restored copy is not ready before ${ready}`
      : `the object is in ${state.storageClass} and must be restored before it can be read`,
    hint: restoring
      ? "Wait for the copy (`firnline restores` shows when it is ready), then do the same again"
      : "Ask for a restored copy first (`firnline retrieve` shows cost and time), then do the same again",
    op,
    key,
    retryable: restoring,
  });
}

/**
 * The state after a request for a readable copy of `days` whole days; the same object where nothing changes.
 * Throws what `checkRestore` throws.
 */
export function withRestore(
  key: string,
  state: ObjectState,
  request: RestoreRequest,
  now: EpochMs,
  delays: RestoreDelays,
): ObjectState {
  const { days, tier } = request;
  checkDays(key, days);
  const access = accessOf(state, now);
  if (access.state === "restoring") return state;
  if (access.state === "readable") {
    const until = restoredUntil(now, days);
    if (state.restored === null || access.until === null || until <= access.until) return state;
    return { ...state, restored: { ...state.restored, until } };
  }
  checkRestore(key, state.storageClass, request);
  const readyAt = (now + (delays.restoreDelayByTier?.[tier] ?? delays.restoreDelayMs)) as EpochMs;
  return { ...state, restored: { readyAt, until: restoredUntil(readyAt, days) } };
}

/** Throws `E_INTERNAL` on days that are not 1 to 3650, `E_ARCHIVE` on a tier that the class does not have. */
export function checkRestore(key: string, storageClass: string, { days, tier }: RestoreRequest): void {
  checkDays(key, days);
  if (storageClass !== "DEEP_ARCHIVE" || tier !== "Expedited") return;
  throw new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: "DEEP_ARCHIVE has no Expedited restore",
    hint: "Ask for the tier Standard or Bulk",
    op: "archive.restore",
    key,
  });
}

function checkDays(key: string, days: number): void {
  invariant(
    Number.isInteger(days) && days >= 1 && days <= RESTORE_DAYS_MAX,
    key,
    `a restored copy is kept 1 to ${RESTORE_DAYS_MAX} days, not ${days}`,
  );
}

/** When a copy that is ready at `instant` goes away. S3's rule: add the days, then go on to the next midnight UTC. */
export function restoredUntil(instant: number, days: number): EpochMs {
  return ((Math.floor(instant / MS_PER_DAY) + days + 1) * MS_PER_DAY) as EpochMs;
}

/**
 * The state in another class; the same object where it is there already. Moving an object means reading it,
 * so that `E_COLD` is thrown where that needs a restore first; the restored copy does not move along.
 */
export function withClass(key: string, state: ObjectState, storageClass: string, now: EpochMs): ObjectState {
  const target = newState(storageClass).storageClass;
  if (target === state.storageClass) return state;
  assertReadable("archive.setClass", key, state, now);
  return { ...state, storageClass: target, restored: null };
}

/** Adds or replaces tags, in order of their names. Throws `E_ARCHIVE` where S3's limits are passed. */
export function withTags(
  key: string,
  state: ObjectState,
  tags: Readonly<Record<string, string>>,
): ObjectState {
  const merged = new Map(Object.entries(state.tags));
  for (const [name, value] of Object.entries(tags)) {
    if (!TAG_KEY.test(name) || !TAG_VALUE.test(value)) {
      throw tagRefusal(
        key,
        `the tag ${JSON.stringify(name)}=${JSON.stringify(value)} is not one that S3 takes`,
      );
    }
    merged.set(name, value);
  }
  if (merged.size > TAGS_MAX) throw tagRefusal(key, `the object would have ${merged.size} tags`);
  const sorted = [...merged].sort(([a], [b]) => (a < b ? -1 : 1));
  const unchanged = sorted.every(([name, value]) => state.tags[name] === value);
  if (unchanged && sorted.length === Object.keys(state.tags).length) return state;
  return { ...state, tags: Object.fromEntries(sorted) };
}

function tagRefusal(key: string, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem,
    hint: `Use at most ${TAGS_MAX} tags, names to 128 and values to 256 letters, digits, spaces and _.:/=+-@`,
    op: "archive.tag",
    key,
  });
}
