/** Both ways to the cold class of a bucket: a rule of the bucket on a tag, and copies. The bucket is in memory. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ListedVersion } from "../../src/archive/port.ts";
import { FirnlineError } from "../../src/errors.ts";
import { auditRows } from "../support/audit-rows.ts";
import { loseCatalog } from "../support/control-schema.ts";
import { MemoryBucket } from "../support/memory-bucket.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({ environ: { FIRNLINE_SEGMENT_MIB: "1024" } });
  await template.insert(auditRows("2025-12-28", 1, 60));
  await template.insert(auditRows("2025-12-29", 1001, 110));
  await template.insert(auditRows("2026-01-10", 2001, 40));
});

afterAll(async () => await template[Symbol.asyncDispose]());

const COLD_ROWS = 170;
/** Everything is archived, and nothing is cold yet. */
const EARLIER = "2026-02-10";
const fail = (point: string): { FIRNLINE_FAILPOINT: string } => ({ FIRNLINE_FAILPOINT: `${point}:error` });

async function classes(scenario: Scenario): Promise<string[]> {
  const rows = await scenario.query(
    "SELECT day_from::text || ' ' || state || ' ' || storage_class AS text FROM firnline.segment ORDER BY 1",
  );
  return rows.map(({ text }) => text as string);
}

const WARM = ["2025-12-28 warm STANDARD", "2025-12-29 warm STANDARD", "2026-01-10 warm STANDARD"];
const COOLING = WARM.map((line) => (line.startsWith("2025") ? line.replace("warm", "cooling") : line));
const COLD = WARM.map((line) =>
  line.startsWith("2025") ? line.replace("warm STANDARD", "cold DEEP_ARCHIVE") : line,
);

async function expectVerified(bucket: MemoryBucket): Promise<void> {
  const findings: string[] = [];
  await using pipeline = bucket.open();
  await pipeline.verify({ deep: false, onFinding: (finding) => findings.push(finding.message) });
  expect(findings).toEqual([]);
}

async function expectSettled(bucket: MemoryBucket): Promise<void> {
  const summary = await bucket.run();
  expect({ ...moved(summary), state: summary.state, steps: summary.plan.steps }).toEqual({
    ...NOTHING,
    state: "done",
    steps: [],
  });
}

/** No version but those that the journal names. */
async function expectNothingUnnamed(bucket: MemoryBucket): Promise<void> {
  const found = await bucket.versions(["audit_logs/", "_firnline/audit_logs/manifests/"]);
  expect(found.map(({ versionId }) => versionId as string).sort()).toEqual(await bucket.pinned());
}

describe("by the bucket's rule", () => {
  const lifecycle = { transition: "lifecycle", objectBytesMin: 0n } as const;

  test("an object is tagged, waited for without a step, and confirmed under the same pin", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, lifecycle);
    const first = await bucket.run();
    expect(first).toMatchObject({ state: "done", cooled: 0n, tagged: BigInt(COLD_ROWS) });
    expect(await classes(scenario)).toEqual(COOLING);
    const before = await bucket.pinned();

    const waiting = await bucket.run();
    expect({ ...moved(waiting), state: waiting.state, steps: waiting.plan.steps }).toEqual({
      ...NOTHING,
      state: "done",
      steps: [],
    });
    expect(waiting.plan.held.map(({ reason }) => reason)).toEqual([
      "tagged today; the bucket's rule has not moved it yet",
      "tagged today; the bucket's rule has not moved it yet",
    ]);
    await expectVerified(bucket);

    expect(await bucket.applyRule()).toBe(2);
    expect(await bucket.run()).toMatchObject({ state: "done", cooled: BigInt(COLD_ROWS), tagged: 0n });
    expect(await classes(scenario)).toEqual(COLD);
    expect(await bucket.pinned()).toEqual(before);
    await expectVerified(bucket);
    await expectSettled(bucket);
    await expectNothingUnnamed(bucket);
  });

  test("after two weeks without it a person is asked to look at the rule", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, lifecycle);
    await bucket.run();
    const older = (days: number): string =>
      `UPDATE firnline.segment SET tagged_at = now() - interval '${days} days 1 hour' WHERE state = 'cooling'`;
    await scenario.query(older(13));
    expect(await bucket.run()).toMatchObject({ state: "done" });
    await scenario.query(older(14));
    const { plan, state } = await bucket.run();
    expect(state).toBe("partly");
    expect(plan.held[0]).toMatchObject({
      reason: expect.stringMatching(/^tagged 14 days ago, .*firnline lifecycle check/),
      needsPerson: true,
    });
    await bucket.applyRule();
    expect(await bucket.run()).toMatchObject({ state: "done", cooled: BigInt(COLD_ROWS) });
  });

  test.each(["transition.requested", "transition.tagged", "transition.journaled"])(
    "a run that ends at %s is finished by the next one",
    async (point) => {
      await using scenario = await template.copy();
      const bucket = new MemoryBucket(scenario, lifecycle);
      if (point === "transition.journaled") {
        await bucket.run();
        await bucket.applyRule();
      }
      await expect(bucket.run(fail(point))).rejects.toThrow(`failpoint ${point}`);
      await bucket.run();
      await bucket.applyRule();
      await bucket.run();
      expect(await classes(scenario)).toEqual(COLD);
      await expectSettled(bucket);
      await expectVerified(bucket);
      await expectNothingUnnamed(bucket);
    },
  );

  test("a store that cannot be asked for a moment does not end a plan; one that refuses does", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, lifecycle);
    await bucket.run();
    const failure = (retryable: boolean): FirnlineError =>
      new FirnlineError({ code: "E_ARCHIVE", subject: "x", problem: "slow down", hint: "Wait", retryable });
    bucket.headFailure = failure(true);
    expect(await bucket.run()).toMatchObject({ state: "done", plan: { steps: [], held: { length: 2 } } });
    bucket.headFailure = failure(false);
    await expect(bucket.run()).rejects.toThrow("slow down");
  });

  test("a tag that somebody took off is put on again", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, lifecycle);
    await bucket.run();
    for (const { key, versionId } of await bucket.versions(["audit_logs/"])) {
      await bucket.objects.tag({ key, versionId }, { "firnline-tier": "gone" });
    }
    expect((await bucket.run()).plan.steps).toHaveLength(2);
    expect(await bucket.applyRule()).toBe(2);
    await bucket.run();
    expect(await classes(scenario)).toEqual(COLD);
  });

  test.each(["DEEP_ARCHIVE", "GLACIER"])(
    "an object that somebody moved to %s while the catalog calls it warm is journaled as what it is",
    async (storageClass) => {
      await using scenario = await template.copy();
      const bucket = new MemoryBucket(scenario, lifecycle);
      await bucket.run({}, EARLIER);
      expect(await classes(scenario)).toEqual(WARM);
      for (const { versionId } of await bucket.versions(["audit_logs/"])) {
        bucket.moved.set(`${versionId}`, storageClass);
      }
      expect(await bucket.run()).toMatchObject({ state: "done", cooled: BigInt(COLD_ROWS), tagged: 0n });
      expect(await classes(scenario)).toEqual(COLD.map((line) => line.replace("DEEP_ARCHIVE", storageClass)));
      await expectVerified(bucket);
    },
  );

  test("a rebuilt catalog knows what waits, and since when", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, lifecycle);
    await bucket.run();
    const before = await scenario.query(
      "SELECT segment, state, tagged_at FROM firnline.segment ORDER BY segment",
    );
    await loseCatalog(scenario);
    {
      await using pipeline = bucket.open();
      await pipeline.rebuildCatalog({ isConfirmed: true });
    }
    expect(
      await scenario.query("SELECT segment, state, tagged_at FROM firnline.segment ORDER BY segment"),
    ).toEqual(before);
    await bucket.applyRule();
    expect(await bucket.run()).toMatchObject({ state: "done", cooled: BigInt(COLD_ROWS) });
    await expectVerified(bucket);
  });
});

test("an upload that a killed run left is given up with its parts", async () => {
  await using scenario = await template.copy();
  const bucket = new MemoryBucket(scenario, { transition: "copy", objectBytesMin: 0n });
  await expect(bucket.run(fail("export.uploading"))).rejects.toThrow("failpoint export.uploading");
  expect(bucket.calls.get("abortUploads") ?? 0).toBe(0);
  expect(await bucket.run()).toMatchObject({ state: "done" });
  expect(bucket.calls.get("abortUploads")).toBe(1);
});

test("a manifest that is there already is pinned by its version", async () => {
  await using scenario = await template.copy();
  const bucket = new MemoryBucket(scenario, { transition: "copy", objectBytesMin: 0n });
  await expect(bucket.run(fail("seal.manifest"))).rejects.toThrow("failpoint seal.manifest");
  expect(await bucket.run()).toMatchObject({ state: "done" });
  await expectNothingUnnamed(bucket);
});

test("a delete marker over a pinned version is told by verify", async () => {
  await using scenario = await template.copy();
  const bucket = new MemoryBucket(scenario, { transition: "copy", objectBytesMin: 0n });
  await bucket.run();
  const [{ key }] = (await bucket.versions(["audit_logs/"])) as [ListedVersion, ...ListedVersion[]];
  bucket.markers.add(key);
  const found: string[] = [];
  await using pipeline = bucket.open();
  await pipeline.verify({ deep: false, onFinding: (finding) => found.push(finding.message) });
  expect(found).toEqual([expect.stringMatching(/^E_VERIFY .*: a delete marker lies over it/)]);
  expect(await pipeline.collect()).toMatchObject({ removed: { objects: 0 }, waiting: { objects: 0 } });
});

describe("by copies", () => {
  const copy = { transition: "copy", objectBytesMin: 0n } as const;

  test("an object gets a new version, which is pinned before the old one goes", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, copy);
    await bucket.run({}, EARLIER);
    const before = await bucket.pinned();
    expect(await bucket.run()).toMatchObject({ state: "done", cooled: BigInt(COLD_ROWS) });
    expect(await classes(scenario)).toEqual(COLD);
    expect((await bucket.pinned()).filter((version) => before.includes(version))).toHaveLength(4);
    await expectNothingUnnamed(bucket);
    await expectVerified(bucket);
    await expectSettled(bucket);
    const { found, truth } = await bucket.ids();
    expect(found).toEqual(truth);
  });

  test("what an earlier run began is moved once, where the journal takes no entry for a moment", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, copy);
    await expect(bucket.run(fail("prune.started"))).rejects.toThrow("failpoint prune.started");
    bucket.failingEntries.push("transitioned");
    expect(await bucket.run()).toMatchObject({ state: "partly", failures: [{ code: "E_ARCHIVE" }] });
    expect(bucket.failingEntries).toEqual([]);
    await bucket.run();
    expect(await classes(scenario)).toEqual(COLD);
    await expectSettled(bucket);
    await loseCatalog(scenario);
    {
      await using pipeline = bucket.open();
      await pipeline.rebuildCatalog({ isConfirmed: true });
    }
    expect(await classes(scenario)).toEqual(COLD);
    await expectSettled(bucket);
    await expectVerified(bucket);
  });

  test("no step is begun while what the last one decided cannot be journaled", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, copy);
    await bucket.run({}, EARLIER);
    bucket.failingEntries.push("transitioned", "transitioned");
    await expect(bucket.run()).rejects.toMatchObject({ code: "E_ARCHIVE", problem: "slow down" });
    expect(bucket.calls.get("setClass")).toBe(1);
    await bucket.run();
    expect(await classes(scenario)).toEqual(COLD);
    await expectSettled(bucket);
    await expectVerified(bucket);
  });

  test("a bucket without versions is refused before anything is touched", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, copy, false);
    await expect(bucket.run()).rejects.toMatchObject({ code: "E_BUCKET", subject: "s3://bucket/firnline" });
    {
      await using pipeline = bucket.open();
      expect((await pipeline.doctor()).findings).toMatchObject([{ code: "E_BUCKET" }]);
    }
    expect(await bucket.versions()).toEqual([]);
    expect(await scenario.count()).toBe(210);
  });

  test.each([
    "transition.requested",
    "transition.moved",
    "journal.enqueued@2",
    "journal.created@2",
    "transition.journaled",
    "transition.removed",
  ])("a run that ends at %s is finished, and what it left is collected", async (point) => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, copy);
    await bucket.run({}, EARLIER);
    const [name, hit] = point.split("@");
    const environ = { FIRNLINE_FAILPOINT: `${name}:error${hit === undefined ? "" : `@${hit}`}` };
    await expect(bucket.run(environ)).rejects.toThrow(`failpoint ${name}`);
    await bucket.run();
    expect(await classes(scenario)).toEqual(COLD);
    await expectVerified(bucket);
    await expectSettled(bucket);
    const { found, truth } = await bucket.ids();
    expect(found).toEqual(truth);

    const left = (await bucket.versions(["audit_logs/"])).length - 3;
    {
      await using pipeline = bucket.open();
      expect(await pipeline.collect()).toMatchObject({ removed: { objects: 0 }, waiting: { objects: left } });
      bucket.daysAhead = 15;
      expect(await pipeline.collect()).toMatchObject({ removed: { objects: left }, waiting: { objects: 0 } });
      expect(await pipeline.collect()).toMatchObject({ removed: { objects: 0 } });
    }
    await expectNothingUnnamed(bucket);
    await expectVerified(bucket);
    bucket.daysAhead = 0;
    await expectSettled(bucket);
  });

  test("what is not what was sealed is not moved, and stays warm under its pin", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, copy);
    await bucket.run({}, EARLIER);
    const before = await bucket.versions(["audit_logs/"]);
    const key = before[0]?.key as string;
    bucket.objects.corrupt(key, (bytes) => bytes.with(100, (bytes[100] as number) ^ 1));
    const { failures } = await bucket.run();
    expect(failures).toMatchObject([
      { code: "E_VERIFY", key, problem: expect.stringContaining("not moved") },
    ]);
    expect((await bucket.versions(["audit_logs/"])).filter((one) => one.key === key)).toEqual(
      before.filter((one) => one.key === key),
    );
  });

  test.each([
    ["bytes", "GLACIER_IR", /its SHA-256 is/],
    ["etag", "DEEP_ARCHIVE", /its ETag is 0{32}, the MD5/],
  ] as const)(
    "a copy with other %s in %s is found out, and the sealed version counts",
    async (bad, storageClass, why) => {
      await using scenario = await template.copy();
      const bucket = new MemoryBucket(scenario, { ...copy, storageClass });
      await bucket.run({}, EARLIER);
      const before = await bucket.pinned();
      bucket.badCopies = bad;
      const problem = expect.stringMatching(why) as string;
      await expect(bucket.run()).rejects.toMatchObject({ code: "E_VERIFY", problem });
      expect(await bucket.pinned()).toEqual(before);
      await expectVerified(bucket);

      bucket.badCopies = null;
      expect(await bucket.run()).toMatchObject({ state: "done", cooled: BigInt(COLD_ROWS) });
      await using pipeline = bucket.open();
      await pipeline.collect();
      bucket.daysAhead = 15;
      expect(await pipeline.collect()).toMatchObject({ removed: { objects: 2 } });
      await expectNothingUnnamed(bucket);
    },
  );

  test("a version that a retrieval reads is left to collect", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, copy);
    await bucket.run({}, EARLIER);
    await scenario.query(
      `WITH one AS (INSERT INTO firnline.retrieval (retrieval, pipeline, requested_by, range_from, range_to, filter, state)
         VALUES (gen_random_uuid(), 'audit_logs', 'x', now(), now(), '[]', 'reading') RETURNING retrieval)
       INSERT INTO firnline.pin SELECT retrieval, 'audit_logs', segment FROM one, firnline.segment`,
    );
    await bucket.run();
    expect(await classes(scenario)).toEqual(COLD);
    expect(await bucket.versions(["audit_logs/"])).toHaveLength(5);
    await using pipeline = bucket.open();
    await pipeline.collect();
    await scenario.query("DELETE FROM firnline.pin");
    bucket.daysAhead = 15;
    expect(await pipeline.collect()).toMatchObject({ removed: { objects: 2 } });
    await expectNothingUnnamed(bucket);
  });

  test("a legal hold goes with the object, and keeps the old version", async () => {
    await using scenario = await template.copy();
    const bucket = new MemoryBucket(scenario, copy);
    await bucket.run({}, EARLIER);
    for (const { key, versionId } of await bucket.versions(["audit_logs/"])) {
      await bucket.objects.hold({ key, versionId }, true);
    }
    await bucket.run();
    expect(await classes(scenario)).toEqual(COLD);
    const held = await bucket.versions(["audit_logs/"]);
    expect(held).toHaveLength(5);
    for (const one of held) expect(await bucket.objects.head(one)).toMatchObject({ isHeld: true });
  });
});
