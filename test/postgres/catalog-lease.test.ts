/** The lease: one writer a pipeline, and an epoch that only grows, whoever dies, sleeps or comes at the same time. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { LeaseAnswer } from "../../src/catalog/port.ts";
import { acquireLease } from "../../src/catalog/postgres/lease.ts";
import type { Database, Transaction } from "../../src/postgres/database.ts";
import type { EpochMicros } from "../../src/rows/day.ts";
import { CatalogScene, LONG_MS, PIPELINE, QUIET_DAY } from "./catalog-scene.ts";

let scene: CatalogScene;
beforeEach(async () => {
  scene = await CatalogScene.create();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

const holder = { host: "h1", pid: 41, space: "s" };
interface Ask {
  readonly durationMs?: number;
  readonly takeOver?: string;
  readonly pipeline?: string;
}

async function acquire(
  run: string,
  { durationMs = LONG_MS, takeOver, pipeline = PIPELINE }: Ask = {},
): Promise<LeaseAnswer> {
  const request = { pipeline, run, holder: { ...holder, host: run }, durationMs };
  return await scene.catalog.acquireLease(
    takeOver === undefined ? request : { ...request, takeOver: { run: takeOver } },
  );
}

async function take(
  run: string,
  ask: Ask = {},
): Promise<Extract<LeaseAnswer, { outcome: "acquired" }>["lease"]> {
  const answer = await acquire(run, ask);
  if (answer.outcome !== "acquired") throw new Error(`${run} did not get it`);
  return answer.lease;
}

const epochNow = async (): Promise<bigint | undefined> =>
  (await scene.catalog.pipeline(PIPELINE))?.lease.epoch;

describe("a lease", () => {
  it("that is free is given, under epoch 1 at first", async () => {
    expect(await acquire("a")).toEqual({
      outcome: "acquired",
      lease: { pipeline: PIPELINE, run: "a", epoch: 1n },
    });
    expect((await scene.catalog.pipeline(PIPELINE))?.lease).toEqual({
      epoch: 1n,
      run: "a",
      holder: { host: "a", pid: 41, space: "s" },
    });
  });

  it("that is held is refused, with the holder and the end of it by the database's clock", async () => {
    await take("a", { durationMs: 60_000 });
    const { rows } = await scene.database.query(
      "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now",
    );
    const answer = await acquire("b");
    expect(answer).toMatchObject({ outcome: "held", run: "a", holder: { host: "a", pid: 41, space: "s" } });
    const left = (answer as { expiresAt: number }).expiresAt - Number(rows[0]?.["now"]);
    expect(left).toBeGreaterThan(30_000);
    expect(left).toBeLessThanOrEqual(60_000);
    expect(await epochNow()).toBe(1n);
  });

  it("is refused to its own run too: a second process of that name is another writer", async () => {
    await take("a");
    expect((await acquire("a")).outcome).toBe("held");
  });

  it("that is not renewed expires, and the next run gets the next epoch", async () => {
    await take("a", { durationMs: 50 });
    const lease = await vi.waitFor(async () => await take("b"), { timeout: 60_000, interval: 20 });
    expect(lease.epoch).toBe(2n);
  });

  it("is taken over from the run that is named, and from no other", async () => {
    await take("a");
    expect((await acquire("b", { takeOver: "x" })).outcome).toBe("held");
    expect((await take("b", { takeOver: "a" })).epoch).toBe(2n);
    // Somebody else was faster: `a` is gone, and `b` is not dead.
    expect(await acquire("c", { takeOver: "a" })).toMatchObject({ outcome: "held", run: "b" });
  });

  it("of another pipeline is no matter", async () => {
    await scene.register("other");
    await take("a");
    expect((await take("b", { pipeline: "other" })).epoch).toBe(1n);
  });

  it("goes to exactly one of twenty that ask at the same time", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => await acquire(`run-${index}`)),
    );
    const acquired = answers.filter(({ outcome }) => outcome === "acquired");
    expect(acquired).toHaveLength(1);
    const winner = (await scene.catalog.pipeline(PIPELINE))?.lease.run;
    for (const answer of answers)
      expect(answer.outcome === "acquired" ? answer.lease.run : answer.run).toBe(winner);
  });

  it("of one dead run goes to exactly one of those that take it over", async () => {
    await take("dead");
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => await acquire(`run-${index}`, { takeOver: "dead" })),
    );
    expect(answers.filter(({ outcome }) => outcome === "acquired")).toHaveLength(1);
    expect(await epochNow()).toBe(2n);
  });

  it("of a pipeline that was never registered is an error, not a holder without a name", async () => {
    await expect(acquire("a", { pipeline: "nowhere" })).rejects.toThrow(/^E_CATALOG pipeline nowhere: /);
  });

  it("that is released between two looks is given, not reported as held by nobody", async () => {
    const first = await take("a");
    let released = false;
    // After the first statement has found it held, its holder lets it go.
    const database = {
      transaction: async (mode, op, work) =>
        await scene.database.transaction(mode, op, async (tx) => {
          const query: Transaction["query"] = async (...args) => {
            const result = await tx.query(...args);
            if (!released) {
              released = true;
              await scene.catalog.releaseLease(first);
            }
            return result;
          };
          return await work({ query } as Transaction);
        }),
    } as Pick<Database, "transaction"> as Database;
    const answer = await acquireLease(database, {
      pipeline: PIPELINE,
      run: "b",
      holder,
      durationMs: LONG_MS,
    });
    expect(answer).toMatchObject({ outcome: "acquired", lease: { run: "b", epoch: 2n } });
  });
});

describe("renewing", () => {
  it("puts the end off", async () => {
    const lease = await take("a", { durationMs: 60_000 });
    const before = (await acquire("b")) as { expiresAt: number };
    await scene.catalog.renewLease(lease, 600_000);
    const after = (await acquire("b")) as { expiresAt: number };
    expect(after.expiresAt - before.expiresAt).toBeGreaterThan(500_000);
  });

  it("still works after the end, as long as nobody took it: the epoch is what counts", async () => {
    const lease = await take("a", { durationMs: 0 });
    await scene.catalog.renewLease(lease, LONG_MS);
    expect((await acquire("b")).outcome).toBe("held");
  });

  it("a lease that was taken over, or released, is E_STALE", async () => {
    const first = await take("a");
    const second = await take("b", { takeOver: "a" });
    const stale = "E_STALE run a: its lease on audit_logs (epoch 1) was taken over by another run. ";
    await expect(scene.catalog.renewLease(first, LONG_MS)).rejects.toThrow(stale);
    await scene.catalog.releaseLease(second);
    await expect(scene.catalog.renewLease(second, LONG_MS)).rejects.toThrow(/^E_STALE run b: /);
  });

  it("a lease of the same run and an older epoch is E_STALE", async () => {
    const first = await take("a");
    await take("a", { takeOver: "a" });
    await expect(scene.catalog.renewLease(first, LONG_MS)).rejects.toThrow(/^E_STALE/);
  });
});

describe("releasing", () => {
  it("lets the next run in, and never gives an epoch back", async () => {
    await scene.catalog.releaseLease(await take("a"));
    expect((await scene.catalog.pipeline(PIPELINE))?.lease).toEqual({ epoch: 1n, run: null, holder: null });
    expect((await take("b")).epoch).toBe(2n);
  });

  it("what is another run's by now changes nothing (I6)", async () => {
    const first = await take("a");
    await take("b", { takeOver: "a" });
    const before = await scene.contents();
    await scene.catalog.releaseLease(first);
    expect(await scene.contents()).toEqual(before);
  });
});

describe("the epoch", () => {
  it("grows by one with every lease, through expiry, release and take-over", async () => {
    const epochs: bigint[] = [];
    for (let round = 0; round < 12; round += 1) {
      const lease = await take(`run-${round}`, round % 3 === 1 ? { takeOver: `run-${round - 1}` } : {});
      epochs.push(lease.epoch);
      if (round % 3 === 1) await scene.catalog.releaseLease(lease);
      // Expires at once.
      if (round % 3 === 2) await scene.catalog.renewLease(lease, -1);
    }
    expect(epochs).toEqual(Array.from({ length: 12 }, (_, index) => BigInt(index + 1)));
  });
});

describe("runs", () => {
  const asOf = 1_770_084_000_000_000n as EpochMicros;
  const states = async (): Promise<string[]> =>
    (await scene.catalog.runs(PIPELINE, 10)).map(({ run, state }) => `${run} ${state}`).sort();

  it("of a holder that died are interrupted as soon as the next one has the lease", async () => {
    const first = await take("a");
    await scene.catalog.startRun(first, asOf);
    expect(await states()).toEqual(["a running"]);
    const second = await take("b", { takeOver: "a" });
    expect(await states()).toEqual(["a interrupted"]);
    await scene.catalog.startRun(second, asOf);
    expect(await states()).toEqual(["a interrupted", "b running"]);
    const [, dead] = await scene.catalog.runs(PIPELINE, 10);
    expect(dead).toMatchObject({ run: "a", summary: null, error: null });
    expect(dead?.finishedAt).not.toBeNull();
  });

  it("that are finished stay what they are, and so do those of another pipeline", async () => {
    await scene.register("other");
    const elsewhere = await take("x", { pipeline: "other" });
    await scene.catalog.startRun(elsewhere, asOf);
    for (const state of ["done", "partly", "failed"] as const) {
      const lease = await take(state);
      await scene.catalog.startRun(lease, asOf);
      await scene.catalog.finishRun(lease, {
        state,
        summary: { pruned: "1" },
        error: state === "failed" ? "why" : null,
        history: QUIET_DAY,
      });
      await scene.catalog.releaseLease(lease);
    }
    await take("next");
    expect(await states()).toEqual(["done done", "failed failed", "partly partly"]);
    expect(await scene.catalog.runs("other", 10)).toMatchObject([{ run: "x", state: "running" }]);
  });

  it("are listed newest first, no more than asked for, with what they said", async () => {
    for (const run of ["a", "b", "c"]) {
      const lease = await take(run);
      await scene.catalog.startRun(lease, asOf);
      await scene.catalog.finishRun(lease, {
        state: "failed",
        summary: { pruned: "7" },
        error: `E_X ${run}`,
        history: QUIET_DAY,
      });
      await scene.catalog.releaseLease(lease);
    }
    const runs = await scene.catalog.runs(PIPELINE, 2);
    expect(runs).toMatchObject([
      { run: "c", state: "failed", asOf, summary: { pruned: "7" }, error: "E_X c" },
      { run: "b", error: "E_X b" },
    ]);
    expect(runs[0]?.startedAt).toBeGreaterThanOrEqual(runs[1]?.startedAt ?? 0);
  });
});
