/** What Postgres cannot be asked for in SQL: broken fields, bits of a NaN, and what a widening does to a whole column. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { fromHex, toHex } from "../../../src/rows/hex.ts";
import { encodeNumeric } from "../../../src/rows/numeric.ts";
import type { ColumnType } from "../../../src/rows/united-type.ts";
import { widenColumn, widening } from "../../../src/rows/widen-field.ts";
import { fieldsOf, int32, int64, rawColumn } from "../../support/copy-stream.ts";
import { SAMPLES } from "./column-types.ts";

const of = (name: string): ColumnType => SAMPLES[name] as ColumnType;

/** The fields in the wider type, in hex; NULL is null. */
function widened(from: string, to: string, fields: readonly (string | null)[]): (string | null)[] {
  const widen = widening("v", of(from), of(to));
  const column = rawColumn(fields.map((field) => (field === null ? null : fromHex(field))));
  const found = widen === null ? column : widenColumn(column, fields.length, widen);
  return fieldsOf(found, fields.length).map((field) => (field === null ? null : toHex(field)));
}

describe("a column of a wider type", () => {
  it("keeps its NULLs and its order", () => {
    expect(widened("smallint", "integer", [null, "0001", null, "ffff", null])).toEqual([
      null,
      "00000001",
      null,
      "ffffffff",
      null,
    ]);
    expect(widened("integer", "bigint", [])).toEqual([]);
  });

  it("is the same bytes where the form of its fields is the same", () => {
    for (const [from, to] of [
      ["numeric(12,2)", "numeric"],
      ["numeric(6,2)", "numeric(12,2)"],
      ["character varying(10)", "text"],
      ["public.mood", "text"],
      ["timestamp(3) without time zone", "timestamp without time zone"],
    ] as const) {
      expect(widening("v", of(from), of(to))).toBeNull();
    }
  });

  it("has every number that it had", () => {
    const max = 2n ** 63n - 1n;
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -max - 1n, max })), (values) => {
        const widen = widening("v", of("bigint"), of("numeric"));
        const found = widenColumn(rawColumn(values.map(int64)), values.length, widen as never);
        const expected = values.map((unscaled) => encodeNumeric({ unscaled, scale: 0 }));
        expect(fieldsOf(found, values.length)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it("keeps the sign and the payload of a NaN, and makes it a quiet one as a processor does", () => {
    expect(
      widened("real", "double precision", ["7fc00000", "ffc00000", "7fc00001", "ffffffff", "7f800001"]),
    ).toEqual([
      "7ff8000000000000",
      "fff8000000000000",
      "7ff8000020000000",
      "ffffffffe0000000",
      "7ff8000020000000",
    ]);
  });

  it("has the float that it had, the smallest and the largest too", () => {
    expect(
      widened("real", "double precision", ["00000000", "80000000", "00000001", "7f7fffff", "ff800000"]),
    ).toEqual([
      "0000000000000000",
      "8000000000000000",
      "36a0000000000000",
      "47efffffe0000000",
      "fff0000000000000",
    ]);
  });
});

describe("a field that its type cannot have", () => {
  it.each([
    ["smallint", "integer", "00"],
    ["integer", "bigint", "0001"],
    ["integer", "numeric", ""],
    ["real", "double precision", "0000000000000000"],
    ["date", "timestamp without time zone", "000000"],
    ["numeric(6,2)", "numeric(12,4)", "0001"],
  ])("of %s is not made a %s by guesswork", (from, to, field) => {
    const widen = widening("v", of(from), of(to));
    const column = rawColumn([fromHex(field)]);
    expect(() => widenColumn(column, 1, widen as never)).toThrow(
      /^E_FORMAT column v: a field of \d bytes? is no /,
    );
  });

  it("is no date for a timestamp: what lies after 294276 is refused, not wrapped around", () => {
    const [from, to] = ["date", "timestamp without time zone"] as const;
    const day = (days: number): string => toHex(int32(days));
    expect(widened(from, to, [day(106_751_982)])).toEqual([toHex(int64(106_751_982n * 86_400_000_000n))]);
    expect(() => widened(from, to, [day(106_751_983)])).toThrow(
      /^E_SCHEMA column v: .* after the year 294276/,
    );
    expect(widened(from, to, ["7fffffff", "80000000"])).toEqual(["7fffffffffffffff", "8000000000000000"]);
  });
});
