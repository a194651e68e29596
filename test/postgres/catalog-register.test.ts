/** The pipeline's row: one table has one pipeline and one archive, and once the journal has begun that stays so. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { PipelineRecord } from "../../src/catalog/port.ts";
import { PostgresCatalog } from "../../src/catalog/postgres/postgres-catalog.ts";
import { AT, CatalogScene } from "./catalog-scene.ts";
import { openDatabase } from "./connect.ts";

let scene: CatalogScene;
beforeEach(async () => {
  scene = await CatalogScene.create();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

const SOURCE = { systemIdentifier: "7400000000000000001", databaseOid: "5", tableOid: "4711" };
const ARCHIVE_ID = "11111111-3c0e-4d9a-9f55-0a4f6f0a9b11";
const RECORD = { archiveId: ARCHIVE_ID, archiveUrl: "file:///a", source: SOURCE };
const register = async (pipeline: string, changes: Partial<typeof RECORD> = {}): Promise<PipelineRecord> =>
  await scene.catalog.register({ pipeline, ...RECORD, ...changes });
const started = {
  type: "run-started" as const,
  archiveId: ARCHIVE_ID,
  source: SOURCE,
  writer: "test",
};

/** On connections of their own, all of them open before the race begins. */
async function tenCatalogs(): Promise<AsyncDisposable & { readonly all: readonly PostgresCatalog[] }> {
  const cleanup = new AsyncDisposableStack();
  const all = Array.from({ length: 10 }, () => new PostgresCatalog(cleanup.use(openDatabase(scene.url))));
  await Promise.all(all.map(async (catalog) => await catalog.pipeline("p")));
  return { all, [Symbol.asyncDispose]: async () => await cleanup.disposeAsync() };
}
const replaceBigint = (_: string, value: unknown): unknown =>
  typeof value === "bigint" ? `${value}` : value;

describe("a first registration", () => {
  it("has no policy, an empty journal and no lease", async () => {
    expect(await register("p")).toEqual({
      pipeline: "p",
      archiveId: ARCHIVE_ID,
      archiveUrl: "file:///a",
      source: SOURCE,
      policy: null,
      journal: { n: 0n, sha256: "0".repeat(64) },
      lease: { epoch: 0n, run: null, holder: null },
    } satisfies PipelineRecord);
    expect(await scene.catalog.pipeline("p")).toEqual(await register("p"));
  });

  it("by ten at the same time is one, and all of them find it", async () => {
    await using catalogs = await tenCatalogs();
    const found = await Promise.all(
      catalogs.all.map(async (catalog) => await catalog.register({ pipeline: "p", ...RECORD })),
    );
    expect(new Set(found.map((record) => JSON.stringify(record, replaceBigint))).size).toBe(1);
    expect((await scene.contents())["pipeline"]).toHaveLength(2);
  });
});

describe("a table", () => {
  it("has one pipeline: a second name is refused", async () => {
    await register("p");
    await expect(register("q")).rejects.toThrow(
      "E_POLICY pipeline q: pipeline p moves this table already. " +
        "A table has one pipeline, and its name is permanent; put the name back, or use rules.",
    );
    expect(await scene.catalog.pipeline("q")).toBeNull();
  });

  it("has one pipeline also when ten names come at the same time", async () => {
    await using cleanup = new AsyncDisposableStack();
    const catalogs = Array.from(
      { length: 10 },
      () => new PostgresCatalog(cleanup.use(openDatabase(scene.url))),
    );
    // All connections are open before the race begins.
    await Promise.all(catalogs.map(async (catalog) => await catalog.pipeline("p")));
    const outcomes = await Promise.allSettled(
      catalogs.map(async (catalog, index) => await catalog.register({ ...RECORD, pipeline: `p${index}` })),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      expect(String(outcome.reason)).toMatch(/E_POLICY pipeline p\d: pipeline p\d moves this table already/);
    }
  });

  it("of another database, or another one of this database, is another table", async () => {
    await register("p");
    await register("q", { source: { ...SOURCE, tableOid: "4712" } });
    await register("r", { source: { ...SOURCE, databaseOid: "6" } });
    await register("s", { source: { ...SOURCE, systemIdentifier: "1" } });
    expect((await scene.contents())["pipeline"]).toHaveLength(5);
  });
});

describe("registering again", () => {
  const other = { archiveId: "22222222-3c0e-4d9a-9f55-0a4f6f0a9b11", archiveUrl: "file:///b" };

  it("changes the archive as long as nothing was journaled: the first run may have failed on a wrong one", async () => {
    await register("p");
    const lease = await scene.lease("p");
    await scene.catalog.enqueue(lease, started, AT);
    await scene.catalog.releaseLease(lease);
    expect(await register("p", other)).toMatchObject(other);
    // What was decided for the other archive must not be journaled in this one.
    expect(await scene.catalog.pending("p")).toEqual([]);
  });

  it("changes nothing once something was journaled", async () => {
    const first = await register("p");
    const lease = await scene.lease("p");
    await scene.journal(lease, started);
    const found = await register("p", other);
    expect(found).toMatchObject({ archiveId: first.archiveId, archiveUrl: first.archiveUrl });
  });

  it("changes nothing once there is a segment", async () => {
    await register("p");
    await scene.reserve(await scene.lease("p"));
    expect(await register("p", other)).toMatchObject({ archiveUrl: "file:///a" });
  });

  it("changes nothing under a run that is at work (I6)", async () => {
    await register("p");
    const lease = await scene.lease("p");
    await scene.catalog.enqueue(lease, started, AT);
    expect(await register("p", other)).toMatchObject({ archiveUrl: "file:///a" });
    expect(await scene.catalog.pending("p")).toHaveLength(1);
  });
});
