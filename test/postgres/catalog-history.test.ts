/** The diary behind `status --history`: what each day's runs did, and how large the tiers were in the evening. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HistoryDay } from "../../src/catalog/history-day.ts";
import type { Lease, RunOutcome } from "../../src/catalog/port.ts";
import { addDays } from "../../src/rows/day.ts";
import { CatalogScene, day, PIPELINE, QUIET_DAY } from "./catalog-scene.ts";

let scene: CatalogScene;
let lease: Lease;
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

async function finish(moved: Partial<RunOutcome["history"]>, of = lease): Promise<void> {
  const outcome = { state: "done", summary: {}, error: null } as const;
  await scene.catalog.finishRun(of, { ...outcome, history: { ...QUIET_DAY, ...moved } });
}

async function history(since = "0001-01-01", pipeline = PIPELINE): Promise<HistoryDay[]> {
  return await scene.catalog.history(pipeline, day(since));
}

const NOTHING = {
  runs: 1,
  archived: 0n,
  pruned: 0n,
  deleted: 0n,
  expired: 0n,
  hot: null,
  warmBytes: 0n,
  coldBytes: 0n,
};

describe("the history of a pipeline", () => {
  it("adds up the runs of a day, and keeps the last sizes that are known", async () => {
    await finish({ archived: 100n, pruned: 90n, deleted: 5n, hot: { rows: 1_000n, bytes: 2n ** 40n } });
    await finish({ archived: 10n, pruned: 20n, expired: 4n, hot: { rows: 900n, bytes: 2n ** 39n } });
    await finish({ deleted: 1n, expired: 3n });
    await finish({ day: day("2026-02-05"), archived: 7n });
    expect(await history()).toEqual([
      {
        ...NOTHING,
        day: day("2026-02-03"),
        runs: 3,
        archived: 110n,
        pruned: 110n,
        deleted: 6n,
        expired: 7n,
        hot: { rows: 900n, bytes: 2n ** 39n },
      },
      { ...NOTHING, day: day("2026-02-05"), archived: 7n },
    ]);
    expect(await history("2026-02-04")).toHaveLength(1);
    expect(await history("2026-02-06")).toEqual([]);
  });

  it("has the bytes of the objects that the archive holds, by tier", async () => {
    await scene.upload(lease, [1]);
    await scene.pruning(lease, [1]);
    await scene.warm(lease, [1]);
    const cooling = await scene.warm(lease, [1]);
    await scene.catalog.classRequested(lease, cooling);
    await finish({});
    expect(await history()).toMatchObject([{ warmBytes: 4n * 4_096n, coldBytes: 0n }]);
    await scene.database.query("UPDATE firnline.segment SET state = 'cold' WHERE segment = $1", [cooling]);
    await scene.database.query("UPDATE firnline.segment SET state = 'superseded' WHERE state = 'pruning'");
    await scene.catalog.abandon(lease, (await scene.reserve(lease)).segment);
    await finish({});
    expect(await history()).toMatchObject([{ runs: 2, warmBytes: 2n * 4_096n, coldBytes: 4_096n }]);
  });

  it("is its own", async () => {
    await scene.register("other");
    const other = await scene.lease("other");
    await finish({ archived: 1n });
    await finish({ archived: 2n }, other);
    expect(await history("0001-01-01", "other")).toMatchObject([{ runs: 1, archived: 2n }]);
    expect(await history()).toMatchObject([{ runs: 1, archived: 1n }]);
  });

  it("is bounded: the newest 400 days are kept, however far a clock has jumped", async () => {
    await scene.register("other");
    await scene.database.query(
      `INSERT INTO firnline.history (pipeline, day, runs, rows_archived, rows_pruned, rows_deleted, warm_bytes, cold_bytes)
       SELECT p, date '2024-01-01' + n, 1, 0, 0, 0, 0, 0 FROM generate_series(0, 449) n, unnest(ARRAY['other', $1]) p`,
      [PIPELINE],
    );
    await finish({ day: day("2999-12-31") });
    const days = (await history()).map((one) => one.day);
    expect(days).toHaveLength(400);
    expect(days[0]).toBe(addDays(day("2024-01-01"), 51));
    expect(days.at(-1)).toBe(day("2999-12-31"));
    expect(await history("0001-01-01", "other")).toHaveLength(450);
  });

  it("commits with the end of the run, and not without it (I4, I6)", async () => {
    await scene.catalog.startRun(lease, 0n as never);
    const stale = lease;
    lease = await scene.lease();
    await expect(finish({ archived: 9n }, stale)).rejects.toMatchObject({ code: "E_STALE" });
    expect(await history()).toEqual([]);
    expect(await scene.catalog.runs(PIPELINE, 5)).toMatchObject([{ state: "interrupted", summary: null }]);
  });

  it("is empty, and no error, where there is no control schema or an older one", async () => {
    await scene.database.query("DROP TABLE firnline.history");
    await scene.database.query("DELETE FROM firnline.migration WHERE version > 1");
    expect(await history()).toEqual([]);
    await scene.database.query("DROP SCHEMA firnline CASCADE");
    expect(await history()).toEqual([]);
  });
});
