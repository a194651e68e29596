/** Entries that grow with every batch that is deleted, while another stage publishes: nothing of them may be lost (I2). */
import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";

import { openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { Lease } from "../../src/catalog/port.ts";
import type { Transaction } from "../../src/postgres/database.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { JournalEvent } from "../../src/segment/journal.ts";
import { Journal } from "../../src/stages/journal.ts";
import { systemClock } from "../../src/wiring.ts";
import { AT, CatalogScene, day, hashOf, PIPELINE, sealedEvent } from "./catalog-scene.ts";

let scene: CatalogScene;
let lease: Lease;
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

async function newJournal(): Promise<Journal<Transaction>> {
  const head = (await scene.catalog.pipeline(PIPELINE))?.journal ?? { n: 0n, sha256: "0".repeat(64) };
  return new Journal({
    archive: openMemoryArchive({
      now: () => systemClock.now(),
      random: (bytes) => randomBytes(bytes),
      restoreDelayMs: 0,
    }),
    catalog: scene.catalog,
    newHash: () => createHash("sha256"),
    clock: systemClock,
    failpoint: () => {},
    lease,
    head,
    policy: { archive: { lock: null } as unknown as Policy["archive"] },
  });
}

const pending = async (): Promise<JournalEvent[]> =>
  (await scene.catalog.pending(PIPELINE)).map(({ event }) => event);

test("what a segment's batches add is published when the last one is through", async () => {
  const segment = await scene.pruning(lease, [10, 20, 30]);
  const other = await scene.upload(lease, [1]);
  const journal = await newJournal();
  await journal.whileGrowing(`pruned ${segment}`, async () => {
    await scene.prune(lease, segment, [0], 10n);
    await journal.append(sealedEvent(other));
    expect(await pending()).toMatchObject([{ type: "pruned", chunks: [0] }]);
    await scene.prune(lease, segment, [1, 2], 50n);
  });
  expect(await pending()).toMatchObject([{ type: "pruned", segment, chunks: [0, 1, 2], rows: "60" }]);
  await journal.publish();
  expect(await pending()).toEqual([]);
});

test("the same holds for rows that are deleted without being archived, and after a failure", async () => {
  const journal = await newJournal();
  const deleted = { rule: "denied", day: day("2026-01-03"), rows: 5n, from: AT, to: AT };
  const failing = journal.whileGrowing("deleted denied 2026-01-03", async () => {
    await scene.transaction(async (tx) => await scene.catalog.rowsDeleted(tx, lease, deleted, AT));
    await journal.publish();
    expect(await pending()).toMatchObject([{ type: "deleted" }]);
    throw new Error("the database is gone");
  });
  await expect(failing).rejects.toThrow("the database is gone");
  await journal.publish();
  expect(await pending()).toEqual([]);
});

test("an entry does not begin to grow while somebody publishes what was read before", async () => {
  const segment = await scene.pruning(lease, [10, 20]);
  await scene.prune(lease, segment, [0], 10n);
  const journal = await newJournal();
  const publishing = journal.publish();
  const growing = journal.whileGrowing(`pruned ${segment}`, async () => {
    // The first batch has its number by now, and this one begins another entry.
    expect(await pending()).toEqual([]);
    await scene.prune(lease, segment, [1], 20n);
  });
  await Promise.all([publishing, growing]);
  expect(await pending()).toMatchObject([{ type: "pruned", chunks: [1] }]);
});

test("an entry that has grown since it was read is not taken for the one that was published", async () => {
  const segment = await scene.pruning(lease, [10, 20]);
  await scene.prune(lease, segment, [0], 10n);
  const [before] = await scene.catalog.pending(PIPELINE);
  await scene.prune(lease, segment, [1], 20n);
  const published = scene.catalog.published(lease, before as NonNullable<typeof before>, {
    ...(await scene.nextHead()),
    sha256: hashOf("entry"),
  });
  await expect(published).rejects.toThrow("its outbox row is gone, or has grown");
  expect(await pending()).toMatchObject([{ type: "pruned", chunks: [0, 1] }]);
});
