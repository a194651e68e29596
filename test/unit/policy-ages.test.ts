/** When a day is due: whole UTC days after the end of the record's own day, and nothing else (I11). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { dueDay, dueDayCold, dueDayHot, dueDayWarm, dueInstant } from "../../src/policy/ages.ts";
import {
  addDays,
  dayEnd,
  DAY_MAX,
  DAY_MIN,
  formatDay,
  formatInstant,
  MICROS_PER_DAY,
  parseDay,
  parseInstant,
  type DayUtc,
  type EpochMicros,
} from "../../src/rows/day.ts";

const at = (text: string): EpochMicros => parseInstant(text);
const due = (keepDays: number, asOf: string): string => formatDay(dueDay(keepDays, at(asOf)));

describe("a day is due", () => {
  it("exactly keep days after its end, not a microsecond before", () => {
    expect(due(30, "2026-01-31T23:59:59.999999Z")).toBe("2025-12-31");
    expect(due(30, "2026-02-01T00:00:00Z")).toBe("2026-01-01");
    expect(due(30, "2026-02-01T23:59:59.999999Z")).toBe("2026-01-01");
    expect(formatInstant(dueInstant(parseDay("2026-01-01"), 30))).toBe("2026-02-01T00:00:00.000000Z");
  });

  it.each([
    // keep, as of, latest due day
    [1, "2024-03-01T00:00:00Z", "2024-02-28"],
    [1, "2024-03-02T00:00:00Z", "2024-02-29"],
    [1, "2023-03-02T00:00:00Z", "2023-02-28"],
    [365, "2025-02-28T00:00:00Z", "2024-02-28"],
    [365, "2025-03-01T00:00:00Z", "2024-02-29"],
    [365, "2024-12-31T00:00:00Z", "2023-12-31"],
    [366, "2025-01-01T00:00:00Z", "2023-12-31"],
    [3653, "2030-01-01T00:00:00Z", "2019-12-31"],
    [30, "2024-03-31T12:00:00Z", "2024-02-29"],
    [90, "1970-01-01T00:00:00Z", "1969-10-02"],
    [1, "1969-12-31T23:59:59.999999Z", "1969-12-29"],
  ])("counts days, not months or years: %i days at %s is %s", (keepDays, asOf, expected) => {
    expect(due(keepDays, asOf)).toBe(expected);
  });

  it("at the same instant in every zone: a DST change moves nothing", () => {
    // Europe/Berlin sprang forward on 2024-03-31 and back on 2024-10-27.
    for (const [local, utc] of [
      ["2024-03-31T01:59:59+01:00", "2024-03-31T00:59:59Z"],
      ["2024-03-31T03:00:00+02:00", "2024-03-31T01:00:00Z"],
      ["2024-10-27T02:30:00+02:00", "2024-10-27T00:30:00Z"],
      ["2024-10-27T02:30:00+01:00", "2024-10-27T01:30:00Z"],
    ] as const) {
      expect(due(30, local)).toBe(due(30, utc));
    }
    expect(due(1, "2024-03-31T00:30:00+02:00")).toBe("2024-03-28"); // still the 30th in UTC
  });
});

const instants = fc
  .bigInt({ min: BigInt(DAY_MIN + 40_000) * MICROS_PER_DAY, max: BigInt(DAY_MAX) * MICROS_PER_DAY })
  .map((instant) => instant as EpochMicros);
const keeps = fc.integer({ min: 1, max: 36_500 });

describe("for any instant and any keep", () => {
  it("the due day is the latest one with dayEnd + keep <= asOf", () => {
    fc.assert(
      fc.property(keeps, instants, (keepDays, asOf) => {
        const day = dueDay(keepDays, asOf);
        const keep = BigInt(keepDays) * MICROS_PER_DAY;
        expect(dayEnd(day) + keep <= asOf).toBe(true);
        expect(dayEnd(addDays(day, 1)) + keep > asOf).toBe(true);
        expect(dueInstant(day, keepDays) <= asOf && asOf < dueInstant(addDays(day, 1), keepDays)).toBe(true);
      }),
    );
  });

  it("later instants never take a due day back, longer keeps never add one", () => {
    fc.assert(
      fc.property(keeps, keeps, instants, instants, (keepA, keepB, asOfA, asOfB) => {
        expect(asOfA > asOfB || dueDay(keepA, asOfA) <= dueDay(keepA, asOfB)).toBe(true);
        expect(keepA > keepB || dueDay(keepA, asOfA) >= dueDay(keepB, asOfA)).toBe(true);
      }),
    );
  });

  it("runs tile the calendar: as asOf advances each day becomes due exactly once", () => {
    const steps = fc.array(fc.bigInt({ min: 0n, max: 5n * MICROS_PER_DAY }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(keeps, instants, steps, (keepDays, start, advances) => {
        let asOf = start;
        let done = dueDay(keepDays, asOf);
        const first = done;
        const moved: DayUtc[] = [];
        for (const advance of advances) {
          asOf = (asOf + advance) as EpochMicros;
          const bound = dueDay(keepDays, asOf);
          for (let day = addDays(done, 1); day <= bound; day = addDays(day, 1)) moved.push(day);
          done = bound;
        }
        expect(moved).toEqual(Array.from({ length: done - first }, (_, index) => first + 1 + index));
        expect(done).toBe(dueDay(keepDays, asOf));
      }),
    );
  });

  it("a record leaves the tiers in order", () => {
    const ages = fc.uniqueArray(keeps, { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(ages, instants, (unordered, asOf) => {
        const [hotDays, warmDays, coldDays] = unordered.toSorted((a, b) => a - b) as [number, number, number];
        const rule = { archive: true, hotDays, warmDays, coldDays };
        expect(dueDayCold(rule, asOf)).toBeLessThan(dueDayWarm(rule, asOf) as number);
        expect(dueDayWarm(rule, asOf)).toBeLessThan(dueDayHot(rule, asOf));
      }),
    );
  });
});

describe("never due", () => {
  const asOf = at("2026-01-01T00:00:00Z");
  const rule = { archive: true, hotDays: 30, warmDays: 365, coldDays: null };

  it("are cold objects that are kept forever", () => expect(dueDayCold(rule, asOf)).toBeNull());

  it("are objects of a rule that archives nothing, while its rows still leave Postgres", () => {
    const deleteOnly = { archive: false, hotDays: 30, warmDays: 30, coldDays: 30 };
    expect(dueDayWarm(deleteOnly, asOf)).toBeNull();
    expect(dueDayCold(deleteOnly, asOf)).toBeNull();
    expect(dueDayHot(deleteOnly, asOf)).toBe(dueDayHot(rule, asOf));
  });

  it("is anything under a keep that is not a number of days", () => {
    for (const keepDays of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => dueDay(keepDays, asOf)).toThrow(/^E_INTERNAL ages: /);
    }
  });
});
