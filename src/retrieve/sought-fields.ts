/**
 * What a filter means for one segment, and which of its chunks can have a row of the answer at all. A filter looks for a
 * field only where byte for byte is what Postgres calls equal, in the type that the segment's own column has; for every
 * other one the rows are read and judged as always. Pure.
 */
import type { Column, ValueKind } from "../rows/column.ts";
import { dayFromCivil, dayStart, type DayUtc, POSTGRES_EPOCH_MICROS } from "../rows/day.ts";
import type { Bound } from "../rows/key-range.ts";
import { widening } from "../rows/widen-field.ts";
import type { ManifestChunk } from "../segment/manifest.ts";
import type { PreparedFilter } from "./filters.ts";
import type { UnitedColumns } from "./united-columns.ts";
import type { TimeLimits } from "./wanted-rows.ts";

/** A row of the answer has this field in this column of the segment. */
export interface SoughtField {
  /** Number of the column in the manifest. */
  readonly column: number;
  readonly field: Uint8Array;
}

const INTEGER_BYTES: Readonly<Partial<Record<ValueKind, number>>> = { int2: 2, int4: 4, int8: 8 };

/** What rows of these columns must have; null when none of them can be in the answer, whatever they hold. */
export function soughtFields(
  columns: readonly Column[],
  united: Pick<UnitedColumns, "columns">,
  filters: readonly PreparedFilter[],
): SoughtField[] | null {
  const sought: SoughtField[] = [];
  for (const { column, field } of filters) {
    const to = united.columns[column] as Column;
    const at = columns.findIndex(({ name }) => name === to.name);
    // A column that the segment lacks is NULL in all of its rows, and NULL equals nothing.
    if (at < 0) return null;
    if (field === null) continue;
    const from = columns[at] as Column;
    if (widening(to.name, from, to) === null) sought.push({ column: at, field });
    else {
      const narrow = narrowed(from.kind, to.kind, field);
      if (narrow === "none") return null;
      if (narrow !== "unknown") sought.push({ column: at, field: narrow });
    }
  }
  return sought;
}

/** The field in a narrower integer type; `none` where it does not fit in, so that no row of that type can be equal. */
function narrowed(from: ValueKind, to: ValueKind, field: Uint8Array): Uint8Array | "none" | "unknown" {
  const width = INTEGER_BYTES[from];
  if (width === undefined || INTEGER_BYTES[to] !== field.length) return "unknown";
  const front = field.length - width;
  const sign = (field[front] as number) >= 0x80 ? 0xff : 0;
  return field.subarray(0, front).every((byte) => byte === sign) ? field.subarray(front) : "none";
}

/** Whether a chunk can have a row with a time within the limits, by the range of its manifest. When in doubt, it can. */
export function mayHoldTimes({ from, to }: Pick<ManifestChunk, "from" | "to">, limits: TimeLimits): boolean {
  const [first, end] = [microsOf(from), microsOf(to)];
  if (first !== null && first >= limits.to) return false;
  if (end === null || end > limits.from) return true;
  // Without a key the range ends before every row of that time.
  return end === limits.from && to.key !== null;
}

/** Microseconds since 2000 of a bound's time; null for infinities and anything else that is no plain date. */
function microsOf({ time }: Bound): bigint | null {
  const match = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6})( BC)?$/.exec(time);
  if (match === null) return null;
  const [year, month, day, hour, minute, second, micros] = match.slice(1, 8).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const midnight = dayStart(dayFromCivil(match[8] === undefined ? year : 1 - year, month, day) as DayUtc);
  const seconds = BigInt((hour * 60 + minute) * 60 + second);
  return midnight + seconds * 1_000_000n + BigInt(micros) - POSTGRES_EPOCH_MICROS;
}
