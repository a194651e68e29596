/** The catalog as a whole: a rebuild replaces it under a lease of its own and fences everyone else off; garbage and pins. */
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { PostgresUpkeep } from "../../src/catalog/postgres/upkeep.ts";
import type { RebuildRequest, RebuiltCatalog, RebuiltSegment } from "../../src/catalog/upkeep.ts";
import type { EpochMicros, EpochMs } from "../../src/rows/day.ts";
import { AT, CatalogScene, day, hashOf, LONG_MS, PIPELINE, sealedEvent } from "./catalog-scene.ts";

const HOLDER = { host: "h2", pid: 7, space: "s" };
const segment = (n: number): string => `${String(n).padStart(12, "0")}-0123456789abcdef`;

let scene: CatalogScene;
let upkeep: PostgresUpkeep;

beforeEach(async () => {
  scene = await CatalogScene.create();
  upkeep = new PostgresUpkeep(scene.database);
});
afterEach(async () => await scene[Symbol.asyncDispose]());

async function rebuilt(changes: Partial<RebuiltCatalog> = {}): Promise<RebuiltCatalog> {
  const record = await scene.catalog.pipeline(PIPELINE);
  return {
    pipeline: PIPELINE,
    archiveId: "7c0e6f5a-3c0e-4d9a-9f55-0a4f6f0a9b12",
    archiveUrl: "file:///another",
    source: record?.source ?? { systemIdentifier: "1", databaseOid: "2", tableOid: "3" },
    policy: { format: 1 },
    journal: { n: 41n, sha256: hashOf("entry 41") },
    epoch: 9n,
    segments: [],
    holds: [],
    detached: [],
    forgotten: [],
    decision: null,
    ...changes,
  };
}

const request = (lease: RebuildRequest["lease"]): RebuildRequest => ({
  run: "rebuild 1",
  holder: HOLDER,
  durationMs: LONG_MS,
  lease,
});

function segmentOf(n: number, changes: Partial<RebuiltSegment> = {}): RebuiltSegment {
  const object = { versionId: "v", bytes: 10n };
  return {
    segment: segment(n),
    state: "warm",
    leaf: null,
    rule: "default",
    dayFrom: day("2026-01-03"),
    dayTo: day("2026-01-03"),
    rows: 60n,
    storageClass: "STANDARD",
    object,
    manifest: { ...object, sha256: hashOf(`manifest ${n}`) },
    taggedAt: null,
    shape: "0a1b2c3d4e5f6071",
    sealedAt: AT,
    chunks: [],
    ...changes,
  };
}

describe("a rebuild", () => {
  test("puts everything in its place, and takes a lease that is above all", async () => {
    const old = await scene.lease();
    await scene.pruning(old, [20, 20, 20]);
    const leaf = { oid: "9", schema: "public", name: "day" };
    const chunks = [
      { chunk: 0, state: "unknown", rows: 30, wasPruned: true },
      { chunk: 1, state: "sealed", rows: 30, wasPruned: false },
    ] as const;
    const segments = [segmentOf(1, { state: "pruning", leaf, chunks }), segmentOf(2, { state: "cold" })];
    const lease = await upkeep.rebuild(request(old), await rebuilt({ segments }));
    expect(lease).toEqual({ pipeline: PIPELINE, run: "rebuild 1", epoch: 10n });
    const contents = await upkeep.contents(PIPELINE);
    expect(contents?.record).toMatchObject({
      archiveUrl: "file:///another",
      policy: { format: 1 },
      journal: { n: 41n, sha256: hashOf("entry 41") },
      lease: { epoch: 10n, run: "rebuild 1", holder: HOLDER },
    });
    expect([...(contents?.segments.keys() ?? [])]).toEqual([segment(1), segment(2)]);
    const first = contents?.segments.get(segment(1));
    expect(first?.chunks).toEqual(chunks);
    expect(first?.record).toMatchObject({
      state: "pruning",
      leaf,
      rows: 60n,
      rowsUnknown: 30n,
      rowsUnpruned: 60n,
      object: segmentOf(1).object,
      manifest: segmentOf(1).manifest,
    });
  });

  test("leaves the epoch where it is higher than the journal's", async () => {
    for (let run = 0; run < 12; run += 1) await scene.lease();
    const old = await scene.lease();
    expect(await upkeep.rebuild(request(old), await rebuilt())).toMatchObject({ epoch: old.epoch + 1n });
  });

  test("fences off whoever held the lease before (I6)", async () => {
    const old = await scene.lease();
    await scene.upload(old, [20]);
    await upkeep.rebuild(request(old), await rebuilt());
    const before = await scene.contents();
    const stale = { code: "E_STALE" };
    await expect(upkeep.rebuild(request(old), await rebuilt())).rejects.toMatchObject(stale);
    await expect(scene.journal(old, sealedEvent(segment(1)))).rejects.toMatchObject(stale);
    await expect(upkeep.replaceGarbage(old, [])).rejects.toMatchObject(stale);
    await expect(upkeep.forgetGarbage(old, [])).rejects.toMatchObject(stale);
    await expect(upkeep.endLostRetrievals(old, Date.now() as EpochMs)).rejects.toMatchObject(stale);
    expect(await scene.contents()).toEqual(before);
  });

  test("of a lost row makes it; but one that appeared meanwhile is a run's", async () => {
    await scene.database.query("DELETE FROM firnline.pipeline");
    const content = await rebuilt();
    expect(await upkeep.rebuild(request(null), content)).toMatchObject({ epoch: 10n });
    const before = await scene.contents();
    await expect(upkeep.rebuild(request(null), content)).rejects.toMatchObject({ code: "E_LOCKED" });
    expect(await scene.contents()).toEqual(before);
  });

  test("refuses a table that another pipeline moves", async () => {
    await scene.register("another");
    const source = (await scene.catalog.pipeline("another"))?.source as RebuiltCatalog["source"];
    const lease = await scene.lease();
    const before = await scene.contents();
    await expect(upkeep.rebuild(request(lease), await rebuilt({ source }))).rejects.toMatchObject({
      code: "E_POLICY",
    });
    expect(await scene.contents()).toEqual(before);
  });

  test("keeps runs, retrievals and what they read, and forgets the decisions that it is told to", async () => {
    const old = await scene.lease();
    const kept = await scene.warm(old, [20]);
    const gone = await scene.warm(old, [20]);
    await scene.catalog.startRun(old, 0n as EpochMicros);
    const retrieval = randomUUID();
    const range = { from: 0n as EpochMicros, to: 1n as EpochMicros, where: [] };
    await scene.catalog.startRetrieval(PIPELINE, { retrieval, requestedBy: "a test", ...range });
    await scene.transaction(async (tx) => {
      await scene.catalog.pinSegments(tx, PIPELINE, retrieval, [kept, gone]);
    });
    for (const n of [1, 2]) {
      await scene.catalog.enqueue(old, { type: "prune-started", segment: segment(n) }, AT);
    }
    const [first, second] = await scene.catalog.pending(PIPELINE);
    const event = { type: "prune-started" as const, segment: segment(3) };
    await upkeep.rebuild(
      request(old),
      await rebuilt({
        segments: [segmentOf(1, { segment: kept })],
        forgotten: [first?.entryId as string],
        decision: { event, at: AT },
      }),
    );
    expect(await upkeep.pinned(PIPELINE)).toEqual(new Set([kept]));
    expect(await scene.catalog.runs(PIPELINE, 5)).toHaveLength(1);
    const pending = await scene.catalog.pending(PIPELINE);
    expect(pending.map((one) => [one.entryId === second?.entryId, one.event])).toEqual([
      [true, second?.event],
      [false, event],
    ]);
    expect(pending[1]).toMatchObject({ run: "rebuild 1", epoch: "10" });
  });

  test("lists leaves that stand apart, and forgets those that are gone", async () => {
    await scene.database.query("CREATE TABLE public.there ()");
    const { rows } = await scene.database.query("SELECT 'public.there'::regclass::oid::text AS oid");
    const range = { from: 0n as EpochMicros, to: 1n as EpochMicros };
    const parent = { schema: "public", name: "logs" };
    const there = {
      oid: rows[0]?.["oid"] as string,
      schema: "public",
      name: "there",
      parent,
      bound: "b",
      range,
    };
    await scene.database.query(
      `INSERT INTO firnline.detaching (pipeline, leaf_oid, leaf_schema, leaf_name, parent_schema, parent_name, bound,
                                       range_from, range_to)
       VALUES ('audit_logs', '1', 'public', 'gone', 'public', 'logs', 'b', 0, 1)`,
    );
    await upkeep.rebuild(request(await scene.lease()), await rebuilt({ detached: [there] }));
    const listed = await scene.database.query("SELECT leaf_oid, leaf_name FROM firnline.detaching");
    expect(listed.rows).toEqual([{ leaf_oid: there.oid, leaf_name: "there" }]);
  });

  test("of many segments is one transaction", async () => {
    const lease = await scene.lease();
    const segments = Array.from({ length: 2_345 }, (_, n) => segmentOf(n + 1));
    await upkeep.rebuild(request(lease), await rebuilt({ segments }));
    expect((await upkeep.contents(PIPELINE))?.segments.size).toBe(2_345);
  });
});

test("contents are null where the catalog does not know the pipeline", async () => {
  expect(await upkeep.contents("unknown")).toBeNull();
});

test("garbage keeps the instant at which it was first seen, and goes when it is told to", async () => {
  const lease = await scene.lease();
  const one = { key: "a", versionId: null, bytes: 5_000_000_000n, firstSeen: 1_767_225_600_123 as EpochMs };
  const other = { key: "a", versionId: "v1", bytes: 1n, firstSeen: 1_767_225_600_456 as EpochMs };
  await upkeep.replaceGarbage(lease, [one, other]);
  expect(await upkeep.garbage(PIPELINE)).toEqual([one, other]);
  await upkeep.forgetGarbage(lease, [one]);
  expect(await upkeep.garbage(PIPELINE)).toEqual([other]);
  await upkeep.replaceGarbage(lease, []);
  expect(await upkeep.garbage(PIPELINE)).toEqual([]);
});
