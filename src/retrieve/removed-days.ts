/**
 * What an answer cannot have: days whose rows expired by the policy, all of them or some. The answer is complete without
 * them, and its evidence says so. And the holds of the range, for whoever reads the evidence because of one.
 */
import type { ExpiredDays, Hold } from "../catalog/holds.ts";
import type { ReadableSegment } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import { holdOver } from "../plan/holds.ts";
import { dayOf, type EpochMicros, formatDay } from "../rows/day.ts";
import type { Json } from "../segment/canonical-json.ts";
import type { RangeRequest } from "./request.ts";

export interface RemovedDays {
  readonly expired: readonly ExpiredDays[];
  /** In force. */
  readonly holds: readonly Hold[];
}

/** `used`: segments of the answer; one that began to expire since its snapshot was read all the same. */
export async function findRemovedDays<Tx>(
  { holds, policy }: Pick<Environment<Tx>, "holds" | "policy">,
  { from, to }: Pick<RangeRequest, "from" | "to">,
  used: readonly ReadableSegment[],
): Promise<RemovedDays> {
  const { pipeline } = policy;
  const [dayFrom, dayTo] = [dayOf(from), dayOf((to - 1n) as EpochMicros)];
  const names = used.map(({ record }) => record.segment);
  const all = await holds.list(pipeline);
  return {
    expired: await holds.expired(pipeline, dayFrom, dayTo, names),
    holds: all.filter((hold) => hold.released === null && holdOver([hold], dayFrom, dayTo) !== null),
  };
}

/** Of a result: how many rows no answer has any more. */
export const rowsExpired = ({ expired }: RemovedDays): bigint =>
  expired.reduce((sum, { rows }) => sum + rows, 0n);

/** As the evidence has them. */
export function removedDaysJson({ expired, holds }: RemovedDays): { readonly [name: string]: Json } {
  return {
    expired: expired.map(({ rule, dayFrom, dayTo, segments, rows }) => ({
      rule,
      dayFrom: formatDay(dayFrom),
      dayTo: formatDay(dayTo),
      segments,
      rows: `${rows}`,
    })),
    holds: holds.map(({ hold, dayFrom, dayTo, reason }) => ({
      hold,
      dayFrom: formatDay(dayFrom),
      dayTo: formatDay(dayTo),
      reason,
    })),
  };
}
