/** I6: a run whose lease was taken over changes nothing any more, by whatever method and at whatever moment. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Catalog, Lease } from "../../src/catalog/port.ts";
import type { Transaction } from "../../src/postgres/database.ts";
import type { EpochMicros } from "../../src/rows/day.ts";
import { AT, CatalogScene, day, LONG_MS, PIPELINE, QUIET_DAY } from "./catalog-scene.ts";

/** Every method of the port; a new one does not compile before it is judged here. */
const METHODS: Readonly<Record<keyof Catalog<Transaction>, "reads" | "under a lease" | "without a lease">> = {
  examine: "reads",
  pipeline: "reads",
  view: "reads",
  totals: "reads",
  runs: "reads",
  history: "reads",
  journalHead: "reads",
  pending: "reads",
  draft: "reads",
  segment: "reads",
  chunks: "reads",
  replaceable: "reads",
  readable: "reads",
  readableNow: "reads",
  // It locks rows and changes none; the write that follows it checks the lease.
  lockChunks: "reads",
  renewLease: "under a lease",
  startRun: "under a lease",
  finishRun: "under a lease",
  enqueue: "under a lease",
  closeEntries: "under a lease",
  published: "under a lease",
  reserveSegment: "under a lease",
  uploaded: "under a lease",
  abandon: "under a lease",
  classRequested: "under a lease",
  chunksPruned: "under a lease",
  rowsDeleted: "under a lease",
  register: "without a lease",
  acquireLease: "without a lease",
  // Of a lease that is gone there is nothing to release, which is no error: see catalog-lease.test.ts.
  releaseLease: "without a lease",
  startRetrieval: "without a lease",
  pinSegments: "without a lease",
  finishRetrieval: "without a lease",
};

interface Prepared {
  readonly exporting: string;
  readonly uploaded: string;
  readonly pruning: string;
  readonly warm: string;
}
type Write = (scene: CatalogScene, lease: Lease, prepared: Prepared) => Promise<unknown>;
const asOf = 1_770_084_000_000_000n as EpochMicros;

/** For each write a call that is legal in the prepared scene, in an order in which all of them are. */
const WRITES: Readonly<Record<string, Write>> = {
  renewLease: async ({ catalog }, lease) => await catalog.renewLease(lease, LONG_MS),
  startRun: async ({ catalog }, lease) => await catalog.startRun(lease, asOf),
  finishRun: async ({ catalog }, lease) =>
    await catalog.finishRun(lease, { state: "done", summary: {}, error: null, history: QUIET_DAY }),
  enqueue: async ({ catalog }, lease, { pruning }) =>
    await catalog.enqueue(lease, { type: "prune-started", segment: pruning }, AT),
  published: async (scene, lease) => {
    const [entry] = await scene.catalog.pending(PIPELINE);
    if (entry === undefined) throw new Error("nothing is pending");
    await scene.catalog.published(lease, entry, await scene.nextHead());
  },
  reserveSegment: async (scene, lease) => await scene.reserve(lease),
  uploaded: async ({ catalog }, lease, { exporting }) =>
    await catalog.uploaded(lease, exporting, {
      rows: 5n,
      object: { versionId: null, bytes: 9n },
      chunkRows: [5],
      draft: Uint8Array.of(1),
      shape: "0a1b2c3d4e5f6071",
    }),
  abandon: async ({ catalog }, lease, { uploaded }) => await catalog.abandon(lease, uploaded),
  classRequested: async ({ catalog }, lease, { warm }) => await catalog.classRequested(lease, warm),
  chunksPruned: async (scene, lease, { pruning }) => await scene.prune(lease, pruning, [0], 20n),
  rowsDeleted: async (scene, lease) =>
    await scene.transaction(async (tx) => {
      const deleted = { rule: "denied", day: day("2026-01-03"), rows: 5n, from: "a", to: "b" };
      await scene.catalog.rowsDeleted(tx, lease, deleted, AT);
    }),
  closeEntries: async ({ catalog }, lease) => await catalog.closeEntries(lease, []),
};

let scene: CatalogScene;
let lease: Lease;
let prepared: Prepared;
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
  prepared = {
    exporting: (await scene.reserve(lease)).segment,
    uploaded: await scene.upload(lease, [10, 20]),
    pruning: await scene.pruning(lease, [20, 30]),
    warm: await scene.warm(lease, [40]),
  };
  // Nothing that an event applies to: any entry can be published on its own.
  const source = { systemIdentifier: "1", databaseOid: "1", tableOid: "1" };
  const archiveId = "7c0e6f5a-3c0e-4d9a-9f55-0a4f6f0a9b11";
  await scene.catalog.enqueue(lease, { type: "run-started", archiveId, source, writer: "test" }, AT);
});
afterEach(async () => await scene[Symbol.asyncDispose]());

describe("under a lease that was taken over", () => {
  it("every writing method is E_STALE and changes nothing, and would have changed something before", async () => {
    const underLease = Object.entries(METHODS).filter(([, kind]) => kind === "under a lease");
    expect(Object.keys(WRITES).sort()).toEqual(underLease.map(([name]) => name).sort());

    const next = await scene.lease();
    for (const [name, write] of Object.entries(WRITES)) {
      const before = await scene.contents();
      await expect(write(scene, lease, prepared), `${name}`).rejects.toThrow(
        "E_STALE run run-1: its lease on audit_logs (epoch 1) was taken over by another run. " +
          "Nothing more was changed by this run; the other one goes on.",
      );
      expect(await scene.contents(), `${name}`).toEqual(before);
    }
    for (const [name, write] of Object.entries(WRITES)) {
      const before = await scene.contents();
      await write(scene, next, prepared);
      expect(await scene.contents(), `${name}`).not.toEqual(before);
    }
  });

  it.each([
    ["another run of the same epoch", { run: "run-x" }],
    ["the same run of an older epoch", { epoch: 0n }],
    ["the same run of an epoch that is not there yet", { epoch: 2n }],
  ])("so is every one of them for %s", async (_what, changes) => {
    const wrong = { ...lease, ...changes };
    const before = await scene.contents();
    for (const [name, write] of Object.entries(WRITES)) {
      await expect(write(scene, wrong, prepared), `${name}`).rejects.toThrow(/^E_STALE/);
    }
    expect(await scene.contents()).toEqual(before);
  });
});

describe("a lease that is taken over", () => {
  /** Waits until a backend of this database waits for a lock. */
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

  it("while rows are being deleted rolls them back: the deletion and its bookkeeping are one (I4)", async () => {
    const { pruning } = prepared;
    await scene.database.query("CREATE TABLE public.rows AS SELECT 1 AS id");
    const before = await scene.contents();
    const pruned = scene.transaction(async (tx) => {
      await scene.catalog.lockChunks(tx, lease, pruning, [0]);
      await tx.query("DELETE FROM public.rows");
      await scene.lease();
      await scene.catalog.chunksPruned(tx, lease, pruning, [0], 20n, AT);
    });
    await expect(pruned).rejects.toThrow(/^E_STALE/);
    expect((await scene.database.query("SELECT FROM public.rows")).rowCount).toBe(1);
    const { pipeline: _, ...rest } = await scene.contents();
    expect(before).toMatchObject(rest);
  });

  it("waits for a write that has checked it already, so that no commit comes after the take-over", async () => {
    let takenOver = false;
    let waiting: Promise<Lease> | undefined;
    await scene.transaction(async (tx) => {
      await scene.catalog.chunksPruned(tx, lease, prepared.pruning, [0], 20n, AT);
      waiting = scene.lease().then((next) => {
        takenOver = true;
        return next;
      });
      await someoneWaits();
      expect(takenOver).toBe(false);
    });
    expect((await waiting)?.epoch).toBe(2n);
    expect(await scene.catalog.chunks(PIPELINE, prepared.pruning)).toMatchObject([
      { chunk: 0, state: "pruned" },
      { chunk: 1, state: "sealed" },
    ]);
  });

  it("makes a write wait that comes at the same moment, and fail", async () => {
    let late: Promise<unknown> | undefined;
    await scene.transaction(async (tx) => {
      // What acquireLease does, and not committed yet.
      await tx.query(
        "UPDATE firnline.pipeline SET lease_epoch = lease_epoch + 1, lease_run = 'other' WHERE pipeline = $1",
        [PIPELINE],
      );
      late = scene.catalog.abandon(lease, prepared.uploaded).catch((error: unknown) => error);
      await someoneWaits();
    });
    expect(String(await late)).toMatch(/E_STALE run run-1/);
    expect((await scene.catalog.segment(PIPELINE, prepared.uploaded)).state).toBe("uploaded");
  });
});
