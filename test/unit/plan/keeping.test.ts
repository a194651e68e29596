/** What a night lets expire, what keeps it, and what is locked: `test/golden/plan-keeping.txt`. */
import { describe, expect, it } from "vitest";
import { lastExpiryDay, lockEnd } from "../../../src/plan/expiry.ts";
import { holdOver, type PlannedHold } from "../../../src/plan/holds.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { archiveRatio, stepObjects, storedByPlan } from "../../../src/plan/stored.ts";
import type { KeptSegment, PlanInput } from "../../../src/plan/step.ts";
import type { Policy } from "../../../src/policy/policy.ts";
import { type EpochMs, parseInstant } from "../../../src/rows/day.ts";
import { expectGolden, text } from "./golden.ts";
import { at, day, hotDays, policy, scene, segment } from "./scenes.ts";

/** Gone after two years; the night is 2026-02-03. */
const TWO_YEARS = "cold: { storageClass: DEEP_ARCHIVE, keep: 730d }";
const OLD = day("2024-02-03");

function kept(number: number, changes: Partial<KeptSegment> = {}): KeptSegment {
  const { state = "cold", ...rest } = changes;
  const base = segment(number, state, { dayFrom: OLD, rowsUnpruned: 0n });
  return { ...base, archivedAsOf: null, lock: null, isHeld: false, isRead: false, ...rest };
}

const hold = (from: string, to = from, reason = "case 17"): PlannedHold => ({
  hold: "0d5cf1a2-0000-4000-8000-000000000000",
  dayFrom: day(from),
  dayTo: day(to),
  reason,
});
const until = (date: string): { until: EpochMs } => ({ until: Date.parse(date) as EpochMs });

function night(catalog: Partial<PlanInput["catalog"]>, changes: Partial<PlanInput> = {}): PlanInput {
  return scene({ policy: policy("", TWO_YEARS), ...changes, catalog });
}

const locking = (keepDays: number): Policy => {
  const before = policy("", TWO_YEARS);
  return { ...before, archive: { ...before.archive, lock: { mode: "COMPLIANCE", keepDays } } };
};

describe("the plan of a night", () => {
  it("lets expire what is old enough, and says what keeps the rest", async () => {
    const rules = `rules: [{ name: denied, when: "action = 'denied'", hot: 7d, archive: false }]\n`;
    const weeks = [1, 2, 3].map((number) =>
      kept(number, { dayFrom: day(`2024-01-0${number}`), dayTo: day(`2024-01-0${number}`) }),
    );
    await expectGolden("keeping", {
      "an expiry night: three days are old enough": text(night({ dueForExpiry: weeks })),
      "the day that is due, and the next one": text(
        night({ dueForExpiry: [kept(1), kept(2, { dayFrom: day("2024-02-04"), dayTo: day("2024-02-04") })] }),
      ),
      "a hold has its day": text(night({ dueForExpiry: weeks, holds: [hold("2024-01-02")] })),
      "a hold on the last day of a packed month": text(
        night({
          dueForExpiry: [kept(1, { dayFrom: day("2024-01-01"), dayTo: day("2024-01-31") })],
          holds: [hold("2024-01-31", "2024-03-31", "letter of 2026-01-12, counsel")],
        }),
      ),
      "it is locked": text(night({ dueForExpiry: [kept(1, { lock: until("2026-06-01") })] })),
      "its lock has ended": text(night({ dueForExpiry: [kept(1, { lock: until("2026-02-03") })] })),
      "a retrieval reads it": text(night({ dueForExpiry: [kept(1, { isRead: true })] })),
      "its rule is gone, or archives nothing any more": text(
        night(
          { dueForExpiry: [kept(1, { rule: "gone" }), kept(2, { rule: "denied" })] },
          { policy: policy(rules, TWO_YEARS) },
        ),
      ),
      "rows that came late": text(
        night({
          dueForExpiry: [
            kept(1, { archivedAsOf: at("2026-01-25T02:00:00Z") }),
            kept(2, { archivedAsOf: at("2026-01-20T02:00:00Z") }),
          ].map((one) => ({ ...one, dayFrom: day("2023-05-01"), dayTo: day("2023-05-01") })),
        }),
      ),
      "hot rows of a day that is older than all of it": text(
        scene({ policy: policy("", TWO_YEARS), hot: hotDays(day("2023-05-01"), 1) }),
      ),
      "what would go cold expires instead; under a hold it goes cold":
        text(
          night({ dueForCold: [kept(1, { state: "warm" })], dueForExpiry: [kept(1, { state: "warm" })] }),
        ) +
        "\n" +
        text(
          night({
            dueForCold: [kept(1, { state: "warm" })],
            dueForExpiry: [kept(1, { state: "warm" })],
            holds: [hold("2024-02-01", "2024-02-28")],
          }),
        ),
      "what an earlier run began": text(night({ unfinished: [{ ...kept(7), state: "expiring" }] })),
      "a delete-only day under a hold, and one that is not": text(
        scene({
          policy: policy(rules, TWO_YEARS),
          hot: hotDays(day("2026-01-20"), 2, 500n, "denied"),
          catalog: { holds: [hold("2026-01-20")] },
        }),
      ),
      "locks that are too short, and legal holds": text(
        night(
          {
            holds: [hold("2025-06-01", "2025-06-30")],
            unprotected: [
              kept(1, { dayFrom: day("2025-01-01"), dayTo: day("2025-01-01") }),
              kept(2, { dayFrom: day("2025-06-02"), dayTo: day("2025-06-02") }),
              kept(3, { dayFrom: day("2025-07-01"), dayTo: day("2025-07-01"), isHeld: true }),
            ],
          },
          { policy: locking(700) },
        ),
      ),
    });
  });

  it("does not drop a leaf with rows of a delete-only rule that a hold keeps", () => {
    const rules = `rules: [{ name: denied, when: "action = 'denied'", hot: 7d, archive: false }]\nprune: partitions\n`;
    const leaf = { oid: "17", schema: "public", name: "logs_2026_01" };
    const range = { from: parseInstant("2025-12-01T00:00:00Z"), to: parseInstant("2026-01-01T00:00:00Z") };
    const input = (holds: readonly PlannedHold[]): PlanInput =>
      scene({
        policy: policy(rules, TWO_YEARS),
        hot: ["default", "denied"].map((rule) => ({ leaf, rule, day: day("2025-12-05"), rows: 10n })),
        leaves: [{ leaf, range, canDrop: true, isDetaching: false }],
        catalog: { holds },
      });
    const stages = (holds: readonly PlannedHold[]): string[] =>
      makePlan(input(holds)).steps.map((step) => `${step.rule} ${step.stages.join(" ")}`);
    expect(stages([])).toEqual(["default export seal drop", "denied delete"]);
    expect(stages([hold("2025-12-05")])).toEqual(["default export seal"]);
    expect(stages([hold("2025-12-06")])).toEqual(["default export seal drop", "denied delete"]);
    expect(
      makePlan(input([hold("2025-12-05")])).held.map(({ rule, reason }) => `${rule}: ${reason}`),
    ).toEqual(["denied: not deleted, by hold 0d5cf1a2: case 17"]);
  });
});

describe("a hold", () => {
  it("has its first and its last day, and of several the first is named", () => {
    const holds = [hold("2026-01-02", "2026-01-04", "a"), hold("2026-01-04", "2026-01-09", "b")];
    const over = (from: string, to = from): string | null =>
      holdOver(holds, day(from), day(to))?.reason ?? null;
    expect(["01", "02", "03", "04", "05", "09", "10"].map((one) => over(`2026-01-${one}`))).toEqual([
      null,
      "a",
      "a",
      "a",
      "b",
      "b",
      null,
    ]);
    expect(over("2025-12-01", "2026-02-01")).toBe("a");
    expect(holdOver(undefined, day("2026-01-01"), day("2026-01-01"))).toBeNull();
  });
});

describe("a lock", () => {
  const lock = { mode: "GOVERNANCE", keepDays: 10 } as const;
  it("ends so many days after the end of the record's last day, and never in the past", () => {
    const ends = (now: string): string | null => {
      const end = lockEnd(lock, day("2026-01-03"), Date.parse(now) as EpochMs);
      return end === null ? null : new Date(end).toISOString();
    };
    expect(ends("2026-01-04")).toBe("2026-01-14T00:00:00.000Z");
    expect(ends("2026-01-13T23:59:59.999Z")).toBe("2026-01-14T00:00:00.000Z");
    expect(ends("2026-01-14")).toBeNull();
  });
});

it("nothing expires where the policy keeps everything", () => {
  expect(lastExpiryDay(policy(), at("2026-02-03T02:00:00Z"))).toBeNull();
  expect(lastExpiryDay(policy("", TWO_YEARS), at("2026-02-03T02:00:00Z"))).toBe(OLD);
});

it("what expires is not stored any more once the plan was executed", () => {
  const input = night({ dueForExpiry: [kept(1), kept(2, { isRead: true })] });
  const totals = [
    {
      state: "cold",
      storageClass: "DEEP_ARCHIVE",
      isSmall: false,
      segments: 3,
      rows: 3_000n,
      bytes: 3n << 20n,
    },
  ] as const;
  const cold = {
    ...input,
    catalog: {
      ...input.catalog,
      dueForExpiry: (input.catalog.dueForExpiry ?? []).map((one) => ({
        ...one,
        storageClass: "DEEP_ARCHIVE",
      })),
    },
  };
  const given = {
    input: cold,
    plan: makePlan(cold),
    table: { rows: 0n, bytes: 0n, isCounted: true },
    totals,
    segmentBytesMax: 1n << 30n,
    rowGroupRowsMax: 20_000n,
  };
  const steps = stepObjects(given, archiveRatio(totals, given.table));
  const { before, after } = storedByPlan(given, steps);
  expect(before.groups).toMatchObject([{ tier: "cold", objects: 3n, rows: 3_000n }]);
  expect(after.groups).toMatchObject([{ tier: "cold", objects: 2n, rows: 2_000n, bytes: 2n << 20n }]);
});
