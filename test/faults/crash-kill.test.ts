/** Fault matrix, lines 1 to 8: SIGKILL at every place where the flow can be cut, and the run after it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BUSY_FAILPOINTS, copyBusyDays, createBusyDays, DELETABLE } from "../support/busy-days.ts";
import {
  expectNothingLost,
  expectRetrievalComplete,
  expectSettled,
  readArchive,
  readTiers,
} from "../support/oracle.ts";
import { moved, type Scenario } from "../support/scenario.ts";

/** Places that one run passes many times: later hits cut a partition, a segment or a batch in the middle. */
const LATER = [
  "export.reserved:kill@4",
  "export.uploading:kill@4",
  "export.recorded:kill@4",
  "seal.sealed:kill@2",
  "prune.deleted:kill@3",
  "prune.committed:kill@4",
  "delete.committed:kill@2",
  "journal.enqueued:kill@5",
  "journal.created:kill@6",
  "journal.published:kill@7",
  "journal.published:kill@11",
];

let template: Scenario;
let undisturbed: { tiers: unknown; deleted: unknown };

beforeAll(async () => {
  template = await createBusyDays();
  await using scenario = await copyBusyDays(template);
  // Also fills the compile cache of the processes to come.
  expect(await scenario.spawnRun().ended).toMatchObject({ code: 0, signal: null });
  await expectNothingLost(scenario, { deletable: DELETABLE });
  undisturbed = await finalState(scenario);
});

afterAll(async () => await template[Symbol.asyncDispose]());

async function finalState(scenario: Scenario): Promise<typeof undisturbed> {
  return { tiers: await readTiers(scenario), deleted: (await readArchive(scenario)).deleted };
}

async function killAndRecover(scenario: Scenario, failpoint: string): Promise<void> {
  const killed = await scenario.spawnRun({ FIRNLINE_FAILPOINT: failpoint, FIRNLINE_CONCURRENCY: "3" }).ended;
  expect(killed, "the run passes the failpoint").toMatchObject({ code: null, signal: "SIGKILL" });
  // I2 and I8 hold in the wreck too, before anybody has repaired anything.
  await expectRetrievalComplete(scenario, { deletable: DELETABLE });

  // The lease of a dead process does not have to expire first.
  expect((await scenario.run()).state).toBe("done");
  await expectNothingLost(scenario, { deletable: DELETABLE });
  expect(await finalState(scenario)).toEqual(undisturbed);
  await expectSettled(scenario);
}

describe("a run that is killed", () => {
  test.concurrent.each(BUSY_FAILPOINTS)("at %s is finished by the next one", async (name) => {
    await using scenario = await copyBusyDays(template);
    await killAndRecover(scenario, `${name}:kill`);
  });

  test.concurrent.each(LATER)("at %s is finished by the next one", async (failpoint) => {
    await using scenario = await copyBusyDays(template);
    await killAndRecover(scenario, failpoint);
  });

  const cooling = BUSY_FAILPOINTS.filter((name) => name.startsWith("transition."));
  test.concurrent.each(cooling)("at %s of a segment that was warm is finished too", async (name) => {
    await using scenario = await copyBusyDays(template);
    expect(moved(await scenario.run({ asOf: "2026-02-10" }))).toMatchObject({ cooled: 0, pruned: 499 });
    await killAndRecover(scenario, `${name}:kill`);
  });
});
