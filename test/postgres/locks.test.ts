/** Locks and legal holds, on a store in memory that has both: before a row goes, on what is there, and what they refuse. */
import { describe, expect, test } from "vitest";
import type { Archive } from "../../src/archive/port.ts";
import { failpointFrom, parseFailpoint } from "../../src/failpoint.ts";
import { auditRows } from "../support/audit-rows.ts";
import { COMPLIANCE, LockedScenario, type LockedOptions } from "../support/locked-scenario.ts";
import { leaf, PARENT } from "../support/partitioned-logs.ts";
import { moved } from "../support/scenario.ts";

const DAY = "2026-01-10";
/** 100 days after its last day, as the lock of the policy wants it. */
const LOCKED = "COMPLIANCE 2026-04-21";
const KEEP_95 = { cold: { storageClass: "DEEP_ARCHIVE", keep: "95d" } };

async function filled(options: LockedOptions = {}): Promise<LockedScenario> {
  const locked = await LockedScenario.create({ environ: { FIRNLINE_SEGMENT_MIB: "1024" }, ...options });
  await locked.scenario.insert(auditRows(DAY, 1001, 120));
  await locked.scenario.insert(auditRows("2026-12-01", 4001, 10));
  return locked;
}

/** The store with one method replaced. */
function but(archive: Archive, changes: Partial<Archive>): Archive {
  return new Proxy(archive, {
    get: (target, name) => {
      const own = (changes as Record<string | symbol, unknown>)[name] ?? Reflect.get(target, name);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

describe("a policy that locks", () => {
  test("locks object and manifest before their rows go, and entries of the journal as they are written", async () => {
    await using locked = await filled();
    const { archive, scenario } = locked;
    const seen: number[] = [];
    const watched = but(archive, {
      retain: async (...args) => {
        seen.push(await scenario.count());
        await archive.retain(...args);
      },
    });
    expect(moved(await locked.run({ archive: watched }))).toMatchObject({ pruned: 120 });
    expect(seen, "all rows are there when the locks are put on").toEqual([130, 130]);
    expect(await locked.protection(".parquet")).toEqual([LOCKED]);
    expect(await locked.protection(".json")).toContain(LOCKED);
    // From 2026-03-01, to a whole second.
    const entries = (await locked.protection(".json")).filter((one) => one !== LOCKED);
    expect(new Set(entries)).toEqual(new Set(["COMPLIANCE 2026-06-09"]));
    expect(entries.length).toBeGreaterThan(3);
    for await (const { key, versionId } of archive.listVersions("")) {
      await expect(archive.deleteVersion({ key, versionId })).rejects.toThrow("it is locked until");
    }
    expect(await locked.findings()).toEqual([]);
    expect((await locked.run()).plan.steps).toEqual([]);
  });

  test.each([
    ["takes the lock and does not keep it", { retain: async () => {} }],
    [
      "keeps it for a shorter time",
      {
        head: async function head(this: Archive, object: never) {
          const found = await this.head(object);
          return found === null || found.retention === null
            ? found
            : { ...found, retention: { ...found.retention, until: 0 as never } };
        },
      },
    ],
  ] satisfies [string, Partial<Archive>][])("deletes no row where the store %s", async (_, changes) => {
    await using locked = await filled();
    const run = locked.run({ archive: but(locked.archive, changes) });
    await expect(run).rejects.toThrow("E_BUCKET");
    await expect(run).rejects.toThrow("the store took the lock and does not show it");
    expect(await locked.scenario.count()).toBe(130);
  });

  test("is refused by a store without locks, before anything is written", async () => {
    await using locked = await filled({ locks: false });
    await expect(locked.run()).rejects.toThrow(
      "E_BUCKET memory://archive: the policy wants its objects locked, and this store has no Object Lock",
    );
    expect(locked.archive.snapshot().size).toBe(0);
  });

  test("sees a lock that was lost between two batches, and puts it on again", async () => {
    await using locked = await filled();
    let heads = 0;
    const forgetful = but(locked.archive, {
      head: async (object) => {
        const found = await locked.archive.head(object);
        heads += object.key.endsWith(".parquet") ? 1 : 0;
        return found !== null && heads === 4 ? { ...found, retention: null } : found;
      },
    });
    let retained = 0;
    const counted = but(forgetful, {
      retain: async (...args) => {
        retained += 1;
        await locked.archive.retain(...args);
      },
    });
    expect(moved(await locked.run({ archive: counted }))).toMatchObject({ pruned: 120 });
    expect(retained).toBe(3);
  });

  test("that begins to lock, or locks for longer or harder, changes what is there; shorter never", async () => {
    await using locked = await filled({ lock: null });
    await locked.run();
    expect(await locked.protection(".parquet")).toEqual(["unlocked"]);
    locked.lock = { mode: "GOVERNANCE", keepDays: 60 };
    expect((await locked.run()).plan.steps.map(({ stages, reason }) => `${stages}: ${reason}`)).toEqual([
      "lock: its objects are to be locked until 2026-03-12, 60 days after its last day",
    ]);
    expect(await locked.protection(".parquet")).toEqual(["GOVERNANCE 2026-03-12"]);
    expect((await locked.run()).plan.steps).toEqual([]);
    locked.lock = COMPLIANCE;
    await locked.run();
    expect(await locked.protection(".parquet")).toEqual([LOCKED]);
    locked.lock = { mode: "GOVERNANCE", keepDays: 50 };
    await expect(locked.run()).rejects.toThrow(
      "locks of new objects can be bypassed (GOVERNANCE, COMPLIANCE before)",
    );
    expect((await locked.run({}, true)).plan.steps).toEqual([]);
    expect(await locked.protection(".parquet")).toEqual([LOCKED]);
    // What the locks were for is past: nothing is locked into the past.
    locked.now = "2027-01-01";
    expect((await locked.run()).plan.steps.filter(({ stages }) => stages.includes("lock"))).toEqual([]);
  });

  test("is held against the store by verify", async () => {
    await using locked = await filled({ lock: null });
    await locked.run();
    locked.lock = COMPLIANCE;
    expect(await locked.findings()).toEqual([
      expect.stringMatching(/^E_BUCKET _firnline.*it is not locked, and should be until 2026-04-21/),
      expect.stringMatching(/^E_BUCKET audit_logs\/daily.*it is not locked/),
    ]);
    await locked.run();
    expect(await locked.findings()).toEqual([]);
  });
});

describe("a lock in the store", () => {
  test("keeps a segment that is due to expire, and nothing of it is journaled", async () => {
    await using locked = await filled({ tiers: KEEP_95, lock: null });
    await locked.run();
    locked.now = "2026-04-16"; // 95 days after the day's end
    // Somebody locked it by hand: the catalog does not know.
    const [object] = [...locked.archive.snapshot().keys()].filter((key) => key.endsWith(".parquet"));
    const until = Date.UTC(2026, 4, 1) as never;
    const version = locked.archive.versions(object as string)[0] as never;
    await locked.archive.retain(version, { mode: "GOVERNANCE", until });
    const summary = await locked.run();
    expect(summary).toMatchObject({ expired: 0n, state: "done" });
    expect(summary.plan.held.map(({ reason }) => reason)).toEqual([
      `does not expire: ${object} is locked until 2026-05-01T00:00:00Z`,
    ]);
    expect(await locked.events("expire-intent")).toEqual([]);
    // Now it does.
    const next = await locked.run();
    expect(next.plan.steps).toEqual([]);
    expect(next.plan.held.map(({ reason }) => reason)).toEqual([
      "does not expire: its object is locked until 2026-05-01",
    ]);
    locked.now = "2026-05-01";
    expect((await locked.run()).expired).toBe(120n);
    expect([...locked.archive.snapshot().keys()].filter((key) => !key.includes("/journal/"))).toEqual([]);
    expect(await locked.findings()).toEqual([]);
  });

  test("that is ended lets a segment expire by its policy", async () => {
    await using locked = await filled({ tiers: KEEP_95, lock: { mode: "COMPLIANCE", keepDays: 95 } });
    await locked.run();
    locked.now = "2026-04-15";
    expect((await locked.run()).expired).toBe(0n);
    locked.now = "2026-04-16";
    expect((await locked.run()).expired).toBe(120n);
    expect(await locked.states()).toEqual([`${DAY} expired`]);
  });
});

describe("a legal hold", () => {
  test("goes on object and manifest with the hold, and comes off with the last one", async () => {
    await using locked = await filled({ lock: null });
    await locked.run();
    const first = await locked.hold("2026-01-01", DAY);
    const second = await locked.hold(DAY, "2026-01-31");
    const both = async (): Promise<string[]> => [...(await locked.protection(".parquet"))];
    expect(await both()).toEqual(["unlocked held"]);
    expect((await locked.protection(".json")).filter((one) => one === "unlocked held")).toHaveLength(1);
    expect((await locked.release(first)).legalHolds).toBe(0);
    expect(await both()).toEqual(["unlocked held"]);
    expect((await locked.release(second)).legalHolds).toBe(1);
    expect(await both()).toEqual(["unlocked"]);
    expect((await locked.run()).plan.steps).toEqual([]);
    expect(await locked.findings()).toEqual([]);
  });

  test("goes on segments that are sealed later, before their rows go", async () => {
    await using locked = await filled({ lock: null });
    await locked.hold(DAY);
    expect(await locked.protection(".parquet")).toEqual([]);
    await locked.run();
    expect(await locked.protection(".parquet")).toEqual(["unlocked held"]);
    expect(await locked.findings()).toEqual([]);
  });

  test("that the store does not take leaves the hold in force, and the error says so", async () => {
    await using locked = await filled({ lock: null });
    await locked.run();
    const deaf = but(locked.archive, { hold: async () => {} });
    await expect(locked.hold(DAY, DAY, { archive: deaf })).rejects.toThrow(
      /^E_BUCKET hold [0-9a-f-]{36}: it is changed as asked for, but not all legal holds in the store are yet: /,
    );
    const { plan } = await locked.run();
    expect(plan.steps.map(({ stages }) => stages)).toEqual([["lock"]]);
    expect(await locked.protection(".parquet")).toEqual(["unlocked held"]);
  });

  test("is asked of the manifest alone where the object lies in a vault", async () => {
    await using locked = await filled({ lock: null });
    await locked.run();
    await locked.scenario.query("UPDATE firnline.segment SET storage_class = 'GLACIER_VAULT'");
    await locked.hold(DAY);
    expect(await locked.protection(".parquet")).toEqual(["unlocked"]);
    expect((await locked.protection(".json")).filter((one) => one.endsWith("held"))).toHaveLength(1);
    expect((await locked.run()).plan.steps).toEqual([]);
  });

  test("comes off all versions of what was copied under it, and then it expires", async () => {
    await using locked = await filled({ tiers: KEEP_95, lock: null });
    await locked.run();
    const hold = await locked.hold(DAY);
    locked.now = "2026-03-20";
    expect(await locked.run()).toMatchObject({ cooled: 120n });
    expect((await locked.run()).plan.steps).toEqual([]);
    expect(await locked.protection(".parquet")).toEqual(["unlocked held", "unlocked held"]);
    expect((await locked.release(hold)).legalHolds).toBe(1);
    expect(await locked.protection(".parquet")).toEqual(["unlocked", "unlocked"]);
    locked.now = "2026-04-16";
    expect((await locked.run()).expired).toBe(120n);
  });

  test("placed right before a copy, comes off it though it be released before the next run", async () => {
    await using locked = await filled({ tiers: KEEP_95, lock: null });
    await locked.run();
    const hold = await locked.hold(DAY);
    locked.now = "2026-03-20";
    const cut = failpointFrom(parseFailpoint("transition.journaled:error"), () => {});
    await expect(locked.run({ failpoint: cut })).rejects.toThrow("failpoint");
    expect((await locked.release(hold)).legalHolds).toBe(1);
    expect(await locked.protection(".parquet")).toEqual(["unlocked", "unlocked"]);
  });

  test("comes off though the catalog was rebuilt in between, which knows of none", async () => {
    await using locked = await filled({ tiers: KEEP_95, lock: null });
    await locked.run();
    const hold = await locked.hold(DAY);
    await locked.run();
    await locked.rebuild();
    expect((await locked.release(hold)).legalHolds).toBe(1);
    expect(await locked.protection(".parquet")).toEqual(["unlocked"]);
    locked.now = "2026-04-16";
    expect((await locked.run()).expired).toBe(120n);
  });

  test("is not put on what is decided to expire, and comes off what is expiring", async () => {
    await using locked = await filled({ tiers: KEEP_95, lock: null });
    await locked.run();
    locked.now = "2026-04-16";
    const { archive } = locked;
    let late: Awaited<ReturnType<typeof locked.hold>> | null = null;
    const watched = but(archive, {
      create: async (key, body, options) => {
        if (body instanceof Uint8Array && Buffer.from(body).toString("utf8").includes('"expire-intent"')) {
          late ??= await locked.hold(DAY);
          expect(await locked.protection(".parquet")).toEqual(["unlocked"]);
        }
        return await archive.create(key, body, options);
      },
    });
    const cut = failpointFrom(parseFailpoint("expire.intended:error"), () => {});
    await expect(locked.run({ archive: watched, failpoint: cut })).rejects.toThrow("failpoint");
    expect(await locked.states()).toEqual([`${DAY} expiring`]);
    // As an older version left it.
    for (const key of [...archive.snapshot().keys()].filter((one) => one.endsWith(".parquet"))) {
      await archive.hold(archive.versions(key)[0] as never, true);
    }
    expect((await locked.run()).expired).toBe(0n);
    expect((await locked.release(late as never)).legalHolds).toBe(1);
    expect((await locked.run()).expired).toBe(120n);
    expect(await locked.states()).toEqual([`${DAY} expired`]);
  });

  test("is put on again by a later hold, though it came off and nobody could remember it", async () => {
    await using locked = await filled({ lock: null });
    await locked.run();
    const { archive } = locked;
    const first = await locked.hold(DAY);
    const real = archive.hold.bind(archive);
    archive.hold = async (...args) => {
      await real(...args);
      throw new Error("killed");
    };
    await expect(locked.release(first)).rejects.toThrow("killed");
    archive.hold = real;
    expect(await locked.protection(".parquet")).toEqual(["unlocked"]);
    await locked.hold(DAY);
    expect(await locked.protection(".parquet")).toEqual(["unlocked held"]);
    expect(await locked.findings()).toEqual([]);
  });

  test("comes off the bucket's version of what went into a vault", async () => {
    await using locked = await filled({ lock: null });
    await locked.run();
    const hold = await locked.hold(DAY);
    await locked.scenario.query("UPDATE firnline.segment SET storage_class = 'GLACIER_VAULT'");
    await locked.release(hold);
    expect(await locked.protection(".parquet")).toEqual(["unlocked"]);
  });

  test("that was not put on, for a crash, is put on by the next run", async () => {
    await using locked = await filled({ lock: null });
    await locked.run();
    await locked.hold(DAY);
    await locked.scenario.query("UPDATE firnline.segment SET legal_hold = false");
    for (const key of locked.archive.snapshot().keys()) {
      await locked.archive.hold(locked.archive.versions(key)[0] as never, false);
    }
    expect((await locked.findings()).map((one) => one.slice(0, 8))).toEqual(["E_BUCKET", "E_BUCKET"]);
    const { plan } = await locked.run();
    expect(plan.steps.map(({ stages, reason }) => `${stages}: ${reason.slice(0, 41)}`)).toEqual([
      "lock: a legal hold goes on its objects, by hold",
    ]);
    expect(await locked.protection(".parquet")).toEqual(["unlocked held"]);
  });

  test("keeps a segment even if the catalog's hold is forgotten", async () => {
    await using locked = await filled({ tiers: KEEP_95, lock: null });
    await locked.run();
    await locked.hold(DAY);
    await locked.scenario.query("DELETE FROM firnline.hold; UPDATE firnline.segment SET legal_hold = false");
    locked.now = "2026-04-16";
    const { plan, expired } = await locked.run();
    expect(expired).toBe(0n);
    expect(plan.held.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/^does not expire: a legal hold is on audit_logs\/.*\.parquet$/),
    ]);
    expect((await locked.findings()).join()).toContain("is not there in the catalog");
    await locked.rebuild();
    expect((await locked.run()).plan.held.map(({ reason }) => reason.slice(0, 25))).toEqual([
      "does not expire, by hold ",
    ]);
  });
});

describe("where rows leave otherwise", () => {
  /** A row that changes after its day was sealed: its chunk is exported anew, the rest is written again without it. */
  async function drifted(options: LockedOptions): Promise<LockedScenario> {
    const locked = await filled(options);
    const cut = failpointFrom(parseFailpoint("prune.started:error"), () => {});
    await expect(locked.run({ failpoint: cut })).rejects.toThrow("failpoint");
    await locked.scenario.query("UPDATE public.audit_logs SET message = 'changed' WHERE id = 1100");
    await locked.run();
    return locked;
  }

  test("a segment that takes the place of others is locked before they are superseded", async () => {
    await using locked = await filled();
    const { archive } = locked;
    const cut = failpointFrom(parseFailpoint("prune.started:error"), () => {});
    await expect(locked.run({ failpoint: cut })).rejects.toThrow("failpoint");
    await locked.scenario.query("UPDATE public.audit_logs SET message = 'changed' WHERE id = 1100");
    const unlocked: string[] = [];
    const watched = but(archive, {
      create: async (key, body, options) => {
        const created = await archive.create(key, body, options);
        if (!key.includes("/journal/")) return created;
        const bytes = archive.snapshot().get(key) as Uint8Array;
        const { event } = JSON.parse(Buffer.from(bytes).toString("utf8")) as { event: Record<string, never> };
        if (event["type"] !== "packed") return created;
        for (const pin of [event["object"], event["manifest"]] as unknown as { key: string }[]) {
          const head = await archive.head({ key: pin.key, versionId: null });
          unlocked.push(`${head?.retention?.mode}`);
        }
        return created;
      },
    });
    await locked.run({ archive: watched });
    expect(unlocked).toEqual(["COMPLIANCE", "COMPLIANCE"]);
    expect(await locked.findings()).toEqual([]);
  });

  test("garbage of days that a hold has is not collected, and goes when it is released", async () => {
    await using locked = await drifted({ lock: null });
    const hold = await locked.hold(DAY);
    locked.now = "2026-03-02";
    const waiting = await locked.collect();
    expect(waiting.waiting.objects).toBeGreaterThan(0);
    locked.now = "2026-03-20";
    expect(await locked.collect()).toMatchObject({ removed: { objects: 0 }, kept: waiting.waiting });
    await locked.release(hold);
    expect(await locked.collect()).toMatchObject({ removed: waiting.waiting, kept: { objects: 0 } });
    expect(await locked.findings()).toEqual([]);
  });

  test("garbage that is locked in the store is not collected before the lock has ended", async () => {
    await using locked = await drifted({ lock: COMPLIANCE });
    locked.now = "2026-03-02";
    const { waiting } = await locked.collect();
    expect(waiting.objects).toBeGreaterThan(0);
    locked.now = "2026-03-20";
    expect(await locked.collect()).toMatchObject({ removed: { objects: 0 }, kept: waiting });
    locked.now = "2026-04-21";
    expect(await locked.collect()).toMatchObject({ removed: waiting, kept: { objects: 0 } });
  });

  test("a leaf is dropped only when its objects are locked", async () => {
    const leaves = `${PARENT}${leaf("public.day_10", DAY, "2026-01-11")}${leaf("public.later", "2026-11-01", "2027-01-01")}`;
    await using locked = await filled({ ddl: leaves });
    const run = locked.run({ archive: but(locked.archive, { retain: async () => {} }) });
    await expect(run).rejects.toThrow("the store took the lock and does not show it");
    expect(await locked.scenario.count()).toBe(130);
    expect(moved(await locked.run())).toMatchObject({ pruned: 120 });
    expect(await locked.protection(".parquet")).toEqual([LOCKED]);
    const [row] = await locked.scenario.query("SELECT to_regclass('public.day_10') AS gone");
    expect(row).toEqual({ gone: null });
  });
});

test("a pack is locked for as long, and as hard, as what it takes the place of", async () => {
  const tiers = { cold: { storageClass: "DEEP_ARCHIVE", keep: "forever", objectBytesMin: "2KiB" } };
  const lock = { mode: "COMPLIANCE", keepDays: 400 } as const;
  await using locked = await LockedScenario.create({ tiers, lock, environ: { FIRNLINE_SEGMENT_MIB: "1" } });
  for (const [index, day] of ["02", "03", "04", "05"].entries()) {
    await locked.scenario.insert(auditRows(`2025-11-${day}`, 1000 * index + 1, 40));
  }
  locked.now = "2026-01-20";
  await locked.run();
  const before = await locked.protection(".parquet");
  expect(new Set(before).size).toBe(4);
  locked.lock = { mode: "GOVERNANCE", keepDays: 150 };
  locked.now = "2026-03-01";
  // The catalog has forgotten what it saw.
  await locked.rebuild();
  expect(await locked.run({}, true)).toMatchObject({ state: "done", packed: 160n });
  expect((await locked.protection(".parquet")).filter((one) => !before.includes(one))).toEqual([]);
  for await (const { key, versionId } of locked.archive.listVersions("audit_logs/monthly/")) {
    const head = await locked.archive.head({ key, versionId });
    expect(head?.retention?.mode).toBe("COMPLIANCE");
    expect(new Date(head?.retention?.until ?? 0).toISOString()).toMatch(/^2026-12-1/);
  }
  expect(await locked.findings()).toEqual([]);
});
