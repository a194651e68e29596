/**
 * A plan of ten years by twenty rules must not take its time. Work is counted, not timed: every element that a loop or a
 * method of an array goes over. Twice the days may be about twice the work, and never four times.
 */
import { expect, it } from "vitest";

import { planText } from "../../../src/cli/plan-text.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import type { PlanInput, PlannedLeaf } from "../../../src/plan/step.ts";
import { addDays, dayEnd, dayStart, type DayUtc } from "../../../src/rows/day.ts";
import type { LeafName } from "../../../src/segment/partition-key.ts";
import { estimated, inS3, S3_BYTES_MIN, totals } from "./estimates.ts";
import { day, hotDays, policyText, scene, segment } from "./scenes.ts";

const LOOPS = [
  "every",
  "filter",
  "find",
  "findIndex",
  "findLast",
  "flatMap",
  "forEach",
  "includes",
  "indexOf",
  "map",
  "reduce",
  "slice",
  "some",
  "splice",
  Symbol.iterator,
] as const;

/** How many elements of arrays `work` goes over. */
function effortOf(work: () => void): number {
  let effort = 0;
  const prototype = Array.prototype as unknown as Record<PropertyKey, (...args: unknown[]) => unknown>;
  const originals = LOOPS.map((name) => [name, prototype[name]] as const);
  for (const [name, original] of originals) {
    prototype[name] = function (this: unknown[], ...args: unknown[]): unknown {
      effort += this.length;
      return original?.apply(this, args);
    };
  }
  try {
    work();
  } finally {
    for (const [name, original] of originals) prototype[name] = original as () => unknown;
  }
  return effort;
}

const NAMES = Array.from({ length: 19 }, (_, index) => `rule_${index + 1}`);
const RULES = [...NAMES, "default"];
const POLICY = inS3(
  policyText(
    `rules:\n${NAMES.map((name) => `  - { name: ${name}, when: "action = '${name}'" }\n`).join("")}`,
  ),
);

const WORLDS = ["hot", "archived", "leaves"] as const;

/**
 * Rows of each rule on each day, half of the days archived before; the same days as segments in every state; and the
 * rows in native partitions of a day.
 */
function years(days: number): Record<(typeof WORLDS)[number], PlanInput> {
  const first = addDays(day("2026-01-03"), 1 - days);
  const hot = RULES.flatMap((rule) => hotDays(first, days, 20_000n, rule));
  const states = ["exporting", "uploaded", "sealed", "pruning", "cooling"] as const;
  const segments = hot.map(({ rule, day: dayFrom }, index) =>
    segment(index, index % 3 === 0 ? (states[index % 5] as "sealed") : "warm", {
      rule,
      dayFrom,
      object: { bytes: index % 2 === 0 ? 20_000n : 2_000_000n },
    }),
  );
  const base = { policy: POLICY, coldBytesMin: S3_BYTES_MIN };
  const leafOf = (dayFrom: DayUtc): LeafName => ({
    oid: String(dayFrom),
    schema: "public",
    name: `p${dayFrom}`,
  });
  const leaves = Array.from({ length: days }, (_, index): PlannedLeaf => {
    const from = addDays(first, index);
    const range = { from: dayStart(from), to: dayEnd(from) };
    return { leaf: leafOf(from), range, canDrop: true, isDetaching: false };
  });
  const archived = hot.filter((_, index) => index % 2 === 0);
  return {
    hot: scene({ ...base, hot, catalog: { archived } }),
    leaves: scene({ ...base, leaves, hot: hot.map((one) => ({ ...one, leaf: leafOf(one.day) })) }),
    archived: scene({
      ...base,
      hot,
      catalog: {
        unfinished: segments.filter(({ state }) => state !== "warm"),
        dueForCold: segments.filter(({ state }) => state === "warm"),
      },
    }),
  };
}

/** A look at each of 20 rules now and then, and not at each of 3,650 days. */
const EFFORT_PER_PARTITION_MAX = 300;

function expectLinear(days: number, work: (input: PlanInput) => void): void {
  const [half, whole] = [years(days / 2), years(days)];
  for (const world of WORLDS) {
    const [small, large] = [half, whole].map((input) => effortOf(() => work(input[world]))) as [
      number,
      number,
    ];
    // Sorting takes a little more than twice the comparisons.
    expect(large / small, world).toBeLessThan(2.4);
    expect(large / whole.hot.inventory.partitions.length, world).toBeLessThan(EFFORT_PER_PARTITION_MAX);
  }
}

it("twice the days are twice the work of a plan, up to ten years of twenty rules", () => {
  expectLinear(3_650, makePlan);
});

it("twice the days are twice the work of an estimate and of its text", () => {
  expectLinear(600, (input) => {
    const { plan, found } = estimated({
      input,
      tableRows: 1_460_000_000n,
      changes: { totals: [totals("warm", 1)] },
    });
    planText("audit_logs", plan, false, found);
  });
});
