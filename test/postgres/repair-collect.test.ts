/** collect: what nothing names goes, once it was garbage for the recovery window, and never anything else. */
import { mkdtemp, mkdir, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Pipeline } from "../../src/pipeline.ts";
import type { CollectResult } from "../../src/repair/collect.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { systemClock } from "../../src/wiring.ts";
import { archiveContents, flipped, listArchive } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { loseCatalog } from "../support/control-schema.ts";
import { expectNothingLost, expectSettled, readJournal } from "../support/oracle.ts";
import { type Environ, Scenario } from "../support/scenario.ts";
import { expectVerified } from "../support/verified.ts";

const DAY_MS = 86_400_000;
const NONE = { objects: 0, bytes: 0n };

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({ environ: { FIRNLINE_SEGMENT_MIB: "1024" } });
  await template.insert(auditRows("2026-01-10", 1001, 260));
  await template.insert(auditRows("2026-01-29", 2001, 40));
  await template.insert(auditRows("2026-02-20", 5001, 10));
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** A row that changes after its day was sealed: its chunk is exported anew, and the segment written again without it. */
async function changed(): Promise<Scenario> {
  const scenario = await template.copy();
  const environ = { FIRNLINE_FAILPOINT: "prune.started:error" };
  await expect(scenario.run({ asOf: "2026-02-10", environ })).rejects.toThrow("failpoint");
  await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1120`);
  return scenario;
}

/** An archive with one wholly superseded segment, and one upload that was given up. */
async function withGarbage(): Promise<Scenario> {
  const scenario = await changed();
  await scenario.failuresOf({ environ: { FIRNLINE_FAILPOINT: "export.recorded:error" } });
  await scenario.run();
  return scenario;
}

/** As if it were so many days later. */
async function collect(
  scenario: Scenario,
  days = 0,
  { environ = {}, isDryRun = false }: { environ?: Environ; isDryRun?: boolean } = {},
): Promise<CollectResult & { spools: number }> {
  await using pipeline = new Pipeline({
    policy: scenario.policy,
    connectionString: scenario.urlFor("collector"),
    settings: scenario.settings(environ),
    clock: { ...systemClock, now: () => (Date.now() + days * DAY_MS) as EpochMs },
  });
  return await pipeline.collect({ isDryRun });
}

const collected = async (scenario: Scenario): Promise<string[]> =>
  (await readJournal(scenario)).flatMap(({ event }) =>
    event.type === "collected" ? (event["objects"] as { key: string }[]).map(({ key }) => basename(key)) : [],
  );

async function expectWell(scenario: Scenario): Promise<void> {
  await expectNothingLost(scenario);
  await expectSettled(scenario);
  await expectVerified(scenario);
}

describe("objects that nothing names", () => {
  test("go when they were seen twice, the recovery window apart, and the journal says so", async () => {
    await using scenario = await withGarbage();
    const before = await listArchive(scenario);
    const first = await collect(scenario);
    // Object and manifest of the superseded segment; the upload was never sealed.
    expect(first).toMatchObject({ removed: NONE, waiting: { objects: 3 }, pinned: NONE, foreign: 0 });
    expect(await collect(scenario, 13)).toMatchObject({ removed: NONE, waiting: first.waiting });
    expect(await listArchive(scenario)).toEqual(before);
    expect(await collect(scenario, 15)).toMatchObject({ removed: first.waiting, waiting: NONE });
    const gone = (await collected(scenario)).sort();
    expect(gone).toHaveLength(3);
    const after = await listArchive(scenario);
    expect(
      before
        .filter((path) => !after.includes(path))
        .map((path) => basename(path))
        .sort(),
    ).toEqual(gone);
    await expectWell(scenario);
    expect(await collect(scenario, 30)).toMatchObject({ removed: NONE, waiting: NONE });
    expect(await collected(scenario)).toHaveLength(3);
    // A catalog that is rebuilt afterwards needs nothing of them.
    await loseCatalog(scenario);
    await using pipeline = scenario.open();
    expect((await pipeline.rebuildCatalog()).segments).toMatchObject({ superseded: 1, warm: 3 });
    await expectWell(scenario);
  });

  test("wait anew if they are not what they were", async () => {
    await using scenario = await withGarbage();
    const { waiting } = await collect(scenario);
    const [abandoned] = await scenario.query(
      "SELECT segment FROM firnline.segment WHERE state = 'abandoned'",
    );
    const path = (await listArchive(scenario)).find((one) => one.includes(abandoned?.["segment"] as string));
    await rm(path as string);
    await writeFile(path as string, "another one");
    expect(await collect(scenario, 15)).toMatchObject({
      removed: { objects: waiting.objects - 1 },
      waiting: { objects: 1, bytes: 11n },
    });
    expect(await collect(scenario, 30)).toMatchObject({ removed: { objects: 1 }, waiting: NONE });
  });

  test("are uploads of a catalog that was lost, too", async () => {
    await using scenario = await changed();
    await scenario.failuresOf({ environ: { FIRNLINE_FAILPOINT: "export.recorded:error" } });
    // A run may still seal it.
    expect(await collect(scenario)).toMatchObject({ waiting: NONE });
    await loseCatalog(scenario);
    {
      await using pipeline = scenario.open();
      await pipeline.rebuildCatalog();
    }
    expect(await collect(scenario)).toMatchObject({ waiting: { objects: 1 } });
    expect(await collect(scenario, 15)).toMatchObject({ removed: { objects: 1 } });
    await scenario.run();
    await expectWell(scenario);
  });

  test("stay while a retrieval reads them; one that never ended is taken for dead after the window", async () => {
    await using scenario = await withGarbage();
    await collect(scenario);
    await scenario.query(
      `WITH retrieval AS (
         INSERT INTO firnline.retrieval (retrieval, pipeline, requested_by, range_from, range_to, filter, state, created_at)
         VALUES (gen_random_uuid(), 'audit_logs', 'a test', '-infinity', 'infinity', '[]', 'reading', now() + interval '10 days')
         RETURNING retrieval, pipeline)
       INSERT INTO firnline.pin (retrieval, pipeline, segment)
       SELECT r.retrieval, s.pipeline, s.segment FROM retrieval r, firnline.segment s WHERE s.state = 'superseded'`,
    );
    expect(await collect(scenario, 15)).toMatchObject({
      removed: { objects: 1 },
      pinned: { objects: 2 },
      lostRetrievals: 0,
    });
    expect(await collect(scenario, 25)).toMatchObject({
      removed: { objects: 2 },
      pinned: NONE,
      lostRetrievals: 1,
    });
    expect(await scenario.query("SELECT state, error FROM firnline.retrieval")).toEqual([
      { state: "failed", error: expect.stringContaining("taken for dead") },
    ]);
    await expectWell(scenario);
  });

  test.each([
    ["right after the journal's entry", "collect.journaled:error", 0],
    ["after the first object", "collect.deleted:error", 1],
  ])("of a collect that is cut %s go with the next one", async (_, failpoint, gone) => {
    await using scenario = await withGarbage();
    const { waiting } = await collect(scenario);
    const before = await listArchive(scenario);
    const failing = collect(scenario, 15, { environ: { FIRNLINE_FAILPOINT: failpoint } });
    await expect(failing).rejects.toThrow("failpoint");
    const names = (paths: readonly string[]): string[] => paths.filter((path) => !path.includes("/journal/"));
    expect(names(await listArchive(scenario))).toHaveLength(names(before).length - gone);
    expect(await collected(scenario)).toHaveLength(waiting.objects);
    await expectNothingLost(scenario);
    expect(await collect(scenario, 15)).toMatchObject({ removed: { objects: waiting.objects - gone } });
    expect(await collected(scenario)).toHaveLength(waiting.objects);
    await expectWell(scenario);
  });
});

describe("nothing goes", () => {
  const journalLess = async (scenario: Scenario): Promise<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(await archiveContents(scenario)).filter(([path]) => !path.includes("/journal/")),
    );

  test("in a dry run, which says what would", async () => {
    await using scenario = await withGarbage();
    const { waiting } = await collect(scenario, 0, { isDryRun: true });
    expect(await scenario.query("SELECT * FROM firnline.garbage")).toEqual([]);
    await collect(scenario);
    const before = await archiveContents(scenario);
    expect(await collect(scenario, 15, { isDryRun: true })).toMatchObject({
      removed: waiting,
      waiting: NONE,
    });
    expect(await archiveContents(scenario)).toEqual(before);
  });

  test("that is not of Firnline's making", async () => {
    await using scenario = await withGarbage();
    const folder = join(scenario.archive, "audit_logs");
    const theirs = [
      join(folder, "README.txt"),
      join(folder, "daily/rule=default/dt=2026-01-10/mine.parquet"),
    ];
    for (const path of theirs) await writeFile(path, "mine");
    expect(await collect(scenario)).toMatchObject({ foreign: 2 });
    await collect(scenario, 15);
    expect((await listArchive(scenario)).filter((path) => theirs.includes(path))).toHaveLength(2);
  });

  test.each([
    [
      "an object is missing that must be there",
      async (path: string) => await rm(path),
      /the listing .* lacks it/,
    ],
    [
      "an object has another size than it must",
      async (path: string) => await writeFile(path, "short"),
      /it has 5 bytes, and \d+ were sealed/,
    ],
  ])("if %s (fault 32)", async (_, damage, problem) => {
    await using scenario = await withGarbage();
    await collect(scenario);
    const segments = await scenario.query("SELECT segment FROM firnline.segment WHERE state = 'warm'");
    const live = new Set(segments.map(({ segment }) => `${segment}.parquet`));
    const path = (await listArchive(scenario)).find((one) => live.has(basename(one))) as string;
    await rm(path);
    await writeFile(path, "x".repeat(5));
    await damage(path);
    const before = await journalLess(scenario);
    await expect(collect(scenario, 15)).rejects.toMatchObject({
      code: "E_VERIFY",
      message: expect.stringMatching(problem),
    });
    expect(await journalLess(scenario)).toEqual(before);
  });

  test("if a manifest of what is to go was changed: its chunks can't be counted", async () => {
    await using scenario = await withGarbage();
    await collect(scenario);
    const [row] = await scenario.query("SELECT segment FROM firnline.segment WHERE state = 'superseded'");
    const path = (await listArchive(scenario)).find((one) => one.endsWith(`${row?.["segment"]}.json`));
    await flipped(0.5)(path as string);
    await expect(collect(scenario, 15)).rejects.toMatchObject({ code: "E_VERIFY" });
  });

  test("from a database that does not own the archive, or is behind it", async () => {
    await using scenario = await withGarbage();
    await collect(scenario);
    await using database = await scenario.copy();
    const copy = Scenario.elsewhere(scenario, database.url);
    const before = await archiveContents(scenario);
    await expect(collect(copy, 15)).rejects.toMatchObject({ code: "E_OWNER" });
    await scenario.query("UPDATE firnline.pipeline SET journal_n = journal_n - 1");
    await expect(collect(scenario, 15)).rejects.toMatchObject({ code: "E_OWNER" });
    await expect(collect(scenario, 15, { isDryRun: true })).rejects.toMatchObject({ code: "E_OWNER" });
    expect(await archiveContents(scenario)).toEqual(before);
    await copy.disconnect();
  });

  test("while a run is at work", async () => {
    await using scenario = await withGarbage();
    await scenario.query(
      `UPDATE firnline.pipeline SET lease_run = 'another', lease_expires_at = now() + interval '1 hour',
         lease_holder = '{"host": "elsewhere", "pid": 1, "space": ""}'`,
    );
    await expect(collect(scenario)).rejects.toMatchObject({ code: "E_LOCKED" });
  });

  test("before the first run", async () => {
    await using scenario = await Scenario.create();
    expect(await collect(scenario)).toMatchObject({ removed: NONE, waiting: NONE });
  });
});

test("what killed processes left goes when it is old: temporary uploads, and spools of rows", async () => {
  await using scenario = await withGarbage();
  const uploads = join(scenario.archive, ".tmp");
  const spools = await mkdtemp(join(tmpdir(), "firnline-test-spools-"));
  const old = new Date(Date.now() - 15 * DAY_MS);
  await using _removed = { [Symbol.asyncDispose]: async () => await rm(spools, { recursive: true }) };
  for (const [name, at] of [
    ["old", old],
    ["new", new Date()],
  ] as const) {
    await writeFile(join(uploads, name), "upload");
    await utimes(join(uploads, name), at, at);
    const folder = join(spools, `firnline-spool-${name}`);
    await mkdir(folder);
    await writeFile(join(folder, "hot-rows"), "rows");
    await utimes(join(folder, "hot-rows"), at, at);
    await utimes(folder, at, at);
  }
  await mkdir(join(spools, "another"));
  await utimes(join(spools, "another"), old, old);
  const environ = { FIRNLINE_TMPDIR: spools };
  expect(await collect(scenario, 0, { environ, isDryRun: true })).toMatchObject({ uploads: NONE, spools: 0 });
  expect(await collect(scenario, 0, { environ })).toMatchObject({
    uploads: { objects: 1, bytes: 6n },
    spools: 1,
  });
  expect(await readdir(uploads)).toEqual(["new"]);
  expect((await readdir(spools)).sort()).toEqual(["another", "firnline-spool-new"]);
});
