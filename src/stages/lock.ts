/**
 * Locks and legal holds in the store. With `archive.lock` a segment's object and manifest are locked before the first of its
 * rows leaves Postgres, and a HEAD must show it; under a hold both get a legal hold besides, where the store has any. What
 * is there stays: a lock is lengthened and never shortened, a legal hold comes off when no hold has its days any more.
 *
 * The catalog remembers what was seen. It is a cache: what is too short by it is looked at again.
 */
import { manifestLocator, objectLocator } from "../archive/locators.ts";
import { type Archive, type Locator, type ObjectHead, type Retention, VAULT_CLASS } from "../archive/port.ts";
import { differs } from "../archive/read-object.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import { lockEnd } from "../plan/expiry.ts";
import { holdOver } from "../plan/holds.ts";
import type { Policy } from "../policy/policy.ts";
import type { EpochMs } from "../rows/day.ts";

type Keeper<Tx> = Pick<Environment<Tx>, "archive" | "clock" | "holds" | "policy">;

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
/** Holds that come and go while one segment is looked at. */
const ATTEMPTS_MAX = 5;

/** The lock of a journal entry that is written now, to a whole second; null where the policy has none. */
export function entryLock<Tx>({
  clock,
  policy,
}: Pick<Environment<Tx>, "clock"> & { readonly policy: Pick<Policy, "archive"> }): Retention | null {
  const { lock } = policy.archive;
  if (lock === null) return null;
  const end = clock.now() + lock.keepDays * DAY_MS;
  return { mode: lock.mode, until: (Math.ceil(end / SECOND_MS) * SECOND_MS) as EpochMs };
}

/** What a policy with a lock is refused for on a store without locks; null for nothing. */
export async function lockFinding(archive: Archive, policy: Policy): Promise<FirnlineError | null> {
  if (policy.archive.lock === null || (await archive.traits()).locks) return null;
  return new FirnlineError({
    code: "E_BUCKET",
    subject: archive.url,
    problem: "the policy wants its objects locked, and this store has no Object Lock",
    hint: "Use a bucket with Object Lock (it is turned on when the bucket is made), or leave archive.lock out of the policy",
  });
}

/** The lock that a segment's objects must have at least; null where there is none, or its end has passed. */
export function wantedLock<Tx>(
  { clock, policy }: Pick<Environment<Tx>, "clock" | "policy">,
  { dayTo }: Pick<SegmentRecord, "dayTo">,
): Retention | null {
  const { lock } = policy.archive;
  const until = lock === null ? null : lockEnd(lock, dayTo, clock.now());
  return lock === null || until === null ? null : { mode: lock.mode, until };
}

/** What a new object needs that takes the place of these: the longest of their locks that have not ended, in the strongest mode. */
export async function lockOfAll<Tx>(
  { archive, clock, policy }: Pick<Environment<Tx>, "archive" | "clock" | "policy">,
  records: readonly SegmentRecord[],
): Promise<Retention | null> {
  if (!(await archive.traits()).locks) return null;
  let all: Retention | null = null;
  for (const record of records) {
    // The catalog may have forgotten what it saw: a rebuild does.
    for (const place of [objectLocator(policy.pipeline, record), manifestLocator(policy.pipeline, record)]) {
      const retention = (await archive.head(place))?.retention ?? null;
      if (retention !== null && retention.until > clock.now()) all = strongest(all, retention);
    }
  }
  return all;
}

function strongest(left: Retention | null, right: Retention | null): Retention | null {
  if (left === null || right === null) return left ?? right;
  const mode = left.mode === "COMPLIANCE" ? left.mode : right.mode;
  return { mode, until: left.until > right.until ? left.until : right.until };
}

export function isLocked(found: Retention | null, wanted: Retention | null): boolean {
  if (wanted === null) return true;
  if (found === null || found.until < wanted.until) return false;
  return found.mode === wanted.mode || found.mode === "COMPLIANCE";
}

/**
 * Puts right what keeps a segment's object and manifest: lock and legal hold, each proven by a HEAD. Idempotent. The lock is
 * what the policy says, and `atLeast` this one. Throws `E_BUCKET` where the store does not show what it was asked for,
 * `E_VERIFY` where an object is gone. Returns whether a legal hold went on or came off.
 */
export async function protectSegment<Tx>(
  environment: Keeper<Tx>,
  record: SegmentRecord,
  atLeast: Retention | null = null,
): Promise<boolean> {
  if (record.state === "expired" || record.state === "abandoned") return false;
  // Nothing that is on its way out is locked any more.
  const isLeaving = record.state === "expiring";
  const wanted = isLeaving ? null : strongest(wantedLock(environment, record), atLeast);
  let isHeld = await wantsLegalHold(environment, record);
  // Without either nothing is asked of the store; where it has no legal holds, the catalog alone keeps what is held.
  if (wanted === null && isHeld === record.isHeld) return false;
  if (wanted === null && !(await environment.archive.traits()).locks) return false;
  let isChanged = false;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    isChanged = (await protectOnce(environment, record, { wanted, isHeld })) || isChanged;
    // A hold may have been placed or released meanwhile: the later of the two has the last word.
    const isHeldNow = await wantsLegalHold(environment, record);
    if (isHeldNow === isHeld) break;
    isHeld = isHeldNow;
  }
  return isChanged;
}

async function protectOnce<Tx>(
  environment: Keeper<Tx>,
  record: SegmentRecord,
  { wanted, isHeld }: Wanted,
): Promise<boolean> {
  const { archive, policy } = environment;
  const [object, manifest] = [
    objectLocator(policy.pipeline, record),
    manifestLocator(policy.pipeline, record),
  ];
  // A vault has no locks: the catalog alone keeps what lies there.
  const isVaulted = record.storageClass === VAULT_CLASS;
  const seen: ObjectHead[] = [];
  let changed = 0;
  if (!isHeld && record.isHeld !== false) {
    changed += await releaseVersions(archive, object, isVaulted);
    changed += await releaseVersions(archive, manifest, false);
  }
  for (const place of isVaulted ? [manifest] : [object, manifest]) {
    const head = await archive.head(place);
    if (head !== null) {
      seen.push(await putRight(archive, place, head, { wanted, isHeld }));
      if (head.isHeld !== isHeld) changed += 1;
    }
    // Of what is superseded, or leaves, nothing is needed any more; `collect` may have been here.
    else if (record.state !== "superseded" && record.state !== "expiring") {
      throw differs(place.key, "it is gone");
    }
  }
  await remember(environment, record, seen, isHeld);
  return changed > 0;
}

/** For an object whose HEAD was just taken, right before rows go that nothing else has. */
export async function requireLock<Tx>(
  environment: Keeper<Tx>,
  record: SegmentRecord,
  head: ObjectHead,
): Promise<void> {
  const wanted = wantedLock(environment, record);
  if (isLocked(head.retention, wanted)) return;
  await putRight(environment.archive, head, head, { wanted, isHeld: head.isHeld });
}

async function wantsLegalHold<Tx>(
  { archive, holds, policy }: Keeper<Tx>,
  { dayFrom, dayTo }: SegmentRecord,
): Promise<boolean> {
  const inForce = (await holds.list(policy.pipeline)).filter(({ released }) => released === null);
  if (holdOver(inForce, dayFrom, dayTo) === null) return false;
  return (await archive.traits()).locks;
}

interface Wanted {
  readonly wanted: Retention | null;
  readonly isHeld: boolean;
}

async function putRight(
  archive: Archive,
  place: Locator,
  head: ObjectHead,
  { wanted, isHeld }: Wanted,
): Promise<ObjectHead> {
  const isShort = !isLocked(head.retention, wanted);
  if (!isShort && head.isHeld === isHeld) return head;
  const version = { key: place.key, versionId: head.versionId };
  if (isShort && wanted !== null) await archive.retain(version, wanted);
  if (head.isHeld !== isHeld) await archive.hold(version, isHeld);
  const after = await archive.head(version);
  if (after !== null && isLocked(after.retention, wanted) && after.isHeld === isHeld) return after;
  throw notShown(place.key, isShort ? "lock" : "legal hold");
}

/**
 * An older version that a copy left behind has its legal hold still, and `collect` could not remove it; of what went into a
 * vault, that is the bucket's current one. Returns how many it came off.
 */
async function releaseVersions(archive: Archive, { key }: Locator, current: boolean): Promise<number> {
  let released = 0;
  for await (const { isCurrent, isDeleteMarker, key: its, versionId } of archive.listVersions(key)) {
    if (its !== key || isDeleteMarker || (isCurrent && !current)) continue;
    const head = await archive.head({ key, versionId });
    if (head?.isHeld !== true) continue;
    await archive.hold({ key, versionId }, false);
    released += 1;
  }
  return released;
}

/** The weaker of the two counts for both. */
async function remember<Tx>(
  { holds, policy }: Keeper<Tx>,
  record: SegmentRecord,
  seen: readonly ObjectHead[],
  isHeld: boolean,
): Promise<void> {
  const locks = seen.map(({ retention }) => retention);
  const weakest = locks.reduce<Retention | null>(
    (left, right) => (left === null || right === null ? null : isLocked(right, left) ? left : right),
    locks[0] ?? null,
  );
  await holds.protectionSeen(policy.pipeline, record, { lock: weakest, isHeld });
}

function notShown(key: string, what: string): FirnlineError {
  return new FirnlineError({
    code: "E_BUCKET",
    subject: key,
    problem: `the store took the ${what} and does not show it`,
    hint: "No row was deleted. Does the bucket have Object Lock, and may this role read and write it? See `firnline doctor`",
    key,
  });
}
