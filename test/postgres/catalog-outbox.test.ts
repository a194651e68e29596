/** The outbox: what is decided is journaled once, in order, under the next number; the catalog follows the journal. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { PendingEntry } from "../../src/catalog/pending-entry.ts";
import type { Lease } from "../../src/catalog/port.ts";
import type { JournalEvent } from "../../src/segment/journal.ts";
import { AT, CatalogScene, day, hashOf, PIPELINE, sealedEvent } from "./catalog-scene.ts";

let scene: CatalogScene;
let lease: Lease;
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

const started = (writer: string): JournalEvent => ({
  type: "run-started",
  archiveId: "7c0e6f5a-3c0e-4d9a-9f55-0a4f6f0a9b11",
  source: { systemIdentifier: "1", databaseOid: "1", tableOid: "1" },
  writer,
});
const events = async (): Promise<JournalEvent[]> =>
  (await scene.catalog.pending(PIPELINE)).map(({ event }) => event);
const firstPending = async (): Promise<PendingEntry> => {
  const [entry] = await scene.catalog.pending(PIPELINE);
  if (entry === undefined) throw new Error("nothing is pending");
  return entry;
};

const expired = (segment: string): JournalEvent => ({ type: "expired", segment, rows: "1", objects: [] });

async function deleted(
  rows: bigint,
  from: string,
  to: string,
  rule = "denied",
  on = "2026-01-03",
): Promise<void> {
  await scene.transaction(async (tx) => {
    await scene.catalog.rowsDeleted(tx, lease, { rule, day: day(on), rows, from, to }, AT);
  });
}

describe("decided entries", () => {
  it("are pending oldest first, whatever run decided them, with an id of their own", async () => {
    for (const writer of ["a", "b"]) await scene.catalog.enqueue(lease, started(writer), AT);
    const next = await scene.lease();
    await scene.catalog.enqueue(next, started("c"), "2026-02-04T02:00:00.000Z");
    const pending = await scene.catalog.pending(PIPELINE);
    expect(pending).toMatchObject([
      { run: "run-1", epoch: "1", at: AT, event: { writer: "a" } },
      { run: "run-1", epoch: "1", at: AT, event: { writer: "b" } },
      { run: "run-2", epoch: "2", at: "2026-02-04T02:00:00.000Z", event: { writer: "c" } },
    ]);
    expect(new Set(pending.map(({ entryId }) => entryId)).size).toBe(3);
    for (const { entryId } of pending) expect(entryId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it("are in the order of their numbers, and not of the texts of these", async () => {
    const writers = Array.from({ length: 12 }, (_, at) => `writer ${at}`);
    for (const writer of writers) await scene.catalog.enqueue(lease, started(writer), AT);
    const pending = await scene.catalog.pending(PIPELINE);
    expect(pending.map(({ event }) => (event.type === "run-started" ? event.writer : ""))).toEqual(writers);
  });

  it("of another pipeline are not among them", async () => {
    await scene.register("other");
    await scene.catalog.enqueue(await scene.lease("other"), started("x"), AT);
    expect(await events()).toEqual([]);
    expect(await scene.catalog.pending("other")).toHaveLength(1);
  });

  it("come back exactly as they were decided", async () => {
    const event = sealedEvent("000000000001-0123456789abcdef");
    await scene.catalog.enqueue(lease, event, AT);
    expect(await events()).toEqual([event]);
  });
});

describe("what happens to a segment once", () => {
  const [one, two] = ["000000000001-0123456789abcdef", "000000000002-0123456789abcdef"] as const;
  const packed = (segment: string, from: string): JournalEvent => {
    const { supersedes: _, ...rest } = sealedEvent(segment) as Extract<JournalEvent, { type: "sealed" }>;
    return { ...rest, type: "packed", from: [{ segment: from, chunks: [0] }] };
  };

  it.each<[string, JournalEvent, JournalEvent]>([
    ["sealed", sealedEvent(one), sealedEvent(one)],
    ["packed", packed(one, "a"), packed(two, "a")],
    ["prune-started", { type: "prune-started", segment: one }, { type: "prune-started", segment: one }],
    ["expired", expired(one), expired(one)],
  ])("is not decided again while it is not journaled: %s", async (type, first, again) => {
    await scene.catalog.enqueue(lease, first, AT);
    await expect(scene.catalog.enqueue(lease, again, AT)).rejects.toThrow(
      `: ${type} is decided, and not journaled yet. `,
    );
    expect(await events()).toEqual([first]);
  });

  it("is decided of other segments, and other things of the same one", async () => {
    const all = [sealedEvent(one), sealedEvent(two), packed(one, "a"), packed(two, "b"), expired(one)];
    for (const event of all) await scene.catalog.enqueue(lease, event, AT);
    expect(await events()).toEqual(all);
  });
});

describe("deletions", () => {
  it("of one segment are one entry: chunks in the order of their batches, rows summed", async () => {
    const segment = await scene.pruning(lease, [10, 20, 30, 40]);
    await scene.prune(lease, segment, [0], 10n);
    const { entryId } = await firstPending();
    await scene.prune(lease, segment, [2, 1], 50n);
    expect(await events()).toEqual([{ type: "pruned", segment, chunks: [0, 2, 1], rows: "60" }]);
    expect((await firstPending()).entryId).toBe(entryId);
  });

  it("of two segments are two entries, in the order in which they began", async () => {
    const [one, two] = [await scene.pruning(lease, [1, 2]), await scene.pruning(lease, [3, 4])];
    await scene.prune(lease, two, [0], 3n);
    await scene.prune(lease, one, [0], 1n);
    await scene.prune(lease, two, [1], 4n);
    expect(await events()).toMatchObject([
      { segment: two, chunks: [0, 1], rows: "7" },
      { segment: one, chunks: [0], rows: "1" },
    ]);
  });

  it("of a delete-only day are one entry, from the oldest row of all batches to the newest", async () => {
    await deleted(5_000n, "2026-01-03 00:00:00+00", "2026-01-03 09:00:00.5+00");
    await deleted(9_007_199_254_740_993n, "2026-01-03 09:00:00.5+00", "2026-01-03 23:00:00+00");
    // A row came late, before all others: the last batch is the oldest.
    await deleted(1n, "2026-01-02 23:59:59.999999+00", "2026-01-02 23:59:59.999999+00");
    expect(await events()).toEqual([
      {
        type: "deleted",
        rule: "denied",
        day: "2026-01-03",
        rows: "9007199254745994",
        from: "2026-01-02 23:59:59.999999+00",
        to: "2026-01-03 23:00:00+00",
      },
    ]);
  });

  it("of other days and rules are entries of their own", async () => {
    await deleted(1n, "a", "b");
    await deleted(2n, "a", "b", "denied", "2026-01-04");
    await deleted(3n, "a", "b", "other");
    expect((await events()).map((event) => ("rows" in event ? event.rows : ""))).toEqual(["1", "2", "3"]);
  });

  it("after their entry was journaled begin another one", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0], 10n);
    await scene.publish(lease);
    await scene.prune(lease, segment, [1], 20n);
    expect(await events()).toEqual([{ type: "pruned", segment, chunks: [1], rows: "20" }]);
  });

  it("of a run that died are joined by those of the next one, in the same entry", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0], 10n);
    await scene.prune(await scene.lease(), segment, [1], 20n);
    expect(await scene.catalog.pending(PIPELINE)).toMatchObject([
      { run: "run-1", event: { chunks: [0, 1], rows: "30" } },
    ]);
  });
});

describe("publishing", () => {
  it("moves the head by one, takes the entry out, and leaves the others", async () => {
    await scene.catalog.enqueue(lease, started("a"), AT);
    await scene.catalog.enqueue(lease, started("b"), AT);
    await scene.catalog.published(lease, await firstPending(), { n: 1n, sha256: hashOf("1") });
    expect((await scene.catalog.pipeline(PIPELINE))?.journal).toEqual({ n: 1n, sha256: hashOf("1") });
    expect(await events()).toMatchObject([{ writer: "b" }]);
    await scene.catalog.published(lease, await firstPending(), { n: 2n, sha256: hashOf("2") });
    expect((await scene.catalog.pipeline(PIPELINE))?.journal).toEqual({ n: 2n, sha256: hashOf("2") });
  });

  it.each([0n, 1n, 3n, 100n, -1n])(
    "under number %s is refused when the next one is 2, and changes nothing (I5)",
    async (n) => {
      await scene.journal(lease, started("a"));
      await scene.catalog.enqueue(lease, started("b"), AT);
      const before = await scene.contents();
      const published = scene.catalog.published(lease, await firstPending(), { n, sha256: hashOf("x") });
      await expect(published).rejects.toThrow(/^E_STALE/);
      expect(await scene.contents()).toEqual(before);
    },
  );

  it("the same entry twice is refused, and does not move the head", async () => {
    await scene.catalog.enqueue(lease, started("a"), AT);
    const entry = await firstPending();
    await scene.catalog.published(lease, entry, { n: 1n, sha256: hashOf("1") });
    const again = scene.catalog.published(lease, entry, { n: 2n, sha256: hashOf("2") });
    await expect(again).rejects.toThrow("E_INTERNAL journal entry 2: its outbox row is gone");
    expect((await scene.catalog.pipeline(PIPELINE))?.journal.n).toBe(1n);
  });

  it("of an event that cannot happen now is refused, and nothing of it stays", async () => {
    const { segment } = await scene.reserve(lease);
    await scene.catalog.enqueue(lease, { type: "prune-started", segment }, AT);
    const before = await scene.contents();
    const published = scene.catalog.published(lease, await firstPending(), { n: 1n, sha256: hashOf("1") });
    await expect(published).rejects.toThrow(
      `E_INTERNAL segment ${segment}: it is not in a state (sealed) for prune-journaled. `,
    );
    expect(await scene.contents()).toEqual(before);
  });
});

describe("what a published event says comes true in the same transaction", () => {
  const record = async (segment: string) => await scene.catalog.segment(PIPELINE, segment);

  it("policy: it is the one that was applied last", async () => {
    const policy = { format: 1, rules: [{ name: "default", when: null }] };
    expect((await scene.catalog.pipeline(PIPELINE))?.policy).toBeNull();
    await scene.journal(lease, { type: "policy", policy });
    expect((await scene.catalog.pipeline(PIPELINE))?.policy).toEqual(policy);
  });

  it("sealed: the segment and its chunks are, the manifest's pin is kept, the draft is gone", async () => {
    const segment = await scene.upload(lease, [10, 50]);
    await scene.seal(lease, segment);
    expect(await record(segment)).toMatchObject({
      state: "sealed",
      rows: 60n,
      rowsUnpruned: 60n,
      object: { versionId: "v1", bytes: 4_096n },
      manifest: { versionId: "v1", sha256: hashOf(`manifest ${segment}`), bytes: 512n },
    });
    expect(await scene.catalog.chunks(PIPELINE, segment)).toEqual([
      { chunk: 0, state: "sealed", rows: 10, wasPruned: false },
      { chunk: 1, state: "sealed", rows: 50, wasPruned: false },
    ]);
    await expect(scene.catalog.draft(PIPELINE, segment)).rejects.toThrow(
      /^E_INTERNAL .* no draft of its manifest/,
    );
  });

  it("prune-started: chunks may go, and from now on the segment is looked at by readers", async () => {
    const segment = await scene.upload(lease, [10]);
    await scene.seal(lease, segment);
    await scene.journal(lease, { type: "prune-started", segment });
    expect((await record(segment)).state).toBe("pruning");
  });

  it("transitioned: the new class and the new version", async () => {
    const segment = await scene.warm(lease, [10]);
    await scene.catalog.classRequested(lease, segment);
    const { object } = sealedEvent(segment);
    const moved = { ...object, versionId: "v2", etag: '"e2"' };
    await scene.journal(lease, {
      type: "transitioned",
      segment,
      storageClass: "DEEP_ARCHIVE",
      object: moved,
    });
    expect(await record(segment)).toMatchObject({
      state: "cold",
      storageClass: "DEEP_ARCHIVE",
      object: { versionId: "v2", bytes: 4_096n },
    });
  });

  it("run-started, pruned, deleted, retrieved: nothing more than the head", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0], 10n);
    await deleted(1n, "a", "b");
    await scene.catalog.enqueue(lease, started("x"), AT);
    const { outbox: _, pipeline: __, ...before } = await scene.contents();
    await scene.publish(lease);
    const { outbox, pipeline: ___, ...after } = await scene.contents();
    expect(after).toEqual(before);
    expect(outbox).toEqual([]);
  });
});
