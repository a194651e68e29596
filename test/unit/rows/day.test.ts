/** Days and instants: proleptic Gregorian, UTC, in whole microseconds (I11). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isFirnlineError } from "../../../src/errors.ts";
import {
  addDays,
  civilFromDay,
  DAY_MAX,
  DAY_MIN,
  dayEnd,
  dayFromCivil,
  dayOf,
  dayStart,
  type DayUtc,
  type EpochMicros,
  type EpochMs,
  formatDay,
  formatInstant,
  formatPostgresDate,
  formatPostgresTimestamp,
  MICROS_PER_DAY,
  microsFromMs,
  parseDay,
  parseInstant,
  POSTGRES_EPOCH_DAY,
  POSTGRES_EPOCH_MICROS,
} from "../../../src/rows/day.ts";

const day = (text: string): DayUtc => parseDay(text);
const instant = (text: string): EpochMicros => parseInstant(text);

const anyDay = fc.integer({ min: DAY_MIN, max: DAY_MAX }).map((value) => value as DayUtc);
const anyInstant = fc
  .bigInt({ min: dayStart(DAY_MIN), max: dayEnd(DAY_MAX) - 1n })
  .map((value) => value as EpochMicros);

describe("a day", () => {
  it("agrees with JavaScript's calendar on every day of 400 years, leap days and month ends included", () => {
    const first = day("1900-01-01");
    for (let offset = 0; offset <= 146_097; offset += 1) {
      const date = new Date((first + offset) * 86_400_000);
      const expected = date.toISOString().slice(0, 10);
      if (formatDay(addDays(first, offset)) !== expected) expect.fail(`${expected}, offset ${offset}`);
    }
  });

  it("goes to its civil date and back for any day that Postgres can hold", () => {
    fc.assert(
      fc.property(fc.integer({ min: -2_451_545 + 10_957, max: 2_147_483_647 }), (value) => {
        const { year, month, day: dayOfMonth } = civilFromDay(value);
        expect(dayFromCivil(year, month, dayOfMonth)).toBe(value);
      }),
    );
  });

  it("comes back from its text", () => {
    fc.assert(
      fc.property(anyDay, (value) => {
        expect(day(formatDay(value))).toBe(value);
      }),
    );
  });

  it.each([
    ["0001-01-01", DAY_MIN],
    ["1970-01-01", 0],
    ["1969-12-31", -1],
    ["2000-01-01", POSTGRES_EPOCH_DAY],
    ["2000-02-29", POSTGRES_EPOCH_DAY + 59],
    ["2024-02-29", 19_782],
    ["9999-12-31", DAY_MAX],
  ])("%s is day %i", (text, value) => {
    expect(day(text)).toBe(value);
    expect(formatDay(value as DayUtc)).toBe(text);
  });

  it.each([
    "2023-02-29",
    "1900-02-29",
    "2100-02-29",
    "2024-02-30",
    "2024-04-31",
    "2024-13-01",
    "2024-00-10",
    "2024-01-00",
    "2024-01-32",
    "0000-12-31",
    "10000-01-01",
    "-001-01-01",
    "24-01-01",
    "2024-1-1",
    "2024/01/01",
    "20240101",
    " 2024-01-01",
    "2024-01-01\n",
    "2024-01-01T00:00:00Z",
    "٢٠٢٤-٠١-٠١",
    "today",
    "",
  ])("refuses %j", (text) => {
    let thrown: unknown;
    try {
      parseDay(text, "--from");
    } catch (error) {
      thrown = error;
    }
    expect(isFirnlineError(thrown, "E_INPUT") && thrown.subject).toBe("--from");
  });

  it("is half-open, and its instants are its own", () => {
    fc.assert(
      fc.property(anyDay, (value) => {
        expect(dayEnd(value)).toBe(dayStart(addDays(value, 1)));
        expect(dayEnd(value) - dayStart(value)).toBe(MICROS_PER_DAY);
        expect(dayOf(dayStart(value))).toBe(value);
        expect(dayOf((dayEnd(value) - 1n) as EpochMicros)).toBe(value);
        expect(dayOf((dayStart(value) - 1n) as EpochMicros)).toBe(value - 1);
      }),
    );
  });

  it("is 24 hours long when clocks are set forward or back: UTC has no such days", () => {
    for (const text of ["2024-03-10", "2024-03-31", "2024-10-27", "2024-11-03", "2011-12-30"]) {
      const value = day(text);
      expect(dayEnd(value) - dayStart(value)).toBe(86_400_000_000n);
      expect(formatInstant(dayStart(value))).toBe(`${text}T00:00:00.000000Z`);
    }
  });
});

describe("an instant", () => {
  it("comes back from its text with every microsecond", () => {
    fc.assert(
      fc.property(anyInstant, (value) => {
        expect(instant(formatInstant(value))).toBe(value);
      }),
    );
  });

  it("agrees with JavaScript where that has digits enough", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("0001-01-01Z"), max: new Date("9999-12-31Z"), noInvalidDate: true }),
        (date) => {
          expect(instant(date.toISOString())).toBe(BigInt(date.getTime()) * 1000n);
          expect(microsFromMs(date.getTime() as EpochMs)).toBe(instant(date.toISOString()));
        },
      ),
    );
  });

  it.each([
    ["2024-03-31T12:00:00Z", "2024-03-31T12:00:00.000000Z"],
    ["2024-03-31T14:00:00+02:00", "2024-03-31T12:00:00.000000Z"],
    ["2024-03-31T14:00:00+0200", "2024-03-31T12:00:00.000000Z"],
    ["2024-03-31T00:30:00+02:00", "2024-03-30T22:30:00.000000Z"],
    ["2024-02-28T23:59:59.999999-00:01", "2024-02-29T00:00:59.999999Z"],
    ["2024-03-31T23:00:00-14:00", "2024-04-01T13:00:00.000000Z"],
    ["2024-03-31T05:45+05:45", "2024-03-31T00:00:00.000000Z"],
    ["2024-03-31t12:00:00z", "2024-03-31T12:00:00.000000Z"],
    ["2024-03-31 12:00:00.1Z", "2024-03-31T12:00:00.100000Z"],
    ["2024-03-31T12:00:00.000001Z", "2024-03-31T12:00:00.000001Z"],
    ["1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"],
  ])("%s is %s", (text, expected) => {
    expect(formatInstant(instant(text))).toBe(expected);
  });

  it.each([
    "2024-03-31T12:00:00", // no zone: whose noon?
    "2024-03-31",
    "2024-03-31T24:00:00Z",
    "2024-03-31T12:60:00Z",
    "2024-03-31T12:00:60Z",
    "2024-03-31T12:00:00.Z",
    "2024-03-31T12:00:00.0000001Z", // a nanosecond would be lost
    "2024-03-31T12:00:00+2",
    "2024-03-31T12:00:00 +02:00",
    "2024-02-30T12:00:00Z",
    "2024-03-31T12:00:00Z ",
    "2024-03-31T12Z",
    "2024-03-31T12:00:00+24:00",
    "2024-03-31T12:00:00+01:60",
    "now",
    "",
  ])("refuses %j", (text) => {
    expect(() => instant(text)).toThrow(/^E_INPUT /);
  });

  it("before 1970 belongs to the day that it falls in, not to the one after", () => {
    expect(dayOf(-1n as EpochMicros)).toBe(-1);
    expect(dayOf(-MICROS_PER_DAY as EpochMicros)).toBe(-1);
    expect(dayOf((-MICROS_PER_DAY - 1n) as EpochMicros)).toBe(-2);
    expect(dayOf(0n as EpochMicros)).toBe(0);
  });
});

describe("the form that Postgres reads", () => {
  const micros = (postgres: bigint): EpochMicros => (postgres + POSTGRES_EPOCH_MICROS) as EpochMicros;

  it.each([
    [0n, "2000-01-01 00:00:00.000000"],
    [-1n, "1999-12-31 23:59:59.999999"],
    [9_223_371_331_199_999_999n, "294276-12-31 23:59:59.999999"],
    [-211_813_488_000_000_000n, "4714-11-24 00:00:00.000000 BC"],
    [-63_113_904_000_000_000n, "0001-01-01 00:00:00.000000 BC"],
    [-63_082_281_600_000_000n, "0001-01-01 00:00:00.000000"],
    [-63_082_281_600_000_001n, "0001-12-31 23:59:59.999999 BC"],
  ])("%i microseconds after 2000 are %s", (postgres, text) => {
    expect(formatPostgresTimestamp(micros(postgres))).toBe(text);
  });

  it.each([
    [0, "2000-01-01"],
    [-730_120, "0001-12-31 BC"],
    [-730_119, "0001-01-01"],
    [-2_451_545, "4714-11-24 BC"],
    [2_921_939, "9999-12-31"],
    [2_921_940, "10000-01-01"],
    [2_145_031_948, "5874897-12-31"],
  ])("%i days after 2000 are %s", (postgres, text) => {
    expect(formatPostgresDate((postgres + POSTGRES_EPOCH_DAY) as DayUtc)).toBe(text);
  });
});
