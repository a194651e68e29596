/** What the store says of one object: HEAD, and its tags where it has any. */
import { GetObjectTaggingCommand, HeadObjectCommand, type HeadObjectCommandOutput } from "@aws-sdk/client-s3";
import type { EpochMs } from "../../rows/day.ts";
import { STORAGE_CLASS_DEFAULT } from "../object-state.ts";
import {
  type Access,
  CLASSES_THAT_NEED_RESTORE,
  type Locator,
  type ObjectHead,
  type Retention,
} from "../port.ts";
import { missingObject, type Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { isMissing, isUnable } from "./failure.ts";
import { refusalOf } from "../sdk-refusal.ts";

export type Tags = Readonly<Record<string, string>>;

/** The names of an object in a request, with its version if that is named. */
export function named(bucket: Bucket, where: Where, versionId: string | null) {
  return { ...bucket.object(where), ...(versionId === null ? {} : { VersionId: versionId }) };
}

/** Null where there is no such object, or a delete marker in its place. */
export async function headOrNull(
  bucket: Bucket,
  where: Where,
  versionId: string | null,
  signal?: AbortSignal,
): Promise<HeadObjectCommandOutput | null> {
  try {
    return await bucket.call(
      where,
      versionId === null ? "s3:GetObject (and s3:ListBucket)" : "s3:GetObjectVersion (and s3:ListBucket)",
      async (s3, how) => await s3.send(new HeadObjectCommand(named(bucket, where, versionId)), how),
      { signal },
    );
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Throws `E_ARCHIVE` where there is no such object. */
export async function headOf(
  bucket: Bucket,
  where: Where,
  { versionId }: Locator,
  signal?: AbortSignal,
): Promise<HeadObjectCommandOutput> {
  const found = await headOrNull(bucket, where, versionId, signal);
  if (found === null) throw missingObject(where);
  return found;
}

/**
 * The tags of an object that was looked up. Stores that have none say so by an error, and then there are none; one that
 * gives none out of a cold object is believed when it counts none.
 */
export async function tagsOf(bucket: Bucket, where: Where, found: HeadObjectCommandOutput): Promise<Tags> {
  const versionId = found.VersionId ?? null;
  try {
    const { TagSet = [] } = await bucket.call(
      where,
      versionId === null ? "s3:GetObjectTagging" : "s3:GetObjectVersionTagging",
      async (s3, how) => await s3.send(new GetObjectTaggingCommand(named(bucket, where, versionId)), how),
    );
    const tags = TagSet.map(({ Key = "", Value = "" }) => [Key, Value] as const);
    return Object.fromEntries(tags.sort(([a], [b]) => (a < b ? -1 : 1)));
  } catch (error) {
    const isCold = refusalOf(error)?.name === "InvalidObjectState";
    if (isUnable(error) || (isCold && (found.TagCount ?? 0) === 0)) return {};
    throw error;
  }
}

export function objectHead(key: string, found: HeadObjectCommandOutput, tags: Tags): ObjectHead {
  return {
    key,
    versionId: found.VersionId ?? null,
    etag: found.ETag ?? null,
    bytes: BigInt(found.ContentLength ?? 0),
    storageClass: classOf(found),
    access: accessOf(found),
    tags,
    retention: retentionOf(found),
    isHeld: found.ObjectLockLegalHoldStatus === "ON",
  };
}

/** The header is left out for the default. */
export function classOf({ StorageClass }: HeadObjectCommandOutput): string {
  return StorageClass ?? STORAGE_CLASS_DEFAULT;
}

/** `x-amz-restore: ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`. When it is ready nobody says. */
export function accessOf(found: HeadObjectCommandOutput): Access {
  const isCold = CLASSES_THAT_NEED_RESTORE.has(classOf(found)) || found.ArchiveStatus !== undefined;
  if (!isCold) return { state: "readable", until: null };
  const { Restore = "" } = found;
  if (/ongoing-request="true"/.test(Restore)) return { state: "restoring", readyAt: null };
  if (!/ongoing-request="false"/.test(Restore)) return { state: "archived" };
  const expiry = Date.parse(/expiry-date="([^"]+)"/.exec(Restore)?.[1] ?? "");
  return { state: "readable", until: Number.isNaN(expiry) ? null : (expiry as EpochMs) };
}

function retentionOf({
  ObjectLockMode,
  ObjectLockRetainUntilDate,
}: HeadObjectCommandOutput): Retention | null {
  if (ObjectLockMode === undefined || ObjectLockRetainUntilDate === undefined) return null;
  return { mode: ObjectLockMode, until: ObjectLockRetainUntilDate.getTime() as EpochMs };
}
