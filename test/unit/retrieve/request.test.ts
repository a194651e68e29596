/** What a person asks for: dates are UTC days and `--to` includes its day; instants are exact. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseRange } from "../../../src/retrieve/request.ts";
import {
  dayEnd,
  DAY_MAX,
  DAY_MIN,
  dayStart,
  formatDay,
  formatInstant,
  type DayUtc,
} from "../../../src/rows/day.ts";

function rangeOf(from: string, to: string): [string, string] {
  const range = parseRange(from, to, []);
  return [formatInstant(range.from), formatInstant(range.to)];
}

describe("a range", () => {
  it.each([
    ["2026-01-01", "2026-01-31", "2026-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"],
    ["2026-01-01", "2026-01-01", "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"],
    ["2024-02-29", "2024-02-29", "2024-02-29T00:00:00.000000Z", "2024-03-01T00:00:00.000000Z"],
    ["2025-12-31", "2025-12-31", "2025-12-31T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z"],
    ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00.000000Z", "10000-01-01T00:00:00.000000Z"],
  ])("of bare dates, %s to %s, holds both days", (from, to, first, end) => {
    expect(rangeOf(from, to)).toEqual([first, end]);
  });

  it.each([
    [
      "2026-01-01T10:00:00Z",
      "2026-01-01T10:00:00.000001Z",
      "2026-01-01T10:00:00.000000Z",
      "2026-01-01T10:00:00.000001Z",
    ],
    [
      "2026-01-01T00:00:00+02:00",
      "2026-01-01T00:00:00-05:30",
      "2025-12-31T22:00:00.000000Z",
      "2026-01-01T05:30:00.000000Z",
    ],
    ["2026-01-01 10:00Z", "2026-01-01t11:00z", "2026-01-01T10:00:00.000000Z", "2026-01-01T11:00:00.000000Z"],
    // Berlin's hour that comes twice is two hours long in UTC.
    [
      "2026-10-25T02:00:00+02:00",
      "2026-10-25T03:00:00+01:00",
      "2026-10-25T00:00:00.000000Z",
      "2026-10-25T02:00:00.000000Z",
    ],
  ])("of instants, %s to %s, ends before the second one", (from, to, first, end) => {
    expect(rangeOf(from, to)).toEqual([first, end]);
  });

  it("may begin with a date and end with an instant, or the other way round", () => {
    expect(rangeOf("2026-01-01", "2026-01-01T12:00:00Z")).toEqual([
      "2026-01-01T00:00:00.000000Z",
      "2026-01-01T12:00:00.000000Z",
    ]);
    expect(rangeOf("2026-01-01T12:00:00Z", "2026-01-01")).toEqual([
      "2026-01-01T12:00:00.000000Z",
      "2026-01-02T00:00:00.000000Z",
    ]);
  });

  it.each([
    ["2026-01-02", "2026-01-01", "(2026-01-02T00:00:00.000000Z up to 2026-01-02T00:00:00.000000Z)"],
    ["2026-02-01", "2026-01-01", "(2026-02-01T00:00:00.000000Z up to 2026-01-02T00:00:00.000000Z)"],
    [
      "2026-01-01T10:00:00Z",
      "2026-01-01T10:00:00Z",
      "(2026-01-01T10:00:00.000000Z up to 2026-01-01T10:00:00.000000Z)",
    ],
    [
      "2026-01-01T10:00:00Z",
      "2026-01-01T12:00:00+02:00",
      "(2026-01-01T10:00:00.000000Z up to 2026-01-01T10:00:00.000000Z)",
    ],
    [
      "2026-01-01T00:00:00.000001Z",
      "2026-01-01T00:00:00Z",
      "(2026-01-01T00:00:00.000001Z up to 2026-01-01T00:00:00.000000Z)",
    ],
    ["2026-01-02T00:00:00Z", "2026-01-01", "(2026-01-02T00:00:00.000000Z up to 2026-01-02T00:00:00.000000Z)"],
  ])("that is empty or reversed, %s to %s, is refused with what was understood", (from, to, understood) => {
    expect(() => parseRange(from, to, [])).toThrow(
      `E_INPUT --from, --to: the range is empty or reversed ${understood}. Put the earlier date into --from.`,
    );
  });

  it.each([
    "",
    "today",
    "2026-1-1",
    "26-01-01",
    "2026-02-30",
    "2025-02-29",
    "2026-13-01",
    "2026-00-10",
    "0000-01-01",
    "20260101",
    "2026/01/01",
    "2026-01-01 ",
    " 2026-01-01",
    "2026-01-01T",
    "2026-01-01T10:00:00",
    "2026-01-01T24:00:00Z",
    "2026-01-01T10:60:00Z",
    "2026-01-01T10:00:60Z",
    "2026-01-01T10:00:00.1234567Z",
    "2026-01-01T10:00:00+2",
    "2026-01-01T10:00:00+24:00",
    "2026-01-01T10:00:00+02:60",
    "2026-02-30T10:00:00Z",
    "10000-01-01",
    "-0001-01-01",
    "1767225600",
    "٢٠٢٦-٠١-٠١",
    "2026-01-01\n",
  ])("is refused when one end is %j, naming that end", (bad) => {
    expect(() => parseRange(bad, "2026-12-31", [])).toThrow(/^E_INPUT --from: ".*" is not /s);
    expect(() => parseRange("2026-01-01", bad, [])).toThrow(/^E_INPUT --to: ".*" is not /s);
  });

  it("of any two days holds exactly these days", () => {
    const days = fc.integer({ min: DAY_MIN, max: DAY_MAX }).map((value) => value as DayUtc);
    fc.assert(
      fc.property(days, days, (one, other) => {
        const [first, last] = one <= other ? [one, other] : [other, one];
        const range = parseRange(formatDay(first), formatDay(last), []);
        expect(range).toEqual({ from: dayStart(first), to: dayEnd(last), where: [] });
      }),
    );
  });
});

describe("filters", () => {
  const filtersOf = (...where: string[]): unknown => parseRange("2026-01-01", "2026-01-01", where).where;

  it("are column=value; everything after the first = is the value", () => {
    expect(filtersOf("action=login", "note=a=b", "empty=", "weird column= x ")).toEqual([
      { column: "action", value: "login" },
      { column: "note", value: "a=b" },
      { column: "empty", value: "" },
      { column: "weird column", value: " x " },
    ]);
  });

  it.each(["", "action", "=login", "action:login"])("refuse %j", (text) => {
    expect(() => filtersOf(text)).toThrow(
      `E_INPUT --where: "${text}" is not column=value. Write it like --where action=login.`,
    );
  });

  it("are at most 32", () => {
    const many = Array.from({ length: 33 }, (_, index) => `c${index}=1`);
    expect(filtersOf(...many.slice(1))).toHaveLength(32);
    expect(() => filtersOf(...many)).toThrow(/^E_INPUT --where: 33 filters, at most 32 are taken\. /);
  });
});
