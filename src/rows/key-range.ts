/**
 * Where a row stands: its time and key. Chunks are half-open ranges over (time, key...) that tile a day: the first
 * begins at the day's first instant, each next one where the last ended, the last ends where the next day begins.
 * So every row, whenever it was inserted, is in exactly one range.
 *
 * Order is that of the raw fields: signed big-endian integers for numbers, dates and times, bytes for uuid, text
 * (`COLLATE "C"`) and bytea. Postgres sorts the same way, see `sqlRange` in `hot/postgres/sql-text.ts`.
 */
import { FirnlineError } from "../errors.ts";
import type { ValueKind } from "./column.ts";
import {
  type EpochMicros,
  formatPostgresDate,
  formatPostgresTimestamp,
  POSTGRES_EPOCH_DAY,
  POSTGRES_EPOCH_MICROS,
} from "./day.ts";
import type { DayUtc } from "./day.ts";
import { toHex } from "./hex.ts";

/** The kinds that a key may have. */
export const KEY_KINDS: ReadonlySet<ValueKind> = new Set<ValueKind>([
  "int2",
  "int4",
  "int8",
  "uuid",
  "text",
  "bytea",
  "date",
  "time",
  "timestamp",
  "timestamptz",
]);

/** A place between rows. Without a key it lies before every row of that time. */
export interface Bound {
  /** In the text form of the time column, e.g. `2026-01-03 00:00:00.000000`. A timestamptz is in UTC. */
  readonly time: string;
  /** One text a key column, or null. */
  readonly key: readonly string[] | null;
}

/** Half-open: `from` is in, `to` is not. */
export interface KeyRange {
  readonly from: Bound;
  readonly to: Bound;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function unsupported(kind: ValueKind): FirnlineError {
  return new FirnlineError({
    code: "E_KEY",
    subject: "key",
    problem: `a key of kind ${kind} has no order that Firnline knows`,
    hint: "Choose a key of integers, uuid, text, bytea, dates or times",
  });
}

/** The text form of a key or time field; it goes into manifests and, quoted, into SQL. */
export function fieldToText(kind: ValueKind, bytes: Uint8Array, start: number, length: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, length);
  switch (kind) {
    case "int2":
      return String(view.getInt16(0));
    case "int4":
      return String(view.getInt32(0));
    case "int8":
      return view.getBigInt64(0).toString();
    case "uuid":
      return uuidText(bytes.subarray(start, start + length));
    case "text":
      return decoder.decode(bytes.subarray(start, start + length));
    case "bytea":
      return `\\x${toHex(bytes.subarray(start, start + length))}`;
    case "date":
      return dateText(view.getInt32(0));
    case "time":
      return timeText(view.getBigInt64(0));
    case "timestamp":
    case "timestamptz":
      return timestampText(view.getBigInt64(0));
    default:
      throw unsupported(kind);
  }
}

/** Days since 2000; the largest and the smallest int32 are the infinities. */
function dateText(days: number): string {
  if (days === 2_147_483_647) return "infinity";
  if (days === -2_147_483_648) return "-infinity";
  return formatPostgresDate((days + POSTGRES_EPOCH_DAY) as DayUtc);
}

/** Microseconds since 2000; the largest and the smallest int64 are the infinities. */
function timestampText(micros: bigint): string {
  if (micros === 9_223_372_036_854_775_807n) return "infinity";
  if (micros === -9_223_372_036_854_775_808n) return "-infinity";
  return formatPostgresTimestamp((micros + POSTGRES_EPOCH_MICROS) as EpochMicros);
}

export function uuidText(bytes: Uint8Array): string {
  const hex = toHex(bytes);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** `13:05:00.000001`; 24:00:00 is a time of its own in Postgres. */
export function timeText(micros: bigint): string {
  const seconds = micros / 1_000_000n;
  const pad = (value: bigint, width: number): string => value.toString().padStart(width, "0");
  return `${pad(seconds / 3600n, 2)}:${pad((seconds / 60n) % 60n, 2)}:${pad(seconds % 60n, 2)}.${pad(micros % 1_000_000n, 6)}`;
}

/** A field within a buffer, so that comparing needs no copy. */
export interface Field {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/** Negative, zero or positive, as Postgres orders them. NULL (length -1) sorts last; a key has none. */
export function compareFields(kind: ValueKind, left: Field, right: Field): number {
  if (left.length < 0 || right.length < 0) return (left.length < 0 ? 1 : 0) - (right.length < 0 ? 1 : 0);
  const signed = kind !== "uuid" && kind !== "text" && kind !== "bytea";
  const common = Math.min(left.length, right.length);
  for (let index = 0; index < common; index += 1) {
    let a = left.bytes[left.start + index] as number;
    let b = right.bytes[right.start + index] as number;
    if (a === b) continue;
    if (signed && index === 0) {
      // Two's complement: the sign bit counts the other way round.
      a ^= 0x80;
      b ^= 0x80;
    }
    return a - b;
  }
  return left.length - right.length;
}
