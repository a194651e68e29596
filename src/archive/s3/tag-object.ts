/** An object's tags. S3 replaces them as a whole, so that merging is reading, then writing. */
import { PutObjectTaggingCommand } from "@aws-sdk/client-s3";
import { newState, withTags } from "../object-state.ts";
import type { Locator } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { headOf, named, type Tags, tagsOf } from "./head-object.ts";

/** Merges `tags` into those that the object has. To be called for one at a time of an object. */
export async function tagObject(bucket: Bucket, where: Where, object: Locator, tags: Tags): Promise<void> {
  const found = await headOf(bucket, where, object);
  const before = { ...newState(), tags: await tagsOf(bucket, where, found) };
  const after = withTags(where.key, before, tags);
  if (after === before) return;
  const TagSet = Object.entries(after.tags).map(([Key, Value]) => ({ Key, Value }));
  // The version that was looked at: another one may be current by now.
  const versionId = object.versionId ?? found.VersionId ?? null;
  const needs = versionId === null ? "s3:PutObjectTagging" : "s3:PutObjectVersionTagging";
  await bucket.call(where, needs, async (s3, how) => {
    await s3.send(
      new PutObjectTaggingCommand({ ...named(bucket, where, versionId), Tagging: { TagSet } }),
      how,
    );
  });
}
