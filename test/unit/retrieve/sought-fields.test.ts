/** Which chunks can hold rows of a range of time, by their manifest, and what a filter looks for in a segment. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { joinNear } from "../../../src/retrieve/range-reads.ts";
import { mayHoldTimes, soughtFields } from "../../../src/retrieve/sought-fields.ts";
import { type EpochMicros, formatPostgresTimestamp, POSTGRES_EPOCH_MICROS } from "../../../src/rows/day.ts";
import type { Bound } from "../../../src/rows/key-range.ts";
import { unitedType } from "../../../src/rows/united-type.ts";
import type { Column, ValueKind } from "../../../src/rows/column.ts";
import { column, int4, int8, utf8 } from "./value-fields.ts";

const bound = (micros: bigint, key: readonly string[] | null = null): Bound => ({
  time: formatPostgresTimestamp((micros + POSTGRES_EPOCH_MICROS) as EpochMicros),
  key,
});

describe("a chunk", () => {
  const range = { from: bound(100n), to: bound(200n) };

  it.each([
    ["that ends before the range", { from: 201n, to: 300n }, false],
    ["that ends where the range begins", { from: 200n, to: 300n }, false],
    ["that ends in the range", { from: 199n, to: 300n }, true],
    ["that is within the range", { from: 0n, to: 300n }, true],
    ["that holds the range", { from: 150n, to: 151n }, true],
    ["that begins in the range", { from: 0n, to: 101n }, true],
    ["that begins where the range ends", { from: 0n, to: 100n }, false],
  ])("%s is read: %s %s", (_what, limits, isRead) => {
    expect(mayHoldTimes(range, limits)).toBe(isRead);
  });

  it("that ends in the middle of an instant has rows of it", () => {
    expect(mayHoldTimes({ ...range, to: bound(200n, ["7"]) }, { from: 200n, to: 300n })).toBe(true);
  });

  it("whose range is no date is read", () => {
    const odd = { from: { time: "-infinity", key: null }, to: { time: "infinity", key: null } };
    expect(mayHoldTimes(odd, { from: 0n, to: 1n })).toBe(true);
  });

  it("is left out only if it has no row of the range, in any year", () => {
    const micros = fc.bigInt({ min: -63_000_000_000_000_000n, max: 252_000_000_000_000_000n });
    const small = fc.bigInt({ min: 0n, max: 5n });
    fc.assert(
      fc.property(micros, fc.tuple(small, small, small, small), fc.boolean(), (base, offsets, hasKey) => {
        const [first, length, from, span] = offsets;
        const chunk = { from: bound(base + first), to: bound(base + first + length, hasKey ? ["1"] : null) };
        const limits = { from: base + from, to: base + from + span };
        // Rows of the chunk: from its first instant, up to its last or, with a key, within that.
        for (let time = base + first; time < base + first + length + (hasKey ? 1n : 0n); time += 1n) {
          if (time >= limits.from && time < limits.to) expect(mayHoldTimes(chunk, limits)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("what is looked for in a segment", () => {
  const united = (from: Column, to: Column) => ({
    columns: [{ ...from, ...unitedType(from, to) }],
  });
  const filter = (field: Uint8Array | null) => [{ column: 0, field, matches: () => true }];
  const kinds = (from: ValueKind, to: ValueKind): [Column, { columns: Column[] }] => {
    const [narrow, wide] = [column("c", from), column("c", to)];
    return [narrow, united(narrow, wide)];
  };

  it("is the field itself where the type is the same, and nothing where bytes do not decide", () => {
    const [text, same] = kinds("text", "text");
    expect(soughtFields([column("x", "int4"), text], same, filter(utf8("a")))).toEqual([
      { column: 1, field: utf8("a") },
    ]);
    expect(soughtFields([text], same, filter(null))).toEqual([]);
  });

  it("is the narrower integer, or no row at all where it does not fit", () => {
    const [narrow, wide] = kinds("int4", "int8");
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 33n), max: 2n ** 33n }), (value) => {
        const fits = BigInt.asIntN(32, value) === value;
        const found = soughtFields([narrow], wide, filter(int8(value)));
        expect(found).toEqual(fits ? [{ column: 0, field: int4(Number(value)) }] : null);
      }),
    );
  });

  it("is not known where fields change their form otherwise", () => {
    const [date, timestamp] = kinds("date", "timestamp");
    expect(soughtFields([date], timestamp, filter(int8(0n)))).toEqual([]);
    const padded = { ...column("c", "text"), type: "character(5)" };
    const text = { ...column("c", "text"), type: "text" };
    expect(soughtFields([padded], united(padded, text), filter(utf8("a")))).toEqual([]);
  });

  it("is not in a segment without the column", () => {
    const [, same] = kinds("text", "text");
    expect(soughtFields([column("other", "text")], same, filter(null))).toBeNull();
  });
});

describe("ranges of bytes", () => {
  it("are read as one where little is between them, and hold all that was asked for", () => {
    const range = fc
      .tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 40 }))
      .map(([start, length]) => ({ start, end: start + length }));
    fc.assert(
      fc.property(fc.array(range), fc.integer({ min: 0, max: 20 }), (ranges, gap) => {
        const joined = joinNear(ranges, gap);
        for (const { start, end } of ranges) {
          expect(joined.filter((one) => one.start <= start && end <= one.end)).toHaveLength(1);
        }
        for (const [at, { start }] of joined.slice(1).entries()) {
          expect(start - (joined[at]?.end as number)).toBeGreaterThan(gap);
        }
      }),
    );
    expect(joinNear([])).toEqual([]);
  });
});
