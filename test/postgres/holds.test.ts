/** Holds: in force at once, whoever is at work; of a hold and a removal that race, the first to commit wins. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PostgresHolds } from "../../src/catalog/postgres/holds.ts";
import type { Hold } from "../../src/catalog/holds.ts";
import type { Lease } from "../../src/catalog/port.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { parseDay } from "../../src/rows/day.ts";
import type { JournalEvent } from "../../src/segment/journal.ts";
import { auditRows } from "../support/audit-rows.ts";
import { loseCatalog } from "../support/control-schema.ts";
import { LockedScenario } from "../support/locked-scenario.ts";
import { expectNothingLost, expectSettled, readJournal } from "../support/oracle.ts";
import { instantOf, moved, Scenario } from "../support/scenario.ts";
import { expectVerified, verify } from "../support/verified.ts";
import { AT, CatalogScene, day, PIPELINE } from "./catalog-scene.ts";
import { openDatabase } from "./connect.ts";

const IDS = ["0aaaaaaa-0000-4000-8000-000000000000", "0bbbbbbb-0000-4000-8000-000000000000"] as const;

function holdOf(at: number, from: string, to = from): Omit<Hold, "released"> {
  const hold = IDS[at] as string;
  const days = { dayFrom: day(from), dayTo: day(to) };
  return { hold, ...days, reason: "case 17", placedBy: "jane", placedAt: Date.parse(AT) as never };
}

describe("holds in the catalog", () => {
  let scene: CatalogScene;
  let lease: Lease;
  let holds: PostgresHolds;
  beforeEach(async () => {
    scene = await CatalogScene.create();
    lease = await scene.lease();
    holds = new PostgresHolds(scene.database);
  });
  afterEach(async () => await scene[Symbol.asyncDispose]());

  const intent = (segment: string): JournalEvent => ({ type: "expire-intent", segment, keepDays: 90 });
  const events = async (): Promise<string[]> =>
    (await scene.catalog.pending(PIPELINE)).map(({ event }) => event.type);

  it("are placed and released once, with an entry of the journal each", async () => {
    const first = holdOf(0, "2026-01-01", "2026-01-03");
    expect(await holds.place(PIPELINE, first)).toEqual({ segments: 0, rows: 0n });
    expect(await holds.list(PIPELINE)).toEqual([{ ...first, released: null }]);
    const released = { reason: "settled", by: "joe", at: Date.parse(AT) as never };
    await holds.release(PIPELINE, first.hold, released);
    expect(await holds.list(PIPELINE)).toEqual([{ ...first, released }]);
    await expect(holds.release(PIPELINE, first.hold, released)).rejects.toThrow("E_INPUT");
    expect((await scene.catalog.pending(PIPELINE)).map(({ event, at }) => ({ ...event, at }))).toEqual([
      {
        type: "hold",
        hold: first.hold,
        dayFrom: "2026-01-01",
        dayTo: "2026-01-03",
        reason: "case 17",
        placedBy: "jane",
        at: AT,
      },
      { type: "released", hold: first.hold, reason: "settled", releasedBy: "joe", at: AT },
    ]);
  });

  it.each([
    ["its only day", "2026-01-03", "2026-01-03"],
    ["its day and the one before", "2026-01-02", "2026-01-03"],
    ["its day and the one after", "2026-01-03", "2026-01-04"],
  ])("that have %s keep a segment from expiring and from being collected", async (_, from, to) => {
    const segment = await scene.warm(lease, [10], "2026-01-03");
    await holds.place(PIPELINE, holdOf(0, from, to));
    await expect(scene.catalog.enqueue(lease, intent(segment), AT)).rejects.toThrow(
      `E_HELD segment ${segment}: hold 0aaaaaaa keeps it: case 17. `,
    );
    const collected: JournalEvent = {
      type: "collected",
      objects: [{ key: `_firnline/audit_logs/manifests/${segment}.json`, versionId: null, bytes: "1" }],
    };
    await expect(scene.catalog.enqueue(lease, collected, AT)).rejects.toThrow("E_HELD");
    expect(await events()).toEqual(["hold"]);
  });

  it("that have other days, or are released, keep nothing", async () => {
    const segment = await scene.warm(lease, [10], "2026-01-03");
    await holds.place(PIPELINE, holdOf(0, "2026-01-04", "2026-02-01"));
    await holds.place(PIPELINE, holdOf(1, "2026-01-03"));
    await holds.release(PIPELINE, IDS[1], { reason: "x", by: "y", at: 0 as never });
    await scene.catalog.enqueue(lease, intent(segment), AT);
    expect(await events()).toContain("expire-intent");
  });

  it("come too late for what is decided, and say so", async () => {
    const segment = await scene.warm(lease, [10, 20], "2026-01-03");
    await scene.catalog.enqueue(lease, intent(segment), AT);
    expect(await holds.place(PIPELINE, holdOf(0, "2026-01-03"))).toEqual({ segments: 1, rows: 30n });
    await scene.publish(lease);
    expect((await scene.catalog.segment(PIPELINE, segment)).state).toBe("expiring");
    expect(await holds.place(PIPELINE, holdOf(1, "2026-01-01", "2026-01-31"))).toEqual({
      segments: 1,
      rows: 30n,
    });
  });

  it("keep the rows of delete-only rules", async () => {
    await holds.place(PIPELINE, holdOf(0, "2026-01-03"));
    const deleted = async (on: string): Promise<void> => {
      const rows = { rule: "denied", day: day(on), rows: 5n, from: "a", to: "b" };
      await scene.transaction(async (tx) => await scene.catalog.rowsDeleted(tx, lease, rows, AT));
    };
    await expect(deleted("2026-01-03")).rejects.toThrow("E_HELD the rows of denied 2026-01-03");
    await deleted("2026-01-04");
    expect(await events()).toEqual(["hold", "deleted"]);
  });

  it("win a race that they come to first, and the removal is refused", async () => {
    const segment = await scene.warm(lease, [10], "2026-01-03");
    await using other = openDatabase(scene.url);
    const release = Promise.withResolvers<void>();
    const placed = Promise.withResolvers<void>();
    // A session of its own holds what `place` holds, after its INSERT and before its COMMIT.
    const placing = other.transaction("read write", "test", async (tx) => {
      await tx.query("SELECT FROM firnline.pipeline WHERE pipeline = $1 FOR NO KEY UPDATE", [PIPELINE]);
      await tx.query(
        "INSERT INTO firnline.hold VALUES ($1, $2, '2026-01-03', '2026-01-03', 'case 17', 'jane', now())",
        [IDS[0], PIPELINE],
      );
      placed.resolve();
      await release.promise;
    });
    await placed.promise;
    const expiring = scene.catalog.enqueue(lease, intent(segment), AT).catch(String);
    await untilBlocked(scene);
    release.resolve();
    await placing;
    expect(await expiring).toContain("E_HELD");
    expect(await events()).toEqual([]);
  });

  it("lose a race that they come to second, and know it", async () => {
    const segment = await scene.warm(lease, [10], "2026-01-03");
    await using other = openDatabase(scene.url);
    const release = Promise.withResolvers<void>();
    const decided = Promise.withResolvers<void>();
    const deciding = other.transaction("read write", "test", async (tx) => {
      await tx.query("SELECT FROM firnline.pipeline WHERE pipeline = $1 FOR SHARE", [PIPELINE]);
      await tx.query(
        "INSERT INTO firnline.outbox (pipeline, run, epoch, at, event) VALUES ($1, 'r', 1, $2, $3)",
        [PIPELINE, AT, JSON.stringify(intent(segment))],
      );
      decided.resolve();
      await release.promise;
    });
    await decided.promise;
    const placing = holds.place(PIPELINE, holdOf(0, "2026-01-03"));
    await untilBlocked(scene);
    release.resolve();
    await deciding;
    expect(await placing).toEqual({ segments: 1, rows: 10n });
  });

  it("and removals that run at once: never both", async () => {
    const segments: string[] = [];
    for (let at = 1; at <= 20; at += 1) {
      segments.push(await scene.warm(lease, [1], `2026-01-${String(at).padStart(2, "0")}`));
    }
    await using other = openDatabase(scene.url);
    const others = new PostgresHolds(other);
    const uuid = (at: number): string => `00000000-0000-4000-8000-${String(at).padStart(12, "0")}`;
    const outcomes = await Promise.all(
      segments.flatMap((segment, at) => [
        scene.catalog.enqueue(lease, intent(segment), AT).then(
          () => "intended",
          (error: Error) => (error.message.startsWith("E_HELD") ? "held" : String(error)),
        ),
        others
          .place(PIPELINE, { ...holdOf(0, `2026-01-${String(at + 1).padStart(2, "0")}`), hold: uuid(at) })
          .then(({ segments: late }) => (late === 0 ? "kept" : "late")),
      ]),
    );
    const pairs = segments.map((_, at) => outcomes.slice(at * 2, at * 2 + 2).join(" "));
    expect(pairs.filter((pair) => pair !== "intended late" && pair !== "held kept")).toEqual([]);
  });
});

/** Until a session waits for a lock. */
async function untilBlocked(scene: CatalogScene): Promise<void> {
  for (;;) {
    const { rowCount } = await scene.database.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
    );
    if (rowCount > 0) return;
  }
}

describe("a hold on a pipeline", () => {
  const RULES = [{ name: "denied", when: "action = 'denied'", hot: "30d", archive: false }];
  const DAY = "2026-01-10";
  const OTHER = "2026-01-11";
  const DENIED = { deletable: "action = 'denied'" };

  async function filled(): Promise<Scenario> {
    const scenario = await Scenario.create({ rules: RULES });
    for (const [at, on] of [DAY, OTHER].entries()) {
      await scenario.insert(auditRows(on, 1_000 * (at + 1), 30));
      await scenario.insert(auditRows(on, 1_000 * (at + 1) + 500, 45, "'denied'"));
    }
    return scenario;
  }

  async function place(scenario: Scenario, from: string, to = from): Promise<string> {
    await using pipeline = scenario.open();
    const days = { dayFrom: parseDay(from), dayTo: parseDay(to) };
    return (await pipeline.holds.place({ ...days, reason: "case 17", placedBy: "jane" })).hold.hold;
  }

  async function release(scenario: Scenario, hold: string): Promise<void> {
    await using pipeline = scenario.open();
    await pipeline.holds.release({ hold, reason: "settled", releasedBy: "joe" });
  }

  it("keeps rows of delete-only rules in the table, even before the first run; all others move on", async () => {
    await using scenario = await filled();
    const hold = await place(scenario, DAY);
    const summary = await scenario.run();
    expect(moved(summary)).toMatchObject({ exported: 60, pruned: 60, deleted: 45 });
    expect(summary.plan.held).toMatchObject([
      {
        rule: "denied",
        day: parseDay(DAY),
        rows: 45n,
        reason: `not deleted, by hold ${hold.slice(0, 8)}: case 17`,
      },
    ]);
    expect(await scenario.count("action = 'denied'")).toBe(45);
    expect((await readJournal(scenario))[0]?.event.type).toBe("hold");
    await expectNothingLost(scenario, DENIED);
    await expectVerified(scenario);
    await release(scenario, hold);
    expect(moved(await scenario.run())).toMatchObject({ deleted: 45 });
    await expectSettled(scenario);
    await expectVerified(scenario);
  });

  it("that is placed while a run deletes stops it between two batches, and the run says so", async () => {
    await using scenario = await filled();
    // 20 rows a batch: the process stops after the first, with everything that it was about to do.
    await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: "delete.committed:pause" });
    await run.stopped();
    await place(scenario, DAY, OTHER);
    run.resume();
    const { code, stdout } = await run.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/not deleted: hold [0-9a-f]{8} keeps it: case 17/);
    expect(await scenario.count("action = 'denied'")).toBe(70);
    await expectNothingLost(scenario, DENIED);
  });

  it("comes back with a rebuild of the catalog, journaled or not, and so does its release", async () => {
    await using scenario = await filled();
    await scenario.run({ asOf: "2026-01-20" });
    const first = await place(scenario, DAY);
    const second = await place(scenario, OTHER);
    await scenario.run({ asOf: "2026-01-20" });
    await release(scenario, first);
    await scenario.run({ asOf: "2026-01-20" });
    const third = await place(scenario, "2026-01-12");
    await release(scenario, second); // neither of these is journaled
    const listed = async (): Promise<Hold[]> => {
      await using pipeline = scenario.open();
      return await pipeline.holds.list({ all: true });
    };
    const before = await listed();
    {
      await using pipeline = scenario.open();
      await pipeline.rebuildCatalog({ isConfirmed: true });
    }
    expect(await listed()).toEqual(before);
    await expectVerified(scenario);
    await scenario.run({ asOf: "2026-01-20" });
    await loseCatalog(scenario);
    {
      await using pipeline = scenario.open();
      await pipeline.rebuildCatalog();
    }
    expect(await listed()).toEqual(before);
    expect(before.filter(({ released }) => released === null).map(({ hold }) => hold)).toEqual([third]);
  });

  it("that somebody takes out of the catalog by hand is missed by verify", async () => {
    await using scenario = await filled();
    const hold = await place(scenario, DAY);
    await scenario.run();
    await scenario.query("UPDATE firnline.hold SET released_at = now()");
    expect((await verify(scenario)).findings).toEqual([
      `E_CATALOG hold ${hold}: it is on ${DAY} .. ${DAY}, released in the catalog, and is on ${DAY} .. ${DAY}, in force by the journal`,
    ]);
  });
});

describe("a hold that the journal does not have as the catalog has it", () => {
  const DAY = "2026-01-10";
  const OTHER = "2026-01-11";

  async function filled(): Promise<LockedScenario> {
    const tiers = { cold: { storageClass: "DEEP_ARCHIVE", keep: "95d" } };
    const locked = await LockedScenario.create({ tiers, lock: null, locks: false });
    await locked.scenario.insert(auditRows(DAY, 1001, 12));
    await locked.run();
    return locked;
  }

  const listed = async (locked: LockedScenario): Promise<string[]> =>
    (await locked.environment().holds.list(PIPELINE)).map(
      ({ hold, released }) => `${hold} ${released === null ? "in force" : "released"}`,
    );

  it("placed or released while a rebuild reads the archive, stays so", async () => {
    await using locked = await filled();
    const old = await locked.hold(OTHER);
    await locked.run();
    let placed: string | null = null;
    const { archive } = locked;
    const head = archive.head.bind(archive);
    archive.head = async (place) => {
      if (placed === null) {
        placed = "";
        placed = (await locked.hold(DAY)).hold;
        await locked.release(old);
      }
      return await head(place);
    };
    await locked.rebuild();
    expect(await listed(locked)).toEqual([`${old.hold} released`, `${placed} in force`].toSorted());
    locked.now = "2026-04-16";
    expect(await locked.run()).toMatchObject({ expired: 0n });
    expect(await locked.findings()).toEqual([]);
    await locked.rebuild();
    expect(await listed(locked)).toEqual([`${old.hold} released`, `${placed} in force`].toSorted());
  });

  it("released once more by a database that was restored, leaves the journal readable", async () => {
    await using locked = await filled();
    const { scenario } = locked;
    const hold = await locked.hold(DAY);
    await locked.run();
    await scenario.query("CREATE TABLE p AS TABLE firnline.pipeline; CREATE TABLE h AS TABLE firnline.hold");
    await locked.release(hold);
    await locked.run();
    const restore = `DELETE FROM firnline.hold; INSERT INTO firnline.hold SELECT * FROM h;
      UPDATE firnline.pipeline q SET journal_n = p.journal_n, journal_sha256 = p.journal_sha256 FROM p`;
    await scenario.query(restore);
    await locked.release(hold);
    await locked.rebuild();
    expect(await scenario.query("SELECT event FROM firnline.outbox")).toEqual([]);
    expect(await listed(locked)).toEqual([`${hold.hold} released`]);
    // Journaled by an older version, which did not drop it.
    await scenario.query(`INSERT INTO firnline.outbox (pipeline, run, epoch, at, event)
      SELECT 'audit_logs', 'hold', 0, '2026-03-01T00:00:00.000Z', jsonb_build_object(
        'type', 'released', 'hold', '${hold.hold}', 'reason', 'again', 'releasedBy', 'joe')`);
    await locked.run();
    await locked.rebuild();
    expect(await locked.run()).toMatchObject({ state: "done" });
    await locked.collect();
    expect(await listed(locked)).toEqual([`${hold.hold} released`]);
    expect(await locked.findings()).toEqual([]);
  });

  it("placed before the first run, and before the archive's URL was corrected, is journaled", async () => {
    await using scenario = await Scenario.create();
    await scenario.insert(auditRows(DAY, 1, 12));
    const { policy, url: connectionString } = scenario;
    const open = (url: string): Pipeline => {
      const corrected = { ...policy, archive: { ...policy.archive, url } };
      return new Pipeline({ policy: corrected, connectionString, settings: scenario.settings() });
    };
    await using wrong = open(policy.archive.url.replace("/archive", "/wrong"));
    const days = { dayFrom: parseDay(DAY), dayTo: parseDay(DAY) };
    const { hold } = (await wrong.holds.place({ ...days, reason: "case 17", placedBy: "jane" })).hold;
    await using right = open(policy.archive.url);
    await right.run({ asOf: instantOf("2026-03-01"), backfill: true });
    await expectVerified(scenario);
    await right.holds.release({ hold, reason: "settled", releasedBy: "joe" });
    await right.run({ asOf: instantOf("2026-03-01") });
    await right.rebuildCatalog({ isConfirmed: true });
    expect((await right.holds.list({ all: true })).map(({ released }) => released?.by)).toEqual(["joe"]);
  });
});
