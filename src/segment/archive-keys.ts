/** Where things lie in the archive; see `schemas/FORMAT.md`. All names in here are validated identifiers. */
import { type DayUtc, formatDay } from "../rows/day.ts";

export function journalKey(pipeline: string, n: bigint): string {
  return `_firnline/${pipeline}/journal/${n.toString().padStart(20, "0")}.json`;
}

export function manifestKey(pipeline: string, segment: string): string {
  return `_firnline/${pipeline}/manifests/${segment}.json`;
}

/** Hive partitioning, so that DuckDB, Athena, Trino and Spark can read a folder. */
export function segmentKey(pipeline: string, rule: string, day: DayUtc, segment: string): string {
  return `${pipeline}/daily/rule=${rule}/dt=${formatDay(day)}/${segment}.parquet`;
}

/** Catalog sequence and 64 random bits: fresh for every attempt, so that no two uploads ever share a key (I3). */
export function segmentId(sequence: bigint, random: Uint8Array): string {
  let hex = "";
  for (const byte of random.subarray(0, 8)) hex += byte.toString(16).padStart(2, "0");
  return `${sequence.toString().padStart(12, "0")}-${hex}`;
}
