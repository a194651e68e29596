/** The rows of one archived segment, verified, in the columns of the answer. */
import { readChunkGroups, readManifest, type SegmentReader } from "../archived/read-chunks.ts";
import type { ReadableSegment } from "../catalog/port.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { type DayUtc, parseDay } from "../rows/day.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { intoUnited, type UnitedColumns } from "./united-columns.ts";

/** The days that are asked for, both included. */
export interface WantedDays {
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
}

/**
 * Rows of the segment's pruned chunks of these days, in one or more sequences that are each in order. The others are still
 * hot and are read from there. Digests are of the archived bytes, so a value is widened after they were verified.
 *
 * A packed segment holds chunks of several segments and tables, and their ranges may overlap: rows of a day that came late,
 * or from another leaf.
 */
export async function readArchived(
  reader: SegmentReader,
  segment: ReadableSegment,
  united: UnitedColumns,
  days: WantedDays | null = null,
): Promise<AsyncIterable<RawRows>[]> {
  const manifest = await readManifest(reader, segment.record);
  const pruned = segment.prunedChunks === null ? null : new Set(segment.prunedChunks);
  const wanted = [...manifest.chunks.keys()].filter(
    (chunk) => (pruned === null || pruned.has(chunk)) && isOn(manifest.chunks[chunk] as ManifestChunk, days),
  );
  return sequences(manifest, wanted).map((chunks) => readSequence(reader, segment, manifest, united, chunks));
}

async function* readSequence(
  reader: SegmentReader,
  { record }: ReadableSegment,
  manifest: Manifest,
  united: UnitedColumns,
  chunks: ReadonlySet<number>,
): AsyncGenerator<RawRows, void, undefined> {
  const intoAnswer = intoUnited(manifest.columns, united);
  for await (const group of readChunkGroups(reader, record, manifest, (chunk) => chunks.has(chunk))) {
    for (const { rows } of group) yield intoAnswer(rows);
  }
}

function isOn({ day }: ManifestChunk, days: WantedDays | null): boolean {
  return days === null || (parseDay(day) >= days.dayFrom && parseDay(day) <= days.dayTo);
}

/**
 * Chunks of one segment are in order. One of another segment goes on with a sequence if it is of a later day: texts of keys
 * have no order that could be compared here.
 */
function sequences({ chunks, time }: Manifest, wanted: readonly number[]): ReadonlySet<number>[] {
  const found: { readonly chunks: Set<number>; last: ManifestChunk }[] = [];
  for (const index of wanted) {
    const chunk = chunks[index] as ManifestChunk;
    // A plain timestamp comes again when clocks are set back, perhaps on the next UTC day.
    const isBefore = (last: DayUtc, day: DayUtc): boolean => last + (time.zone === null ? 0 : 1) < day;
    const fits = found.find(
      ({ last }) => last.segment === chunk.segment || isBefore(parseDay(last.day), parseDay(chunk.day)),
    );
    if (fits === undefined) found.push({ chunks: new Set([index]), last: chunk });
    else {
      fits.chunks.add(index);
      fits.last = chunk;
    }
  }
  return found.map((one) => one.chunks);
}
