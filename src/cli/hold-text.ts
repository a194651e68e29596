/** Holds for people and for machines. */
import type { Hold } from "../catalog/holds.ts";
import { formatDay } from "../rows/day.ts";
import type { ChangedHold } from "../stages/hold.ts";
import { formatDays, plural } from "./format.ts";

/** As much of an id as people use; `hold release` takes it so too. */
const ID_LENGTH = 8;

const onDay = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** `hold 0d5cf1a2 on 2024-01-01 .. 2024-03-31 since 2026-02-01, by jane: case 17`, in one line. */
export function holdText({ hold, dayFrom, dayTo, placedAt, placedBy, reason, released }: Hold): string {
  const over =
    released === null ? "" : `; released ${onDay(released.at)} by ${released.by}: ${released.reason}`;
  const who = `since ${onDay(placedAt)}, by ${placedBy}`;
  return `hold ${hold.slice(0, ID_LENGTH)} on ${formatDays(dayFrom, dayTo)} ${who}: ${reason}${over}`;
}

export function holdFields({ dayFrom, dayTo, placedAt, released, ...hold }: Hold): object {
  return {
    ...hold,
    from: formatDay(dayFrom),
    to: formatDay(dayTo),
    placedAt: new Date(placedAt).toISOString(),
    released: released === null ? null : { ...released, at: new Date(released.at).toISOString() },
  };
}

/** After `hold add` and `hold release`. */
export function changedHoldText(
  pipeline: string,
  { archived, hold, legalHolds, tooLate }: ChangedHold,
): string[] {
  const isOver = hold.released !== null;
  const sum = ({ rows, segments }: ChangedHold["archived"]): string =>
    `${plural(rows, "row")} of ${plural(segments, "segment")}`;
  const kept =
    archived.segments === 0 ? "nothing of its days is archived" : `in the archive: ${sum(archived)}`;
  const inStore =
    legalHolds === null
      ? "the store has no legal holds; the catalog and the journal keep these days"
      : `legal holds were ${isOver ? "taken off" : "put on"} ${plural(legalHolds, "segment")}`;
  const late = `too late for ${sum(tooLate)}: they expired before, or are about to`;
  return [
    `${pipeline}: ${holdText(hold)}`,
    `  ${kept}`,
    ...(isOver && legalHolds === null ? [] : [`  ${inStore}`]),
    ...(tooLate.segments === 0 ? [] : [`  ${late}`]),
  ];
}
