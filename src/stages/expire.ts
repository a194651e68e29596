/**
 * expire: removes a segment whose records are older than the policy keeps them: its object and its manifest, all versions of
 * both. The store is asked for locks before anything is journaled; holds and readers are asked for in the transaction that
 * decides it, so that of a hold and an expiry that race the first to commit wins.
 *
 * Commit point: the journal entry `expire-intent`. From then on no reader takes the segment, and every run that finds it
 * goes on until nothing of it is there; `expired` says what was removed.
 */
import { manifestLocator, objectLocator } from "../archive/locators.ts";
import type { Archive, Locator } from "../archive/port.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { isFirnlineError } from "../errors.ts";
import { keepingReasonFor } from "../plan/reasons.ts";
import { formatInstant, microsFromMs } from "../rows/day.ts";
import { segmentOfKey } from "../segment/archive-keys.ts";
import type { StageContext } from "./context.ts";

/** `kept`: why it is still there, where something keeps it. */
export type Expiry =
  | { readonly outcome: "expired"; readonly rows: bigint }
  | { readonly outcome: "kept"; readonly reason: string };

export async function expireSegment<Tx>(context: StageContext<Tx>, record: SegmentRecord): Promise<Expiry> {
  const { failpoint, journal, policy, report, upkeep } = context;
  const { segment, rows } = record;
  const locked = await lockOf(context, record);
  if (locked !== null) return { outcome: "kept", reason: locked };
  if (record.state !== "expiring") {
    const refusal = await intend(context, record);
    if (refusal !== null) return { outcome: "kept", reason: refusal };
  }
  failpoint("expire.intended");
  // A reader whose snapshot is older than the intent may have pinned it a moment later.
  if ((await upkeep.pinned(policy.pipeline)).has(segment)) {
    return { outcome: "kept", reason: keepingReasonFor.read };
  }
  const objects = await remove(context, record);
  failpoint("expire.deleted");
  await journal.append({ type: "expired", segment, rows: rows.toString(), objects });
  failpoint("expire.journaled");
  report({ stage: "expire", subject: segment, rows, bytes: record.object?.bytes ?? 0n });
  return { outcome: "expired", rows };
}

/** Journals the intent; returns what stands against it, null for nothing. */
async function intend<Tx>(
  { journal, policy }: StageContext<Tx>,
  { rule, segment }: SegmentRecord,
): Promise<string | null> {
  const keepDays = policy.rules.find(({ name }) => name === rule)?.coldDays ?? null;
  // The policy of the plan is the policy of the run; without a rule nothing says that it may go.
  if (keepDays === null) return keepingReasonFor.ruleGone(rule);
  try {
    await journal.append({ type: "expire-intent", segment, keepDays });
    return null;
  } catch (error) {
    if (isFirnlineError(error, "E_HELD")) return `does not expire: ${error.problem}`;
    throw error;
  }
}

/** What the store itself would refuse; null for nothing. Asked before the intent, which there is no way back from. */
async function lockOf<Tx>(
  { archive, clock, holds, policy }: StageContext<Tx>,
  record: SegmentRecord,
): Promise<string | null> {
  if (!(await archive.traits()).locks) return null;
  for (const place of placesOf(policy.pipeline, record)) {
    const head = await archive.head(place);
    if (head?.isHeld === true) return keepingReasonFor.legalHold(place.key);
    const lock = head?.retention ?? null;
    if (lock === null || lock.until <= clock.now()) continue;
    // The next plan knows it.
    await holds.protectionSeen(policy.pipeline, record, { lock, isHeld: record.isHeld });
    return keepingReasonFor.lockedObject(place.key, formatInstant(microsFromMs(lock.until)));
  }
  return null;
}

interface Removed {
  readonly key: string;
  readonly versionId: string | null;
  readonly bytes: string;
}

/** The pinned versions first, then whatever else is there under these keys. Bounded: a segment has two of them. */
async function remove<Tx>({ archive, policy }: StageContext<Tx>, record: SegmentRecord): Promise<Removed[]> {
  const [object, manifest] = placesOf(policy.pipeline, record);
  const { namesVersions } = await archive.traits();
  // A pin without a version where there are any (of before there were; a manifest whose upload lost its reply): the
  // listing names it.
  const pinned = [
    { ...object, bytes: (record.object?.bytes ?? 0n).toString() },
    { ...manifest, bytes: (record.manifest?.bytes ?? 0n).toString() },
  ].filter(({ versionId }) => versionId !== null || !namesVersions);
  const removed = new Map<string, Removed>();
  for (const one of [
    ...pinned,
    ...(await versionsOf(archive, object)),
    ...(await versionsOf(archive, manifest)),
  ]) {
    const name = `${one.versionId} ${one.key}`;
    if (removed.has(name)) continue;
    await archive.deleteVersion({ key: one.key, versionId: one.versionId });
    removed.set(name, one);
  }
  return [...removed.values()];
}

async function versionsOf(archive: Archive, { key }: Locator): Promise<Removed[]> {
  const found: Removed[] = [];
  for await (const { key: its, versionId, bytes } of archive.listVersions(key)) {
    if (its === key && segmentOfKey(its) !== null) found.push({ key, versionId, bytes: bytes.toString() });
  }
  return found;
}

const placesOf = (pipeline: string, record: SegmentRecord): [Locator, Locator] => [
  objectLocator(pipeline, record),
  manifestLocator(pipeline, record),
];
