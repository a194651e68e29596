/** What a journal says of holds. */
import type { JournalEvent } from "./journal.ts";

/** Days of which nothing may be removed. */
export interface HoldHistory {
  readonly hold: string;
  readonly dayFrom: string;
  readonly dayTo: string;
  readonly reason: string;
  readonly placedBy: string;
  readonly placedAt: string;
  readonly released: { readonly reason: string; readonly by: string; readonly at: string } | null;
}

/** What of the event contradicts those before; null for nothing. */
export function placeHold(
  holds: Map<string, HoldHistory>,
  { hold, dayFrom, dayTo, reason, placedBy }: Extract<JournalEvent, { type: "hold" }>,
  placedAt: string,
): string | null {
  if (holds.has(hold)) return `hold ${hold} was placed before`;
  holds.set(hold, { hold, dayFrom, dayTo, reason, placedBy, placedAt, released: null });
  return null;
}

/** The same. */
export function releaseHold(
  holds: Map<string, HoldHistory>,
  { hold, reason, releasedBy: by }: Extract<JournalEvent, { type: "released" }>,
  at: string,
): string | null {
  const before = holds.get(hold);
  if (before === undefined || before.released !== null) return `hold ${hold} is not in force`;
  holds.set(hold, { ...before, released: { reason, by, at } });
  return null;
}
