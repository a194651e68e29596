/** The instant that ages are counted from, to the microsecond, on the days when clocks and calendars are strange (I11). */
import { describe, expect, it } from "vitest";

import { planText } from "../../../src/cli/plan-text.ts";
import { lastColdDay, lastDueDay, makePlan } from "../../../src/plan/plan.ts";
import type { Plan } from "../../../src/plan/step.ts";
import { dueInstant } from "../../../src/policy/ages.ts";
import { addDays, type EpochMicros, formatDay, formatInstant } from "../../../src/rows/day.ts";
import { at, day, hotDays, policy, scene, segment } from "./scenes.ts";

const movedDays = (plan: Plan): string[] =>
  plan.steps.filter(({ segment: taken }) => taken === null).map((step) => formatDay(step.day));

/** The days that leave Postgres at `asOf`, of all days around the one where they begin to. */
function leaving(asOf: string | EpochMicros, keep = "30d"): string[] {
  const instant = typeof asOf === "string" ? at(asOf) : asOf;
  const own = policy(`rules: [{ name: r, when: "a", hot: ${keep} }]\n`);
  const last = lastDueDay(own, instant);
  const rows = hotDays(addDays(last, -2), 8, 1n, "r");
  return movedDays(makePlan(scene({ policy: own, asOf: instant, hot: rows })));
}

describe("a day leaves Postgres", () => {
  it("exactly when it is due, and not one microsecond before", () => {
    const due = dueInstant(day("2026-01-03"), 30);
    expect(formatInstant(due)).toBe("2026-02-03T00:00:00.000000Z");
    expect(leaving(due)).toEqual(["2026-01-01", "2026-01-02", "2026-01-03"]);
    expect(leaving((due - 1n) as EpochMicros)).toEqual(["2025-12-31", "2026-01-01", "2026-01-02"]);
    expect(leaving((due + 1n) as EpochMicros)).toEqual(leaving(due));
  });

  it.each([
    // the end of a month, of a year, of February in and out of a leap year
    ["2026-01-31T00:00:00Z", "2025-12-31"],
    ["2026-02-01T00:00:00Z", "2026-01-01"],
    ["2026-01-01T00:00:00Z", "2025-12-01"],
    ["2026-12-31T23:59:59.999999Z", "2026-11-30"],
    ["2024-03-30T00:00:00Z", "2024-02-28"],
    ["2024-03-31T00:00:00Z", "2024-02-29"],
    ["2024-04-01T00:00:00Z", "2024-03-01"],
    ["2023-03-31T00:00:00Z", "2023-02-28"],
    ["2024-02-29T12:00:00Z", "2024-01-29"],
    ["2100-03-31T00:00:00Z", "2100-02-28"],
    ["2000-03-31T00:00:00Z", "2000-02-29"],
    ["1970-01-01T00:00:00Z", "1969-12-01"],
    // Berlin's clocks go forward on 2026-03-29 and back on 2026-10-25, New York's on 03-08 and 11-01
    ["2026-03-29T01:00:00+01:00", "2026-02-26"],
    ["2026-03-29T03:00:00+02:00", "2026-02-26"],
    ["2026-10-25T02:30:00+02:00", "2026-09-24"],
    ["2026-10-25T02:30:00+01:00", "2026-09-24"],
    ["2026-03-08T03:00:00-04:00", "2026-02-05"],
    ["2026-11-01T01:30:00-04:00", "2026-10-01"],
    ["2026-11-01T01:30:00-05:00", "2026-10-01"],
  ])("thirty days after its end in UTC: at %s the last one is %s", (asOf, last) => {
    expect(leaving(asOf).at(-1)).toBe(last);
  });

  it("at the same instant, however the instant is written", () => {
    for (const same of ["2026-02-03T00:00:00Z", "2026-02-02T19:00:00-05:00", "2026-02-03T14:00:00+14:00"]) {
      expect(leaving(same).at(-1)).toBe("2026-01-03");
    }
    expect(leaving("2026-02-03T00:00:00+01:00").at(-1)).toBe("2026-01-02"); // still the 2nd in UTC
  });

  it("one at a time, night after night, whatever the hour of the run", () => {
    let seen = leaving("2024-02-27T02:00:00Z", "1d").at(-1) as string;
    for (const night of ["2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z", "2024-03-01T12:00:00Z"]) {
      const now = leaving(night, "1d").at(-1) as string;
      expect(day(now) - day(seen)).toBe(1);
      seen = now;
    }
  });

  it("is explained by the same count of days that the policy has", async () => {
    const cases = [
      "2024-03-31T00:00:00Z",
      "2026-03-29T01:00:00Z",
      "2026-01-01T00:00:00Z",
      "2026-12-31T23:59:59.999999Z",
    ];
    const sections = cases.map((asOf) => {
      const rows = hotDays(addDays(lastDueDay(policy(), at(asOf)), -1), 4);
      const plan = makePlan(scene({ asOf: at(asOf), hot: rows }));
      return `## ${asOf}\n${planText("audit_logs", plan, false).join("\n")}\n`;
    });
    await expect(sections.join("\n")).toMatchFileSnapshot("../../golden/plan-instants.txt");
  });
});

describe("a segment goes cold", () => {
  const cooled = (asOf: EpochMicros, dayFrom: string, dayTo = dayFrom): number => {
    const warm = segment(1, "warm", { dayFrom: day(dayFrom), dayTo: day(dayTo) });
    return makePlan(scene({ asOf, catalog: { dueForCold: [warm] } })).steps.length;
  };

  it("exactly when its last day is due, and not one microsecond before", () => {
    const due = dueInstant(day("2024-02-29"), 365);
    expect(formatInstant(due)).toBe("2025-03-01T00:00:00.000000Z");
    expect(cooled(due, "2024-02-29")).toBe(1);
    expect(cooled((due - 1n) as EpochMicros, "2024-02-29")).toBe(0);
    expect(cooled(due, "2024-02-01", "2024-02-29")).toBe(1);
    expect(cooled(due, "2024-02-01", "2024-03-01")).toBe(0);
  });
});

describe("how far the catalog and the table are looked at", () => {
  const rules = `rules:
  - { name: short, when: "a", hot: 7d, archive: false }
  - { name: long, when: "b", hot: 60d, warm: 400d }
`;
  const asOf = at("2026-02-03T02:00:00Z");

  it("is the last day that any rule lets go", () => {
    expect(formatDay(lastDueDay(policy(), asOf))).toBe("2026-01-03");
    expect(formatDay(lastDueDay(policy(rules), asOf))).toBe("2026-01-26");
  });

  it("is the last day that any archiving rule lets go cold, or none", () => {
    expect(formatDay(lastColdDay(policy(rules), asOf) as never)).toBe("2025-02-02");
    expect(
      formatDay(lastColdDay(policy('rules: [{ name: r, when: "a", warm: 90d }]\n'), asOf) as never),
    ).toBe("2025-11-04");
    expect(lastColdDay(policy("", ""), asOf)).toBeNull();
  });
});
