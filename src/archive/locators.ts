/** Where a segment's object and manifest lie, and which version of them. */
import type { DayUtc } from "../rows/day.ts";
import { manifestKey, segmentKey } from "../segment/archive-keys.ts";
import type { Locator } from "./port.ts";

/** What names a segment's objects; the catalog's record has it. */
export interface SegmentPlace {
  readonly segment: string;
  readonly rule: string;
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly object: { readonly versionId: string | null } | null;
  readonly manifest: { readonly versionId: string | null } | null;
}

export function objectLocator(pipeline: string, place: SegmentPlace): Locator {
  return {
    key: segmentKey(pipeline, place.rule, place.dayFrom, place.segment, place.dayTo),
    versionId: place.object?.versionId ?? null,
  };
}

export function manifestLocator(pipeline: string, place: SegmentPlace): Locator {
  return { key: manifestKey(pipeline, place.segment), versionId: place.manifest?.versionId ?? null };
}
