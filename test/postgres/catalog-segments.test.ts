/** Segments and their chunks: checkpoints that commit together with the deletes, or not at all (I4). */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Lease } from "../../src/catalog/port.ts";
import { AT, CatalogScene, day, PIPELINE } from "./catalog-scene.ts";

let scene: CatalogScene;
let lease: Lease;
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

const stateOf = async (segment: string): Promise<string> =>
  (await scene.catalog.segment(PIPELINE, segment)).state;
const chunkStates = async (segment: string): Promise<string[]> =>
  (await scene.catalog.chunks(PIPELINE, segment)).map(({ state }) => state);

describe("a reserved segment", () => {
  it("has a fresh id, no object and no rows, and is exporting", async () => {
    const record = await scene.catalog.reserveSegment(lease, {
      leaf: { oid: "16385", schema: "public", name: "logs_0001" },
      rule: "denied",
      day: day("0001-01-01"),
      storageClass: "STANDARD_IA",
      random: Uint8Array.from({ length: 8 }, (_, index) => index * 30),
      replaces: true,
    });
    expect(record).toEqual({
      segment: "000000000001-001e3c5a7896b4d2",
      state: "exporting",
      leaf: { oid: "16385", schema: "public", name: "logs_0001" },
      rule: "denied",
      dayFrom: day("0001-01-01"),
      dayTo: day("0001-01-01"),
      rows: 0n,
      storageClass: "STANDARD_IA",
      object: null,
      manifest: null,
      replaces: true,
      rowsUnpruned: 0n,
      rowsQuarantined: 0n,
      rowsUnknown: 0n,
      rowsSuperseded: 0n,
      taggedAt: null,
      archivedAsOf: null,
      lock: null,
      isHeld: false,
      shape: null,
    });
    expect(await scene.catalog.segment(PIPELINE, record.segment)).toEqual(record);
  });

  it("never shares its id with another, not even of the same partition (I3)", async () => {
    const ids = await Promise.all(
      Array.from({ length: 10 }, async () => (await scene.reserve(lease)).segment),
    );
    expect(new Set(ids).size).toBe(10);
  });
});

describe("an uploaded segment", () => {
  it("has its pin, its chunks in order, and a draft that comes back byte for byte", async () => {
    const { segment } = await scene.reserve(lease);
    const draft = Uint8Array.from({ length: 256 }, (_, index) => index);
    await scene.catalog.uploaded(lease, segment, {
      rows: 9_007_199_254_740_993n,
      object: { versionId: null, bytes: 9_007_199_254_740_995n },
      chunkRows: [3, 1, 2],
      draft,
      shape: "0a1b2c3d4e5f6071",
    });
    expect(await scene.catalog.segment(PIPELINE, segment)).toMatchObject({
      state: "uploaded",
      rows: 9_007_199_254_740_993n,
      object: { versionId: null, bytes: 9_007_199_254_740_995n },
      manifest: null,
      shape: "0a1b2c3d4e5f6071",
      rowsUnpruned: 6n,
    });
    expect(await scene.catalog.chunks(PIPELINE, segment)).toEqual([
      { chunk: 0, state: "exported", rows: 3, wasPruned: false },
      { chunk: 1, state: "exported", rows: 1, wasPruned: false },
      { chunk: 2, state: "exported", rows: 2, wasPruned: false },
    ]);
    expect(new Uint8Array(await scene.catalog.draft(PIPELINE, segment))).toEqual(draft);
  });

  it("cannot be uploaded again, and the first upload stays", async () => {
    const segment = await scene.upload(lease, [10]);
    const before = await scene.contents();
    const again = scene.catalog.uploaded(lease, segment, {
      rows: 1n,
      object: { versionId: "v9", bytes: 1n },
      chunkRows: [1],
      draft: Uint8Array.of(9),
      shape: "0a1b2c3d4e5f6071",
    });
    await expect(again).rejects.toThrow(
      /^E_INTERNAL .* it is not in a state \(exporting\) for upload-recorded/,
    );
    expect(await scene.contents()).toEqual(before);
  });
});

describe("giving up", () => {
  it("an exporting or uploaded segment leaves its record and nothing else", async () => {
    for (const segment of [(await scene.reserve(lease)).segment, await scene.upload(lease, [10, 20])]) {
      await scene.catalog.abandon(lease, segment);
      expect(await stateOf(segment)).toBe("abandoned");
      expect(await scene.catalog.chunks(PIPELINE, segment)).toEqual([]);
      await expect(scene.catalog.draft(PIPELINE, segment)).rejects.toThrow(/^E_INTERNAL/);
    }
  });

  it("a sealed one is refused: its manifest is in the journal", async () => {
    const segment = await scene.upload(lease, [10]);
    await scene.seal(lease, segment);
    await expect(scene.catalog.abandon(lease, segment)).rejects.toThrow(/^E_INTERNAL/);
    expect(await stateOf(segment)).toBe("sealed");
  });
});

describe("a segment that the catalog does not know", () => {
  it("is E_CATALOG to a reader, and nothing to a writer", async () => {
    await expect(scene.catalog.segment(PIPELINE, "nothing")).rejects.toThrow(
      /^E_CATALOG segment nothing: the catalog does not know it\. /,
    );
    await expect(scene.catalog.abandon(lease, "nothing")).rejects.toThrow(/^E_INTERNAL segment nothing/);
    expect(await scene.catalog.chunks(PIPELINE, "nothing")).toEqual([]);
  });

  it("is one of another pipeline, too", async () => {
    await scene.register("other");
    const segment = await scene.upload(lease, [10]);
    await expect(scene.catalog.segment("other", segment)).rejects.toThrow(/^E_CATALOG/);
    await expect(scene.catalog.abandon(await scene.lease("other"), segment)).rejects.toThrow(/^E_INTERNAL/);
    expect(await stateOf(segment)).toBe("uploaded");
  });
});

describe("locking chunks", () => {
  it("tells their states in the order asked", async () => {
    const segment = await scene.pruning(lease, [1, 2, 3]);
    await scene.prune(lease, segment, [1], 2n);
    const states = await scene.transaction(
      async (tx) => await scene.catalog.lockChunks(tx, lease, segment, [2, 1, 0]),
    );
    expect(states).toEqual(["sealed", "pruned", "sealed"]);
  });

  it("of a wholly pruned segment finds them pruned: a COMMIT whose reply was lost looks like this (hazard 2)", async () => {
    const segment = await scene.warm(lease, [1, 2]);
    const states = await scene.transaction(
      async (tx) => await scene.catalog.lockChunks(tx, lease, segment, [0, 1]),
    );
    expect(states).toEqual(["pruned", "pruned"]);
  });

  it("makes another transaction wait for the same chunk, which then sees what became of it", async () => {
    const segment = await scene.pruning(lease, [1, 2]);
    let second: Promise<string[]> | undefined;
    await scene.transaction(async (tx) => {
      await scene.catalog.lockChunks(tx, lease, segment, [0]);
      second = scene.transaction(async (other) => await scene.catalog.lockChunks(other, lease, segment, [0]));
      await vi.waitFor(
        async () => {
          const { rows } = await scene.database.query(
            "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
          );
          expect(rows[0]?.["n"]).toBe(1);
        },
        { timeout: 60_000, interval: 20 },
      );
      await scene.catalog.chunksPruned(tx, lease, segment, [0], 1n, AT);
    });
    expect(await second).toEqual(["pruned"]);
  });
});

describe("marking chunks pruned", () => {
  it("and everything that belongs to it goes with the transaction when that is rolled back (I4)", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    const before = await scene.contents();
    for (const chunks of [[0], [0, 1]]) {
      const undone = scene.transaction(async (tx) => {
        await scene.catalog.lockChunks(tx, lease, segment, chunks);
        await scene.catalog.chunksPruned(tx, lease, segment, chunks, 10n, AT);
        throw new Error("the server went away");
      });
      await expect(undone).rejects.toThrow("the server went away");
      expect(await scene.contents()).toEqual(before);
    }
  });

  it("leaves the rest sealed; the last one makes the segment warm and takes its chunk rows away", async () => {
    const segment = await scene.pruning(lease, [10, 20, 30]);
    await scene.prune(lease, segment, [2, 0], 40n);
    expect(await chunkStates(segment)).toEqual(["pruned", "sealed", "pruned"]);
    expect(await scene.catalog.segment(PIPELINE, segment)).toMatchObject({
      state: "pruning",
      rows: 60n,
      rowsUnpruned: 20n,
    });
    await scene.prune(lease, segment, [1], 20n);
    expect(await chunkStates(segment)).toEqual([]);
    expect(await scene.catalog.segment(PIPELINE, segment)).toMatchObject({
      state: "warm",
      rows: 60n,
      rowsUnpruned: 0n,
    });
  });

  it.each([
    ["a chunk that is pruned already", [0, 1]],
    ["a chunk that is not there", [1, 7]],
    ["the same chunk twice", [1, 1]],
  ])("%s is refused, and nothing is marked", async (_what, chunks) => {
    const segment = await scene.pruning(lease, [10, 20, 30]);
    await scene.prune(lease, segment, [0], 10n);
    const before = await scene.contents();
    await expect(scene.prune(lease, segment, chunks, 30n)).rejects.toThrow(
      /^E_INTERNAL segment .*: 1 of 2 chunks marked/,
    );
    expect(await scene.contents()).toEqual(before);
  });

  it("of a segment whose seal or whose prune-started is not journaled is refused (I1)", async () => {
    const uploaded = await scene.upload(lease, [10]);
    await expect(scene.prune(lease, uploaded, [0], 10n)).rejects.toThrow(/0 of 1 chunks marked/);
    const sealed = await scene.upload(lease, [10]);
    await scene.seal(lease, sealed);
    await expect(scene.prune(lease, sealed, [0], 10n)).rejects.toThrow(
      /not in a state \(pruning\) for wholly-pruned/,
    );
    expect([await chunkStates(uploaded), await chunkStates(sealed)]).toEqual([["exported"], ["sealed"]]);
  });
});
