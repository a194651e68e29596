/** Runs that end, or stand still, in the middle of dropping a leaf: fault matrix lines 5 to 7, 10, 11 and 38. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AFTER_JANUARY,
  copyBusyLeaves,
  createBusyLeaves,
  DELETABLE,
  DROP_FAILPOINTS,
} from "../support/busy-leaves.ts";
import {
  expectNothingLost,
  expectRetrievalComplete,
  expectSettled,
  readArchive,
  readTiers,
} from "../support/oracle.ts";
import { leavesOf, tablesOf } from "../support/partitioned-logs.ts";
import { Scenario } from "../support/scenario.ts";

/** The same again, at the next leaf; and what comes on the way of rows that changed while they waited. */
const LATER = [
  ...DROP_FAILPOINTS.map((name) => `${name}@2`),
  "replace.recorded",
  "replace.sealed",
  "export.recorded@3",
  "journal.created@9",
  "journal.published@12",
];

const AS_OF = { asOf: AFTER_JANUARY };

let template: Scenario;
let undisturbed: unknown;

beforeAll(async () => {
  template = await createBusyLeaves();
  await using scenario = await copyBusyLeaves(template);
  // Also fills the compile cache of the processes to come.
  expect(await scenario.spawnRun({}, AFTER_JANUARY).ended).toMatchObject({ code: 0, signal: null });
  expect(await tablesOf(scenario)).toEqual(["day_2026_02_20"]);
  await expectNothingLost(scenario, { deletable: DELETABLE });
  undisturbed = await finalState(scenario);
});

afterAll(async () => await template[Symbol.asyncDispose]());

async function finalState(scenario: Scenario): Promise<unknown> {
  return { tiers: await readTiers(scenario), deleted: (await readArchive(scenario)).deleted };
}

/** `FIRNLINE_FAILPOINT`, with the count behind the action. */
const at = (point: string, action: string): { FIRNLINE_FAILPOINT: string; FIRNLINE_CONCURRENCY: string } => {
  const [name, hit] = point.split("@");
  const failpoint = `${name}:${action}${hit === undefined ? "" : `@${hit}`}`;
  return { FIRNLINE_FAILPOINT: failpoint, FIRNLINE_CONCURRENCY: "3" };
};

async function finish(scenario: Scenario): Promise<void> {
  expect(await scenario.run(AS_OF)).toMatchObject({ state: "done", failures: [], drift: [] });
  await expectNothingLost(scenario, { deletable: DELETABLE });
  expect(await finalState(scenario)).toEqual(undisturbed);
  expect(await tablesOf(scenario)).toEqual(["day_2026_02_20"]);
  expect(await scenario.count("true", "firnline.detaching")).toBe(0);
  await expectSettled(scenario, AS_OF);
}

describe("a run that is killed", () => {
  test.concurrent.each([...DROP_FAILPOINTS, ...LATER])("at %s is finished by the next one", async (point) => {
    await using scenario = await copyBusyLeaves(template);
    const killed = await scenario.spawnRun(at(point, "kill"), AFTER_JANUARY).ended;
    expect(killed, "the run passes the failpoint").toMatchObject({ code: null, signal: "SIGKILL" });
    await expectRetrievalComplete(scenario, { deletable: DELETABLE });
    await expectNothingLost(scenario, { deletable: DELETABLE });
    await finish(scenario);
  });
});

describe("a run that fails", () => {
  test.concurrent.each(DROP_FAILPOINTS)("at %s is finished by the next one", async (name) => {
    await using scenario = await copyBusyLeaves(template);
    await expect(scenario.run({ ...AS_OF, environ: at(name, "error") })).rejects.toMatchObject({
      code: "E_INTERNAL",
      subject: `failpoint ${name}`,
    });
    await expectNothingLost(scenario, { deletable: DELETABLE });
    await finish(scenario);
  });

  test("drops no leaf whose drop is not in the catalog (I4)", async () => {
    await using scenario = await copyBusyLeaves(template);
    const before = await tablesOf(scenario);
    const failing = scenario.run({ ...AS_OF, environ: at("drop.dropped", "error") });
    await expect(failing).rejects.toThrow("failpoint drop.dropped");
    expect(await tablesOf(scenario)).toEqual(before);
    expect(await scenario.count("true", "firnline.detaching")).toBe(1);
  });
});

describe("a run that was stopped past its lease", () => {
  const unlocked = DROP_FAILPOINTS.filter((name) => name !== "drop.judged" && name !== "drop.dropped");
  test.concurrent.each(unlocked)("at %s changes nothing once another has taken over", async (name) => {
    await using scenario = await copyBusyLeaves(template);
    await using stopped = scenario.spawnRun(at(name, "pause"), AFTER_JANUARY);
    await stopped.stopped();
    await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = now() - interval '1 second'");
    await finish(scenario);
    stopped.resume();
    const ending = await stopped.ended;
    expect(ending).toMatchObject({ code: 1, stdout: "" });
    expect(ending.stderr).toMatch(/^E_STALE /);
    await finish(scenario);
  });

  test("detaches nothing that another one keeps", async () => {
    await using scenario = await copyBusyLeaves(template);
    await using stopped = scenario.spawnRun(at("drop.listed", "pause"), AFTER_JANUARY);
    await stopped.stopped();
    await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = now() - interval '1 second'");
    await using rows = await Scenario.over(scenario, { prune: "rows" });
    expect((await rows.run(AS_OF)).failures).toEqual([]);
    const before = await leavesOf(scenario);
    stopped.resume();
    expect((await stopped.ended).stderr).toMatch(/^E_STALE /);
    expect(await leavesOf(scenario)).toEqual(before);
    expect(before).toHaveLength(5);
    await expectNothingLost(scenario, { deletable: DELETABLE });
  });

  test("in the middle of the drop keeps others out, until the server throws it out", async () => {
    await using scenario = await copyBusyLeaves(template);
    await using stopped = scenario.spawnRun(
      { ...at("drop.dropped", "pause"), FIRNLINE_LEASE_SECONDS: "3" },
      AFTER_JANUARY,
    );
    await stopped.stopped();
    await scenario
      .query("UPDATE firnline.pipeline SET lease_expires_at = now() - interval '1 second'")
      .catch(() => {});
    const failures = await scenario.failuresOf({ ...AS_OF, environ: { FIRNLINE_LOCK_TIMEOUT_MS: "20000" } });
    expect(failures.filter((error) => !String(error).includes("E_LOCKED"))).toEqual([]);
    stopped.resume();
    expect((await stopped.ended).stderr).toMatch(/^E_(?:STALE|DATABASE) /);
    await finish(scenario);
  });
});
