/** What the servers of these tests do, of what S3 does: asked of them, and compared with what the other suites count on. */
import { randomBytes } from "node:crypto";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  RestoreObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Bucket } from "../../src/archive/s3/bucket.ts";
import { findChecksums } from "../../src/archive/s3/checksums.ts";
import { Traits } from "../../src/archive/s3/traits.ts";
import { readSettings } from "../../src/config.ts";
import { systemClock } from "../../src/wiring.ts";
import { bytesOf, created, readAll } from "../conformance/archive/harness.ts";
import { bucketPolicy, openBucket } from "../conformance/archive/s3-bucket.ts";
import { clientOf, describeOn, saw } from "../support/s3-server.ts";

const statusOf = async (work: Promise<unknown>): Promise<number> =>
  await work.then(
    () => 200,
    (error: { $metadata?: { httpStatusCode?: number } }) => error.$metadata?.httpStatusCode ?? 0,
  );

for (const name of ["ceph", "moto"] as const) {
  await describeOn(name, "abilities", (server) => {
    let client: S3Client;
    beforeAll(() => void (client = clientOf(server)));
    afterAll(() => client.destroy());

    const probed = (bucket: string): Bucket => {
      const { archive } = bucketPolicy(server, bucket);
      const { now, sleep } = systemClock;
      return new Bucket({
        ...archive,
        limits: readSettings({}).s3,
        now,
        sleep,
        random: (bytes) => randomBytes(bytes),
      });
    };

    test("signatures", async () => {
      const stranger = clientOf({ ...server, secretAccessKey: "wrong" });
      const bucket = await server.newBucket();
      const status = await statusOf(
        stranger.send(new PutObjectCommand({ Bucket: bucket, Key: "a", Body: "x" })),
      );
      stranger.destroy();
      expect(status).toBe(server.can.signatures ? 403 : 200);
      saw(server, "signatures", server.can.signatures ? "checked" : "no");
    });

    test("checksums", async () => {
      const found = await findChecksums(probed(await server.newBucket()));
      expect(found !== "none").toBe(server.can.checksums);
      saw(server, "server checksums", found);
    });

    test("conditional PUT, without versions and with them", async () => {
      for (const versioned of [false, true]) {
        const bucket = await server.newBucket({ versioned });
        const put = { Bucket: bucket, Key: "a", Body: "x", IfNoneMatch: "*" };
        await client.send(new PutObjectCommand(put));
        const isHonoured = (await statusOf(client.send(new PutObjectCommand(put)))) === 412;
        if (!versioned) expect(isHonoured).toBe(true);
        expect(await new Traits(probed(bucket)).isWatched()).toBe(versioned && !isHonoured);
        const title = versioned ? "conditional PUT (versions)" : "conditional PUT (no versions)";
        saw(server, title, isHonoured ? "yes" : "no: versions are compared");
      }
    });

    test("a condition on CompleteMultipartUpload", async () => {
      const bucket = await server.newBucket();
      const object = { Bucket: bucket, Key: "a" };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
      const part = { ...object, UploadId, PartNumber: 1, Body: "x" };
      const { ETag } = await client.send(new UploadPartCommand(part));
      await client.send(new PutObjectCommand({ ...object, Body: "first" }));
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
      const complete = { ...object, UploadId, MultipartUpload, IfNoneMatch: "*" };
      const status = await statusOf(client.send(new CompleteMultipartUploadCommand(complete)));
      // Versions of both servers differ in it; the adapter relies on neither answer.
      expect([200, 412]).toContain(status);
      saw(server, "conditional Complete", status === 412 ? "yes" : "no: looked up before and after");
    });

    test("cold classes and restores", async () => {
      const bucket = await server.newBucket();
      await using archive = openBucket(server, bucket);
      const pin = await created(archive, "a", bytesOf("x"), "GLACIER");
      const isReadable = await readAll(archive, pin).then(
        () => true,
        () => false,
      );
      expect(isReadable).toBe(!server.can.restores);
      const object = { Bucket: bucket, Key: "firnline/a" };
      const RestoreRequest = { Days: 1, GlacierJobParameters: { Tier: "Standard" } } as const;
      const status = await statusOf(client.send(new RestoreObjectCommand({ ...object, RestoreRequest })));
      expect(status < 300).toBe(server.can.restores);
      saw(server, "cold objects refuse reads", isReadable ? "no" : "yes");
      saw(server, "RestoreObject", status < 300 ? "at once" : `no (${status})`);
    });
  });
}
