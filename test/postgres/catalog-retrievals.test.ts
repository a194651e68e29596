/** What a retrieval asks of the catalog: which chunks are in the archive alone, within its own snapshot (I2, I8). */
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Lease, ReadableSegment, RetrievalRequest } from "../../src/catalog/port.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import { AT, CatalogScene, day, hashOf, PIPELINE } from "./catalog-scene.ts";

let scene: CatalogScene;
let lease: Lease;
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

const named = (found: readonly ReadableSegment[]): [string, readonly number[] | null][] =>
  found.map(({ record, prunedChunks }) => [record.segment, prunedChunks]);
const readable = async (from = "2026-01-01", to = "2026-01-31") =>
  named(await scene.catalog.readableNow(PIPELINE, day(from), day(to)));

const request = (): RetrievalRequest => ({
  retrieval: randomUUID(),
  requestedBy: "auditor",
  ...parseRange("2026-01-01", "2026-01-31", ["action=login"]),
});

describe("the archive is read", () => {
  it("for chunks that are pruned, and for no other: those are hot", async () => {
    const segment = await scene.pruning(lease, [1, 2, 3]);
    expect(await readable()).toEqual([]);
    await scene.prune(lease, segment, [2], 3n);
    expect(await readable()).toEqual([[segment, [2]]]);
    await scene.prune(lease, segment, [0], 1n);
    expect(await readable()).toEqual([[segment, [0, 2]]]);
    await scene.prune(lease, segment, [1], 2n);
    expect(await readable()).toEqual([[segment, null]]);
  });

  it("as a whole once a segment is wholly pruned, warm, cooling or cold", async () => {
    const segment = await scene.warm(lease, [1, 2]);
    const whole = [[segment, null]];
    expect(await readable()).toEqual(whole);
    await scene.catalog.classRequested(lease, segment);
    expect(await readable()).toEqual(whole);
    const object = { key: "k", versionId: "v2", etag: null, sha256: hashOf("o"), bytes: "1" };
    await scene.journal(lease, { type: "transitioned", segment, storageClass: "GLACIER", object });
    expect(await readable()).toEqual(whole);
  });

  it("not for what is exporting, uploaded, sealed or given up", async () => {
    await scene.reserve(lease);
    await scene.upload(lease, [1]);
    await scene.seal(lease, await scene.upload(lease, [1]));
    await scene.catalog.abandon(lease, await scene.upload(lease, [1]));
    expect(await readable()).toEqual([]);
  });

  it("for the days asked for, both ends included, oldest first", async () => {
    const [third, first, second] = [
      await scene.warm(lease, [1], "2026-01-03"),
      await scene.warm(lease, [1], "2026-01-01"),
      await scene.warm(lease, [1], "2026-01-02"),
    ];
    const names = async (from: string, to: string) => (await readable(from, to)).map(([name]) => name);
    expect(await names("2025-12-01", "2026-12-31")).toEqual([first, second, third]);
    expect(await names("2026-01-01", "2026-01-02")).toEqual([first, second]);
    expect(await names("2026-01-03", "2026-01-03")).toEqual([third]);
    expect(await names("2026-01-04", "2026-12-31")).toEqual([]);
    expect(await names("0001-01-01", "9999-12-31")).toEqual([first, second, third]);
  });

  it("for one pipeline only", async () => {
    await scene.register("other");
    await scene.warm(lease, [1]);
    expect(await scene.catalog.readableNow("other", day("2026-01-01"), day("2026-01-31"))).toEqual([]);
  });

  it("as the caller's snapshot has it: a prune that commits meanwhile changes nothing of it (I2)", async () => {
    const segment = await scene.pruning(lease, [1, 2]);
    await scene.prune(lease, segment, [0], 1n);
    const look = async (between: () => Promise<void>) =>
      await scene.database.transaction("repeatable read, read write", "retrieve", async (tx) => {
        const read = async () =>
          named(await scene.catalog.readable(tx, PIPELINE, day("2026-01-01"), day("2026-01-31")));
        const before = await read();
        await between();
        return [before, await read()];
      });
    const seen = await look(async () => await scene.prune(lease, segment, [1], 2n));
    expect(seen).toEqual([[[segment, [0]]], [[segment, [0]]]]);
    expect(await readable()).toEqual([[segment, null]]);
  });
});

describe("a retrieval", () => {
  const rowsOf = async (table: string): Promise<Record<string, unknown>[]> =>
    (await scene.database.query(`SELECT * FROM firnline.${table}`)).rows;
  const pin = async (retrieval: string, segments: readonly string[]): Promise<void> => {
    await scene.transaction(async (tx) => await scene.catalog.pinSegments(tx, PIPELINE, retrieval, segments));
  };

  it("is recorded before it reads: who, which range, which filter", async () => {
    const asked = request();
    await scene.catalog.startRetrieval(PIPELINE, asked);
    expect(await rowsOf("retrieval")).toMatchObject([
      {
        retrieval: asked.retrieval,
        pipeline: PIPELINE,
        requested_by: "auditor",
        range_from: new Date("2026-01-01T00:00:00Z"),
        range_to: new Date("2026-02-01T00:00:00Z"),
        filter: [{ column: "action", value: "login" }],
        state: "restoring",
      },
    ]);
  });

  it("pins what it reads until it is done, and leaves its entry for the journal", async () => {
    const segments = [await scene.warm(lease, [1], "2026-01-01"), await scene.warm(lease, [1], "2026-01-02")];
    const asked = request();
    await scene.catalog.startRetrieval(PIPELINE, asked);
    await pin(asked.retrieval, segments);
    expect((await rowsOf("pin")).map((row) => row["segment"]).sort()).toEqual(segments);
    expect(await rowsOf("retrieval")).toMatchObject([{ state: "reading" }]);

    await scene.catalog.finishRetrieval(PIPELINE, asked, { rows: 2n, sha256: hashOf("answer") }, AT);
    expect(await rowsOf("pin")).toEqual([]);
    expect(await rowsOf("retrieval")).toMatchObject([
      { state: "done", rows: "2", sha256: hashOf("answer"), error: null },
    ]);
    expect(await scene.catalog.pending(PIPELINE)).toMatchObject([
      {
        run: `retrieval ${asked.retrieval}`,
        epoch: "1",
        at: AT,
        event: {
          type: "retrieved",
          retrieval: asked.retrieval,
          requestedBy: "auditor",
          from: "2026-01-01T00:00:00.000000Z",
          to: "2026-02-01T00:00:00.000000Z",
          where: [{ column: "action", value: "login" }],
          rows: "2",
          sha256: hashOf("answer"),
        },
      },
    ]);
  });

  it("that failed says why, keeps no pins, and is not journaled as if it had given rows out", async () => {
    const segment = await scene.warm(lease, [1]);
    const asked = request();
    await scene.catalog.startRetrieval(PIPELINE, asked);
    await pin(asked.retrieval, [segment]);
    await scene.catalog.finishRetrieval(PIPELINE, asked, { error: "E_COLD" }, AT);
    expect(await rowsOf("retrieval")).toMatchObject([
      { state: "failed", rows: null, sha256: null, error: "E_COLD" },
    ]);
    expect(await rowsOf("pin")).toEqual([]);
    expect(await scene.catalog.pending(PIPELINE)).toEqual([]);
  });

  it("takes only its own pins away", async () => {
    const segment = await scene.warm(lease, [1]);
    const [one, two] = [request(), request()];
    for (const asked of [one, two]) {
      await scene.catalog.startRetrieval(PIPELINE, asked);
      await pin(asked.retrieval, [segment]);
    }
    await scene.catalog.finishRetrieval(PIPELINE, one, { error: "x" }, AT);
    expect(await rowsOf("pin")).toMatchObject([{ retrieval: two.retrieval, segment }]);
  });

  it("cannot pin a segment that is not there", async () => {
    const asked = request();
    await scene.catalog.startRetrieval(PIPELINE, asked);
    await expect(pin(asked.retrieval, ["nothing"])).rejects.toThrow(/foreign key/);
    expect(await rowsOf("retrieval")).toMatchObject([{ state: "restoring" }]);
  });

  it("needs no lease, and works while a run holds it", async () => {
    const asked = request();
    await scene.catalog.startRetrieval(PIPELINE, asked);
    await pin(asked.retrieval, []);
    await scene.catalog.finishRetrieval(PIPELINE, asked, { rows: 0n, sha256: hashOf("") }, AT);
    await scene.publish(lease);
    expect((await scene.catalog.pipeline(PIPELINE))?.journal.n).toBe(1n);
  });
});
