/**
 * Hazards 3, 4, 5 and 17d: a database that is not the one whose history the archive holds. On the newest and the oldest
 * server; more of it is in `flow-ownership.test.ts` and in the suites of `repair`, on 18.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { archiveContents, listArchive } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { backUpCatalog, loseCatalog, restoreCatalog } from "../support/control-schema.ts";
import { copyDataDirectory } from "../support/data-directory.ts";
import { expectNothingLost, expectRetrievalComplete, expectSettled } from "../support/oracle.ts";
import { startMajor } from "../support/postgres-majors.ts";
import { at, Scenario } from "../support/scenario.ts";
import { onBoth } from "./on-both.ts";

async function rebuild(scenario: Scenario): Promise<void> {
  await using pipeline = scenario.open();
  await pipeline.rebuildCatalog({ isConfirmed: true });
}

/** Neither a run nor an answer, and nothing written; `doctor` names the same. */
async function expectStopped(scenario: Scenario, url = scenario.url): Promise<void> {
  const before = [await scenario.count(), await archiveContents(scenario)];
  await expect(scenario.run({ url })).rejects.toMatchObject({ code: "E_OWNER" });
  expect([await scenario.count(), await archiveContents(scenario)]).toEqual(before);
}

onBoth("a history", (server) => {
  let template: Scenario;
  beforeAll(async () => {
    template = await server.create();
    await template.insert(auditRows("2026-01-05", 1, 70));
    await template.insert(auditRows("2026-01-29", 1001, 120));
    await template.insert(auditRows("2026-02-20", 5001, 10));
  });
  afterAll(async () => await template?.[Symbol.asyncDispose]());

  test("that is older than the archive's stops everything until it is rebuilt; then nothing is lost (3, 5)", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    await backUpCatalog(scenario);
    await scenario.run();
    await restoreCatalog(scenario);
    await expectStopped(scenario);
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_OWNER" });
    await using pipeline = scenario.open();
    expect((await pipeline.doctor()).findings).toMatchObject([
      { code: "E_OWNER", hint: expect.stringContaining("rebuild") },
    ]);
    // What the lost commits archived is no garbage to anybody.
    const objects = await listArchive(scenario);
    await expect(pipeline.collect()).rejects.toMatchObject({ code: "E_OWNER" });
    expect(await listArchive(scenario)).toEqual(objects);
    await rebuild(scenario);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  test.each(server.sample(["prune.deleted@2", "prune.started", "prune.committed"]))(
    "that is lost alone, in a run that was cut at %s, is rebuilt, and no row vanishes (17d)",
    async (failpoint) => {
      await using scenario = await template.copy();
      const [name, nth] = failpoint.split("@");
      const environ = { FIRNLINE_FAILPOINT: `${name}:error${nth === undefined ? "" : `@${nth}`}` };
      await scenario.failuresOf({ environ });
      await loseCatalog(scenario);
      await expectStopped(scenario);
      await rebuild(scenario);
      await expectRetrievalComplete(scenario);
      expect((await scenario.run()).state).toBe("done");
      await expectNothingLost(scenario);
      await expectSettled(scenario);
    },
  );

  test("that a copy of the database has stops the copy, and the owner goes on (4)", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    await using clone = await scenario.copy();
    await expectStopped(scenario, clone.url);
    expect(await clone.count()).toBe(130);
    expect((await scenario.run()).state).toBe("done");
    await expectNothingLost(scenario);
  });
});

describe("a copy of the disk, on PostgreSQL 15", () => {
  test("has the same identity; the first to run goes on, the other one stops (4)", async () => {
    await using original = await startMajor(15);
    await using copy = await startMajor(15);
    const database = {
      url: at(original.url(), "postgres"),
      name: "postgres",
      [Symbol.asyncDispose]: async () => {},
    };
    await using scenario = await Scenario.on(database);
    await scenario.prepare();
    await scenario.insert(auditRows("2026-01-05", 1, 70));
    await scenario.insert(auditRows("2026-01-29", 1001, 120));
    await scenario.run({ asOf: "2026-02-10" });
    await scenario.disconnect();
    await original.kill("SIGINT");
    await copy.kill("SIGINT");
    await copyDataDirectory(original.dataDirectory, copy.dataDirectory);
    await Promise.all([original.restart(), copy.restart()]);
    const url = new URL(scenario.url);
    url.port = String(copy.port);
    expect((await scenario.run({ url: url.href })).state).toBe("done");
    await expectStopped(scenario);
    await expectSettled(scenario, { url: url.href });
  });
});
