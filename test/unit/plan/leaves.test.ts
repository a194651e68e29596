/** Native partitions in the plan: which leaves go as a whole, what waits for them, and why. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { makePlan } from "../../../src/plan/plan.ts";
import type { Plan, PlanInput, PlannedLeaf } from "../../../src/plan/step.ts";
import { dueDayHot } from "../../../src/policy/ages.ts";
import { addDays, type DayUtc, dayEnd, dayOf, dayStart, type EpochMicros } from "../../../src/rows/day.ts";
import { partitionId } from "../../../src/segment/partition-key.ts";
import { at, day, type HotRows, policy, scene, segment } from "./scenes.ts";
import { inputs } from "./worlds.ts";

const named = (name: string): PlannedLeaf["leaf"] => ({ oid: `oid of ${name}`, schema: "public", name });

function leafOf(name: string, from: string, to: string, changes: Partial<PlannedLeaf> = {}): PlannedLeaf {
  const range = { from: dayStart(day(from)), to: dayStart(day(to)) };
  return { leaf: named(name), range, canDrop: true, isDetaching: false, ...changes };
}

const hot = (name: string, date: string, rows = 10n, rule = "default"): HotRows => ({
  leaf: named(name),
  rule,
  day: day(date),
  rows,
});

const JANUARY = leafOf("january", "2026-01-01", "2026-02-01");
/** When the last of January is due for a rule of 30 days, and the day before that. */
const DUE = at("2026-03-03T02:00:00Z");
const NOT_DUE = at("2026-03-02T23:59:59Z");

/** `stages name day` of each step. */
const stepsOf = ({ steps }: Plan): string[] =>
  steps.map(({ stages, leaf, rows }) => `${stages.join(">")} ${leaf?.name ?? "-"} ${rows}`);
const heldOf = ({ held }: Plan): string[] => held.map(({ reason, rows }) => `${rows}: ${reason}`);

const sealedOf = (name: string, date: string, changes: object = {}) =>
  segment(1, "sealed", {
    dayFrom: day(date),
    leaf: named(name),
    rows: 10n,
    rowsUnpruned: 10n,
    ...changes,
  });

describe("a leaf of a month", () => {
  const plan = (changes: Parameters<typeof scene>[0]): Plan =>
    makePlan(scene({ leaves: [JANUARY], asOf: NOT_DUE, ...changes }));

  test("has its days archived as they are due, and kept", () => {
    const made = plan({ hot: [hot("january", "2026-01-10"), hot("january", "2026-01-31")] });
    expect(stepsOf(made)).toEqual(["export>seal january 10"]);
    expect(heldOf(made)).toEqual([]);
  });

  test("keeps what is archived until the last day is due, and says which day that is", () => {
    const made = plan({
      hot: [hot("january", "2026-01-10", 12n)],
      catalog: { unfinished: [sealedOf("january", "2026-01-10")] },
    });
    expect(stepsOf(made)).toEqual([]);
    expect(heldOf(made)).toEqual(["12: waits for its leaf public.january, wholly due on 2026-03-03"]);
  });

  test("goes on that day, with what was archived before and what is archived now", () => {
    const made = plan({
      asOf: DUE,
      hot: [hot("january", "2026-01-10"), hot("january", "2026-01-31", 5n)],
      catalog: { unfinished: [sealedOf("january", "2026-01-10")] },
    });
    expect(stepsOf(made)).toEqual(["drop january 10", "export>seal>drop january 5"]);
    expect(made.steps[0]?.reason).toBe(
      "archived already; its leaf public.january is wholly due since 2026-03-03 and goes as a whole",
    );
  });

  test("has a partition whose number of rows changed exported anew first", () => {
    const made = plan({
      asOf: DUE,
      hot: [hot("january", "2026-01-10", 12n)],
      catalog: { unfinished: [sealedOf("january", "2026-01-10")] },
    });
    expect(stepsOf(made)).toEqual(["export>seal>drop january 12"]);
    expect(made.steps[0]).toMatchObject({ replaces: true, segment: null });
  });

  test("goes to the cold class at once where it is old enough", () => {
    const made = plan({ asOf: at("2027-02-02T00:00:00Z"), hot: [hot("january", "2026-01-31")] });
    expect(stepsOf(made)).toEqual(["export>seal>drop>transition january 10"]);
  });

  test("stays while rows of it are quarantined", () => {
    const unfinished = [sealedOf("january", "2026-01-10", { rowsQuarantined: 10n })];
    const rows = [hot("january", "2026-01-10"), hot("january", "2026-01-12", 7n)];
    const made = plan({ asOf: DUE, hot: rows, catalog: { unfinished } });
    expect(stepsOf(made)).toEqual(["export>seal january 7"]);
    expect(heldOf(made)).toContain("10: waits for its leaf public.january, which has quarantined rows");
    const retried = plan({ asOf: DUE, hot: rows, catalog: { unfinished }, retryQuarantined: true });
    expect(stepsOf(retried)).toEqual(["export>seal>drop january 10", "export>seal>drop january 7"]);
  });

  test("is dropped when it is empty, or is emptied by rows on that day", () => {
    expect(stepsOf(plan({}))).toEqual([]);
    expect(stepsOf(plan({ asOf: DUE }))).toEqual(["drop january 0"]);
    const rules = policy('rules:\n  - { name: short, when: "x", hot: 10d }\n');
    const made = plan({ asOf: DUE, policy: rules, hot: [hot("january", "2026-01-10", 10n, "short")] });
    expect(stepsOf(made)).toEqual(["export>seal>prune january 10", "drop january 0"]);
  });
});

describe("a leaf that cannot be dropped", () => {
  const obstacles: readonly [string, Partial<PlannedLeaf>, string][] = [
    ["has no days of its own", { range: null }, "its bounds do not say which days it holds"],
    ["belongs to another role", { canDrop: false }, "this role does not own it and its parent"],
  ];

  test.each(obstacles)("as it %s", (_, changes, obstacle) => {
    const leaves = [{ ...JANUARY, ...changes }];
    const rows = { leaves, asOf: DUE, hot: [hot("january", "2026-01-10")] };
    const auto = makePlan(scene(rows));
    expect(stepsOf(auto)).toEqual(["export>seal>prune january 10"]);
    expect(auto.steps[0]?.reason).toBe(
      `the day ended 51 days ago, hot keeps 30 days; row by row, as its leaf cannot be dropped: ${obstacle}`,
    );
    const partitions = makePlan(scene({ ...rows, policy: policy("prune: partitions\n") }));
    expect(stepsOf(partitions)).toEqual([]);
    expect(heldOf(partitions)).toEqual([
      `10: its leaf public.january cannot be dropped (${obstacle}), and prune: partitions deletes no rows`,
    ]);
    const keyless = makePlan(scene({ ...rows, hasKey: false }));
    expect(stepsOf(keyless)).toEqual([]);
    expect(heldOf(keyless)).toEqual([
      `10: its leaf public.january cannot be dropped (${obstacle}), and without a key no rows can be deleted`,
    ]);
  });
});

describe("a leaf that is on its way out", () => {
  const leaves = [{ ...JANUARY, isDetaching: true }];

  test("is finished, also when rows are to go one by one by now", () => {
    const made = makePlan(scene({ leaves, asOf: DUE, policy: policy("prune: rows\n") }));
    expect(stepsOf(made)).toEqual(["drop january 0"]);
  });

  test("waits when its rows are kept longer by now", () => {
    const input = { leaves, asOf: NOT_DUE, policy: policy("prune: rows\n") };
    const unfinished = [sealedOf("january", "2026-01-10")];
    const made = makePlan(scene({ ...input, hot: [hot("january", "2026-01-10")], catalog: { unfinished } }));
    expect(stepsOf(made)).toEqual([]);
  });

  test("needs a person under prune: off", () => {
    const made = makePlan(scene({ leaves, asOf: DUE, policy: policy("prune: off\n") }));
    expect(stepsOf(made)).toEqual([]);
    expect(made.held).toMatchObject([
      { needsPerson: true, reason: expect.stringMatching(/attach it again$/) },
    ]);
  });
});

test("without a key the rows of shorter rules wait with the others", () => {
  const rules = policy('rules:\n  - { name: short, when: "x", hot: 10d }\n');
  const rows = {
    leaves: [JANUARY],
    policy: rules,
    hot: [hot("january", "2026-01-10", 10n, "short")],
    hasKey: false,
  };
  expect(stepsOf(makePlan(scene({ ...rows, asOf: NOT_DUE })))).toEqual(["export>seal january 10"]);
  expect(stepsOf(makePlan(scene({ ...rows, asOf: DUE })))).toEqual(["export>seal>drop january 10"]);
});

/** Any world, its partitions and segments spread over a few leaves of one to nine days each. */
const partitioned: fc.Arbitrary<PlanInput> = fc
  .record({
    input: inputs,
    width: fc.integer({ min: 1, max: 9 }),
    canDrop: fc.boolean(),
    hasKey: fc.boolean(),
    isDetaching: fc.boolean(),
    ranged: fc.boolean(),
    prune: fc.constantFrom("auto" as const, "partitions" as const, "rows" as const, "off" as const),
  })
  .map(({ input, width, canDrop, hasKey, isDetaching, ranged, prune }) => {
    const leafAt = (one: DayUtc): PlannedLeaf["leaf"] => named(String(Math.floor(one / width)));
    const allDays = [
      ...input.inventory.partitions.map((one) => one.day),
      ...input.catalog.unfinished.map(({ dayFrom }) => dayFrom),
    ];
    const leaves = [...new Map(allDays.map((one) => [Math.floor(one / width), one])).keys()].map(
      (index): PlannedLeaf => {
        const first = (index * width) as DayUtc;
        const range = { from: dayStart(first), to: dayEnd(addDays(first, width - 1)) };
        return { leaf: leafAt(first), range: ranged ? range : null, canDrop, isDetaching };
      },
    );
    return {
      ...input,
      policy: { ...input.policy, prune },
      hasKey,
      leaves,
      inventory: {
        ...input.inventory,
        partitions: input.inventory.partitions.map((one) => ({ ...one, leaf: leafAt(one.day) })),
      },
      catalog: {
        ...input.catalog,
        unfinished: input.catalog.unfinished.map((one) => ({ ...one, leaf: leafAt(one.dayFrom) })),
      },
    };
  });

describe("in any partitioned world", () => {
  const lastDay = ({ range }: PlannedLeaf): DayUtc => dayOf(((range?.to ?? 0n) - 1n) as EpochMicros);

  test("no leaf goes before its last day is due for every rule, and none that may not", () => {
    fc.assert(
      fc.property(partitioned, (input) => {
        for (const { stages, leaf } of makePlan(input).steps) {
          if (!stages.includes("drop")) continue;
          const planned = input.leaves?.find((one) => one.leaf.oid === leaf?.oid) as PlannedLeaf;
          expect(planned).toMatchObject({ canDrop: true, range: expect.anything() });
          expect(input.policy.prune).not.toBe("off");
          for (const rule of input.policy.rules) {
            expect(lastDay(planned)).toBeLessThanOrEqual(dueDayHot(rule, input.asOf));
          }
        }
      }),
    );
  });

  test("without a key no row is named", () => {
    fc.assert(
      fc.property(partitioned, (input) => {
        if (input.hasKey === true || input.policy.prune === "rows") return;
        expect(makePlan(input).steps.filter(({ stages }) => stages.includes("prune"))).toEqual([]);
      }),
    );
  });

  test("every partition that is due is moved, deleted, or held with a reason, and never twice", () => {
    fc.assert(
      fc.property(partitioned, (input) => {
        const { steps, held } = makePlan(input);
        const open = new Set(
          input.catalog.unfinished.map(({ leaf, rule, dayFrom }) =>
            partitionId({ leaf, rule, day: dayFrom }),
          ),
        );
        const fresh = steps
          .filter(({ segment: known, rows }) => known === null && rows > 0n)
          .map(partitionId);
        expect(new Set(fresh).size).toBe(fresh.length);
        const told = new Set([...fresh, ...held.map(partitionId)]);
        for (const one of input.inventory.partitions) {
          const rule = input.policy.rules.find(({ name }) => name === one.rule);
          const isDue = rule !== undefined && one.rows > 0n && one.day <= dueDayHot(rule, input.asOf);
          if (isDue && !open.has(partitionId(one))) expect(told).toContain(partitionId(one));
        }
      }),
    );
  });
});
