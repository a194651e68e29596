/**
 * A COMMIT that outlives its client: the connection was lost, or a standby does not answer, and the client has given up
 * while its transaction is still there, with all of its locks, and commits whenever it may. Whatever it decided is journaled
 * once and whole, or never was (I2, I5, I6).
 */
import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { readJournalEntry } from "../../src/archive/journal-log.ts";
import { openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { PendingEntry } from "../../src/catalog/pending-entry.ts";
import type { Catalog, Lease } from "../../src/catalog/port.ts";
import { publishEntry } from "../../src/catalog/postgres/outbox.ts";
import { PostgresCatalog } from "../../src/catalog/postgres/postgres-catalog.ts";
import { Database, type Transaction } from "../../src/postgres/database.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { decodeEntry, type JournalEvent, type JournalHead } from "../../src/segment/journal.ts";
import { Journal } from "../../src/stages/journal.ts";
import { systemClock } from "../../src/wiring.ts";
import { AT, CatalogScene, day, PIPELINE, sealedEvent } from "./catalog-scene.ts";
import { OPTIONS } from "./connect.ts";

let scene: CatalogScene;
let lease: Lease;
/** Of the run that goes on; what it waits for is given up soon. */
let impatient: Database;
let archive: ReturnType<typeof openMemoryArchive>;
const ends: PromiseWithResolvers<void>[] = [];
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
  impatient = new Database({ ...OPTIONS, connectionString: scene.url, lockTimeoutMs: 50 });
  archive = openMemoryArchive({
    now: () => systemClock.now(),
    random: (bytes) => randomBytes(bytes),
    restoreDelayMs: 0,
  });
});
afterEach(async () => {
  // Those that a failed test left behind.
  for (const end of ends.splice(0)) end.reject(new Error("the test is over"));
  await impatient[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
});

async function newJournal(
  of: Lease = lease,
  catalog: Catalog<Transaction> = scene.catalog,
): Promise<Journal<Transaction>> {
  const head = (await scene.catalog.pipeline(PIPELINE))?.journal as JournalHead;
  return new Journal({
    archive,
    catalog,
    newHash: () => createHash("sha256"),
    clock: systemClock,
    failpoint: () => {},
    lease: of,
    head,
    policy: { archive: { lock: null } as unknown as Policy["archive"] },
  });
}

type Work = (tx: Transaction) => Promise<unknown>;

/** A transaction that did its work, and whose COMMIT is still to come. */
interface Late {
  commit(): Promise<void>;
  rollBack(): Promise<void>;
}

async function late(work: (tx: Transaction) => Promise<void>): Promise<Late> {
  const [reached, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const ended = scene.transaction(async (tx) => {
    await work(tx);
    reached.resolve();
    await end.promise;
  });
  ended.catch(reached.reject);
  ends.push(end);
  await reached.promise;
  return {
    async commit() {
      end.resolve();
      await ended;
    },
    async rollBack() {
      end.reject(new Error("the connection is gone"));
      await expect(ended).rejects.toThrow("the connection is gone");
    },
  };
}

async function prune(
  tx: Transaction,
  segment: string,
  chunks: readonly number[],
  rows: bigint,
): Promise<void> {
  await scene.catalog.lockChunks(tx, lease, segment, chunks);
  await scene.catalog.chunksPruned(tx, lease, segment, chunks, rows, AT);
}

/** Until a backend of this database waits for a lock. */
async function someoneWaits(): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rows } = await scene.database.query(
        "SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      expect(rows[0]?.["waiting"]).toBe(1);
    },
    { timeout: 60_000, interval: 20 },
  );
}

/** What this test's journal says; the scene's own entries were never in this archive. */
async function journaled(): Promise<JournalEvent[]> {
  const events: JournalEvent[] = [];
  for await (const { key } of archive.list("")) {
    const bytes = await readJournalEntry(archive, key);
    if (bytes !== null) events.push(decodeEntry(bytes, key).event);
  }
  return events;
}

const pending = async (): Promise<PendingEntry[]> => await scene.catalog.pending(PIPELINE);

describe("a batch of deletions whose COMMIT is late", () => {
  it("is waited for before its entry gets a number, and is in it", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0], 10n);
    const batch = await late(async (tx) => await prune(tx, segment, [1], 20n));
    const journal = await newJournal();
    const publishing = journal.publish();
    await someoneWaits();
    expect(await journaled()).toEqual([]);
    await batch.commit();
    await publishing;
    expect(await journaled()).toEqual([{ type: "pruned", segment, chunks: [0, 1], rows: "30" }]);
    expect(await pending()).toEqual([]);
  });

  it("and that nobody can wait for stops the journal before anything is in the archive", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0], 10n);
    const batch = await late(async (tx) => await prune(tx, segment, [1], 20n));
    const journal = await newJournal(lease, new PostgresCatalog(impatient));
    await expect(journal.publish()).rejects.toMatchObject({ code: "E_DATABASE", retryable: true });
    expect(await journaled()).toEqual([]);
    await batch.commit();
    await journal.publish();
    expect(await journaled()).toEqual([{ type: "pruned", segment, chunks: [0, 1], rows: "30" }]);
  });

  it("and that begins its entry is journaled by the next publication, once", async () => {
    const segment = await scene.pruning(lease, [10]);
    const batch = await late(async (tx) => await prune(tx, segment, [0], 10n));
    const journal = await newJournal();
    await journal.publish();
    expect(await journaled()).toEqual([]);
    await batch.commit();
    for (let times = 0; times < 2; times += 1) await journal.publish();
    expect(await journaled()).toEqual([{ type: "pruned", segment, chunks: [0], rows: "10" }]);
  });

  it("and that is rolled back in the end is in no entry, and what comes after it begins another one", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0], 10n);
    const batch = await late(async (tx) => await prune(tx, segment, [1], 20n));
    const journal = await newJournal();
    const publishing = journal.publish();
    await someoneWaits();
    await batch.rollBack();
    await publishing;
    await scene.prune(lease, segment, [1], 20n);
    await journal.publish();
    expect(await journaled()).toEqual([
      { type: "pruned", segment, chunks: [0], rows: "10" },
      { type: "pruned", segment, chunks: [1], rows: "20" },
    ]);
  });

  it("of a delete-only rule is waited for, too", async () => {
    const deleted = { rule: "denied", day: day("2026-01-03"), rows: 5n, from: "a", to: "b" };
    const remove = async (tx: Transaction): Promise<void> =>
      await scene.catalog.rowsDeleted(tx, lease, deleted, AT);
    await scene.transaction(remove);
    const batch = await late(remove);
    const journal = await newJournal();
    const publishing = journal.publish();
    await someoneWaits();
    await batch.commit();
    await publishing;
    expect(await journaled()).toMatchObject([{ type: "deleted", rows: "10" }]);
  });

  it("of a leaf that is dropped is waited for as a whole, with the entries of all of its segments", async () => {
    const [one, two] = [await scene.pruning(lease, [1, 2]), await scene.pruning(lease, [3])];
    await scene.prune(lease, one, [0], 1n);
    const drop = await late(async (tx) => {
      await prune(tx, one, [1], 2n);
      await prune(tx, two, [0], 3n);
    });
    const journal = await newJournal();
    const publishing = journal.publish();
    await someoneWaits();
    await drop.commit();
    await publishing;
    expect(await journaled()).toEqual([
      { type: "pruned", segment: one, chunks: [0, 1], rows: "3" },
      { type: "pruned", segment: two, chunks: [0], rows: "3" },
    ]);
  });

  it("keeps the lease from being taken over if it has checked it, and fails if it has not (I6)", async () => {
    const segment = await scene.pruning(lease, [10, 20]);
    await scene.prune(lease, segment, [0], 10n);
    const batch = await late(async (tx) => await prune(tx, segment, [1], 20n));
    const request = {
      pipeline: PIPELINE,
      run: "next",
      holder: { host: "h", pid: 1, space: "s" },
      durationMs: 1_000,
    };
    const answer = await new PostgresCatalog(impatient).acquireLease({
      ...request,
      takeOver: { run: lease.run },
    });
    expect(answer).toMatchObject({ outcome: "held", run: lease.run });
    await batch.rollBack();

    const unchecked = scene.transaction(async (tx) => {
      await scene.catalog.lockChunks(tx, lease, segment, [1]);
      await (await newJournal(await scene.lease())).publish();
      await scene.catalog.chunksPruned(tx, lease, segment, [1], 20n, AT);
    });
    await expect(unchecked).rejects.toThrow(/^E_STALE/);
    expect(await journaled()).toEqual([{ type: "pruned", segment, chunks: [0], rows: "10" }]);
    expect(await scene.catalog.chunks(PIPELINE, segment)).toMatchObject([
      { state: "pruned" },
      { state: "sealed" },
    ]);
  });
});

describe("an entry that was closed", () => {
  it("was so when every transaction that had checked the lease was through, whatever it added to", async () => {
    const [one, two] = [await scene.pruning(lease, [1]), await scene.pruning(lease, [2])];
    await scene.prune(lease, one, [0], 1n);
    const batch = await late(async (tx) => await prune(tx, two, [0], 2n));
    const closing = scene.catalog.closeEntries(lease, []);
    closing.catch(() => {});
    await someoneWaits();
    await batch.commit();
    expect(await closing).toMatchObject([
      { growsBy: null, event: { segment: one } },
      { growsBy: null, event: { segment: two } },
    ]);
  });

  it("stays as it is: the run goes on in another one, and so does the next run after a crash", async () => {
    const segment = await scene.pruning(lease, [10, 20, 30]);
    await scene.prune(lease, segment, [0], 10n);
    // Here a run dies: closed, and not published.
    expect(await scene.catalog.closeEntries(lease, [])).toMatchObject([
      { growsBy: null, event: { chunks: [0] } },
    ]);
    await scene.prune(lease, segment, [1], 20n);
    const next = await scene.lease();
    await scene.prune(next, segment, [2], 30n);
    expect(await pending()).toMatchObject([
      { growsBy: null, event: { chunks: [0], rows: "10" } },
      { growsBy: `pruned ${segment}`, event: { chunks: [1, 2], rows: "50" } },
    ]);
    await (await newJournal(next)).publish();
    expect(await journaled()).toMatchObject([{ chunks: [0] }, { chunks: [1, 2] }]);
  });

  it("is not one of those that grow just now", async () => {
    const [one, two] = [await scene.pruning(lease, [1, 2]), await scene.pruning(lease, [3, 4])];
    for (const segment of [one, two]) await scene.prune(lease, segment, [0], 1n);
    expect(await scene.catalog.closeEntries(lease, [`pruned ${two}`])).toMatchObject([
      { growsBy: null, event: { segment: one } },
      { growsBy: `pruned ${two}`, event: { segment: two } },
    ]);
  });

  it("of another pipeline is none of its business", async () => {
    await scene.register("other");
    const theirs = await scene.lease("other");
    const deleted = { rule: "denied", day: day("2026-01-03"), rows: 5n, from: "a", to: "b" };
    await scene.transaction(async (tx) => await scene.catalog.rowsDeleted(tx, theirs, deleted, AT));
    await scene.catalog.closeEntries(lease, []);
    expect(await scene.catalog.pending("other")).toMatchObject([{ growsBy: "deleted denied 2026-01-03" }]);
  });
});

describe("a decision whose COMMIT is late", () => {
  it("is waited for, so that it is not decided a second time (I5)", async () => {
    const segment = await scene.upload(lease, [10]);
    const decision = await late(async (tx) => {
      const within = { transaction: async (_mode: string, _op: string, work: Work) => await work(tx) };
      await new PostgresCatalog(within as Database).enqueue(lease, sealedEvent(segment), AT);
    });
    const again = scene.catalog.enqueue(lease, sealedEvent(segment), AT);
    again.catch(() => {});
    await someoneWaits();
    await decision.commit();
    await expect(again).rejects.toThrow("sealed is decided, and not journaled yet");
    expect(await pending()).toHaveLength(1);
  });

  it("to follow the archive is waited for before the next number is taken", async () => {
    const segment = await scene.pruning(lease, [10]);
    await scene.prune(lease, segment, [0], 10n);
    const other = await scene.upload(lease, [1]);
    const publication = vi.spyOn(scene.catalog, "published");
    let following: Late | undefined;
    publication.mockImplementationOnce(async (of, entry, head) => {
      following = await late(async (tx) => await publishEntry(tx, of, entry, head));
      throw new Error("the answer to its COMMIT is lost");
    });
    const journal = await newJournal();
    await expect(journal.publish()).rejects.toThrow("the answer to its COMMIT is lost");
    const publishing = journal.publish();
    publishing.catch(() => {});
    await someoneWaits();
    await following?.commit();
    await publishing;
    await journal.append(sealedEvent(other));
    expect(await pending()).toEqual([]);
    expect((await journaled()).map(({ type }) => type)).toEqual(["pruned", "sealed"]);
  });
});
