/** Listings longer than a page of the store's, which has a thousand keys: complete, in order, each version once. */
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bytesOf, failureOf } from "../conformance/archive/harness.ts";
import { openBucket } from "../conformance/archive/s3-bucket.ts";
import { type Answered, PASS, startHttpProxy } from "../support/http-proxy.ts";
import { clientOf, describeOn } from "../support/s3-server.ts";

const KEYS = Array.from({ length: 1_010 }, (_, index) => `a/${String(index).padStart(4, "0")}`);
/** Around the end of a page, where a key's versions fall on both. */
const MORE_VERSIONS = ["a/0995", "a/0996", "a/0997", "a/0998", "a/0999", "a/1000"];
const AT_ONCE = 16;

await describeOn("ceph", "long listings", (server) => {
  let client: S3Client;
  beforeAll(() => void (client = clientOf(server)));
  afterAll(() => client.destroy());

  const fill = async (bucket: string, keys: readonly string[]): Promise<void> => {
    const left = [...keys];
    const worker = async (): Promise<void> => {
      for (let key = left.shift(); key !== undefined; key = left.shift()) {
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: `firnline/${key}`, Body: "x" }));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  };

  test.each([false, true])("are complete and in order (versions: %s)", async (versioned) => {
    const bucket = await server.newBucket({ versioned });
    await fill(bucket, KEYS);
    for (let round = 0; round < 3; round += 1) await fill(bucket, MORE_VERSIONS);
    await fill(bucket, ["b/other"]);
    await using archive = openBucket(server, bucket);
    const listed = await Array.fromAsync(archive.list("a/"));
    expect(listed.map(({ key }) => key)).toEqual(KEYS);

    const versions = await Array.fromAsync(archive.listVersions("a/"));
    const expected = KEYS.flatMap((key) =>
      Array<string>(versioned && MORE_VERSIONS.includes(key) ? 4 : 1).fill(key),
    );
    expect(versions.map(({ key }) => key)).toEqual(expected);
    expect(new Set(versions.map(({ key, versionId }) => `${key} ${versionId}`)).size).toBe(expected.length);
    for (const [index, { key, isCurrent, versionId }] of versions.entries()) {
      expect(isCurrent).toBe(versions[index - 1]?.key !== key);
      if (isCurrent) expect(listed.find((one) => one.key === key)?.versionId).toBe(versionId);
    }
  });
});

await describeOn("ceph", "a listing that is behind", (server) => {
  test("what was just created and is not listed is not taken for the only one", async () => {
    const bucket = await server.newBucket({ versioned: true });
    await using proxy = await startHttpProxy(server.endpoint);
    await using archive = openBucket({ ...server, endpoint: proxy.endpoint }, bucket);
    expect(await archive.create("first", bytesOf("x"))).toMatchObject({ outcome: "created" });
    const behind = ({ body, ...answer }: Answered): Answered => ({
      ...answer,
      body: Buffer.from(body.toString("utf8").replaceAll(/<Version>.*?<\/Version>/gs, "")),
    });
    proxy.script(({ url }) => (/[?&]versions/.test(url) ? { kind: "change", change: behind } : PASS));
    const failure = await failureOf(archive.create("a", bytesOf("x")));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true, key: "a" });
    expect(failure.problem).toMatch(/does not list the version that it has just made/);
    proxy.script(() => PASS);
    expect(await archive.create("a", bytesOf("x"))).toEqual({ outcome: "exists" });
  });
});
