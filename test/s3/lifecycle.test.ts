/**
 * `firnline lifecycle apply` and what a real server then does: the rule moves the partitions that a run has tagged, and
 * nothing else. Ceph's days are seconds here.
 */
import {
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { expect, test, vi } from "vitest";
import { applyRules } from "../../src/archive/bucket-rules.ts";
import { readSettings } from "../../src/config.ts";
import { openBucketRules } from "../../src/wiring.ts";
import { auditRows } from "../support/audit-rows.ts";
import { foreignRules, putRules } from "../support/foreign-rules.ts";
import { clientOf, describeOn, saw } from "../support/s3-server.ts";
import { LAST_COLD, LAST_DUE, moved, NOTHING, Scenario } from "../support/scenario.ts";
import { expectNothingStranded } from "../support/stranded.ts";
import { bucketPolicy } from "../unit/plan/lifecycle-policy.ts";

/** Ceph's workers come by once a day of theirs, and may need a few rounds. */
const MOVED_WITHIN_MS = 60_000;

interface Placed {
  readonly key: string;
  readonly storageClass: string;
}

async function placed(client: S3Client, Bucket: string): Promise<Placed[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
  return await Promise.all(
    Contents.map(async ({ Key = "" }) => {
      const { StorageClass = "STANDARD" } = await client.send(new HeadObjectCommand({ Bucket, Key }));
      return { key: Key, storageClass: StorageClass };
    }),
  );
}

const coldOf = (objects: readonly Placed[]): string[] =>
  objects.filter(({ storageClass }) => storageClass !== "STANDARD").map(({ key }) => key);

await describeOn("ceph", "lifecycle", (server) => {
  test(
    "the rule that apply writes moves tagged partitions, and nothing else; foreign rules stay",
    async () => {
      const client = clientOf(server);
      // Without versions: Ceph 16 leaves a version alone that was tagged after it was made, as its index then has another
      // time than the object. In a versioned bucket of Ceph, pipelines need `transition: copy`.
      const bucket = await server.newBucket();
      const tiers = { cold: { storageClass: "GLACIER", objectBytesMin: "0B" } };
      await using scenario = await Scenario.create({ archive: { server, bucket }, tiers });
      const cli = async (...args: string[]) => {
        await using process = scenario.spawn(["lifecycle", ...args]);
        return await process.ended;
      };
      const foreign = [
        { ID: "exports", Status: "Enabled", Filter: { Prefix: "exports/" }, Expiration: { Days: 3_650 } },
        { ID: "off", Status: "Disabled", Filter: { Prefix: "" }, Expiration: { Days: 1 } },
      ] as const;
      await putRules(client, bucket, foreign);
      const theirs = await foreignRules(client, bucket);

      // Three partitions: one is old enough to go cold. Beside them what looks like it.
      await scenario.insert(auditRows(LAST_COLD, 1, 60));
      await scenario.insert(auditRows(LAST_DUE, 101, 60));
      await scenario.insert(auditRows("2026-02-20", 201, 20));
      expect(moved(await scenario.run())).toMatchObject({ exported: 120, pruned: 120 });
      const Tagging = "firnline-tier=cold";
      const put = async (Key: string, tagging?: string): Promise<void> => {
        const tags = tagging === undefined ? {} : { Tagging: tagging };
        await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x", ...tags }));
      };
      const beside = [
        "firnline-old/audit_logs/a.parquet",
        "firnline/audit_logs_old/a.parquet",
        "firnline/_firnline/audit_logs/manifests/a.json",
        "audit_logs/a.parquet",
      ];
      for (const key of beside) await put(key, Tagging);
      const unlike = ["firnline/audit_logs/other-tag.parquet", "firnline/audit_logs/no-tag.parquet"] as const;
      await put(unlike[0], "firnline-tier=warm");
      await put(unlike[1]);

      // Without a rule nothing moves: check says so, and apply alone does nothing.
      expect(await cli("check")).toMatchObject({ code: 1, stderr: "" });
      const asked = await cli("apply");
      expect(asked).toMatchObject({ code: 2, stderr: "" });
      expect(asked.stdout).toContain("missing    firnline-cold:firnline/audit_logs/\n");
      expect(asked.stdout).toContain(`s3://${bucket}: nothing was written; --yes writes it`);
      expect(await cli("check")).toMatchObject({ code: 1, stderr: "" });

      expect(await cli("apply", "--yes")).toMatchObject({ code: 0, stderr: "" });
      expect(await cli("check")).toEqual({
        code: 0,
        signal: null,
        stderr: "",
        stdout: `s3://${bucket}: the lifecycle rules are as the policies say; 3 of ours are right, 2 of others\n`,
      });
      expect(await cli("apply", "--yes")).toMatchObject({ code: 0, stderr: "" });
      expect(await foreignRules(client, bucket)).toEqual(theirs);

      const cold = [expect.stringMatching(`^firnline/audit_logs/daily/rule=default/dt=${LAST_COLD}/[^/]+$`)];
      await vi.waitFor(async () => expect(coldOf(await placed(client, bucket))).toEqual(cold), {
        timeout: MOVED_WITHIN_MS,
        interval: 500,
      });
      // The workers have come by once more when what is tagged later has moved: what is still warm then stays.
      const late = "firnline/audit_logs/late.parquet";
      await put(late, Tagging);
      await vi.waitFor(async () => expect(coldOf(await placed(client, bucket))).toContain(late), {
        timeout: MOVED_WITHIN_MS,
        interval: 500,
      });
      const objects = await placed(client, bucket);
      expect(coldOf(objects)).toEqual([...cold, late]);
      expect(objects.map(({ key }) => key)).toEqual(expect.arrayContaining(beside));
      expect(objects.filter(({ key }) => key.includes("/_firnline/")).length).toBeGreaterThan(beside.length);

      saw(server, "a lifecycle rule moves tagged partitions and nothing else");

      // The next run sees it and journals it.
      expect(moved(await scenario.run())).toEqual({ ...NOTHING, cooled: 60 });
      expect(moved(await scenario.run())).toEqual(NOTHING);
      expect(await foreignRules(client, bucket)).toEqual(theirs);
      await expectNothingStranded(scenario, client, bucket, [...beside, ...unlike, late]);
      client.destroy();
    },
    3 * MOVED_WITHIN_MS,
  );

  // What the table says of the server; infra/terraform/README.md tells owners of such stores to let Firnline copy.
  test(
    "in a bucket with versions, the rule moves what had its tag from the start; later tags are the server's affair",
    async () => {
      const client = clientOf(server);
      const Bucket = await server.newBucket({ versioned: true });
      const { endpoint, region } = server;
      const cold = { storageClass: "GLACIER" };
      const policy = bucketPolicy({ url: `s3://${Bucket}/audit`, archive: { endpoint, region }, cold });
      await using rules = await openBucketRules(policy.archive, readSettings({}));
      const Tagging = "firnline-tier=cold";
      await client.send(new PutObjectCommand({ Bucket, Key: "audit/logs/later", Body: "x" }));
      const TagSet = [{ Key: "firnline-tier", Value: "cold" }];
      await client.send(
        new PutObjectTaggingCommand({ Bucket, Key: "audit/logs/later", Tagging: { TagSet } }),
      );
      await client.send(new PutObjectCommand({ Bucket, Key: "audit/logs/at-once", Body: "x", Tagging }));
      await applyRules(rules, { policies: [policy], isConfirmed: true, sleep: async () => {} });
      await vi.waitFor(
        async () => expect(coldOf(await placed(client, Bucket))).toContain("audit/logs/at-once"),
        { timeout: MOVED_WITHIN_MS, interval: 500 },
      );
      const isMoved = coldOf(await placed(client, Bucket)).includes("audit/logs/later");
      client.destroy();
      saw(server, "a lifecycle rule moves a version that was tagged later", isMoved ? "yes" : "no");
    },
    2 * MOVED_WITHIN_MS,
  );
});
