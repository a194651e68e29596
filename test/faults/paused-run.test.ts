/** Fault matrix, lines 10 and 11: a run that is stopped while it holds the lease, or while it holds locks. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isFirnlineError } from "../../src/errors.ts";
import { BUSY_FAILPOINTS, copyBusyDays, createBusyDays, DELETABLE } from "../support/busy-days.ts";
import { expireLease, fencedState } from "../support/fenced-state.ts";
import { expectNothingLost, expectSettled, readTiers } from "../support/oracle.ts";
import type { FirnlineProcess } from "../support/firnline-process.ts";
import type { Scenario } from "../support/scenario.ts";

/** Stopped here a run is in the middle of a deleting transaction and holds locks. */
const LOCKED = ["prune.deleted", "delete.deleted"] as const;

let template: Scenario;
let undisturbed: unknown;

beforeAll(async () => {
  template = await createBusyDays();
  await using scenario = await copyBusyDays(template);
  expect(await scenario.spawnRun().ended).toMatchObject({ code: 0 });
  undisturbed = await readTiers(scenario);
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** Starts a run and waits until it has stopped itself. */
async function pauseAt(
  scenario: Scenario,
  failpoint: string,
  environ: Record<string, string> = {},
): Promise<FirnlineProcess> {
  const run = scenario.spawnRun({ ...environ, FIRNLINE_FAILPOINT: failpoint });
  await run.stopped();
  return run;
}

describe("a run that was stopped past its lease", () => {
  const points = BUSY_FAILPOINTS.filter((name) => !LOCKED.some((locked) => locked === name));
  test.concurrent.each(points)("at %s changes nothing once another has taken over", async (name) => {
    await using scenario = await copyBusyDays(template);
    await using stopped = await pauseAt(scenario, `${name}:pause`);
    await expireLease(scenario);
    expect((await scenario.run()).state).toBe("done");
    const before = await fencedState(scenario);
    stopped.resume();
    const ending = await stopped.ended;
    expect(ending).toMatchObject({ code: 1, stdout: "" });
    expect(ending.stderr).toMatch(/^E_(?:STALE|OWNER) /);
    expect(await fencedState(scenario)).toEqual(before);
    await expectNothingLost(scenario, { deletable: DELETABLE });
    expect(await readTiers(scenario)).toEqual(undisturbed);
    await expectSettled(scenario);
  });

  test.concurrent.each([
    ["export.uploading:pause@2", "journal.enqueued:pause@1"],
    ["seal.manifest:pause", "journal.created:pause@2"],
    ["prune.committed:pause@2", "journal.enqueued:pause@1"],
    ["prune.committed:pause@2", "prune.deleted:pause@2"],
    ["journal.enqueued:pause@4", "seal.sealed:pause"],
    ["journal.created:pause@5", "journal.enqueued:pause@2"],
    ["transition.requested:pause", "transition.moved:pause"],
  ])("at %s does no harm to the one that took over and is at %s", async (older, newer) => {
    await using scenario = await copyBusyDays(template);
    await using first = await pauseAt(scenario, older);
    await expireLease(scenario);
    await using second = await pauseAt(scenario, newer);
    first.resume();
    expect((await first.ended).code).toBe(1);
    second.resume();
    expect(await second.ended).toMatchObject({ code: 0, stderr: "" });
    await expectNothingLost(scenario, { deletable: DELETABLE });
    expect(await readTiers(scenario)).toEqual(undisturbed);
    await expectSettled(scenario);
  });

  test.concurrent("is left alone until the lease has really expired", async () => {
    await using scenario = await copyBusyDays(template);
    await using stopped = await pauseAt(scenario, "prune.committed:pause", { FIRNLINE_LEASE_SECONDS: "3" });
    // Its process lives, so that nobody may take it for dead.
    const problem = expect.stringContaining(`process ${stopped.pid}`);
    await expect(scenario.run()).rejects.toMatchObject({ code: "E_LOCKED", problem });
    await vi.waitUntil(
      async () => {
        try {
          return (await scenario.run()).state === "done";
        } catch (error) {
          if (isFirnlineError(error, "E_LOCKED")) return false;
          throw error;
        }
      },
      { timeout: 60_000, interval: 100 },
    );
    stopped.resume();
    expect((await stopped.ended).stderr).toMatch(/^E_STALE /);
    await expectNothingLost(scenario, { deletable: DELETABLE });
    expect(await readTiers(scenario)).toEqual(undisturbed);
  });

  test.concurrent("goes on when nobody took over", async () => {
    await using scenario = await copyBusyDays(template);
    await using stopped = await pauseAt(scenario, "prune.committed:pause");
    await expireLease(scenario);
    stopped.resume();
    expect(await stopped.ended).toMatchObject({ code: 0 });
    expect(await readTiers(scenario)).toEqual(undisturbed);
  });

  test.concurrent("is not taken for dead because its host is another one", async () => {
    await using scenario = await copyBusyDays(template);
    const killed = await scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.committed:kill" }).ended;
    expect(killed.signal).toBe("SIGKILL");
    await scenario.query(
      `UPDATE firnline.pipeline SET lease_holder = jsonb_set(lease_holder, '{host}', '"elsewhere"')`,
    );
    await expect(scenario.run()).rejects.toMatchObject({ code: "E_LOCKED" });
    await expireLease(scenario);
    expect((await scenario.run()).state).toBe("done");
    expect(await readTiers(scenario)).toEqual(undisturbed);
  });
});

describe("a run that was stopped while it deletes", () => {
  test.concurrent.each(LOCKED)("at %s keeps others out, until the server throws it out", async (name) => {
    await using scenario = await copyBusyDays(template);
    await using stopped = await pauseAt(scenario, `${name}:pause`, { FIRNLINE_LEASE_SECONDS: "3" });
    const rows = await scenario.count();
    // Its lease holds, or it has expired and the locks hold: either is said, and nothing happens.
    const [refused] = await scenario.failuresOf({ environ: { FIRNLINE_LOCK_TIMEOUT_MS: "100" } });
    expect(String(refused)).toMatch(/E_LOCKED pipeline audit_logs|E_DATABASE postgres: .*lock timeout/);
    expect(await scenario.count()).toBe(rows);

    const isThrownOut = `SELECT FROM pg_stat_activity WHERE datname = current_database()
      AND application_name = 'firnline audit_logs' AND state = 'idle in transaction'`;
    await vi.waitUntil(async () => (await scenario.query(isThrownOut)).length === 0, { timeout: 60_000 });
    await expireLease(scenario);
    expect((await scenario.run()).state).toBe("done");
    const before = await fencedState(scenario);
    stopped.resume();
    const { code, stderr } = await stopped.ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^E_(?:DATABASE|STALE) /) });
    expect(await fencedState(scenario)).toEqual(before);
    await expectNothingLost(scenario, { deletable: DELETABLE });
    expect(await readTiers(scenario)).toEqual(undisturbed);
  });

  test.concurrent.each(LOCKED)("at %s goes on where it was when it wakes in time", async (name) => {
    await using scenario = await copyBusyDays(template);
    await using stopped = await pauseAt(scenario, `${name}:pause`);
    expect(await scenario.spawnRun().ended).toMatchObject({ code: 11 });
    stopped.resume();
    expect(await stopped.ended).toMatchObject({ code: 0 });
    await expectNothingLost(scenario, { deletable: DELETABLE });
    expect(await readTiers(scenario)).toEqual(undisturbed);
    await expectSettled(scenario);
  });
});
