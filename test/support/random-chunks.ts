/** Row groups of chunks in every kind at once, made up by fast-check: what encoders are compared over. */
import fc from "fast-check";
import { type Column, VALUE_KINDS } from "../../src/rows/column.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { bytesOf, type FieldBytes, int16, int32, int64, joined, rawColumn } from "./copy-stream.ts";
import { columnFor, decimalField, FIELDS } from "./random-fields.ts";
import { columnOf } from "./segment-bytes.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

interface RandomColumn {
  readonly column: Column;
  readonly field: fc.Arbitrary<Uint8Array>;
}

const DECIMALS: readonly [precision: number, scale: number][] = [
  [4, 0],
  [9, 2],
  [18, 5],
  [38, 38],
];

const longTexts = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 300 }).map(utf8),
  fc.integer({ min: 0, max: 200 }).map((length) => utf8("\u{10FFFF}".repeat(length))),
  fc.constantFrom(60, 63, 64, 65, 66, 400).map((length) => utf8("é".repeat(length))),
);

const extreme64 = fc
  .constantFrom(-(2n ** 63n), 2n ** 63n - 1n, -1n, 0n, 1n, 2n ** 32n, -(2n ** 31n))
  .map(int64);
const extreme32 = fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, -1, 0, 1, 65_536).map(int32);

/** Every kind as Postgres sends it, and the cases that encodings stumble over. */
const COLUMNS: readonly RandomColumn[] = [
  ...VALUE_KINDS.map((kind) => ({ column: columnFor(kind, kind), field: FIELDS[kind] })),
  ...DECIMALS.map(([precision, scale]) => ({
    column: columnOf(`decimal ${precision} ${scale}`, "decimal", [precision, scale]),
    field: decimalField(precision, scale),
  })),
  { column: columnOf("long", "text"), field: longTexts },
  { column: columnOf("long bytes", "bytea"), field: fc.uint8Array({ maxLength: 400, size: "max" }) },
  { column: columnOf("extreme int8", "int8"), field: extreme64 },
  { column: columnOf("extreme int4", "int4"), field: extreme32 },
  { column: columnOf("extreme int2", "int2"), field: fc.constantFrom(-32_768, 32_767, 0).map(int16) },
  { column: columnOf("extreme timestamptz", "timestamptz"), field: extreme64 },
  { column: columnOf("extreme date", "date"), field: extreme32 },
];

/** Columns that only rise, as keys and times do. */
const RISING: readonly { readonly column: Column; readonly field: (at: bigint) => Uint8Array }[] = [
  { column: columnOf("rising int8", "int8"), field: int64 },
  { column: columnOf("rising timestamptz", "timestamptz"), field: (at) => int64(at * 1000n) },
  { column: columnOf("rising int4", "int4"), field: (at) => int32(Number(at % 2_000_000_000n)) },
  { column: columnOf("rising jsonb", "jsonb"), field: (at) => joined([bytesOf(1), utf8(`{"n": ${at}}`)]) },
];

export const RANDOM_COLUMNS: readonly Column[] = [...COLUMNS, ...RISING].map(({ column }) => column);

/** Few values that come again, or all that come; some NULL, none, or nothing but NULL. */
function columnFields(field: fc.Arbitrary<Uint8Array>, rows: number): fc.Arbitrary<FieldBytes[]> {
  const exactly = { minLength: rows, maxLength: rows };
  const nullsIn = (weight: number): fc.Arbitrary<FieldBytes> =>
    fc.oneof({ weight: 10 - weight, arbitrary: field }, { weight, arbitrary: fc.constant(null) });
  const few = fc.array(nullsIn(1), { minLength: 1, maxLength: 4 });
  return fc.oneof(
    fc.array(field, exactly),
    fc.array(nullsIn(2), exactly),
    fc.constant(Array.from({ length: rows }, () => null)),
    // In stretches, as run lengths have it, and mixed, as packed bits do.
    few.map((values) =>
      Array.from({ length: rows }, (_, row) => values[(row >> 4) % values.length] as FieldBytes),
    ),
    fc
      .tuple(few, fc.array(fc.nat({ max: 3 }), exactly))
      .map(([values, picks]) => picks.map((pick) => values[pick % values.length] as FieldBytes)),
  );
}

function risingFields(field: (at: bigint) => Uint8Array, rows: number): fc.Arbitrary<FieldBytes[]> {
  const step = fc.oneof(fc.bigInt({ min: 0n, max: 90n }), fc.constantFrom(1n, 4_000_000_000n));
  return fc.array(step, { minLength: rows, maxLength: rows }).map((steps) => {
    let at = 700_000_000_000n;
    return steps.map((one) => field((at += one)));
  });
}

/** Sizes of the chunks of each row group. */
const shape = fc.array(fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 3,
});

/** Row groups of chunks of `RANDOM_COLUMNS`. */
export const randomRowGroups: fc.Arbitrary<RawRows[][]> = shape.chain((groups) => {
  const rows = groups.flat().reduce((sum, count) => sum + count, 0);
  return fc
    .tuple(
      ...COLUMNS.map(({ field }) => columnFields(field, rows)),
      ...RISING.map(({ field }) => risingFields(field, rows)),
    )
    .map((columns) => {
      let from = 0;
      return groups.map((chunks) =>
        chunks.map((count) => {
          from += count;
          return {
            rows: count,
            columns: columns.map((column) => rawColumn(column.slice(from - count, from))),
          };
        }),
      );
    });
});
