/** What is left of counted rows after segments of an earlier run went their way; in doubt they are counted again. */
import { describe, expect, it } from "vitest";

import { FirnlineError } from "../../src/errors.ts";
import type { Step } from "../../src/plan/step.ts";
import type { DayUtc } from "../../src/rows/day.ts";
import { type CountedRows, rowsLeft } from "../../src/stages/plan-input.ts";

const partition = (day: number, rows: bigint, rule = "default"): CountedRows["partitions"][number] => ({
  leaf: null,
  rule,
  day: day as DayUtc,
  rows,
});
const counted = (...partitions: CountedRows["partitions"][number][]): CountedRows => ({
  rowBytes: 100,
  partitions,
});

function step(day: number, rows: bigint, stages: Step["stages"], rule = "default"): Step {
  const common = { leaf: null, rule, day: day as DayUtc, replaces: false, bytes: 0n, reason: "" };
  return { ...common, stages, rows, segment: `segment-${day}` };
}

const DONE = { pruned: 0n, drift: [], failures: [], putOff: [], kept: [] };
const ROWS = counted(partition(1, 100n), partition(2, 50n), partition(2, 7n, "noise"));

describe("rows that are left", () => {
  it("are those that no segment had, partition by partition", () => {
    const takenUp = [
      step(1, 60n, ["prune", "transition"]),
      step(1, 40n, ["seal", "prune"]),
      step(2, 20n, ["prune"]),
    ];
    const left = rowsLeft(ROWS, takenUp, { ...DONE, pruned: 120n });
    expect(left).toEqual(counted(partition(2, 30n), partition(2, 7n, "noise")));
  });

  it("are all of them where segments stay hot", () => {
    expect(rowsLeft(ROWS, [step(1, 100n, ["seal"])], DONE)).toEqual(ROWS);
  });

  const drift = {
    segment: "segment-1",
    leaf: null,
    rule: "default",
    day: "2026-01-02",
    chunk: 0,
    reason: "",
  };
  const failure = new FirnlineError({ code: "E_DATABASE", subject: "a", problem: "b", hint: "c" });
  const held = { leaf: null, rule: "default", day: 1 as DayUtc, rows: 1n, reason: "", needsPerson: false };
  const putOff = { partition: partition(1, 1n), error: failure };
  it.each([
    ["fewer rows went than were planned", { pruned: 59n }, {}],
    ["a chunk drifted", { drift: [drift] }, {}],
    ["a partition failed", { failures: [failure] }, {}],
    ["a partition was put off", { putOff: [putOff] }, {}],
    ["a hold kept one", { kept: [held] }, {}],
    ["nobody knows whose rows are there", {}, { stages: ["reconcile", "prune"] as const }],
    ["an export was given up", {}, { stages: ["abandon"] as const }],
    ["more went than were counted", { pruned: 101n }, { rows: 101n }],
  ])("have to be counted where %s", (_, tally, other) => {
    const takenUp = [{ ...step(1, 60n, ["prune"]), ...other }];
    expect(rowsLeft(ROWS, takenUp, { ...DONE, pruned: 60n, ...tally })).toBeUndefined();
  });
});
