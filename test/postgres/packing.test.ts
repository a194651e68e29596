/** Small objects of a rule's month become one that goes cold; everything that reads segments reads it too. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Estimate } from "../../src/plan/estimate.ts";
import { Pipeline } from "../../src/pipeline.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { systemClock } from "../../src/wiring.ts";
import { listArchive } from "../support/archive-damage.ts";
import { auditRows } from "../support/audit-rows.ts";
import { loseCatalog } from "../support/control-schema.ts";
import {
  expectNothingLost,
  expectRetrievalComplete,
  expectSettled,
  readJournal,
  retrievalDifference,
} from "../support/oracle.ts";
import { MemoryBucket } from "../support/memory-bucket.ts";
import { days, PARENT } from "../support/partitioned-logs.ts";
import { AS_OF, instantOf, moved, Scenario, type ScenarioOptions } from "../support/scenario.ts";
import { expectVerified } from "../support/verified.ts";

/** A day's object has some 1.4 KiB. */
const OPTIONS: ScenarioOptions = {
  environ: { FIRNLINE_SEGMENT_MIB: "1" },
  tiers: { cold: { storageClass: "DEEP_ARCHIVE", keep: "forever", objectBytesMin: "4KiB" } },
};
const ROWS = 6 * 40;
/** The last days of November are not due for the cold class yet. */
const EARLIER = "2026-01-20";

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create(OPTIONS);
  for (const [index, day] of ["02", "03", "09", "17", "18", "24"].entries()) {
    await template.insert(auditRows(`2025-11-${day}`, 1_000 * index, 40));
  }
  await template.insert(auditRows("2026-01-10", 9_001, 40));
});

afterAll(async () => await template[Symbol.asyncDispose]());

async function segments(scenario: Scenario): Promise<string[]> {
  const rows = await scenario.query(
    `SELECT day_from || ' ' || day_to || ' ' || state AS text FROM firnline.segment
     WHERE state <> 'superseded' ORDER BY day_from, segment`,
  );
  return rows.map(({ text }) => text as string);
}

const PACKED = ["2025-11-02 2025-11-24 cold", "2026-01-10 2026-01-10 warm"];

async function collectLater(scenario: Scenario): Promise<number> {
  const at = (ahead: number): Pipeline =>
    new Pipeline({
      policy: scenario.policy,
      connectionString: scenario.url,
      settings: scenario.settings(),
      clock: { ...systemClock, now: () => (Date.now() + ahead * 86_400_000) as EpochMs },
    });
  await using now = at(0);
  await now.collect();
  await using later = at(15);
  return (await later.collect()).removed.objects;
}

describe("a month of small objects", () => {
  test("becomes one object that goes cold, in the same run that makes them if all are due", async () => {
    await using scenario = await template.copy();
    const summary = await scenario.run();
    expect(summary).toMatchObject({ state: "done", packed: BigInt(ROWS), cooled: BigInt(ROWS) });
    expect(await segments(scenario)).toEqual(PACKED);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
  });

  test("is planned with its reason, and says before that why it waits", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: EARLIER });
    const waiting = (await scenario.plan({ asOf: EARLIER })).held.map(({ reason }) => reason);
    expect(waiting).toHaveLength(5);
    expect(waiting[0]).toMatch(
      /^stays warm: \d+ bytes .*; packed with the others once all of its month is due$/,
    );
    const { steps } = await scenario.plan();
    expect(steps.at(-1)).toMatchObject({
      stages: ["pack", "transition"],
      rows: BigInt(ROWS),
      packs: { length: 6 },
      reason: expect.stringMatching(/^its month's objects are too small for DEEP_ARCHIVE one by one/),
    });
    expect(moved(await scenario.run())).toMatchObject({ cooled: ROWS });
    expect(await segments(scenario)).toEqual(PACKED);
    await expectNothingLost(scenario);
  });

  test("is estimated: what is written, and what lies where then", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: EARLIER });
    await using pipeline = scenario.open();
    const ask = async (): Promise<Estimate> =>
      (await pipeline.estimate({ asOf: instantOf(AS_OF), backfill: true })).estimate;
    const found = await ask();
    const objectsOf = ({ tiers }: Estimate, when: "before" | "after"): unknown =>
      Object.fromEntries(tiers.map((one) => [one.tier, [one[when].objects, one[when].rows]]));
    expect(objectsOf(found, "before")).toEqual({ hot: [null, 40n], warm: [6n, 240n], cold: [0n, 0n] });
    expect(objectsOf(found, "after")).toEqual({ hot: [null, 0n], warm: [1n, 40n], cold: [1n, 240n] });
    const before = (await listArchive(scenario)).length;
    await scenario.run();
    expect(BigInt((await listArchive(scenario)).length - before)).toBe(found.move.writes);
    expect(objectsOf(await ask(), "before")).toEqual(objectsOf(found, "after"));
  });

  test("stays as it is if it is too small even together", async () => {
    await using scenario = await template.copy({
      ...OPTIONS,
      tiers: { cold: { storageClass: "DEEP_ARCHIVE", keep: "forever", objectBytesMin: "1MiB" } },
    });
    const { plan } = await scenario.run();
    expect(plan.held.map(({ reason }) => reason)[0]).toMatch(
      / all that are left of its month are \d+ bytes together$/,
    );
    expect(await segments(scenario)).toHaveLength(7);
    await expectSettled(scenario);
  });

  test("keeps its chunks' segments, days, ranges, salts and digests, and is read by DuckDB", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    const manifests = await Promise.all(
      (await listArchive(scenario, ".json"))
        .filter((path) => path.includes("/manifests/"))
        .map(async (path) => JSON.parse(await readFile(path, "utf8")) as Manifest),
    );
    const packed = manifests.find(({ dayFrom, dayTo }) => dayFrom !== dayTo) as Manifest;
    const before = manifests
      .filter((one) => one !== packed && one.dayFrom < "2026")
      .toSorted((left, right) => (left.dayFrom < right.dayFrom ? -1 : 1))
      .flatMap(({ chunks }) => chunks);
    expect(packed.chunks.map(({ exceptions: _, ...chunk }) => chunk)).toEqual(
      before.map(({ exceptions: _, ...chunk }) => chunk),
    );
    const event = (await readJournal(scenario)).find(({ event: { type } }) => type === "packed")?.event;
    expect(event).toMatchObject({ dayFrom: "2025-11-02", dayTo: "2025-11-24", rows: String(ROWS) });
    expect(event?.["from"]).toHaveLength(6);

    const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
    const files = join(scenario.archive, "audit_logs/monthly/*/*/*.parquet");
    const { rows } = await duckdb
      .runAndReadAll(
        `SELECT rule, month, count(*)::int, count(DISTINCT id)::int, min(ts::date)::text, max(ts::date)::text
         FROM read_parquet('${files}', hive_partitioning = true, hive_types_autocast = false) GROUP BY 1, 2`,
      )
      .then((reader) => ({ rows: reader.getRows() }));
    expect(rows).toEqual([["default", "2025-11", ROWS, ROWS, "2025-11-02", "2025-11-24"]]);
  });

  test("answers a single day with the rows of that day alone", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    const { lines } = await scenario.retrieve({ from: "2025-11-09", to: "2025-11-10" });
    expect(lines.map((line) => Number((JSON.parse(line) as { id: string }).id))).toEqual(
      Array.from({ length: 40 }, (_, n) => 2_000 + n),
    );
  });

  test("is verified to the last value, and what it was made of is collected", async () => {
    await using scenario = await template.copy();
    await scenario.run({ environ: { FIRNLINE_FILE_RESTORE_DELAY_MS: "0" } });
    await scenario.retrieve();
    await expectVerified(scenario);
    expect(await collectLater(scenario)).toBe(12);
    expect((await listArchive(scenario, ".parquet")).length).toBe(2);
    await expectNothingLost(scenario);
    await expectVerified(scenario);
    await expectSettled(scenario);
  });

  test("is found again by a rebuild, before and after its parts were collected", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    for (const collects of [false, true]) {
      if (collects) await collectLater(scenario);
      await loseCatalog(scenario);
      await using pipeline = scenario.open();
      await pipeline.rebuildCatalog({ isConfirmed: true });
      expect(await segments(scenario)).toEqual(PACKED);
      await expectRetrievalComplete(scenario);
      await expectSettled(scenario);
      await expectVerified(scenario);
    }
  });

  test.each(["pack.uploaded", "seal.manifest", "pack.sealed"])(
    "is packed by the next run where one is killed at %s",
    async (point) => {
      await using scenario = await template.copy();
      await scenario.run({ asOf: EARLIER });
      // Of the day that comes besides, and goes first.
      const hit = point === "seal.manifest" ? "@2" : "";
      const environ = { FIRNLINE_FAILPOINT: `${point}:kill${hit}` };
      expect(await scenario.spawnRun(environ).ended).toMatchObject({ signal: "SIGKILL" });
      await expectRetrievalComplete(scenario);
      expect((await scenario.run()).state).toBe("done");
      expect((await segments(scenario)).filter((one) => !one.includes("abandoned"))).toEqual(PACKED);
      await expectNothingLost(scenario);
      await expectSettled(scenario);
      await expectVerified(scenario);
    },
  );
});

interface Manifest {
  readonly dayFrom: string;
  readonly dayTo: string;
  readonly chunks: readonly Record<string, unknown>[];
}

describe("rows that came late", () => {
  test("for a month that was packed already stay warm until they are worth an object, and come out in order", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    await scenario.insert(auditRows("2025-11-17", 20_001, 15));
    await scenario.run();
    expect((await segments(scenario)).slice(0, 2)).toEqual([
      "2025-11-02 2025-11-24 cold",
      "2025-11-17 2025-11-17 warm",
    ]);
    await expectSettled(scenario);
    await expectNothingLost(scenario);
    await scenario.insert(auditRows("2025-11-18", 21_001, 150));
    await scenario.insert(auditRows("2025-11-03", 22_001, 150));
    expect(await scenario.run()).toMatchObject({ state: "done", packed: 315n, cooled: 315n });
    expect(await segments(scenario)).toEqual([PACKED[0], "2025-11-03 2025-11-18 cold", PACKED[1]]);
    await expectSettled(scenario);
    await expectNothingLost(scenario);
  });

  test("before the month was packed are packed with it, and an answer is still in order", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: EARLIER });
    await scenario.insert(auditRows("2025-11-17", 20_001, 30));
    await scenario.run({ asOf: EARLIER });
    expect(await scenario.run()).toMatchObject({ state: "done", packed: BigInt(ROWS + 30) });
    expect(await segments(scenario)).toEqual(PACKED);
    await expectNothingLost(scenario);
    const { lines } = await scenario.retrieve();
    const times = lines.map((line) => (JSON.parse(line) as { ts: string }).ts);
    expect(times).toEqual(times.toSorted());
    await expectVerified(scenario);
  });
});

test("one that came out too small after all, as footers went, stays warm and is not packed again", async () => {
  await using scenario = await template.copy({
    tiers: { cold: { storageClass: "DEEP_ARCHIVE", keep: "forever", objectBytesMin: "6KiB" } },
  });
  expect(await scenario.run()).toMatchObject({ state: "done", packed: BigInt(ROWS), cooled: 0n });
  expect(await segments(scenario)).toEqual([PACKED[0]?.replace("cold", "warm"), PACKED[1]]);
  await expectSettled(scenario);
});

describe("in a bucket", () => {
  const IN_BUCKET = { transition: "copy", objectBytesMin: 4096n } as const;
  const settled = async (bucket: MemoryBucket): Promise<void> => {
    expect(await bucket.run()).toMatchObject({ state: "done", plan: { steps: [] } });
  };

  test("whose journal takes no entry for a moment, a month is packed once", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, IN_BUCKET);
    await bucket.run({}, EARLIER);
    // Besides, the run makes a small segment, and plans again because of it.
    await scenario.insert(auditRows("2025-10-05", 20_001, 40));
    bucket.failingEntries.push("packed");
    expect(await bucket.run()).toMatchObject({ state: "partly", failures: [{ code: "E_ARCHIVE" }] });
    expect(bucket.failingEntries).toEqual([]);
    await bucket.run();
    await settled(bucket);
    await loseCatalog(scenario);
    {
      await using pipeline = bucket.open();
      await pipeline.rebuildCatalog({ isConfirmed: true });
    }
    expect((await segments(scenario)).filter((one) => !one.includes("abandoned"))).toEqual([
      "2025-10-05 2025-10-05 warm",
      ...PACKED,
    ]);
    await settled(bucket);
    const { found, truth } = await bucket.ids();
    expect(found).toEqual(truth);
  });

  test.each([1, 4])(
    "what somebody has moved to GLACIER (%s of 6) is left out, and journaled as what it is",
    async (count) => {
      await using scenario = await template.copy();
      const bucket = new MemoryBucket(scenario, IN_BUCKET);
      await bucket.run({}, EARLIER);
      const small = (await bucket.versions(["audit_logs/"])).filter(({ key }) => key.includes("2025-11"));
      for (const { key, versionId } of small.slice(0, count)) {
        bucket.moved.set(`${versionId}`, "GLACIER");
        bucket.unreadable.add(key);
      }
      expect(await bucket.run()).toMatchObject({
        state: "done",
        packed: count === 1 ? 200n : 0n,
        cooled: count === 1 ? 240n : 160n,
      });
      const classes = await scenario.query(
        "SELECT storage_class AS class, count(*)::int FROM firnline.segment WHERE state = 'cold' GROUP BY 1 ORDER BY 1",
      );
      expect(classes).toEqual([
        ...(count === 1 ? [{ class: "DEEP_ARCHIVE", count: 1 }] : []),
        { class: "GLACIER", count },
      ]);
      await settled(bucket);
    },
  );

  test("what cannot be read keeps its own month waiting, and no other", async () => {
    await using scenario = await template.copy();
    for (const [index, day] of ["02", "03", "09", "17"].entries()) {
      await scenario.insert(auditRows(`2025-10-${day}`, 20_000 + 1_000 * index, 40));
    }
    const bucket = new MemoryBucket(scenario, IN_BUCKET);
    // Of neither month all is due.
    await bucket.run({}, "2025-12-30");
    const november = (await bucket.versions(["audit_logs/"])).find(({ key }) => key.includes("2025-11"));
    // The store's HEAD does not say so.
    bucket.unreadable.add(november?.key as string);
    await scenario.insert(auditRows("2025-09-02", 30_001, 40));
    const summary = await bucket.run();
    expect(summary).toMatchObject({ state: "partly", exported: 80n, packed: 160n });
    expect(new Set(summary.failures.map(({ code }) => code))).toEqual(new Set(["E_COLD"]));
    bucket.unreadable.clear();
    await bucket.run();
    await settled(bucket);
  });
});

test("segments of another shape are not packed together", async () => {
  await using scenario = await template.copy();
  await scenario.run({ asOf: EARLIER });
  await scenario.change((table) => `ALTER TABLE ${table} ADD COLUMN more int`);
  await scenario.insert(`SELECT *, 1 FROM (${auditRows("2025-11-17", 20_001, 50)}) one`);
  await scenario.insert(`SELECT *, 2 FROM (${auditRows("2025-11-18", 21_001, 50)}) one`);
  await scenario.run({ asOf: EARLIER });
  await scenario.run();
  expect(await segments(scenario)).toHaveLength(4);
  await expectSettled(scenario);
  expect(await retrievalDifference(scenario)).toEqual({ lost: [], invented: [], missing: 0 });
  await expectVerified(scenario);
});

test("leaves of a partitioned table are packed into one, which names the table of each chunk", async () => {
  await using scenario = await Scenario.create({ ...OPTIONS, ddl: PARENT + days("2025-11-02", 4) });
  for (const [index, day] of ["02", "03", "04", "05"].entries()) {
    await scenario.insert(auditRows(`2025-11-${day}`, 1_000 * index, 60));
  }
  await scenario.run();
  expect(await segments(scenario)).toEqual(["2025-11-02 2025-11-05 cold"]);
  await expectNothingLost(scenario);
  await expectSettled(scenario);
  // It is read from its restored copy.
  await scenario.retrieve();
  await expectVerified(scenario);
  const [row] = await scenario.query("SELECT leaf_name, segment FROM firnline.segment WHERE state = 'cold'");
  expect(row?.["leaf_name"]).toBeNull();
  const path = join(scenario.archive, `_firnline/audit_logs/manifests/${row?.["segment"]}.json`);
  const manifest = JSON.parse(await readFile(path, "utf8")) as { table: object; chunks: { table: object }[] };
  expect(manifest.table).toMatchObject({ schema: "public", name: "audit_logs" });
  expect(new Set(manifest.chunks.map(({ table }) => JSON.stringify(table)))).toEqual(
    new Set(
      ["02", "03", "04", "05"].map((day) => JSON.stringify({ name: `day_2025_11_${day}`, schema: "public" })),
    ),
  );
  // Who has nothing but the format's description finds the same.
  const script = join(import.meta.dirname, "../../schemas/verify-segment.mjs");
  const { stdout } = await promisify(execFile)(process.execPath, [script, scenario.archive, "audit_logs"]);
  expect(stdout).toContain(
    `ok ${row?.["segment"]} 240 rows 8 chunks, 8 pruned, 0 superseded, DEEP_ARCHIVE\n`,
  );
  expect(stdout).not.toContain("BAD");
  await loseCatalog(scenario);
  await using pipeline = scenario.open();
  await pipeline.rebuildCatalog({ isConfirmed: true });
  expect(await segments(scenario)).toEqual(["2025-11-02 2025-11-05 cold"]);
  const { totals } = await pipeline.status();
  expect(totals.find(({ state }) => state === "cold")).toMatchObject({
    segments: 1,
    rows: 240n,
    rowsPruned: 240n,
  });
  await expectRetrievalComplete(scenario);
  await expectSettled(scenario);
});

test("leaves that share their days are packed into one, and an answer is in order and complete", async () => {
  const hashed = [0, 1].map(
    (index) =>
      `CREATE TABLE public.half_${index} PARTITION OF public.audit_logs FOR VALUES WITH (MODULUS 2, REMAINDER ${index});`,
  );
  const ddl = `CREATE TABLE public.audit_logs (
    id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text, message text, details jsonb) PARTITION BY HASH (id);
    ${hashed.join("\n")}`;
  await using scenario = await Scenario.create({ ...OPTIONS, ddl });
  for (const [index, day] of ["02", "03"].entries()) {
    await scenario.insert(auditRows(`2025-11-${day}`, 1_000 * index, 140));
  }
  expect(await scenario.run()).toMatchObject({ state: "done", packed: 280n, cooled: 280n });
  expect(await segments(scenario)).toEqual(["2025-11-02 2025-11-03 cold"]);
  await expectNothingLost(scenario);
  const { lines } = await scenario.retrieve();
  const places = lines.map((line) => {
    const { id, ts } = JSON.parse(line) as { id: number; ts: string };
    return `${ts} ${String(id).padStart(9, "0")}`;
  });
  expect(places).toEqual(places.toSorted());
  expect(places).toHaveLength(280);
  await expectVerified(scenario);
  await expectSettled(scenario);
});
