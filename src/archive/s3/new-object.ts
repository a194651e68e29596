/** What every new object of ours gets besides its bytes, and how one is recognised whose reply was lost. */
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import type { Pin, Retention } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { Bucket, S3Encryption } from "./bucket.ts";
import { isMissing } from "./failure.ts";

/** Metadata that only one call of `create` knows. Two creators of the same bytes are told apart by it. */
const CREATION = "firnline-creation";
/** Lower-case hex, for people with other tools; where the SHA-256 is known before the bytes are sent. */
const SHA256 = "firnline-sha256";

export interface NewObject {
  readonly where: Where;
  /** Names this call of `create`. */
  readonly creation: string;
  readonly storageClass: string;
  readonly retention: Retention | null;
}

/** The fields of PutObject and CreateMultipartUpload that say what the object will be. */
export function descriptionOf(
  bucket: Bucket,
  { where, creation, storageClass, retention }: NewObject,
  sha256?: string,
) {
  return {
    ...bucket.object(where),
    StorageClass: storageClass as "STANDARD",
    Metadata: { [CREATION]: creation, ...(sha256 === undefined ? {} : { [SHA256]: sha256 }) },
    ContentType: contentTypeOf(where.key),
    ...encryptionOf(bucket),
    ...(retention === null
      ? {}
      : { ObjectLockMode: retention.mode, ObjectLockRetainUntilDate: new Date(retention.until) }),
  };
}

export function encryptionOf({ options: { encryption, endpoint } }: Bucket): {
  readonly ServerSideEncryption?: "AES256" | "aws:kms";
  readonly SSEKMSKeyId?: string;
  readonly BucketKeyEnabled?: boolean;
} {
  if (encryption === null) return {};
  const { mode, key }: S3Encryption = encryption;
  if (mode === "SSE-S3") return { ServerSideEncryption: "AES256" };
  return {
    ServerSideEncryption: "aws:kms",
    ...(key === null ? {} : { SSEKMSKeyId: key }),
    // One request to KMS for many objects; other stores have no such thing.
    ...(endpoint === null ? { BucketKeyEnabled: true } : {}),
  };
}

/** Which call of `create` made it; a copy keeps the name. Null for what is not ours. */
export function creationOf({
  Metadata,
}: {
  readonly Metadata?: Readonly<Record<string, string>> | undefined;
}): string | null {
  return Metadata?.[CREATION] ?? null;
}

export type Standing =
  | { readonly whose: "nobody" }
  | { readonly whose: "ours"; readonly versionId: string | null; readonly etag: string | null }
  | { readonly whose: "another" };

/** Whether the key is taken, and whether by this very call, whose reply was lost. */
export async function standingOf(bucket: Bucket, object: NewObject, bytes: bigint): Promise<Standing> {
  const { where } = object;
  try {
    const found = await bucket.call(where, "s3:GetObject", async (s3, how) => {
      return await s3.send(new HeadObjectCommand(bucket.object(where)), how);
    });
    const isOurs = creationOf(found) === object.creation && found.ContentLength === Number(bytes);
    if (!isOurs) return { whose: "another" };
    return { whose: "ours", versionId: found.VersionId ?? null, etag: found.ETag ?? null };
  } catch (error) {
    if (isMissing(error)) return { whose: "nobody" };
    throw error;
  }
}

export function pinOf(
  { where }: NewObject,
  stored: { readonly versionId: string | null; readonly etag: string | null },
  sha256: string,
  bytes: bigint,
): Pin {
  return { key: where.key, versionId: stored.versionId, etag: stored.etag, sha256, bytes };
}

function contentTypeOf(key: string): string {
  if (key.endsWith(".json")) return "application/json";
  return key.endsWith(".parquet") ? "application/vnd.apache.parquet" : "application/octet-stream";
}
