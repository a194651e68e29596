/** `lifecycle check` and `apply` on buckets of real servers: what goes in comes out, and other people's rules stay. */
import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule as SdkRule,
  type S3Client,
} from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { readSettings } from "../../src/config.ts";
import { applyRules, checkRules } from "../../src/archive/bucket-rules.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { openBucketRules } from "../../src/wiring.ts";
import { foreignRules, putRules } from "../support/foreign-rules.ts";
import { clientOf, describeOn, type S3Server, saw } from "../support/s3-server.ts";
import { bucketPolicy } from "../unit/plan/lifecycle-policy.ts";

const sleep = async (): Promise<void> => {};

/** One of every kind that the server takes. */
const THEIRS: readonly SdkRule[] = [
  { ID: "by prefix", Status: "Enabled", Filter: { Prefix: "tmp/" }, Expiration: { Days: 3 } },
  { ID: "the old way", Status: "Enabled", Prefix: "old/", Expiration: { Days: 4 } },
  {
    ID: "by date",
    Status: "Disabled",
    Filter: { Prefix: "date/" },
    Expiration: { Date: new Date("2031-01-01") },
  },
  {
    ID: "by tags",
    Status: "Enabled",
    Filter: { And: { Prefix: "tags/", Tags: [{ Key: "a", Value: "1 & <2>" }] } },
    NoncurrentVersionExpiration: { NoncurrentDays: 9 },
  },
  {
    ID: "markers",
    Status: "Enabled",
    Filter: { Prefix: "m/" },
    Expiration: { ExpiredObjectDeleteMarker: true },
  },
];

/** What somebody has made of our rule's transition. */
const LATER = { Days: 30, StorageClass: "GLACIER" } as const;

/** `work` with a client and a bucket that has these rules. */
async function withRules(
  server: S3Server,
  rules: readonly SdkRule[],
  work: (client: S3Client, bucket: string) => Promise<void>,
): Promise<void> {
  const client = clientOf(server);
  try {
    const bucket = await server.newBucket({ versioned: true });
    await putRules(client, bucket, rules);
    await work(client, bucket);
  } finally {
    client.destroy();
  }
}

function policyOn({ endpoint, region }: S3Server, bucket: string): Policy {
  return bucketPolicy({ url: `s3://${bucket}/audit`, archive: { endpoint, region } });
}

for (const name of ["ceph", "moto"] as const) {
  await describeOn(name, "lifecycle rules", (server) => {
    test("of a bucket that has none are all missing; then they are written, and right", async () => {
      const policy = policyOn(server, await server.newBucket());
      await using bucket = await openBucketRules(policy.archive, readSettings({}));
      expect(await bucket.read()).toBeNull();
      expect((await checkRules(bucket, [policy])).rules.map(({ kind }) => kind)).toEqual(
        Array(3).fill("missing"),
      );
      expect(await applyRules(bucket, { policies: [policy], isConfirmed: true, sleep })).toMatchObject({
        isWritten: true,
      });
      expect(await checkRules(bucket, [policy])).toEqual({ rules: [], foreign: [], right: 3, others: 0 });
    });

    test("are written beside those of others, which stay as they were", async () => {
      await withRules(server, THEIRS, async (client, bucketName) => {
        const before = await foreignRules(client, bucketName);
        expect(before).toHaveLength(THEIRS.length);
        const policy = policyOn(server, bucketName);
        await using bucket = await openBucketRules(policy.archive, readSettings({}));
        const copying = bucketPolicy({ url: policy.archive.url, cold: { transition: "copy" } });
        for (const [policies, right] of [
          [[policy], 3],
          [[copying], 2],
        ] as const) {
          await applyRules(bucket, { policies, isConfirmed: true, sleep });
          const others = before.length;
          expect(await checkRules(bucket, policies)).toEqual({ rules: [], foreign: [], right, others });
          expect(await foreignRules(client, bucketName)).toEqual(before);
        }
      });
      saw(server, "lifecycle rules of others survive `lifecycle apply`");
    });

    test("of ours that somebody has changed are told field by field, and put right beside those of others", async () => {
      await withRules(server, THEIRS, async (client, Bucket) => {
        const theirs = await foreignRules(client, Bucket);
        const policy = policyOn(server, Bucket);
        await using bucket = await openBucketRules(policy.archive, readSettings({}));
        const apply = async () => await applyRules(bucket, { policies: [policy], isConfirmed: true, sleep });
        await apply();
        const { Rules = [] } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
        const isOurs = ({ ID = "" }: SdkRule): boolean => ID.startsWith("firnline-cold:");
        const changed = Rules.map((rule) =>
          isOurs(rule) ? { ...rule, Status: "Disabled" as const, Transitions: [LATER] } : rule,
        );
        await putRules(client, Bucket, changed);
        const differs = (field: string, found: string, expected: string) => ({ field, found, expected });
        const drift = {
          rules: [
            {
              kind: "different",
              id: "firnline-cold:audit/logs/",
              fields: expect.arrayContaining([
                differs("Status", '"Disabled"', '"Enabled"'),
                differs("Transitions[0].Days", "30", "0"),
                differs("Transitions[0].StorageClass", '"GLACIER"', '"DEEP_ARCHIVE"'),
              ]),
            },
          ],
          foreign: [],
          right: 2,
          others: theirs.length,
        };
        expect(await checkRules(bucket, [policy])).toEqual(drift);
        expect(await apply()).toEqual({ drift, isWritten: true });
        expect((await checkRules(bucket, [policy])).rules).toEqual([]);
        expect(await foreignRules(client, Bucket)).toEqual(theirs);
        saw(server, "drift of our lifecycle rules is found and mended");
      });
    });

    test("of others that reach ours are found, and ours are written all the same", async () => {
      const all: SdkRule = { ID: "all", Status: "Enabled", Filter: { Prefix: "" }, Expiration: { Days: 9 } };
      await withRules(server, [all], async (_, bucketName) => {
        const policy = policyOn(server, bucketName);
        await using bucket = await openBucketRules(policy.archive, readSettings({}));
        const { drift } = await applyRules(bucket, { policies: [policy], isConfirmed: true, sleep });
        const foreign = ["audit/logs/", "audit/_firnline/logs/"].map((prefix) => ({
          id: "all",
          prefix,
          effect: "deletes objects after 9 days",
        }));
        expect(drift.foreign).toEqual(foreign);
        expect(await checkRules(bucket, [policy])).toEqual({ rules: [], foreign, right: 3, others: 1 });
      });
    });

    test("of a bucket that is not there are an error", async () => {
      const policy = policyOn(server, "no-such-bucket-anywhere");
      await using bucket = await openBucketRules(policy.archive, readSettings({}));
      await expect(bucket.read()).rejects.toThrow(
        /^E_BUCKET s3:\/\/no-such-bucket-anywhere: there is no such bucket/,
      );
    });
  });
}
