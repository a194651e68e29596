/** What waits for the bucket's rule, and what is packed. */
import { describe, expect, it } from "vitest";

import { makePlan } from "../../../src/plan/plan.ts";
import type { PlanInput, PlannedSegment } from "../../../src/plan/step.ts";
import type { StorageClass } from "../../../src/policy/policy.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import { at, day, policy, scene, segment } from "./scenes.ts";

const NOW = at("2026-02-03T02:00:00Z");
const DAY_MS = 86_400_000;

/** A segment that was tagged so many days ago, and was not moved since. */
function tagged(daysAgo: number, storageClass: StorageClass = "DEEP_ARCHIVE", isWaiting = true): PlanInput {
  const one = segment(7, "cooling", {
    dayFrom: day("2024-12-01"),
    taggedAt: (Number(NOW / 1_000n) - daysAgo * DAY_MS) as EpochMs,
  });
  const { cold, ...rest } = policy();
  return scene({
    policy: { ...rest, cold: cold && { ...cold, storageClass, transition: "lifecycle" } },
    catalog: { unfinished: [one] },
    waiting: new Set(isWaiting ? [one.segment] : []),
    now: NOW,
  });
}

describe("a tagged segment", () => {
  it.each([
    [0, false, /^tagged today; the bucket's rule has not moved it yet$/],
    [1, false, /^tagged 1 day ago; /],
    [13, false, /^tagged 13 days ago; /],
    [
      14,
      true,
      /^tagged 14 days ago, and the bucket's rule has not moved it: look at `firnline lifecycle check`$/,
    ],
  ])("%i days ago waits without a step, and needs a person: %s", (days, needsPerson, reason) => {
    const { held, steps } = makePlan(tagged(days));
    expect(steps).toEqual([]);
    expect(held).toMatchObject([{ needsPerson, reason: expect.stringMatching(reason) }]);
  });

  it("waits for 30 days more where S3 moves nothing younger", () => {
    expect(makePlan(tagged(43, "STANDARD_IA")).held[0]?.needsPerson).toBe(false);
    expect(makePlan(tagged(44, "STANDARD_IA")).held[0]?.needsPerson).toBe(true);
  });

  it("is taken up once the store has moved it", () => {
    const { held, steps } = makePlan(tagged(20, "DEEP_ARCHIVE", false));
    expect([held, steps.map(({ stages }) => stages)]).toEqual([[], [["transition"]]]);
  });

  it("stays where it is under a policy without a cold tier", () => {
    const { held, steps } = makePlan({ ...tagged(20), policy: { ...policy(), cold: null } });
    expect(steps).toEqual([]);
    expect(held[0]?.reason).toBe("it was on its way to the cold class, and the policy has none any more");
  });
});

describe("small segments of a month", () => {
  const days = ["2024-12-30", "2024-12-31", "2025-01-01"];
  const small = (changes: (at: number) => Partial<PlannedSegment> = () => ({})): PlanInput =>
    scene({
      coldBytesMin: 100n,
      catalog: {
        dueForCold: days.map((text, index) =>
          segment(index, "warm", { dayFrom: day(text), object: { bytes: 60n }, ...changes(index) }),
        ),
      },
    });
  const packs = (input: PlanInput): number[] =>
    makePlan(input).steps.map(({ packs: one }) => one?.length ?? 0);

  it("are packed with those of their month alone", () => {
    expect(packs(small())).toEqual([2]);
  });

  it("are not packed with others of another rule or shape, nor if nobody knows their shape", () => {
    expect(packs(small((index) => ({ shape: `shape ${index}` })))).toEqual([]);
    expect(packs(small(() => ({ shape: null })))).toEqual([]);
    expect(packs(small((index) => (index === 0 ? { rule: "gone" } : {})))).toEqual([]);
  });

  it("are not packed before the last day of their month is due, nor below the smallest size", () => {
    expect(packs({ ...small(), asOf: at("2025-12-31T00:00:00Z") })).toEqual([]);
    expect(packs({ ...small(), asOf: at("2026-01-01T00:00:00Z") })).toEqual([2]);
    expect(packs({ ...small(), coldBytesMin: 120n })).toEqual([2]);
    expect(packs({ ...small(), coldBytesMin: 121n })).toEqual([]);
  });

  it("may be of several leaves", () => {
    const leaf = (index: number): { leaf: PlannedSegment["leaf"] } => ({
      leaf: { oid: String(index), schema: "public", name: `leaf_${index}` },
    });
    const { steps } = makePlan(small(leaf));
    expect(steps).toMatchObject([{ leaf: null, day: day("2024-12-30"), packs: { length: 2 } }]);
  });
});
