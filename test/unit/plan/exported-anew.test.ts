/** A partition that is exported anew, and what else an earlier run left behind of it. */
import { describe, expect, test } from "vitest";
import { makePlan } from "../../../src/plan/plan.ts";
import { day, hotDays, policy, scene, segment } from "./scenes.ts";

const DAY = day("2026-01-02");

describe("of a partition that is exported anew,", () => {
  const plan = makePlan(
    scene({
      policy: policy("prune: off\n"),
      hot: hotDays(DAY, 1, 999n),
      catalog: {
        everMoved: true,
        unfinished: [
          segment(1, "sealed", { dayFrom: DAY }),
          segment(2, "uploaded", { dayFrom: DAY, replaces: true }),
          segment(3, "exporting", { dayFrom: DAY, replaces: true }),
          segment(4, "cooling", { dayFrom: DAY }),
        ],
      },
    }),
  );
  const stagesOf = (number: number): unknown =>
    plan.steps.find((step) => step.segment?.startsWith(String(number).padStart(12, "0")))?.stages;

  test("the sealed segments need no step of their own", () => {
    expect(stagesOf(1)).toBeUndefined();
    expect(plan.steps.filter(({ replaces }) => replaces)).toMatchObject([{ segment: null, rows: 999n }]);
  });

  test("what is left of an attempt that died is given up in the same run (I7)", () => {
    expect([stagesOf(2), stagesOf(3)]).toEqual([["abandon"], ["abandon"]]);
  });

  test("a segment on its way to cold gets there in the same run (I7)", () => {
    expect(stagesOf(4)).toEqual(["transition"]);
  });
});

describe("a partition of which no row is left in the table", () => {
  const quarantined = segment(1, "pruning", { dayFrom: DAY, rowsUnpruned: 5n, rowsQuarantined: 5n });
  const planned = (input: Parameters<typeof scene>[0], text = ""): unknown => {
    const { steps, held } = makePlan(scene({ policy: policy(text), ...input }));
    return { steps: steps.map(({ replaces, rows, day: of }) => ({ replaces, rows, of })), held: held.length };
  };
  const again = { steps: [{ replaces: true, rows: 0n, of: DAY }], held: 0 };

  test("gives its quarantined chunks up when a person asks for another attempt", () => {
    const catalog = { everMoved: true, unfinished: [quarantined] };
    expect(planned({ catalog, retryQuarantined: true })).toEqual(again);
    expect(planned({ catalog })).toEqual({ steps: [], held: 1 });
  });

  test("also when the rule is gone, but not while the policy keeps the day hot", () => {
    const unfinished = [{ ...quarantined, rule: "gone" }];
    expect(planned({ catalog: { everMoved: true, unfinished }, retryQuarantined: true })).toEqual(again);
    const kept = [segment(1, "pruning", { dayFrom: day("2026-01-20"), rowsQuarantined: 5n })];
    expect(planned({ catalog: { everMoved: true, unfinished: kept }, retryQuarantined: true })).toMatchObject(
      {
        steps: [],
      },
    );
  });

  test("gives its chunks up in an archive-only pipeline", () => {
    const unfinished = [segment(1, "sealed", { dayFrom: DAY })];
    expect(planned({ catalog: { everMoved: true, unfinished } }, "prune: off\n")).toEqual(again);
    const gone = [{ ...unfinished[0], rule: "gone" } as (typeof unfinished)[number]];
    expect(planned({ catalog: { everMoved: true, unfinished: gone } }, "prune: off\n")).toMatchObject({
      steps: [],
    });
  });
});

describe("a partition whose rows have to be looked for, after a rebuild of the catalog,", () => {
  const unknown = segment(1, "pruning", { dayFrom: DAY, rowsUnpruned: 1_000n, rowsUnknown: 400n });
  const catalog = { everMoved: true, unfinished: [unknown, segment(2, "sealed", { dayFrom: DAY })] };
  const planned = (text: string, hot: bigint, retryQuarantined = false): unknown[] =>
    makePlan(
      scene({ policy: policy(text), hot: hotDays(DAY, hot > 0n ? 1 : 0, hot), catalog, retryQuarantined }),
    ).steps.map(({ stages, segment: of }) => [of?.slice(11, 12) ?? null, stages.join(" ")]);

  test("is compared, and goes on", () => {
    expect(planned("", 600n)).toEqual([
      ["1", "reconcile prune"],
      ["2", "prune"],
    ]);
  });

  test("is compared, and neither exported anew nor given up, where nothing is pruned", () => {
    for (const hot of [0n, 600n, 5_000n]) expect(planned("prune: off\n", hot)).toEqual([["1", "reconcile"]]);
    expect(planned("prune: off\n", 600n, true)).toEqual([["1", "reconcile"]]);
  });
});
