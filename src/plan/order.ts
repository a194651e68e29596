/** The order in which things are planned. */
import type { PlannedSegment } from "./step.ts";

/** Oldest day first, whatever order the catalog tells them in. */
export const inOrder = <T extends PlannedSegment>(segments: readonly T[]): T[] =>
  segments.toSorted(
    (left, right) => left.dayFrom - right.dayFrom || compareText(left.segment, right.segment),
  );

export const compareText = (left: string, right: string): number =>
  left < right ? -1 : left > right ? 1 : 0;
