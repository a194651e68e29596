/** Uploads that a killed process left behind: found by key or by age, ended, and nothing else touched. */
import { randomBytes } from "node:crypto";
import {
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Locator } from "../../src/archive/port.ts";
import { Bucket } from "../../src/archive/s3/bucket.ts";
import { moveObject } from "../../src/archive/s3/copy-object.ts";
import { readSettings } from "../../src/config.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { systemClock } from "../../src/wiring.ts";
import {
  at,
  bytesOf,
  created,
  DAY_MS,
  expectBytes,
  failureOf,
  MIB,
  patterned,
  readAll,
} from "../conformance/archive/harness.ts";
import { bucketPolicy, openBucket, unfinishedUploads } from "../conformance/archive/s3-bucket.ts";
import { clientOf, describeOn, saw } from "../support/s3-server.ts";

for (const name of ["ceph", "moto"] as const) {
  await describeOn(name, "unfinished uploads", (server) => {
    let client: S3Client;
    beforeAll(() => void (client = clientOf(server)));
    afterAll(() => client.destroy());

    /** What a killed process leaves: an upload with one part. */
    const leave = async (bucket: string, Key: string): Promise<void> => {
      const object = { Bucket: bucket, Key };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
      await client.send(
        new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: patterned(5 * MIB) }),
      );
    };

    test("abortUploads ends all of one key, and no other's", async () => {
      const bucket = await server.newBucket();
      await using archive = openBucket(server, bucket);
      for (const key of ["a/b", "a/b", "a/b.c", "a/bc"]) await leave(bucket, `firnline/${key}`);
      await leave(bucket, "elsewhere/a/b");
      expect(await archive.abortUploads("a/b")).toBe(2);
      expect(await archive.abortUploads("a/b")).toBe(0);
      expect((await unfinishedUploads(client, bucket)).sort()).toEqual([
        "elsewhere/a/b",
        "firnline/a/b.c",
        "firnline/a/bc",
      ]);
      expect((await failureOf(archive.abortUploads("../a"))).code).toBe("E_INTERNAL");
      saw(server, "unfinished uploads are found and ended");
    });

    test("the sweep goes by age, takes what is Firnline's below the prefix, and tells what it removed", async () => {
      const bucket = await server.newBucket();
      await using archive = openBucket(server, bucket);
      await created(archive, "a/object", bytesOf("x"));
      const ours = "audit_logs/daily/rule=default/dt=2026-01-03/000000000001-0123456789abcdef.parquet";
      await leave(bucket, `firnline/${ours}`);
      await leave(bucket, "firnline/a/b");
      await leave(bucket, `elsewhere/${ours}`);
      const now = Date.now();
      expect(await archive.sweepTemporary((now - DAY_MS) as EpochMs)).toEqual({ files: 0, bytes: 0n });
      expect(await unfinishedUploads(client, bucket)).toHaveLength(3);
      expect(await archive.sweepTemporary((now + DAY_MS) as EpochMs)).toEqual({
        files: 1,
        bytes: BigInt(5 * MIB),
      });
      expect((await unfinishedUploads(client, bucket)).sort()).toEqual([`elsewhere/${ours}`, "firnline/a/b"]);
      expect(await archive.head(at("a/object"))).not.toBeNull();
    });

    test.each([true, false])(
      "and what a killed doctor tried the bucket with (versions: %s)",
      async (versioned) => {
        const bucket = await server.newBucket({ versioned });
        await using archive = openBucket(server, bucket);
        const probe = "_firnline/_probe/0123456789abcdef";
        for (const key of [probe, "_firnline/probe/journal/1.json", "a/object"]) {
          await created(archive, key, bytesOf("x"));
        }
        const Key = `firnline/${probe}`;
        // Ignored conditions leave two of them.
        await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "y" }));
        const now = Date.now();
        expect(await archive.sweepTemporary((now - DAY_MS) as EpochMs)).toEqual({ files: 0, bytes: 0n });
        const count = versioned ? 2 : 1;
        expect(await archive.sweepTemporary((now + DAY_MS) as EpochMs)).toEqual({
          files: count,
          bytes: BigInt(count),
        });
        const left = await Array.fromAsync(archive.listVersions(""));
        expect(left.map(({ key }) => key)).toEqual(["_firnline/probe/journal/1.json", "a/object"]);
      },
    );

    test("what is too large for one copy is moved by parts, with its tags and metadata", async () => {
      const url = await server.newBucket({ versioned: true });
      await using archive = openBucket(server, url);
      const body = patterned(11 * MIB);
      const pin = await created(archive, "a/b", body);
      await archive.tag(pin, { owner: "audit", "firnline-tier": "cold" });
      const { archive: place } = bucketPolicy(server, url);
      const { now, sleep } = systemClock;
      const how = { limits: readSettings({}).s3, now, sleep, random: (bytes: number) => randomBytes(bytes) };
      const bucket = new Bucket({ ...place, ...how });
      const sizes = { atOnceBytesMax: MIB, partBytes: 5 * MIB };
      const where = { op: "archive.setClass", key: "a/b" };
      const move = async (): Promise<Locator> =>
        await moveObject(bucket, where, pin, "STANDARD_IA", async () => {}, sizes);
      const moved = await move();
      expect(moved.versionId).not.toBe(pin.versionId);
      expect(await archive.head(moved)).toMatchObject({
        storageClass: "STANDARD_IA",
        tags: { owner: "audit", "firnline-tier": "cold" },
        bytes: BigInt(body.byteLength),
      });
      expectBytes(await readAll(archive, moved), body);
      expect(await move()).toEqual(moved); // known by its metadata
      expect(await unfinishedUploads(client, url)).toEqual([]);
      bucket.destroy();
    });

    test("in a bucket with versions every pin names its version, small or large", async () => {
      const bucket = await server.newBucket({ versioned: true });
      await using archive = openBucket(server, bucket);
      for (const [key, body] of [
        ["small", bytesOf("x")],
        ["large", patterned(6 * MIB)],
      ] as const) {
        const pin = await created(archive, key, body);
        expect(pin.versionId).not.toBeNull();
        expect(await archive.head(pin)).toMatchObject({
          versionId: pin.versionId,
          etag: pin.etag,
          bytes: pin.bytes,
        });
        expect(await archive.create(key, body)).toEqual({ outcome: "exists" });
        const moved = await archive.setClass(pin, "GLACIER_IR");
        expect(moved.versionId).not.toBeNull();
        expect(moved.versionId).not.toBe(pin.versionId);
      }
      expect(await unfinishedUploads(client, bucket)).toEqual([]);
      saw(server, "moves by copy in place");
    });
  });
}
