/** Holds: days of which nothing is removed, whatever the policy says. Both days of a hold are included. Pure. */
import type { DayUtc } from "../rows/day.ts";

/** A hold in force. */
export interface PlannedHold {
  readonly hold: string;
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly reason: string;
}

/** The oldest of the holds that has one of these days; null for none. */
export function holdOver(
  holds: readonly PlannedHold[] | undefined,
  dayFrom: DayUtc,
  dayTo: DayUtc,
): PlannedHold | null {
  return holds?.find((one) => one.dayFrom <= dayTo && one.dayTo >= dayFrom) ?? null;
}
