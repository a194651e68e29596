/** Leaves on their way out, in the control schema: listed, locked, forgotten, and by whom. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { DetachingLeaves } from "../../src/catalog/detaching.ts";
import type { Lease } from "../../src/catalog/port.ts";
import { PostgresDetaching } from "../../src/catalog/postgres/detaching.ts";
import type { Transaction } from "../../src/postgres/database.ts";
import type { EpochMicros } from "../../src/rows/day.ts";
import type { DetachingLeaf } from "../../src/segment/detaching-leaf.ts";
import { createDatabase, runAlone } from "../support/postgres.ts";
import { CatalogScene, day, LONG_MS, PIPELINE } from "./catalog-scene.ts";
import { openDatabase } from "./connect.ts";

/** Every method of the port; a new one does not compile before it is judged here. */
const METHODS: Readonly<Record<keyof DetachingLeaves<Transaction>, "reads" | "under a lease">> = {
  list: "reads",
  openSegments: "reads",
  add: "under a lease",
  lock: "under a lease",
  dropped: "under a lease",
};

const LEAF: DetachingLeaf = {
  oid: "4711",
  schema: 'the "schema"',
  name: "january",
  parent: { schema: "public", name: "audit_logs" },
  bound: "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')",
  range: { from: -1n as EpochMicros, to: 9_007_199_254_740_993n as EpochMicros },
};

let scene: CatalogScene;
let detaching: PostgresDetaching;
let lease: Lease;
beforeEach(async () => {
  scene = await CatalogScene.create();
  detaching = new PostgresDetaching(scene.database);
  lease = await scene.lease();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

/** Asked apart: a transaction would see the first answer for ever. */
const WAITING = `SELECT FROM pg_stat_activity
  WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`;

const listed = async (): Promise<DetachingLeaf[]> =>
  await scene.transaction(async (tx) => await detaching.list(tx, PIPELINE));

describe("a leaf on its way out", () => {
  it("is listed as it was, exactly, until it is dropped", async () => {
    await detaching.add(lease, LEAF);
    expect(await listed()).toEqual([LEAF]);
    expect(await scene.transaction(async (tx) => await detaching.list(tx, "another"))).toEqual([]);
    const found = await scene.transaction(async (tx) => await detaching.lock(tx, lease, LEAF.oid));
    expect(found).toBe(true);
    await scene.transaction(async (tx) => await detaching.dropped(tx, lease, LEAF.oid));
    expect(await listed()).toEqual([]);
    expect(await scene.transaction(async (tx) => await detaching.lock(tx, lease, LEAF.oid))).toBe(false);
  });

  it("that is listed again is listed as it is now", async () => {
    await detaching.add(lease, LEAF);
    const renamed = { ...LEAF, name: "renamed", bound: "FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')" };
    await detaching.add(lease, renamed);
    expect(await listed()).toEqual([renamed]);
  });

  it("cannot be dropped without being listed", async () => {
    const dropping = scene.transaction(async (tx) => await detaching.dropped(tx, lease, LEAF.oid));
    await expect(dropping).rejects.toThrow("it was dropped without being listed");
  });

  it("is nowhere on a database without the control schema, and on one of an earlier Firnline", async () => {
    await using bare = await createDatabase();
    await using database = openDatabase(bare.url);
    const list = async (): Promise<unknown> =>
      await database.transaction(
        "read write",
        "test",
        async (tx) => await new PostgresDetaching(database).list(tx, PIPELINE),
      );
    expect(await list()).toEqual([]);
    await database.query("CREATE SCHEMA firnline");
    expect(await list()).toEqual([]);
  });
});

describe("the open segments of a leaf", () => {
  it("are those with rows that may still be in it, by day and then in the order of their export", async () => {
    const leaf = { oid: LEAF.oid, schema: "public", name: "january" };
    const made: string[] = [];
    for (const on of ["2026-01-05", "2026-01-03", "2026-01-03"]) {
      const { segment } = await scene.catalog.reserveSegment(lease, {
        leaf,
        rule: "default",
        day: day(on),
        storageClass: "STANDARD",
        random: new Uint8Array(8),
        replaces: false,
      });
      made.push(segment);
    }
    // Rows that were never uploaded are nobody's; other tables have segments of their own.
    await scene.upload(lease, [3], "2026-01-03");
    expect(await detaching.openSegments(PIPELINE, LEAF.oid)).toEqual([]);
    for (const segment of made) {
      await scene.catalog.uploaded(lease, segment, {
        rows: 2n,
        object: { versionId: null, bytes: 1n },
        chunkRows: [2],
        draft: new Uint8Array(1),
        shape: "0a1b2c3d4e5f6071",
      });
    }
    const open = await detaching.openSegments(PIPELINE, LEAF.oid);
    expect(open.map(({ segment }) => segment)).toEqual([made[1], made[2], made[0]]);
    expect(open[0]).toMatchObject({ state: "uploaded", leaf, rowsUnpruned: 2n });
    await scene.seal(lease, made[0] as string);
    await scene.journal(lease, { type: "prune-started", segment: made[0] as string });
    await scene.prune(lease, made[0] as string, [0], 2n);
    expect(await detaching.openSegments(PIPELINE, LEAF.oid)).toHaveLength(2);
  });
});

describe("a run whose lease was taken over (I6)", () => {
  const writes = (Object.keys(METHODS) as (keyof typeof METHODS)[]).filter(
    (name) => METHODS[name] === "under a lease",
  );
  const call: Readonly<Record<string, () => Promise<unknown>>> = {
    add: async () => await detaching.add(lease, LEAF),
    lock: async () => await scene.transaction(async (tx) => await detaching.lock(tx, lease, LEAF.oid)),
    dropped: async () => await scene.transaction(async (tx) => await detaching.dropped(tx, lease, LEAF.oid)),
  };

  it.each(writes)("changes nothing by %s", async (name) => {
    await detaching.add(lease, LEAF);
    await scene.lease();
    const before = await scene.contents();
    await expect(call[name]?.()).rejects.toMatchObject({ code: "E_STALE" });
    expect(await scene.contents()).toEqual(before);
  });

  it("cannot be taken over between the last look at its lease and the COMMIT of its drop", async () => {
    await detaching.add(lease, LEAF);
    let taking: Promise<Lease> | undefined;
    await scene.transaction(async (tx) => {
      await detaching.lock(tx, lease, LEAF.oid);
      // Until then it may be renewed: a large leaf takes a while.
      await scene.catalog.renewLease(lease, LONG_MS);
      await detaching.dropped(tx, lease, LEAF.oid);
      taking = scene.lease();
      await vi.waitUntil(async () => (await runAlone(scene.url, WAITING)).rows.length > 0, {
        timeout: 60_000,
      });
    });
    expect((await taking)?.epoch).toBe(lease.epoch + 1n);
    expect(await listed()).toEqual([]);
  });
});
