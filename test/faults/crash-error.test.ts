/** An error at every place where the flow can be cut: the run fails, nothing is lost, the next one finishes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BUSY_FAILPOINTS, copyBusyDays, createBusyDays, DELETABLE } from "../support/busy-days.ts";
import { expectNothingLost, expectSettled, readJournal, readTiers } from "../support/oracle.ts";
import type { Scenario } from "../support/scenario.ts";

let template: Scenario;
let undisturbed: unknown;

beforeAll(async () => {
  template = await createBusyDays();
  await using scenario = await copyBusyDays(template);
  await scenario.run();
  undisturbed = await readTiers(scenario);
});

afterAll(async () => await template[Symbol.asyncDispose]());

describe("a run that fails", () => {
  test.concurrent.each(BUSY_FAILPOINTS)("at %s is finished by the next one", async (name) => {
    await using scenario = await copyBusyDays(template);
    const failing = scenario.run({
      environ: { FIRNLINE_FAILPOINT: `${name}:error`, FIRNLINE_CONCURRENCY: "3" },
    });
    await expect(failing).rejects.toMatchObject({ code: "E_INTERNAL", subject: `failpoint ${name}` });
    const [run] = await scenario.query("SELECT state, error FROM firnline.run ORDER BY started_at DESC");
    expect(run).toEqual({ state: "failed", error: expect.stringContaining(`failpoint ${name}`) });
    const [lease] = await scenario.query("SELECT lease_run FROM firnline.pipeline");
    expect(lease, "the lease is given back").toEqual({ lease_run: null });
    await expectNothingLost(scenario, { deletable: DELETABLE });

    expect((await scenario.run()).state).toBe("done");
    await expectNothingLost(scenario, { deletable: DELETABLE });
    expect(await readTiers(scenario)).toEqual(undisturbed);
    await expectSettled(scenario);
  });

  test("says so with exit code 1 and one line", async () => {
    await using scenario = await copyBusyDays(template);
    const failed = await scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.deleted:error" }).ended;
    expect(failed).toMatchObject({ code: 1, signal: null, stdout: "" });
    expect(failed.stderr.trim().split("\n")).toEqual([
      expect.stringContaining("E_INTERNAL failpoint prune.deleted"),
    ]);
  });

  test("leaves no row deleted whose deletion is not in the catalog (I4)", async () => {
    await using scenario = await copyBusyDays(template);
    const before = await scenario.count();
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.deleted:error" } });
    await expect(failing).rejects.toThrow("failpoint prune.deleted");
    expect(await scenario.count()).toBe(before);
    expect(await scenario.count("state = 'pruned'", "firnline.chunk")).toBe(0);
    expect((await readJournal(scenario)).map(({ event }) => event.type)).not.toContain("pruned");
  });
});
