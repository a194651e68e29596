/**
 * collect: removes objects that nothing names any more. Segments that are wholly superseded, and uploads that were given
 * up or that no catalog knows, and versions that the journal does not pin: an object goes when it was garbage in two listings, the recovery window apart, and no
 * retrieval reads it (hazards 5 and 24).
 *
 * The journal decides what is garbage, and a listing is trusted for what it shows and never for what it lacks: if an object
 * that must be there is missing from it, nothing is removed (fault 32).
 *
 * Commit point: the journal entry `collected`, before the first of its objects goes. A crash after it leaves objects that
 * the journal calls collected; the next collect removes them.
 */
import { requireOwner } from "../catalog/owner.ts";
import type { Lease } from "../catalog/port.ts";
import type { SeenGarbage } from "../catalog/upkeep.ts";
import { readHistory } from "../archived/walk-journal.ts";
import { checkpoint, type Environment } from "../environment.ts";
import { FirnlineError, invariant } from "../errors.ts";
import type { EpochMs } from "../rows/day.ts";
import { segmentOfKey } from "../segment/archive-keys.ts";
import { type History, isPinnedBy } from "../segment/history.ts";
import type { JournalHead } from "../segment/journal.ts";
import { Journal } from "../stages/journal.ts";
import { type LeaseRequest, startHeartbeat, takeLease } from "../stages/lease.ts";
import { listGarbage } from "./garbage.ts";
import { keptObjects } from "./kept-objects.ts";

export interface CollectOptions extends LeaseRequest {
  /** Look, and change nothing. */
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
}

export interface Amount {
  readonly objects: number;
  readonly bytes: bigint;
}

export interface CollectResult {
  /** Removed, or to be removed where it was a dry run. */
  readonly removed: Amount;
  /** Garbage that was not seen for long enough. */
  readonly waiting: Amount;
  /** Garbage that a retrieval reads. */
  readonly pinned: Amount;
  /** Garbage of days that a hold has, and such as is locked in the store. */
  readonly kept: Amount;
  /** Temporary files and unfinished uploads of processes that are gone. */
  readonly uploads: Amount;
  /** Objects in the pipeline's folders that are not of Firnline's making. */
  readonly foreign: number;
  /** Retrievals that never told how they ended; what they read is pinned no longer. */
  readonly lostRetrievals: number;
}

const NOTHING: Amount = { objects: 0, bytes: 0n };
/** Objects of one entry of the journal. */
const BATCH_OBJECTS = 500;
const DAY_MS = 86_400_000;

export async function collectGarbage<Tx>(
  environment: Environment<Tx>,
  options: CollectOptions,
): Promise<CollectResult> {
  const { archive, catalog, hot, policy } = environment;
  const record = await catalog.pipeline(policy.pipeline);
  if (record === null || record.journal.n === 0n) {
    const none = { removed: NOTHING, waiting: NOTHING, pinned: NOTHING, kept: NOTHING, uploads: NOTHING };
    return { ...none, foreign: 0, lostRetrievals: 0 };
  }
  requireOwner(record, await hot.identify(), archive.url);
  if (options.isDryRun) return (await look(environment, record.journal, options.signal)).result;
  const lease = await takeLease(environment, options);
  const heartbeat = startHeartbeat(environment, lease, options.signal);
  try {
    return await collect(environment, lease, heartbeat.signal);
  } finally {
    await heartbeat[Symbol.asyncDispose]();
    await catalog.releaseLease(lease).catch(() => {});
  }
}

async function collect<Tx>(
  environment: Environment<Tx>,
  lease: Lease,
  signal: AbortSignal,
): Promise<CollectResult> {
  const { archive, catalog, policy, upkeep } = environment;
  const record = await catalog.pipeline(policy.pipeline);
  invariant(record !== null, policy.pipeline, "its row is gone");
  const journal = new Journal({ ...environment, lease, head: record.journal });
  // As for a run: the archive must end where this catalog says, or another database decides what is garbage.
  await journal.publish();
  await journal.checkHead();
  const before = windowStart(environment);
  const lostRetrievals = await upkeep.endLostRetrievals(lease, before);
  const { history, garbage, due, result } = await look(environment, journal.head, signal);
  await upkeep.replaceGarbage(lease, garbage);
  for (let at = 0; at < due.length; at += BATCH_OBJECTS) {
    checkpoint(signal);
    await remove(environment, { lease, journal, history }, due.slice(at, at + BATCH_OBJECTS));
  }
  const { files, bytes } = await archive.sweepTemporary(before);
  return { ...result, uploads: { objects: files, bytes }, lostRetrievals };
}

interface Removal<Tx> {
  readonly lease: Lease;
  readonly journal: Journal<Tx>;
  readonly history: History;
}

async function remove<Tx>(
  { archive, failpoint, upkeep }: Environment<Tx>,
  { lease, journal, history }: Removal<Tx>,
  objects: readonly SeenGarbage[],
): Promise<void> {
  const undecided = objects.filter((one) => !isCollected(history, one));
  if (undecided.length > 0) {
    await journal.append({
      type: "collected",
      objects: undecided.map(({ key, versionId, bytes }) => ({ key, versionId, bytes: bytes.toString() })),
    });
  }
  failpoint("collect.journaled");
  for (const { key, versionId } of objects) {
    await archive.deleteVersion({ key, versionId });
    failpoint("collect.deleted");
  }
  await upkeep.forgetGarbage(lease, objects);
}

/** Whether an earlier collect decided it, and did not come to its end. */
function isCollected(history: History, { key, versionId }: SeenGarbage): boolean {
  const segment = segmentOfKey(key);
  const known = segment === null ? undefined : history.segments.get(segment);
  if (known === undefined) return history.collected.has(key);
  return known.isCollected && isPinnedBy(known, { key, versionId });
}

interface Found {
  readonly history: History;
  readonly garbage: readonly SeenGarbage[];
  readonly due: readonly SeenGarbage[];
  readonly result: CollectResult;
}

/** What is garbage now, and what of it may go. Changes nothing. */
async function look<Tx>(
  environment: Environment<Tx>,
  expected: JournalHead,
  signal: AbortSignal,
): Promise<Found> {
  const { clock, policy, upkeep } = environment;
  const { pipeline } = policy;
  const { history, head } = await readHistory({ ...environment, pipeline, signal });
  if (head.n !== expected.n || head.sha256 !== expected.sha256)
    throw anotherHistory(pipeline, head, expected);
  const contents = await upkeep.contents(pipeline);
  invariant(contents !== null, pipeline, "its row is gone");
  const { objects, foreign } = await listGarbage(environment, history, contents, signal);
  const now = clock.now();
  const known = new Map(
    (await upkeep.garbage(pipeline)).map((one) => [
      `${one.key} ${one.versionId} ${one.bytes}`,
      one.firstSeen,
    ]),
  );
  const garbage = objects.map((one) => ({
    ...one,
    firstSeen: known.get(`${one.key} ${one.versionId} ${one.bytes}`) ?? now,
  }));
  const pinned = await upkeep.pinned(pipeline);
  const isPinned = ({ key }: SeenGarbage): boolean => pinned.has(segmentOfKey(key) ?? "");
  const before = windowStart(environment);
  const old = garbage.filter(({ firstSeen }) => firstSeen <= before);
  const unread = old.filter((one) => !isPinned(one));
  const kept = await keptObjects(environment, contents, unread, signal);
  const due = unread.filter((one) => !kept.has(one));
  return {
    history,
    garbage,
    due,
    result: {
      removed: amount(due),
      waiting: amount(garbage.filter(({ firstSeen }) => firstSeen > before)),
      pinned: amount(old.filter(isPinned)),
      kept: amount([...kept]),
      uploads: NOTHING,
      foreign,
      lostRetrievals: 0,
    },
  };
}

/** What is older may go. */
export const windowStart = <Tx>({ clock, policy }: Environment<Tx>): EpochMs =>
  (clock.now() - policy.archive.recoveryDays * DAY_MS) as EpochMs;

function amount(objects: readonly SeenGarbage[]): Amount {
  return { objects: objects.length, bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0n) };
}

function anotherHistory(pipeline: string, found: JournalHead, expected: JournalHead): FirnlineError {
  return new FirnlineError({
    code: "E_OWNER",
    subject: `pipeline ${pipeline}`,
    problem: `its journal ends with entry ${found.n}, and the catalog with ${expected.n}, or with another one of that number`,
    hint: "Nothing was removed. `firnline verify` says what differs; a run may be at work",
  });
}
