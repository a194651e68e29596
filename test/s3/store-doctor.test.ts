/** What `doctor` finds of a bucket, all of it at once, and that it leaves nothing behind. */
import {
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ArchiveExamination } from "../../src/archive/port.ts";
import { type OpenOptions, openBucket, unfinishedUploads } from "../conformance/archive/s3-bucket.ts";
import { clientOf, describeOn, saw } from "../support/s3-server.ts";

const LOCK = { mode: "governance", keep: "30d" };
const RULE = { cold: { storageClass: "DEEP_ARCHIVE", transition: "lifecycle" } };
const COPY = { cold: { storageClass: "DEEP_ARCHIVE", transition: "copy" } };

for (const name of ["ceph", "moto"] as const) {
  await describeOn(name, "doctor", (server) => {
    let client: S3Client;
    beforeAll(() => void (client = clientOf(server)));
    afterAll(() => client.destroy());

    const examine = async (bucket: string, options: OpenOptions = {}): Promise<ArchiveExamination> => {
      await using archive = openBucket(server, bucket, options);
      return await archive.examine();
    };
    const problems = ({ findings }: ArchiveExamination): string[] =>
      findings.map(({ code, problem }) => `${code} ${problem}`);
    const advised = ({ advice }: ArchiveExamination): string =>
      advice.map(({ problem }) => problem).join("; ");
    const isEmpty = async (bucket: string): Promise<void> => {
      const { Versions = [], DeleteMarkers = [] } = await client.send(
        new ListObjectVersionsCommand({ Bucket: bucket }),
      );
      expect([...Versions, ...DeleteMarkers]).toEqual([]);
      expect(await unfinishedUploads(client, bucket)).toEqual([]);
    };

    test("a bucket that is not there is one finding", async () => {
      const found = await examine("no-such-bucket-of-ours");
      expect(problems(found)).toEqual([expect.stringMatching(/^E_BUCKET there is no such bucket/)]);
    });

    test("a plain bucket is good enough for a policy that asks for nothing more", async () => {
      const bucket = await server.newBucket();
      const found = await examine(bucket);
      expect(problems(found)).toEqual([]);
      expect(advised(found)).toMatch(/keeps no versions/);
      expect(found.advice.flatMap(({ fix }) => fix).join()).toMatch(/firnline lifecycle apply/);
      await isEmpty(bucket);
      saw(server, "conditional PUT (no versions)");
    });

    test("locks and copies want versions, and locks want Object Lock: all said at once", async () => {
      const bucket = await server.newBucket();
      expect(problems(await examine(bucket, { archive: { lock: LOCK } }))).toEqual([
        expect.stringMatching(/^E_BUCKET it keeps no versions of objects, and archive.lock needs them/),
        expect.stringMatching(/^E_BUCKET it has no Object Lock/),
      ]);
      const copying = await examine(bucket, { tiers: COPY });
      expect(problems(copying)).toEqual([expect.stringMatching(/transition: copy needs them/)]);
      expect(copying.findings[0]?.fix.join()).toMatch(/put-bucket-versioning --bucket test-/);
      const versioned = await server.newBucket({ versioned: true });
      expect(problems(await examine(versioned, { tiers: COPY }))).toEqual([]);
      const locked = await server.newBucket({ locked: true });
      expect(problems(await examine(locked, { archive: { lock: LOCK } }))).toEqual([]);
      for (const one of [bucket, versioned, locked]) await isEmpty(one);
      saw(server, "Object Lock");
    });

    test("versioning that is suspended is said", async () => {
      const bucket = await server.newBucket({ versioned: true });
      const VersioningConfiguration = { Status: "Suspended" } as const;
      await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
      expect(advised(await examine(bucket))).toMatch(/versioning is suspended/);
      expect(problems(await examine(bucket, { tiers: COPY }))).toEqual([expect.stringMatching(/suspended/)]);
      await isEmpty(bucket);
    });

    test("rules that delete what is ours are findings, rules that move it advice, others neither", async () => {
      const bucket = await server.newBucket({ versioned: true });
      const rule = (ID: string, Prefix: string, effect: object): object => ({
        ID,
        Status: "Enabled",
        Filter: { Prefix },
        ...effect,
      });
      const Rules = [
        rule("all", "", { Expiration: { Days: 30 } }),
        rule("ours", "firnline/audit_logs/", { NoncurrentVersionExpiration: { NoncurrentDays: 7 } }),
        rule("moved", "firnline/", { Transitions: [{ Days: 1, StorageClass: "GLACIER" }] }),
        rule("theirs", "logs/", { Expiration: { Days: 1 } }),
      ] as never[];
      const command = new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules },
      });
      await client.send(command);
      const found = await examine(bucket);
      expect(problems(found).join("\n")).toMatch(/lifecycle rule "all" deletes objects after 30 days/);
      expect(problems(found).join("\n")).toMatch(/lifecycle rule "ours" deletes old versions after 7 days/);
      expect(problems(found).join("\n")).not.toMatch(/theirs|moved/);
      expect(advised(found)).toMatch(/lifecycle rule "moved" moves objects to GLACIER after 1 day/);
      saw(server, "lifecycle rules are read");
    });

    test("clocks that are too far apart are a finding", async () => {
      const bucket = await server.newBucket({ versioned: true });
      for (const [ahead, word] of [
        [90_000, "behind"],
        [-90_000, "ahead"],
      ] as const) {
        const found = await examine(bucket, { now: () => Date.now() + ahead });
        expect(problems(found)).toEqual([expect.stringMatching(new RegExp(`^E_CLOCK .*${word}`))]);
      }
    });

    test("a bucket that locks everything by itself: said, and still nothing is left behind", async () => {
      const bucket = await server.newBucket({ locked: true });
      const Rule = { DefaultRetention: { Mode: "GOVERNANCE", Days: 3 } } as const;
      const ObjectLockConfiguration = { ObjectLockEnabled: "Enabled", Rule } as const;
      await client.send(new PutObjectLockConfigurationCommand({ Bucket: bucket, ObjectLockConfiguration }));
      const found = await examine(bucket);
      expect(problems(found)).toEqual([]);
      expect(advised(found)).toMatch(/locks every new object for 3 days \(GOVERNANCE\)/);
      await isEmpty(bucket);
    });

    test("encryption that the policy asks for is tried out", async () => {
      const bucket = await server.newBucket({ versioned: true });
      expect(
        problems(await examine(bucket, { archive: { encryption: { mode: "SSE-KMS", key: "testkey-1" } } })),
      ).toEqual([]);
      if (name === "ceph") {
        const wrong = await examine(bucket, {
          archive: { encryption: { mode: "SSE-KMS", key: "no-such-key" } },
        });
        expect(wrong.findings.length).toBeGreaterThan(0);
      }
      await isEmpty(bucket);
      saw(server, "SSE-KMS");
    });

    test("copies are tried out where a policy needs them, encrypted as it wants", async () => {
      const bucket = await server.newBucket({ versioned: true });
      const encryption = { mode: "SSE-KMS", key: "testkey-1" };
      const found = problems(await examine(bucket, { archive: { encryption }, tiers: COPY }));
      const isDone = name !== "ceph";
      expect(found).toEqual(
        isDone ? [] : [expect.stringMatching(/^E_BUCKET it does not copy an object that is encrypted/)],
      );
      await isEmpty(bucket);
      saw(server, "copies of encrypted objects", isDone ? "yes" : "no (501): doctor says so");
    });

    test("encryption that the store takes and does not do is a finding", async () => {
      const bucket = await server.newBucket({ versioned: true });
      const found = problems(await examine(bucket, { archive: { encryption: { mode: "SSE-S3" } } }));
      // Ceph 16 reads the header, and writes the bytes as they are.
      const isDone = name !== "ceph";
      expect(found).toEqual(
        isDone ? [] : [expect.stringMatching(/^E_BUCKET .*encrypted \(AES256\) and shows no encryption/)],
      );
      await isEmpty(bucket);
      saw(server, "SSE-S3", isDone ? "yes" : "no: doctor says so");
    });

    test("tags are tried out where a rule of the bucket moves by them", async () => {
      const bucket = await server.newBucket({ versioned: true });
      expect(problems(await examine(bucket, { tiers: RULE }))).toEqual([]);
      await isEmpty(bucket);
    });
  });
}
