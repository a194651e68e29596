/** What is tried once more at the end of a run, of all that another session kept from its stage. */
import { expect, test } from "vitest";
import { FirnlineError } from "../../src/errors.ts";
import type { Plan, Step } from "../../src/plan/step.ts";
import type { DayUtc } from "../../src/rows/day.ts";
import { Tally } from "../../src/stages/execute-steps.ts";
import { stepsPutOff } from "../../src/stages/put-off.ts";

const day = (number: number): DayUtc => number as DayUtc;
const step = (number: number, ...stages: Step["stages"]): Step =>
  ({ leaf: null, rule: "default", day: day(number), stages }) as unknown as Step;
const locked = (about: string, blocked = true): FirnlineError =>
  new FirnlineError({ code: "E_DATABASE", subject: about, problem: "it waited", hint: "Wait", blocked });

function tallyOf(...days: number[]): Tally {
  const tally = new Tally();
  for (const one of days) {
    const partition = { leaf: null, rule: "default", day: day(one) };
    tally.putOff?.push({ partition, error: locked(`day ${one}`) });
  }
  return tally;
}

const plan =
  (...steps: Step[]) =>
  async (): Promise<Plan> =>
    ({ steps }) as unknown as Plan;

test("the steps of its partitions, each once, and none of the others", async () => {
  const tally = tallyOf(1, 3, 3);
  const steps = [step(1, "prune"), step(2, "export"), step(3, "prune"), step(3, "export", "seal", "prune")];
  expect(await stepsPutOff(tally, plan(...steps))).toEqual([steps[0], steps[2], steps[3]]);
  expect(tally).toMatchObject({ failures: [], putOff: null });
});

test("nothing where there is nothing left to do, or nothing was put off: then no plan is made", async () => {
  expect(await stepsPutOff(tallyOf(1), plan(step(2, "prune")))).toEqual([]);
  const none = stepsPutOff(tallyOf(), async () => {
    throw new Error("there is a plan");
  });
  expect(await none).toEqual([]);
});

test("not what has to do with a leaf that is to be dropped: that is a failure, for the next run", async () => {
  const tally = tallyOf(1, 2);
  const steps = [step(1, "export", "seal", "drop"), step(2, "prune")];
  expect(await stepsPutOff(tally, plan(...steps))).toEqual([steps[1]]);
  expect(tally.failures.map(({ subject }) => subject)).toEqual(["day 1"]);
});

test("nothing while the lock is still in the way; anything else that keeps a plan from being made ends the run", async () => {
  const tally = tallyOf(1, 2);
  const failing = (error: Error) => async (): Promise<Plan> => {
    throw error;
  };
  expect(await stepsPutOff(tally, failing(locked("the plan")))).toEqual([]);
  expect(tally.failures.map(({ subject }) => subject)).toEqual(["day 1", "day 2"]);
  await expect(stepsPutOff(tallyOf(1), failing(locked("no lock", false)))).rejects.toThrow("no lock");
});
