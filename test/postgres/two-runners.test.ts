/** Fault matrix, line 12: several runs of one pipeline at once. One works, the others say who does. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createBusyDays, DELETABLE } from "../support/busy-days.ts";
import { expectNothingLost, expectSettled, readJournal } from "../support/oracle.ts";
import type { Scenario } from "../support/scenario.ts";

let template: Scenario;

beforeAll(async () => {
  template = await createBusyDays();
});

afterAll(async () => await template[Symbol.asyncDispose]());

describe.each([2, 5])("%i runs at once", (runs) => {
  test("are one that works and others that exit with 11", async () => {
    await using scenario = await template.copy();
    // Nobody can delete before this ends, so the one that got the lease cannot be done before the others have come.
    await scenario.query("BEGIN; LOCK TABLE public.audit_logs IN SHARE MODE");
    const processes = Array.from({ length: runs }, () =>
      scenario.spawnRun({ FIRNLINE_LOCK_TIMEOUT_MS: "60000" }),
    );
    const ended = new Set<unknown>();
    const endings = processes.map(async (one) => {
      const ending = await one.ended;
      ended.add(one);
      return ending;
    });
    while (ended.size < runs - 1) {
      await Promise.race(endings.filter((_, index) => !ended.has(processes[index])));
    }
    await scenario.query("COMMIT");
    const codes = (await Promise.all(endings)).map(({ code }) => code).sort((a, b) => Number(a) - Number(b));
    expect(codes).toEqual([0, ...Array.from({ length: runs - 1 }, () => 11)]);
    const refused = (await Promise.all(endings)).filter(({ code }) => code === 11);
    for (const { stderr } of refused)
      expect(stderr).toMatch(/^E_LOCKED pipeline audit_logs: .*process \d+ on /);

    const starts = (await readJournal(scenario)).filter(({ event }) => event.type === "run-started");
    expect(starts).toHaveLength(1);
    await expectNothingLost(scenario, { deletable: DELETABLE });
    await expectSettled(scenario);
  });
});

test("two runs one after the other are no conflict, whichever process comes second", async () => {
  await using scenario = await template.copy();
  expect((await scenario.run()).state).toBe("done");
  expect(await scenario.spawnRun().ended).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("nothing"),
  });
  await expectNothingLost(scenario, { deletable: DELETABLE });
});
