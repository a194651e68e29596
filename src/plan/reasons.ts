/** Why a step is in the plan, or why it is not, in words for the person who reads `plan` at night. */
import type { DayUtc, EpochMicros } from "../rows/day.ts";
import { dayOf } from "../rows/day.ts";
import type { SegmentState } from "../segment/state.ts";

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
  abandoned: "nothing is left to do",
};

export const reasonFor = {
  due: (keepDays: number, day: DayUtc, asOf: EpochMicros): string =>
    `${ended(day, asOf)}, hot keeps ${days(keepDays)}`,
  late: (count: bigint): string => `${rows(count)} came in after the day was pruned`,
  lateWhileBusy: (count: bigint): string =>
    `${rows(count)} more than its open segments hold; moved by the next run`,
  lateUnpruned: (count: bigint): string =>
    `${rows(count)} more than its segments hold; prune: off archives a day once, so they stay hot`,
  keptHot: (keepDays: number): string => `archived already, but hot keeps ${days(keepDays)} now`,
  pruneOff: "prune: off deletes nothing, not even the rows of a delete-only rule",
  resume: (state: SegmentState, unpruned: bigint): string =>
    state === "pruning" ? `${RESUME[state]}, ${rows(unpruned)} left` : RESUME[state],
  cool: (keepDays: number, day: DayUtc, asOf: EpochMicros, storageClass: string): string =>
    `${ended(day, asOf)}, warm keeps ${days(keepDays)}; to ${storageClass}`,
  tooSmall: (bytes: bigint, bytesMin: bigint): string =>
    `stays warm: ${bytes} bytes are fewer than the ${bytesMin} that a cold class pays for`,
  ruleGone: (rule: string): string => `stays warm: rule ${rule} is not in the policy any more`,
} as const;
