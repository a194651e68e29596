/** Holds as a rebuilt catalog has them: what the journal says, and what this database decided and did not journal yet. */
import type { Hold } from "../catalog/holds.ts";
import type { PendingEntry } from "../catalog/port.ts";
import { type EpochMs, parseDay } from "../rows/day.ts";
import { type HoldHistory, placeHold, releaseHold } from "../segment/hold-history.ts";
import type { History } from "../segment/history.ts";

export function rebuiltHolds({ holds }: History, pending: readonly PendingEntry[]): Hold[] {
  const all = new Map(holds);
  for (const { at, event } of pending) {
    // A release of a hold that neither knows says nothing; the entry itself is journaled all the same.
    if (event.type === "hold") placeHold(all, event, at);
    if (event.type === "released") releaseHold(all, event, at);
  }
  return [...all.values()].map(holdOf);
}

export function holdOf({ hold, dayFrom, dayTo, reason, placedBy, placedAt, released }: HoldHistory): Hold {
  return {
    hold,
    dayFrom: parseDay(dayFrom),
    dayTo: parseDay(dayTo),
    reason,
    placedBy,
    placedAt: instantOf(placedAt),
    released: released === null ? null : { ...released, at: instantOf(released.at) },
  };
}

const instantOf = (text: string): EpochMs => Date.parse(text) as EpochMs;
