/** Why a step is in the plan, or why it is not, in words for the person who reads `plan` at night. */
import type { DayUtc, EpochMicros } from "../rows/day.ts";
import { dayOf, type EpochMs, formatDay, microsFromMs } from "../rows/day.ts";
import type { LeafName } from "../segment/partition-key.ts";
import type { SegmentState } from "../segment/state.ts";
import type { PlannedHold } from "./holds.ts";

const days = (count: number): string => `${count} ${count === 1 ? "day" : "days"}`;
const rows = (count: bigint): string => `${count} ${count === 1n ? "row" : "rows"}`;

const ended = (day: DayUtc, asOf: EpochMicros): string => `the day ended ${days(dayOf(asOf) - day - 1)} ago`;

const RESUME: Readonly<Record<SegmentState, string>> = {
  exporting: "its upload was not finished; the rows are still hot and are exported anew",
  uploaded: "uploaded by an earlier run, not yet verified",
  sealed: "verified by an earlier run, not yet pruned",
  pruning: "pruned in part by an earlier run",
  warm: "nothing is left to do",
  cooling: "its storage class was being changed by an earlier run",
  cold: "nothing is left to do",
  expiring: "its expiry is journaled, and an earlier run did not remove all of it",
  expired: "nothing is left to do",
  abandoned: "nothing is left to do",
  superseded: "nothing is left to do",
};

export const reasonFor = {
  due: (keepDays: number, day: DayUtc, asOf: EpochMicros, byRows: string | null = null): string =>
    `${ended(day, asOf)}, hot keeps ${days(keepDays)}${byRows === null ? "" : `; ${leafReasonFor.byRows(byRows)}`}`,
  late: (count: bigint): string => `${rows(count)} came in after the day was pruned`,
  lateWhileBusy: (count: bigint): string =>
    `${rows(count)} more than its open segments hold; moved by the next run`,
  exportedAnew: (count: bigint, before: bigint, isRetried: boolean): string =>
    isRetried
      ? "quarantined rows are exported anew, as asked for"
      : `${rows(count)} now, ${before} when it was archived; exported anew`,
  quarantined: (count: bigint): string =>
    `quarantined: ${rows(count)} changed again and again while the run moved them; they stay hot until a run with --retry-quarantined`,
  reconcile: (count: bigint): string =>
    `${rows(count)} may be in the table, in the archive or in both since the catalog was rebuilt; they are compared`,
  rewrite: "some of its rows are in a newer segment as well; rewritten without them",
  keptHot: (keepDays: number): string => `archived already, but hot keeps ${days(keepDays)} now`,
  pruneOff: "prune: off deletes nothing, not even the rows of a delete-only rule",
  resume: (state: SegmentState, unpruned: bigint): string =>
    state === "pruning" ? `${RESUME[state]}, ${rows(unpruned)} left` : RESUME[state],
  cool: (keepDays: number, day: DayUtc, asOf: EpochMicros, storageClass: string): string =>
    `${ended(day, asOf)}, warm keeps ${days(keepDays)}; to ${storageClass}`,
  tooSmall: (bytes: bigint, bytesMin: bigint): string =>
    `stays warm: ${bytes} bytes are fewer than the ${bytesMin} that a cold class pays for`,
  waiting: (taggedDays: number): string =>
    `tagged ${taggedDays === 0 ? "today" : `${days(taggedDays)} ago`}; the bucket's rule has not moved it yet`,
  stuck: (taggedDays: number): string =>
    `tagged ${days(taggedDays)} ago, and the bucket's rule has not moved it: look at \`firnline lifecycle check\``,
  nowhere: "it was on its way to the cold class, and the policy has none any more",
  pack: (bytes: bigint, storageClass: string): string =>
    `its month's objects are too small for ${storageClass} one by one, and go as one of ${bytes} bytes`,
  monthNotOver: "; packed with the others once all of its month is due",
  monthTooSmall: (bytes: bigint): string =>
    `, and all that are left of its month are ${bytes} bytes together`,
  ruleGone: (rule: string): string => `stays warm: rule ${rule} is not in the policy any more`,
} as const;

const leafText = ({ schema, name }: LeafName): string => `${schema}.${name}`;

/** The same about native partitions. */
export const leafReasonFor = {
  due: (leaf: LeafName, dueOn: DayUtc): string =>
    `archived already; its leaf ${leafText(leaf)} is wholly due since ${formatDay(dueOn)} and goes as a whole`,
  waits: (leaf: LeafName, dueOn: DayUtc): string =>
    `waits for its leaf ${leafText(leaf)}, wholly due on ${formatDay(dueOn)}`,
  drained: (leaf: LeafName): string => `nothing is left in ${leafText(leaf)}, and all of it is due`,
  quarantined: (leaf: LeafName): string => `waits for its leaf ${leafText(leaf)}, which has quarantined rows`,
  stays: (leaf: LeafName, obstacle: string, hasKey: boolean): string =>
    `its leaf ${leafText(leaf)} cannot be dropped (${obstacle})` +
    (hasKey ? ", and prune: partitions deletes no rows" : ", and without a key no rows can be deleted"),
  pruneOff: (leaf: LeafName): string =>
    `an earlier run detached ${leafText(leaf)}; prune: off drops nothing, so attach it again`,
  unbounded: "its bounds do not say which days it holds",
  notOwned: "this role does not own it and its parent",
  byRows: (obstacle: string): string => `row by row, as its leaf cannot be dropped: ${obstacle}`,
} as const;

const onDay = (instant: EpochMicros): string => formatDay(dayOf(instant));
/** As much of the id as names it: `hold release` takes it so too. */
const named = ({ hold, reason }: PlannedHold): string => `hold ${hold.slice(0, 8)}: ${reason}`;

/** The same about what the archive lets go of, and what keeps it. */
export const keepingReasonFor = {
  expire: (keepDays: number, day: DayUtc, asOf: EpochMicros): string =>
    `${ended(day, asOf)}, cold keeps ${days(keepDays)}`,
  ruleGone: (rule: string): string =>
    `does not expire: rule ${rule} is not in the policy any more, and it keeps its last retention`,
  ruleChanged: (rule: string): string =>
    `does not expire: rule ${rule} archives nothing any more, and says nothing of what it archived`,
  hold: (hold: PlannedHold): string => `does not expire, by ${named(hold)}`,
  late: (archived: EpochMicros, until: EpochMicros): string =>
    `came late: it was archived on ${onDay(archived)}, when it should have expired already; expires on ${onDay(until)}`,
  locked: (until: EpochMs): string =>
    `does not expire: its object is locked until ${onDay(microsFromMs(until))}`,
  lockedObject: (key: string, until: string): string =>
    `does not expire: ${key} is locked until ${until.slice(0, 19)}Z`,
  legalHold: (key: string): string => `does not expire: a legal hold is on ${key}`,
  read: "does not expire yet: a retrieval reads it",
  lock: (keepDays: number, until: DayUtc): string =>
    `its objects are to be locked until ${formatDay(until)}, ${days(keepDays)} after its last day`,
  putHold: (hold: PlannedHold): string => `a legal hold goes on its objects, by ${named(hold)}`,
  takeHold: "no hold has its days any more: the legal hold comes off its objects",
  deleteHeld: (hold: PlannedHold): string => `not deleted, by ${named(hold)}`,
  leafHeld: (leaf: LeafName, hold: PlannedHold): string =>
    `waits for its leaf ${leafText(leaf)}, which has rows that are not deleted, by ${named(hold)}`,
  pastKeeping: (keepDays: number, recoveryDays: number): string =>
    `; older than cold keeps (${days(keepDays)}), so it expires ${days(recoveryDays)} after it is archived`,
} as const;
