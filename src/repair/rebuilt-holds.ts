/** Holds as a rebuilt catalog has them: what the journal says, and what this database decided and did not journal yet. */
import type { Hold } from "../catalog/holds.ts";
import type { PendingEntry } from "../catalog/pending-entry.ts";
import { type EpochMs, parseDay } from "../rows/day.ts";
import { type HoldHistory, placeHold, releaseHold } from "../segment/hold-history.ts";
import type { History } from "../segment/history.ts";

export function rebuiltHolds({ holds }: Pick<History, "holds">, pending: readonly PendingEntry[]): Hold[] {
  const all = new Map(holds);
  for (const entry of pending) isNews(all, entry);
  return [...all.values()].map(holdOf);
}

/** Without the entries that place or release a hold which the journal has as placed, or as released, already. */
export function withoutKnownHolds(
  { holds }: Pick<History, "holds">,
  pending: readonly PendingEntry[],
): PendingEntry[] {
  const all = new Map(holds);
  return pending.filter((entry) => isNews(all, entry));
}

/** Takes it in. */
function isNews(all: Map<string, HoldHistory>, { at, event }: PendingEntry): boolean {
  if (event.type === "hold") return placeHold(all, event, at);
  return event.type === "released" ? releaseHold(all, event, at) : true;
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
