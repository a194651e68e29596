/** Any policy, table and catalog: small, so that what belongs together meets. */
import fc from "fast-check";

import type { PlanInput, PlannedSegment } from "../../../src/plan/step.ts";
import type { Policy, Rule } from "../../../src/policy/policy.ts";
import { type DayUtc, type EpochMicros, MICROS_PER_DAY } from "../../../src/rows/day.ts";
import { policy, scene, segment } from "./scenes.ts";

/** Days around which everything happens; small, so that collisions are common. */
const BASE = 20_000;
const days = fc.integer({ min: BASE, max: BASE + 25 }).map((value) => value as DayUtc);
export const instants = fc
  .bigInt({ min: 0n, max: 40n * MICROS_PER_DAY })
  .map((offset) => (BigInt(BASE) * MICROS_PER_DAY + offset) as EpochMicros);
const NAMES = ["a", "b", "default"] as const;
/** A rule that was removed from the policy, but not from the archive. */
const names = fc.constantFrom(...NAMES, "gone");

const ages = fc
  .uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 2 })
  .map((two) => two.toSorted((left, right) => left - right) as [number, number]);

const rulesOf = fc
  .tuple(fc.array(fc.record({ ages, archive: fc.boolean() }), { minLength: 2, maxLength: 2 }), ages)
  .map(([some, [hotDays, warmDays]]): Rule[] => [
    ...some.map(({ ages: [hot, warm], archive }, index) => ({
      name: NAMES[index] as string,
      when: "x",
      archive,
      hotDays: hot,
      warmDays: archive ? warm : hot,
      coldDays: archive ? null : hot,
    })),
    { name: "default", when: null, archive: true, hotDays, warmDays, coldDays: null },
  ]);

export const policies = fc
  .record({
    rules: rulesOf,
    prune: fc.constantFrom("auto" as const, "rows" as const, "off" as const),
    cold: fc.option(fc.record({ objectBytesMin: fc.option(fc.bigInt({ min: 0n, max: 9n })) })),
  })
  .map(({ rules, prune, cold }): Policy => ({
    ...policy(),
    rules,
    prune,
    cold: cold && {
      storageClass: "DEEP_ARCHIVE",
      vault: null,
      transition: "copy",
      keepDays: null,
      ...cold,
    },
  }));

const UNFINISHED = ["exporting", "uploaded", "sealed", "pruning", "cooling"] as const;
const segments = (states: readonly PlannedSegment["state"][], firstId: number) =>
  fc
    .array(
      fc.record({
        state: fc.constantFrom(...states),
        rule: names,
        dayFrom: days,
        rows: fc.bigInt({ min: 1n, max: 9n }),
        bytes: fc.bigInt({ min: 0n, max: 9n }),
      }),
      { maxLength: 6 },
    )
    .map((list) =>
      list.map(({ state, rule, dayFrom, rows, bytes }, index) =>
        segment(firstId + index, state, {
          rule,
          dayFrom,
          rows,
          rowsUnpruned: state === "cooling" || state === "warm" ? 0n : rows,
          object: state === "exporting" ? null : { bytes },
        }),
      ),
    );

const partitions = fc.uniqueArray(
  fc.record({ leaf: fc.constant(null), rule: names, day: days, rows: fc.bigInt({ min: 0n, max: 20n }) }),
  { maxLength: 12, selector: ({ rule, day }) => `${rule} ${day}` },
);

export const inputs: fc.Arbitrary<PlanInput> = fc
  .record({
    policy: policies,
    asOf: instants,
    hot: partitions,
    coldBytesMin: fc.bigInt({ min: 0n, max: 9n }),
    backfill: fc.boolean(),
    previous: fc.option(policies),
    confirmSooner: fc.boolean(),
    catalog: fc.record({
      unfinished: segments(UNFINISHED, 100),
      dueForCold: segments(["warm"], 200),
      archived: fc.array(fc.record({ leaf: fc.constant(null), rule: names, day: days }), { maxLength: 6 }),
      everMoved: fc.boolean(),
    }),
  })
  .map((record) => scene(record));
