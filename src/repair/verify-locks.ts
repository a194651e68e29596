/** Locks and legal holds that a segment's objects must have, against those that the store shows. */
import { type ObjectHead, type Retention, VAULT_CLASS } from "../archive/port.ts";
import type { Hold } from "../catalog/holds.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import { holdOver } from "../plan/holds.ts";
import { parseDay } from "../rows/day.ts";
import { chunkCount } from "../segment/chunk-set.ts";
import type { SegmentHistory } from "../segment/history.ts";
import { isLocked, wantedLock } from "../stages/lock.ts";

/** `object` is the head of the segment's object; its manifest's is asked for where it has to have either. */
export async function lockFindings<Tx>(
  environment: Environment<Tx>,
  history: SegmentHistory,
  holds: readonly Hold[],
  object: ObjectHead,
): Promise<FirnlineError[]> {
  const { archive } = environment;
  const [dayFrom, dayTo] = [parseDay(history.dayFrom), parseDay(history.dayTo)];
  // Before the first of its rows left the table it needs no lock.
  const hasLeft = history.isPruneStarted || chunkCount(history.pruned) > 0;
  const wanted = hasLeft ? wantedLock(environment, { dayTo }) : null;
  const inForce = holds.filter(({ released }) => released === null);
  const hold = holdOver(inForce, dayFrom, dayTo);
  const isHeld = hold !== null && (await archive.traits()).locks;
  if (wanted === null && !isHeld) return [];
  const { key, versionId } = history.manifest;
  const manifest = await archive.head({ key, versionId });
  // A vault has no locks.
  const objects = history.storageClass === VAULT_CLASS ? [] : [object];
  return [...objects, ...(manifest === null ? [] : [manifest])].flatMap((head) => [
    ...(isLocked(head.retention, wanted)
      ? []
      : [finding(head, lockProblem(head.retention, wanted as Retention))]),
    ...(isHeld && !head.isHeld
      ? [finding(head, `no legal hold is on it, and hold ${hold.hold} has its days`)]
      : []),
  ]);
}

function lockProblem(found: Retention | null, wanted: Retention): string {
  const textOf = ({ mode, until }: Retention): string => `until ${new Date(until).toISOString()} (${mode})`;
  return `it is ${found === null ? "not locked" : `locked ${textOf(found)}`}, and should be ${textOf(wanted)}`;
}

function finding({ key }: ObjectHead, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_BUCKET",
    subject: key,
    problem,
    hint:
      "The next run puts it right. If it does not, the catalog takes it for done: after `firnline catalog rebuild` it asks " +
      "the store again. If it comes back, find out who takes it off",
    key,
  });
}
