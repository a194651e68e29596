/** Where things lie in the archive; see `schemas/FORMAT.md`. All names in here are validated identifiers. */
import { invariant } from "../errors.ts";
import { type DayUtc, formatDay } from "../rows/day.ts";

export function journalKey(pipeline: string, n: bigint): string {
  return `_firnline/${pipeline}/journal/${n.toString().padStart(20, "0")}.json`;
}

export function manifestKey(pipeline: string, segment: string): string {
  return `_firnline/${pipeline}/manifests/${segment}.json`;
}

/**
 * Hive partitioning, so that DuckDB, Athena, Trino and Spark can read a folder. A segment of several days is of one month,
 * and lies in the folder of the month.
 */
export function segmentKey(
  pipeline: string,
  rule: string,
  dayFrom: DayUtc,
  segment: string,
  dayTo: DayUtc = dayFrom,
): string {
  if (dayTo === dayFrom) return `${pipeline}/daily/rule=${rule}/dt=${formatDay(dayFrom)}/${segment}.parquet`;
  invariant(monthOf(dayTo) === monthOf(dayFrom), segment, "its days are of several months");
  return `${pipeline}/monthly/rule=${rule}/month=${monthOf(dayFrom)}/${segment}.parquet`;
}

/** `2025-01`. */
export const monthOf = (day: DayUtc): string => formatDay(day).slice(0, -3);

/** Catalog sequence and 64 random bits: fresh for every attempt, so that no two uploads ever share a key (I3). */
export function segmentId(sequence: bigint, random: Uint8Array): string {
  let hex = "";
  for (const byte of random.subarray(0, 8)) hex += byte.toString(16).padStart(2, "0");
  return `${sequence.toString().padStart(12, "0")}-${hex}`;
}

const SEGMENT_KEY =
  /^(?:_firnline\/[a-z][a-z0-9_]*\/manifests\/(\d{12,}-[0-9a-f]{16})\.json|[a-z][a-z0-9_]*\/(?:daily\/rule=[a-z][a-z0-9_]*\/dt=\d{4,}-\d{2}-\d{2}|monthly\/rule=[a-z][a-z0-9_]*\/month=\d{4,}-\d{2})\/(\d{12,}-[0-9a-f]{16})\.parquet)$/;

/** The segment whose object or manifest has this key; null for any other key. */
export function segmentOfKey(key: string): string | null {
  const [, ofManifest, ofObject] = SEGMENT_KEY.exec(key) ?? [];
  return ofManifest ?? ofObject ?? null;
}

/** The number of the journal's entry with this key; null for any other key. */
export function journalNumber(pipeline: string, key: string): bigint | null {
  const digits = /\/(\d{20})\.json$/.exec(key)?.[1];
  const n = digits === undefined ? null : BigInt(digits);
  return n !== null && journalKey(pipeline, n) === key ? n : null;
}

export const journalFolder = (pipeline: string): string => `_firnline/${pipeline}/journal/`;
export const manifestFolder = (pipeline: string): string => `_firnline/${pipeline}/manifests/`;
/** Where the rows are. */
export const objectFolder = (pipeline: string): string => `${pipeline}/`;
