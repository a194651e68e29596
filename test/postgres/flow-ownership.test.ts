/** Hazards 3 and 4, fault lines 18 to 22: a database that is not the one whose history the archive holds. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { isFirnlineError } from "../../src/errors.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { auditRows } from "../support/audit-rows.ts";
import { archiveContents } from "../support/archive-damage.ts";
import { backUpCatalog, loseCatalog, restoreCatalog } from "../support/control-schema.ts";
import { copyDataDirectory } from "../support/data-directory.ts";
import { expectNothingLost, expectSettled, readRows } from "../support/oracle.ts";
import { at, AS_OF, instantOf, Scenario } from "../support/scenario.ts";

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create();
  await template.insert(auditRows("2026-01-05", 1, 70));
  await template.insert(auditRows("2026-01-29", 1001, 120));
  await template.insert(auditRows("2026-02-20", 5001, 10));
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** The run is refused with E_OWNER and changes neither rows nor archive. */
async function expectRefused(
  scenario: Scenario,
  run: () => Promise<unknown>,
  problem: RegExp,
): Promise<void> {
  const before = { rows: await readRows(scenario, scenario.table), archive: await archiveContents(scenario) };
  const error = await run().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(isFirnlineError(error, "E_OWNER"), String(error)).toBe(true);
  expect((error as Error).message).toMatch(problem);
  expect({
    rows: await readRows(scenario, scenario.table),
    archive: await archiveContents(scenario),
  }).toEqual(before);
}

describe("a control schema that is older than the archive", () => {
  test("restored from a backup stops the run, again and again", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    await backUpCatalog(scenario);
    await scenario.run();
    await restoreCatalog(scenario);
    await scenario.insert(auditRows("2026-01-20", 3001, 30));
    for (let run = 0; run < 2; run += 1) {
      await expectRefused(scenario, async () => await scenario.run(), /another history|does not know/);
    }
    expect(await scenario.count("id BETWEEN 3001 AND 3030")).toBe(30);
    // It believes that rows are hot which were archived and deleted since: an answer would lack them (I8).
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_OWNER" });
  });

  test("restored to the middle of a run stops the run too", async () => {
    await using scenario = await template.copy();
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.committed:error" } });
    await expect(failing).rejects.toThrow("failpoint");
    await backUpCatalog(scenario);
    await scenario.run();
    await restoreCatalog(scenario);
    await expectRefused(
      scenario,
      async () => await scenario.run(),
      /another writer took this number|does not know/,
    );
  });

  test("lost and made anew stops the run (fault 20)", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    await loseCatalog(scenario);
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_CATALOG" });
    await expectRefused(scenario, async () => await scenario.run(), /does not know/);
    // Nothing says any more what is archived: an answer would be silently partial (I8).
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_OWNER" });
  });
});

describe("a copy of the database", () => {
  test("under another name is refused before anything is written", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    await using clone = await scenario.copy();
    const run = async (): Promise<unknown> => {
      await using pipeline = new Pipeline({
        policy: scenario.policy,
        connectionString: clone.url,
        settings: scenario.settings(),
      });
      return await pipeline.run({ asOf: instantOf(AS_OF) });
    };
    const catalog = await readRows(clone, clone.table);
    await expectRefused(scenario, run, /databaseOid/);
    expect(await readRows(clone, clone.table)).toEqual(catalog);
    expect(await clone.query("SELECT lease_epoch FROM firnline.pipeline")).toEqual([{ lease_epoch: "1" }]);
    expect((await scenario.run()).state, "the owner goes on").toBe("done");
    await expectNothingLost(scenario);
  });

  test("file by file, with the same identity, is fenced off: the first one to run goes on", async () => {
    await using original = await startEmbeddedPostgres({ durable: true });
    await using copy = await startEmbeddedPostgres({ durable: true });
    await using scenario = await Scenario.on({
      url: at(original.url(), "postgres"),
      name: "postgres",
      [Symbol.asyncDispose]: async () => {},
    });
    await scenario.prepare();
    await scenario.insert(auditRows("2026-01-05", 1, 70));
    await scenario.insert(auditRows("2026-01-29", 1001, 120));
    await scenario.run({ asOf: "2026-02-10" });
    await scenario.disconnect();

    // A snapshot of the disk: the same system identifier, the same OIDs, the same catalog.
    await original.kill("SIGINT");
    await copy.kill("SIGINT");
    await copyDataDirectory(original.dataDirectory, copy.dataDirectory);
    await Promise.all([original.restart(), copy.restart()]);
    const copyUrl = new URL(scenario.url);
    copyUrl.port = String(copy.port);

    expect((await scenario.run({ url: copyUrl.href })).state, "the copy is the first").toBe("done");
    await expectRefused(scenario, async () => await scenario.run(), /does not know|another writer/);
    expect(await scenario.count()).toBe(120);
    await expectSettled(scenario, { url: copyUrl.href });
  });
});

test("a policy that names another archive is refused", async () => {
  await using scenario = await template.copy();
  await scenario.run({ asOf: "2026-02-10" });
  await scenario.query(`UPDATE firnline.pipeline SET archive_url = 'file:///somewhere/else'`);
  await expectRefused(
    scenario,
    async () => await scenario.run(),
    /its archive is file:\/\/\/somewhere\/else/,
  );
});

test("a table that was dropped and made again is another table", async () => {
  await using scenario = await template.copy();
  await scenario.run({ asOf: "2026-02-10" });
  await scenario.query(
    `ALTER TABLE public.audit_logs RENAME TO old_logs; CREATE TABLE public.audit_logs (LIKE public.old_logs INCLUDING ALL)`,
  );
  await scenario.query("INSERT INTO public.audit_logs TABLE public.old_logs");
  await expectRefused(scenario, async () => await scenario.run(), /tableOid/);
});
