/** A bucket's archive as a folder, so that everything that reads a folder's files can look at it. */
import { GetObjectCommand, paginateListObjectsV2, type S3Client } from "@aws-sdk/client-s3";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Replaces `folder` by the current objects below `prefix`; returns their keys, without it. */
export async function mirrorBucket(
  client: S3Client,
  bucket: string,
  folder: string,
  prefix = "firnline/",
): Promise<string[]> {
  await rm(folder, { recursive: true, force: true });
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2(
    { client },
    { Bucket: bucket, Prefix: prefix },
  )) {
    for (const { Key = "" } of Contents) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
      const key = Key.slice(prefix.length);
      const file = join(folder, key);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, (await Body?.transformToByteArray()) ?? new Uint8Array(0));
      keys.push(key);
    }
  }
  return keys;
}
