/** The way to the cold class on a real server: copies in a versioned bucket, tags for the bucket's rule, packing. */
import { expect, test, vi } from "vitest";
import type { ListedVersion } from "../../src/archive/port.ts";
import { Pipeline } from "../../src/pipeline.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { systemClock, wire } from "../../src/wiring.ts";
import { auditRows } from "../support/audit-rows.ts";
import { clientOf, describeOn, saw } from "../support/s3-server.ts";
import { moved, NOTHING, Scenario, type ScenarioOptions } from "../support/scenario.ts";
import { expectNothingStranded } from "../support/stranded.ts";

/** Ceph's workers come by once a day of theirs, and may need a few rounds. */
const MOVED_WITHIN_MS = 60_000;
const TIMEOUT_MS = 120_000;

/** All days of November are due for the cold class; a day's object has some 1.4 KiB. */
async function november(options: ScenarioOptions): Promise<Scenario> {
  const scenario = await Scenario.create({ ...options, environ: { FIRNLINE_SEGMENT_MIB: "1" } });
  for (const [index, day] of ["02", "03", "17", "24"].entries()) {
    await scenario.insert(auditRows(`2025-11-${day}`, 1_000 * index, 40));
  }
  await scenario.insert(auditRows("2026-01-10", 9_001, 40));
  return scenario;
}

const tiers = (cold: Readonly<Record<string, string>>): Readonly<Record<string, unknown>> => ({
  cold: { storageClass: "GLACIER", keep: "forever", ...cold },
});

async function segments(scenario: Scenario): Promise<string[]> {
  const rows = await scenario.query(
    `SELECT day_from || ' ' || day_to || ' ' || state || ' ' || storage_class AS text FROM firnline.segment
     WHERE state <> 'superseded' ORDER BY day_from, segment`,
  );
  return rows.map(({ text }) => text as string);
}

/** Every version in the bucket below the pipeline's folders. */
async function versionsOf(scenario: Scenario): Promise<ListedVersion[]> {
  await using wired = wire({
    policy: scenario.policy,
    connectionString: scenario.url,
    settings: scenario.settings(),
  });
  const found: ListedVersion[] = [];
  for (const folder of ["audit_logs/", "_firnline/audit_logs/manifests/"]) {
    for await (const one of wired.environment.archive.listVersions(folder)) found.push(one);
  }
  return found;
}

async function expectSettled(scenario: Scenario): Promise<void> {
  const summary = await scenario.run();
  expect({ ...moved(summary), state: summary.state, steps: summary.plan.steps }).toEqual({
    ...NOTHING,
    state: "done",
    steps: [],
  });
  const findings: string[] = [];
  await using pipeline = scenario.open();
  await pipeline.verify({ deep: false, onFinding: (finding) => findings.push(finding.message) });
  expect(findings).toEqual([]);
}

await describeOn("ceph", "transition", (server) => {
  test(
    "copies in a versioned bucket leave one version of each object, in its class; small ones are packed first",
    async () => {
      const client = clientOf(server);
      const bucket = await server.newBucket({ versioned: true });
      await using scenario = await november({
        archive: { server, bucket },
        tiers: tiers({ transition: "copy", objectBytesMin: "2KiB" }),
      });
      await scenario.insert(auditRows("2025-10-10", 20_001, 150));
      expect(await scenario.run()).toMatchObject({ state: "done", packed: 160n, cooled: 310n, failures: [] });
      expect(await segments(scenario)).toEqual([
        "2025-10-10 2025-10-10 cold GLACIER",
        "2025-11-02 2025-11-24 cold GLACIER",
        "2026-01-10 2026-01-10 warm STANDARD",
      ]);
      await expectSettled(scenario);
      await expectNothingStranded(scenario, client, bucket);
      saw(server, "transition by copies, old versions removed", "yes");
    },
    TIMEOUT_MS,
  );

  test(
    "after runs that were killed on the way, an old version is all that is left, and collect removes it",
    async () => {
      const client = clientOf(server);
      const bucket = await server.newBucket({ versioned: true });
      await using scenario = await november({
        archive: { server, bucket },
        tiers: tiers({ transition: "copy", objectBytesMin: "0B" }),
      });
      for (const point of ["export.uploading", "transition.moved", "transition.journaled"]) {
        const { signal, stderr } = await scenario.spawnRun({ FIRNLINE_FAILPOINT: `${point}:kill` }).ended;
        expect({ point, signal, stderr }).toEqual({ point, signal: "SIGKILL", stderr: "" });
      }
      expect(await scenario.run()).toMatchObject({ state: "done", failures: [] });
      await expectSettled(scenario);
      const later = new Pipeline({
        policy: scenario.policy,
        connectionString: scenario.url,
        settings: scenario.settings(),
        clock: { ...systemClock, now: () => (Date.now() + 15 * 86_400_000) as EpochMs },
      });
      {
        await using now = scenario.open();
        // The version before the one that was journaled. The copy that was not was found, and taken.
        expect(await now.collect()).toMatchObject({ waiting: { objects: 1 }, removed: { objects: 0 } });
        await using pipeline = later;
        expect(await pipeline.collect()).toMatchObject({ removed: { objects: 1 } });
      }
      await expectNothingStranded(scenario, client, bucket);
      await expectSettled(scenario);
    },
    TIMEOUT_MS,
  );

  test(
    "copies in a bucket without versions are refused before anything is touched",
    async () => {
      const bucket = await server.newBucket();
      await using scenario = await november({
        archive: { server, bucket },
        tiers: tiers({ transition: "copy" }),
      });
      await expect(scenario.run()).rejects.toThrow(/E_BUCKET s3:\/\/.* keeps no versions/);
      expect(await versionsOf(scenario)).toEqual([]);
      expect(await scenario.count()).toBe(200);
    },
    TIMEOUT_MS,
  );

  test(
    "the bucket's rule moves a packed month that was tagged, and a later run confirms it",
    async () => {
      const client = clientOf(server);
      // Without versions: Ceph 16 leaves a version alone that was tagged after it was made.
      const bucket = await server.newBucket();
      await using scenario = await november({
        archive: { server, bucket },
        tiers: tiers({ transition: "lifecycle", objectBytesMin: "2KiB" }),
      });
      expect(await scenario.run()).toMatchObject({ state: "done", packed: 160n, tagged: 160n, cooled: 0n });
      const waiting = await scenario.plan();
      expect(waiting.steps).toEqual([]);
      expect(waiting.held.map(({ reason }) => reason)).toContain(
        "tagged today; the bucket's rule has not moved it yet",
      );
      {
        await using apply = scenario.spawn(["lifecycle", "apply", "--yes"]);
        expect(await apply.ended).toMatchObject({ code: 0, stderr: "" });
      }
      await vi.waitFor(async () => expect((await scenario.plan()).steps).toHaveLength(1), {
        timeout: MOVED_WITHIN_MS,
        interval: 500,
      });
      expect(await scenario.run()).toMatchObject({ state: "done", tagged: 0n, cooled: 160n });
      expect(await segments(scenario)).toEqual([
        "2025-11-02 2025-11-24 cold GLACIER",
        "2026-01-10 2026-01-10 warm STANDARD",
      ]);
      await expectSettled(scenario);
      await expectNothingStranded(scenario, client, bucket);
    },
    TIMEOUT_MS,
  );
});
