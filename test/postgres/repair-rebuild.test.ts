/** Hazards 3 and 17d: the control schema is lost alone, or comes back older than the table. The archive knows. */
import { cp } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { archiveContents, type Damage, DAMAGES, flipped, listArchive } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { backUpCatalog, loseCatalog, restoreCatalog } from "../support/control-schema.ts";
import { expectNothingLost, expectRetrievalComplete, expectSettled, readJournal } from "../support/oracle.ts";
import { Scenario } from "../support/scenario.ts";
import { expectVerified, verify } from "../support/verified.ts";

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create();
  await template.insert(auditRows("2025-12-20", 1, 70));
  await template.insert(auditRows("2026-01-05", 1001, 170));
  await template.insert(auditRows("2026-01-29", 2001, 120));
  await template.insert(auditRows("2026-02-20", 5001, 10));
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** Segments and chunks as the catalog has them. */
async function catalogOf(scenario: Scenario): Promise<unknown> {
  const segments = await scenario.query(
    `SELECT segment, state, rule, day_from::text, day_to::text, rows, bytes, storage_class, version_id,
            encode(manifest_sha256, 'hex') AS manifest_sha256, manifest_bytes, manifest_version_id, leaf_oid,
            encode(shape, 'hex') AS shape
     FROM firnline.segment WHERE state <> 'abandoned' ORDER BY segment`,
  );
  const chunks = await scenario.query("SELECT segment, chunk, state, rows FROM firnline.chunk ORDER BY 1, 2");
  const pipeline = await scenario.query(
    "SELECT archive_id, archive_url, source, policy, journal_n, journal_sha256 FROM firnline.pipeline",
  );
  return { segments, chunks, pipeline };
}

async function rebuild(scenario: Scenario, isConfirmed = false): Promise<{ rowsUnknown: bigint }> {
  await using pipeline = scenario.open();
  return await pipeline.rebuildCatalog({ isConfirmed });
}

describe("a control schema that is lost alone", () => {
  test("after a finished run comes back as it was, from the archive alone", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    await expectVerified(scenario);
    const before = await catalogOf(scenario);
    await loseCatalog(scenario);
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_CATALOG" });
    expect(await rebuild(scenario)).toMatchObject({ rowsUnknown: 0n });
    expect(await catalogOf(scenario)).toEqual(before);
    await expectVerified(scenario);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
  });

  // Random histories try more of them: `repair-histories.test.ts`.
  const CUTS = [
    "export.recorded:error@3",
    "seal.manifest:error@2",
    "seal.sealed:error",
    "prune.committed:error@3",
    "prune.published:error",
    "transition.moved:error",
    "journal.created:error@6",
  ];
  test.concurrent.each(CUTS)(
    "in a run that was cut at %s is rebuilt, and the next run goes on",
    async (cut) => {
      await using scenario = await template.copy();
      await scenario.failuresOf({ environ: { FIRNLINE_FAILPOINT: cut } });
      await loseCatalog(scenario);
      await rebuild(scenario);
      // I8: rows that only the lost catalog knew to be gone are found in the archive at once.
      await expectRetrievalComplete(scenario);
      await expectVerified(scenario);
      expect((await scenario.run()).state).toBe("done");
      await expectNothingLost(scenario);
      await expectSettled(scenario);
      await expectVerified(scenario);
    },
  );
});

describe("a control schema that is older than the table", () => {
  test("restored from a backup stops everything, says what to do, and is brought up to the archive", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    await backUpCatalog(scenario);
    await scenario.run();
    const ended = await catalogOf(scenario);
    await restoreCatalog(scenario);
    await scenario.insert(auditRows("2026-01-20", 3001, 30));
    await expect(scenario.run()).rejects.toMatchObject({ code: "E_OWNER" });
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_OWNER" });
    expect((await verify(scenario)).findings).toEqual([
      expect.stringMatching(
        /^E_OWNER .*\.json: the archive has \d+ entries from here on that this catalog does/,
      ),
    ]);
    await expect(rebuild(scenario)).rejects.toMatchObject({
      code: "E_INPUT",
      problem: expect.stringMatching(/^the catalog holds its state up to entry \d+ of the journal/),
      hint: expect.stringContaining("--yes"),
    });
    await expect(scenario.run()).rejects.toMatchObject({ code: "E_OWNER" });
    await rebuild(scenario, true);
    expect(await catalogOf(scenario)).toEqual(ended);
    await expectVerified(scenario);
    await expectNothingLost(scenario);
    expect((await scenario.run()).state).toBe("done");
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
  });

  test("of the middle of a run: what the journal has of its decisions is not journaled again", async () => {
    const rules = [{ name: "noise", when: "action = 'noise'", hot: "30d", archive: false }];
    await using scenario = await template.copy({ rules });
    await scenario.insert(auditRows("2026-01-05", 7001, 45, "'noise'"));
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "delete.committed:error" } });
    await expect(failing).rejects.toThrow("failpoint");
    // 20 rows are deleted for good, and no entry says so yet. Somebody looks at the rest.
    await scenario.retrieve();
    await backUpCatalog(scenario);
    const pending = await scenario.query("SELECT event ->> 'type' AS type FROM firnline.outbox ORDER BY id");
    expect(pending).toEqual([{ type: "deleted" }, { type: "restored" }, { type: "retrieved" }]);
    await scenario.run();
    await restoreCatalog(scenario);
    await rebuild(scenario, true);
    expect(await scenario.query("SELECT * FROM firnline.outbox")).toEqual([]);
    await scenario.run();
    await expectNothingLost(scenario, { deletable: "action = 'noise'" });
    const types = (await readJournal(scenario)).map(({ event }) => event.type);
    for (const once of ["restored", "retrieved"]) {
      expect(types.filter((type) => type === once)).toHaveLength(1);
    }
  });

  test("what this database alone knows is kept: rows deleted without a copy, and who was given which", async () => {
    const rules = [{ name: "noise", when: "action = 'noise'", hot: "30d", archive: false }];
    await using scenario = await template.copy({ rules });
    await scenario.insert(auditRows("2026-01-05", 7001, 45, "'noise'"));
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "delete.committed:error" } });
    await expect(failing).rejects.toThrow("failpoint");
    await scenario.retrieve();
    await rebuild(scenario, true);
    await scenario.run();
    await expectNothingLost(scenario, { deletable: "action = 'noise'" });
    const events = (await readJournal(scenario)).map(({ event }) => event);
    for (const once of ["restored", "retrieved"]) {
      expect(events.filter(({ type }) => type === once)).toHaveLength(1);
    }
    expect(events.filter(({ type }) => type === "deleted").map(({ rows }) => rows)).toEqual(["20", "25"]);
  });
});

describe("a rebuild is refused, and changes nothing,", () => {
  async function expectRefused(
    scenario: Scenario,
    expected: Readonly<Record<string, unknown>>,
    isConfirmed = true,
  ): Promise<void> {
    const before = { catalog: await catalogOf(scenario), archive: await archiveContents(scenario) };
    await expect(rebuild(scenario, isConfirmed)).rejects.toMatchObject(expected);
    expect({ catalog: await catalogOf(scenario), archive: await archiveContents(scenario) }).toEqual(before);
  }

  test("while a run holds the lease", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    await scenario.query(
      `UPDATE firnline.pipeline SET lease_run = 'another', lease_expires_at = now() + interval '1 hour',
         lease_holder = '{"host": "elsewhere", "pid": 1, "space": ""}'`,
    );
    await expectRefused(scenario, { code: "E_LOCKED" });
  });

  test("for an archive of another database: that takes an adoption", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    await using copy = await scenario.copy();
    await using other = await Scenario.over(copy, {});
    await cp(scenario.archive, other.archive, { recursive: true });
    await loseCatalog(other);
    await expectRefused(other, {
      code: "E_OWNER",
      problem: expect.stringContaining("databaseOid"),
      hint: expect.stringContaining("firnline adopt"),
    });
  });

  test("where there is no journal", async () => {
    await using scenario = await template.copy();
    await expectRefused(scenario, { code: "E_CATALOG", problem: expect.stringMatching(/has no journal$/) });
  });

  const journal = (n: number): string => `/journal/${String(n).padStart(20, "0")}.json`;
  test.each([
    ["an entry is gone", journal(3), DAMAGES["removed"], /3\.json: this entry is missing/],
    ["an entry was changed", journal(3), flipped(0.5), /(3\.json|4\.json: it follows another entry than 3)/],
    ["an entry was emptied", journal(4), DAMAGES["emptied"], /4\.json: this is not JSON/],
    ["a manifest is gone", "/manifests/", DAMAGES["removed"], /the manifest is gone/],
    ["a manifest was changed", "/manifests/", flipped(0.5), /its SHA-256 is/],
  ] as const)("where %s", async (_, place, damage, problem) => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-02-10" });
    const [path] = (await listArchive(scenario)).filter((one) => one.includes(place));
    await (damage as Damage)(path as string);
    await expectRefused(scenario, { message: expect.stringMatching(problem) });
    await loseCatalog(scenario);
    await expectRefused(scenario, { message: expect.stringMatching(problem) }, false);
  });
});
