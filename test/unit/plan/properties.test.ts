/** What must hold of every plan, for any policy, table and catalog. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { makePlan } from "../../../src/plan/plan.ts";
import type { Plan, PlanInput, PlannedSegment, Step } from "../../../src/plan/step.ts";
import { isDeletedSooner } from "../../../src/policy/journaled.ts";
import type { Rule } from "../../../src/policy/policy.ts";
import { dayEnd, type DayUtc, type EpochMicros, MICROS_PER_DAY } from "../../../src/rows/day.ts";
import { inputs, instants } from "./worlds.ts";

/** Straight from DESIGN section 3: a partition is due when `dayEnd + keep <= asOf`. */
const isDue = (asOf: EpochMicros, day: DayUtc, keepDays: number): boolean =>
  dayEnd(day) + BigInt(keepDays) * MICROS_PER_DAY <= asOf;
const ruleOf = (input: PlanInput, name: string): Rule | undefined =>
  input.policy.rules.find((rule) => rule.name === name);

/** Of a partition's own rows: neither what was begun, nor a pack, whose day is just the first that it takes together. */
const own = (plan: Plan): Step[] =>
  plan.steps.filter((step) => step.segment === null && step.packs === undefined);
const idOf = ({ rule, day }: { rule: string; day: DayUtc }): string => `${rule} ${day}`;
/** Late rows of a day may be exported beside a pack that begins with that day. */
const stepIds = (plan: Plan): string[] =>
  plan.steps.map((step) => step.segment ?? step.packs?.join(" ") ?? idOf(step));

/** With prune: off nothing else shows that rows of verified segments changed. */
const isExportedAnew = (input: PlanInput, open: readonly PlannedSegment[], more: bigint): boolean =>
  input.policy.prune === "off" && more !== 0n && open.every(({ state }) => state !== "uploaded");

describe("for any policy, table and catalog", () => {
  it("every due partition is in exactly one step, or in an open segment, or held with a reason", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const plan = makePlan(input);
        for (const partition of input.inventory.partitions) {
          const rule = ruleOf(input, partition.rule);
          const steps = own(plan).filter((step) => idOf(step) === idOf(partition));
          const held = plan.held.filter(
            (one) => idOf(one) === idOf(partition) && /rows? more|prune: off/.test(one.reason),
          );
          if (
            rule === undefined ||
            partition.rows === 0n ||
            !isDue(input.asOf, partition.day, rule.hotDays)
          ) {
            // What was archived of it and is gone from the table is given up; nothing else is done.
            const others = steps.filter((step) => !(step.replaces && partition.rows === 0n));
            expect([others, held]).toEqual([[], []]);
            continue;
          }
          const open = input.catalog.unfinished.filter(
            (one) =>
              one.rule === partition.rule &&
              one.dayFrom === partition.day &&
              ["uploaded", "sealed", "pruning"].includes(one.state),
          );
          const inSegments = open.reduce((sum, one) => sum + one.rowsUnpruned, 0n);
          if (!rule.archive && input.policy.prune === "off") {
            expect(steps).toEqual([]);
            expect(held).toMatchObject([{ rows: partition.rows }]);
          } else if (open.length > 0 && isExportedAnew(input, open, partition.rows - inSegments)) {
            expect(steps).toMatchObject([{ rows: partition.rows, replaces: true }]);
            expect(held).toEqual([]);
          } else if (open.length === 0) {
            expect(steps).toMatchObject([{ rows: partition.rows }]);
            expect(held).toEqual([]);
          } else {
            expect(steps).toEqual([]);
            // Rows that the open segments do not hold came late: all of them are accounted for.
            expect(held.map(({ rows }) => rows)).toEqual(
              partition.rows > inSegments ? [partition.rows - inSegments] : [],
            );
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("nothing that is not due is ever in a step", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const begun = new Map(input.catalog.unfinished.map((one) => [one.segment, one.state]));
        for (const step of makePlan(input).steps) {
          const rule = ruleOf(input, step.rule);
          if (step.segment === null)
            expect(isDue(input.asOf, step.day, rule?.hotDays ?? Infinity)).toBe(true);
          // The policy may keep rows longer now than when their segment was begun.
          if (step.stages.includes("prune") && rule !== undefined) {
            expect(isDue(input.asOf, step.day, rule.hotDays)).toBe(true);
          }
          // What is being cooled down already was due when it began.
          if (step.stages.includes("transition") && begun.get(step.segment ?? "") !== "cooling") {
            expect(input.policy.cold).not.toBeNull();
            expect(isDue(input.asOf, step.day, rule?.warmDays ?? Infinity)).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("no row is deleted without being archived but by a delete-only rule, and none at all with prune: off (I1)", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        for (const step of makePlan(input).steps) {
          const rule = ruleOf(input, step.rule);
          if (step.stages.includes("delete")) {
            expect(rule?.archive).toBe(false);
            expect(step.stages).toEqual(["delete"]);
            expect(step.segment).toBeNull();
          }
          const sealed = step.stages.indexOf("seal");
          const begun = input.catalog.unfinished.find((one) => one.segment === step.segment)?.state;
          if (step.stages.includes("prune") && begun !== "sealed" && begun !== "pruning") {
            expect(sealed).toBeGreaterThanOrEqual(0);
            expect(step.stages.indexOf("prune")).toBeGreaterThan(sealed);
          }
          if (input.policy.prune === "off") {
            expect(step.stages).not.toContain("prune");
            expect(step.stages).not.toContain("delete");
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("a run that would delete sooner than the last policy is refused, unless that is confirmed (I12)", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { blockers } = makePlan(input);
        const sooner = input.previous ? isDeletedSooner(input.previous, input.policy) : [];
        const found = blockers.filter(({ hint }) => hint.includes("--confirm-sooner"));
        expect(found.length).toBe(input.confirmSooner ? 0 : sooner.length);
        for (const { code } of blockers) expect(code).toBe("E_POLICY");
      }),
      { numRuns: 300 },
    );
  });

  it("a segment is in at most one step, and what nobody wants any more is given up first", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const plan = makePlan(input);
        const ids = stepIds(plan);
        expect(new Set(ids).size).toBe(ids.length);
        for (const { segment: id, state } of input.catalog.unfinished) {
          const step = plan.steps.find((one) => one.segment === id);
          expect(step?.stages.includes("abandon") ?? false).toBe(state === "exporting");
          if (state !== "exporting") continue;
          const again = plan.steps.findIndex(
            (one) => one.segment === null && one.packs === undefined && idOf(one) === idOf(step as Step),
          );
          if (again !== -1) expect(again).toBeGreaterThan(plan.steps.indexOf(step as Step));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("every warm segment that is due is cooled down or held with a reason", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const plan = makePlan(input);
        for (const one of input.catalog.dueForCold) {
          const rule = ruleOf(input, one.rule);
          const steps = plan.steps.filter((step) => step.segment === one.segment);
          const packed = plan.steps.filter(({ packs }) => packs?.includes(one.segment));
          if (input.policy.cold === null) expect(steps).toEqual([]);
          else if (rule !== undefined) {
            const bytesMin = input.policy.cold.objectBytesMin ?? input.coldBytesMin;
            const due = rule.archive && isDue(input.asOf, one.dayTo, rule.warmDays);
            const large = (one.object?.bytes ?? 0n) >= bytesMin;
            expect(steps.map(({ stages }) => stages)).toEqual(due && large ? [["transition"]] : []);
            expect(packed.length).toBeLessThanOrEqual(due && !large ? 1 : 0);
            if (packed[0] !== undefined) expect(packed[0].bytes).toBeGreaterThanOrEqual(bytesMin);
          }
        }
        const reasons = plan.held.filter(({ reason }) => reason.startsWith("stays warm"));
        const cold = input.policy.cold;
        const staying = input.catalog.dueForCold.filter((one) => {
          const rule = ruleOf(input, one.rule);
          if (cold === null) return false;
          if (rule === undefined) return true;
          const small = (one.object?.bytes ?? 0n) < (cold.objectBytesMin ?? input.coldBytesMin);
          if (plan.steps.some(({ packs }) => packs?.includes(one.segment))) return false;
          return rule.archive && isDue(input.asOf, one.dayTo, rule.warmDays) && small;
        });
        expect(reasons.map(idOf).sort()).toEqual(staying.map((one) => `${one.rule} ${one.dayFrom}`).sort());
      }),
      { numRuns: 300 },
    );
  });

  it("the plan is the same again, and does not depend on the order of what it is told", () => {
    const shuffled = inputs.chain((input) =>
      fc.record({
        input: fc.constant(input),
        other: fc
          .tuple(
            fc.shuffledSubarray([...input.inventory.partitions], {
              minLength: input.inventory.partitions.length,
            }),
            fc.shuffledSubarray([...input.catalog.unfinished], {
              minLength: input.catalog.unfinished.length,
            }),
            fc.shuffledSubarray([...input.catalog.dueForCold], {
              minLength: input.catalog.dueForCold.length,
            }),
            fc.shuffledSubarray([...input.catalog.archived], { minLength: input.catalog.archived.length }),
          )
          .map(([hot, unfinished, dueForCold, archived]): PlanInput => ({
            ...input,
            inventory: { ...input.inventory, partitions: hot },
            catalog: { ...input.catalog, unfinished, dueForCold, archived },
          })),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ input, other }) => {
        const plan = makePlan(input);
        expect(makePlan(structuredClone(input))).toEqual(plan);
        expect(makePlan(other)).toEqual(plan);
      }),
      { numRuns: 300 },
    );
  });

  it("days leave oldest first", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const order = own(makePlan(input)).map(({ day }) => day);
        expect(order).toEqual(order.toSorted((left, right) => left - right));
      }),
    );
  });

  it("what is due stays due: a later asOf never takes a step away", () => {
    fc.assert(
      fc.property(inputs, instants, (input, other) => {
        const [early, late] = [input.asOf, other].sort((left, right) => Number(left - right)) as [
          EpochMicros,
          EpochMicros,
        ];
        const before = makePlan({ ...input, asOf: early });
        const after = makePlan({ ...input, asOf: late });
        const later = new Map(
          after.steps
            .filter(({ packs }) => packs === undefined)
            .map((step) => [step.segment ?? idOf(step), step.stages]),
        );
        for (const step of before.steps) {
          if (step.packs !== undefined) {
            const { packs } = step;
            expect(after.steps.some((one) => packs.every((id) => one.packs?.includes(id)))).toBe(true);
            continue;
          }
          const stages = later.get(step.segment ?? idOf(step));
          expect(stages).toBeDefined();
          expect(stages?.slice(0, step.stages.length)).toEqual(step.stages);
        }
        expect(after.blockers.length).toBeGreaterThanOrEqual(before.blockers.length);
        // Segments that are kept hot for now are let go later, and small ones are packed; nothing else that is held back is.
        const heldFor = (plan: typeof before): number =>
          plan.held.filter(({ reason }) => !/^(?:archived already|stays warm: \d)/.test(reason)).length;
        expect(heldFor(after)).toBeGreaterThanOrEqual(heldFor(before));
      }),
      { numRuns: 300 },
    );
  });

  it("a shorter keep only adds steps, a longer one only takes them away", () => {
    fc.assert(
      fc.property(inputs, fc.integer({ min: 1, max: 11 }), (input, hotDays) => {
        const rules = input.policy.rules.map((rule) => ({
          ...rule,
          hotDays: Math.min(rule.hotDays, hotDays),
        }));
        const longer = new Set(stepIds({ ...makePlan(input), steps: own(makePlan(input)) }));
        const shorter = makePlan({ ...input, policy: { ...input.policy, rules } });
        expect(longer.isSubsetOf(new Set(stepIds({ ...shorter, steps: own(shorter) })))).toBe(true);
      }),
    );
  });
});
