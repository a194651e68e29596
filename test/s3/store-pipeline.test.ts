/**
 * The whole way of a row with its archive in a bucket: archived, read back, deleted, retrieved; and after a process that
 * was killed in the middle of an upload no part is left, and no object that the journal does not know.
 */
import {
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { unfinishedUploads } from "../conformance/archive/s3-bucket.ts";
import { auditRows } from "../support/audit-rows.ts";
import { LARGE, LARGE_ROWS, largeRows } from "../support/large-rows.ts";
import { expectNothingLost, expectSettled, readJournal } from "../support/oracle.ts";
import { PASS, startHttpProxy } from "../support/http-proxy.ts";
import { mirrorBucket } from "../support/s3-mirror.ts";
import { type BucketOptions, clientOf, describeOn, type S3Server, saw } from "../support/s3-server.ts";
import { moved, NOTHING, Scenario } from "../support/scenario.ts";
import { expectNothingStranded } from "../support/stranded.ts";

const KINDS: readonly (readonly [S3Server["name"], string, BucketOptions])[] = [
  ["ceph", "bucket", {}],
  ["ceph", "bucket with versions", { versioned: true }],
  ["moto", "bucket with versions", { versioned: true }],
];

for (const [name, title, kind] of KINDS) {
  await describeOn(name, `a pipeline's ${title}`, (server) => {
    let client: S3Client;
    beforeAll(() => void (client = clientOf(server)));
    afterAll(() => client.destroy());

    test("rows are archived, read back, deleted and retrieved", async () => {
      const bucket = await server.newBucket(kind);
      await using scenario = await Scenario.create({ archive: { server, bucket } });
      await scenario.insert(auditRows("2026-01-10", 1, 120));
      await scenario.insert(auditRows("2026-01-11", 1_001, 70));
      await scenario.insert(auditRows("2026-02-20", 2_001, 10));
      expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: 190, pruned: 190 });
      expect(await scenario.count()).toBe(10);
      await expectSettled(scenario);
      await expectNothingStranded(scenario, client, bucket);
      await expectNothingLost(scenario);
      const doctor = await scenario.spawn(["doctor"]).ended;
      expect(doctor, doctor.stdout + doctor.stderr).toMatchObject({ code: 0 });
      saw(server, `the pipeline: ${title}`);
    });
  });
}

await describeOn("ceph", "a run", (server) => {
  let client: S3Client;
  beforeAll(() => void (client = clientOf(server)));
  afterAll(() => client.destroy());

  test("refuses a bucket whose rule would delete what is archived (hazard 14), and writes nothing", async () => {
    const bucket = await server.newBucket({ versioned: true });
    const rule = {
      ID: "tidy-up",
      Status: "Enabled",
      Filter: { Prefix: "" },
      Expiration: { Days: 30 },
    } as const;
    await client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules: [rule] },
      }),
    );
    await using scenario = await Scenario.create({ archive: { server, bucket } });
    await scenario.insert(auditRows("2026-01-10", 1, 120));
    const run = await scenario.spawn(["run", "--as-of", "2026-03-01"]).ended;
    expect(run, run.stdout + run.stderr).toMatchObject({ code: 12 });
    expect(run.stderr).toMatch(/E_BUCKET .*lifecycle rule "tidy-up" deletes objects after 30 days/);
    expect(await scenario.count()).toBe(120);
    expect(await mirrorBucket(client, bucket, scenario.archive)).toEqual([]);
  });

  test("refuses a bucket that it could not examine, and writes nothing", async () => {
    const bucket = await server.newBucket({ versioned: true });
    await using proxy = await startHttpProxy(server.endpoint);
    const behind = { ...server, endpoint: proxy.endpoint };
    await using scenario = await Scenario.create({ archive: { server: behind, bucket } });
    await scenario.insert(auditRows("2026-01-10", 1, 120));
    proxy.script(({ method, url }) =>
      method === "HEAD" && /^\/[^/]+\/?(?:\?|$)/.test(url) ? { kind: "answer", status: 500, body: "" } : PASS,
    );
    const run = await scenario.spawn(["run", "--as-of", "2026-03-01"], { FIRNLINE_S3_PAUSE_MS: "10" }).ended;
    expect(run, run.stdout + run.stderr).toMatchObject({ code: 1 });
    expect(run.stderr).toMatch(/E_ARCHIVE .*the store failed.*Run again later/);
    expect(await scenario.count()).toBe(120);
    expect(await mirrorBucket(client, bucket, scenario.archive)).toEqual([]);
  });
});

await describeOn("ceph", "a policy with a key in KMS", (server) => {
  let client: S3Client;
  beforeAll(() => void (client = clientOf(server)));
  afterAll(() => client.destroy());

  test("has every object encrypted with it, small or large, and its rows come back", async () => {
    const bucket = await server.newBucket({ versioned: true });
    const policy = { encryption: { mode: "SSE-KMS", key: "testkey-1" } };
    const options = { archive: { server, bucket, policy }, environ: LARGE };
    await using scenario = await Scenario.create({ ...options, tiers: { cold: undefined } });
    await scenario.insert(largeRows("2026-01-10"));
    expect(moved(await scenario.run())).toMatchObject({ pruned: LARGE_ROWS });
    const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    expect(Versions.length).toBeGreaterThan(3);
    for (const { Key, VersionId } of Versions) {
      const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key, VersionId }));
      expect([Key, head.ServerSideEncryption, head.SSEKMSKeyId]).toEqual([Key, "aws:kms", "testkey-1"]);
    }
    await expectSettled(scenario);
    await expectNothingStranded(scenario, client, bucket);
    await expectNothingLost(scenario);
    saw(server, "SSE-KMS: every object of a pipeline");
  });
});

await describeOn("ceph", "a killed upload", (server) => {
  let client: S3Client;
  beforeAll(() => void (client = clientOf(server)));
  afterAll(() => client.destroy());

  test("is ended by the next run, which archives the rows under a fresh key", async () => {
    const bucket = await server.newBucket({ versioned: true });
    await using scenario = await Scenario.create({ archive: { server, bucket }, environ: LARGE });
    await scenario.insert(largeRows("2026-01-10"));
    const killed = await scenario.spawnRun({ FIRNLINE_FAILPOINT: "export.uploading:kill@6" }).ended;
    expect(killed).toMatchObject({ code: null, signal: "SIGKILL" });
    const left = await unfinishedUploads(client, bucket);
    expect(left).toHaveLength(1);
    expect(moved(await scenario.run())).toEqual({ ...NOTHING, exported: LARGE_ROWS, pruned: LARGE_ROWS });
    expect(await scenario.count()).toBe(0);
    await expectNothingStranded(scenario, client, bucket);
    await expectNothingLost(scenario);
    const text = JSON.stringify(await readJournal(scenario));
    expect(text).not.toContain((left[0] ?? "").replace("firnline/", ""));
    saw(server, "kill -9 in a multipart upload: no part left");
  });
});
