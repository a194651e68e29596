/** The rows of one archived segment, verified, in the columns of the answer. */
import { readChunkGroups, type SegmentReader } from "../archived/read-chunks.ts";
import type { ReadableSegment, SegmentRecord } from "../catalog/port.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { type DayUtc, parseDay } from "../rows/day.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { ahead } from "./ahead.ts";
import type { PreparedFilter } from "./filters.ts";
import { mayHoldTimes, soughtFields } from "./sought-fields.ts";
import { chunksInFilters, chunksWorthReading, openIndex, readSought } from "./sought-rows.ts";
import { intoUnited, type UnitedColumns } from "./united-columns.ts";
import type { TimeLimits } from "./wanted-rows.ts";

/** The days that are asked for, both included. */
export interface WantedDays {
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
}

/** What is asked for; a segment's chunks are read as far as they can have it. */
export interface Wanted {
  readonly days: WantedDays;
  readonly times: TimeLimits;
  readonly filters: readonly PreparedFilter[];
}

/**
 * Rows of the segment's pruned chunks, in one or more sequences that are each in order: all that are wanted, and others
 * of the same chunks. Chunks that are not pruned are still hot and are read from there. Digests are of the archived
 * bytes, so a value is widened after they were verified.
 *
 * A packed segment holds chunks of several segments and tables, and their ranges may overlap: rows of a day that came late,
 * or from another leaf.
 */
export async function readArchived(
  reader: SegmentReader,
  manifest: Manifest,
  segment: ReadableSegment,
  united: UnitedColumns,
  wanted: Wanted | null = null,
): Promise<AsyncIterable<RawRows>[]> {
  const { record, prunedChunks } = segment;
  const pruned = prunedChunks === null ? null : new Set(prunedChunks);
  const chunks = [...manifest.chunks.keys()].filter(
    (chunk) =>
      (pruned === null || pruned.has(chunk)) && isWanted(manifest.chunks[chunk] as ManifestChunk, wanted),
  );
  const sought = soughtFields(manifest.columns, united, wanted?.filters ?? []);
  if (sought === null || chunks.length === 0) return [];
  const inFilters = await chunksInFilters(reader, record, manifest, chunks, sought);
  if (inFilters.length === 0) return [];
  const proved = sought.length === 0 ? null : await openIndex(reader, record, manifest);
  const intoAnswer = intoUnited(manifest.columns, united);
  if (proved === null) {
    // Of whole row groups only those of one segment are read ahead: with filters several segments are opened at once.
    const begin = wanted?.filters.length === 0 ? ahead<RawRows> : (rows: AsyncIterable<RawRows>) => rows;
    return sequences(manifest, inFilters).map((own) =>
      begin(readAll(reader, record, manifest, own, intoAnswer)),
    );
  }
  return sequences(manifest, chunksWorthReading(proved, inFilters, sought)).map((own) =>
    ahead(mapRows(readSought(reader, proved, own, sought), ({ rows }) => intoAnswer(rows))),
  );
}

async function* readAll(
  reader: SegmentReader,
  record: SegmentRecord,
  manifest: Manifest,
  chunks: ReadonlySet<number>,
  intoAnswer: (rows: RawRows) => RawRows,
): AsyncGenerator<RawRows, void, undefined> {
  for await (const group of readChunkGroups(reader, record, manifest, (chunk) => chunks.has(chunk))) {
    for (const { rows } of group) yield intoAnswer(rows);
  }
}

export async function* mapRows<T>(
  items: AsyncIterable<T>,
  map: (item: T) => RawRows,
): AsyncGenerator<RawRows, void, undefined> {
  for await (const item of items) yield map(item);
}

function isWanted(chunk: ManifestChunk, wanted: Wanted | null): boolean {
  return wanted === null || (isOn(chunk, wanted.days) && mayHoldTimes(chunk, wanted.times));
}

function isOn({ day }: ManifestChunk, { dayFrom, dayTo }: WantedDays): boolean {
  return parseDay(day) >= dayFrom && parseDay(day) <= dayTo;
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
