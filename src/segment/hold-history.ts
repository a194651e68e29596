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

/**
 * Whether it says something new. A database that was restored from a backup may decide a second time what the journal has:
 * the first one counts, and the second contradicts nothing.
 */
export function placeHold(
  holds: Map<string, HoldHistory>,
  { hold, dayFrom, dayTo, reason, placedBy }: Extract<JournalEvent, { type: "hold" }>,
  placedAt: string,
): boolean {
  if (holds.has(hold)) return false;
  holds.set(hold, { hold, dayFrom, dayTo, reason, placedBy, placedAt, released: null });
  return true;
}

/** The same. */
export function releaseHold(
  holds: Map<string, HoldHistory>,
  { hold, reason, releasedBy: by }: Extract<JournalEvent, { type: "released" }>,
  at: string,
): boolean {
  const before = holds.get(hold);
  if (before === undefined || before.released !== null) return false;
  holds.set(hold, { ...before, released: { reason, by, at } });
  return true;
}
