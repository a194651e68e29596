/** Moving an object to another class: a copy onto itself. Source: S3 API reference, CopyObject and UploadPartCopy. */
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  type HeadObjectCommandOutput,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { FirnlineError } from "../../errors.ts";
import { newState } from "../object-state.ts";
import type { Locator } from "../port.ts";
import type { Where } from "../refusals.ts";
import { brokenOff } from "../sdk-answers.ts";
import type { Bucket } from "./bucket.ts";
import { accessOf, classOf, headOf, headOrNull, tagsOf } from "./head-object.ts";
import { creationOf, encryptionOf } from "./new-object.ts";
import { copyRanges } from "./part-sizes.ts";
import { cold } from "./read-range.ts";
import { tagObject } from "./tag-object.ts";
import { abort, beginUpload } from "./uploads.ts";

export interface CopySizes {
  /** Larger objects are copied by parts. */
  readonly atOnceBytesMax: number;
  readonly partBytes: number;
}

/** S3 copies no more than that in one request. */
const COPY_SIZES: CopySizes = { atOnceBytesMax: 5 * 1024 ** 3, partBytes: 512 * 1024 ** 2 };
/** The store copies inside, so fast compared with an upload; the answer may begin when it is done. */
const COPIED_BYTES = 1_000;
const NEEDS = "s3:GetObjectVersion, s3:GetObjectVersionTagging, s3:PutObject and s3:PutObjectTagging";

/**
 * Copies the object onto itself in another class: a new version with the same bytes, metadata and tags. The commit point
 * is the copy's own; the old version stays. Only for buckets with versions. A copy that an earlier call made, whose reply
 * was lost or whose process was killed, is found and taken. `assertMovable` is asked before anything is copied.
 */
export async function moveObject(
  bucket: Bucket,
  where: Where,
  object: Locator,
  storageClass: string,
  assertMovable: () => Promise<void>,
  sizes: CopySizes = COPY_SIZES,
): Promise<Locator> {
  const target = newState(storageClass).storageClass;
  const found = await headOf(bucket, where, object);
  const source: Locator = { key: where.key, versionId: object.versionId ?? found.VersionId ?? null };
  if (classOf(found) === target) return source;
  await assertMovable();
  if (accessOf(found).state !== "readable")
    throw cold(where, found.StorageClass, accessOf(found).state, undefined);
  const bytes = found.ContentLength ?? 0;
  const copy: Copy = { bucket, where, found, source, target };
  const versionId =
    (await movedBefore(copy)) ??
    (bytes > sizes.atOnceBytesMax
      ? await copyByParts(copy, bytes, sizes.partBytes)
      : await copyAtOnce(copy, bytes));
  const moved = { key: where.key, versionId };
  const after = await headOf(bucket, where, moved);
  if (bytes > sizes.atOnceBytesMax) {
    const tags = await tagsOf(bucket, where, found);
    // Ceph and others forget the tags that an upload was begun with. Some give none out of a cold object.
    if (after.TagCount !== Object.keys(tags).length) await tagObject(bucket, where, moved, tags);
  }
  if (after.ContentLength === bytes && classOf(after) === target) return moved;
  throw new FirnlineError({
    code: "E_VERIFY",
    subject: where.key,
    problem: `the copy in ${target} has ${after.ContentLength} bytes in ${classOf(after)}, expected ${bytes}`,
    hint: "The version of before is still there; nothing was deleted",
    ...where,
  });
}

interface Copy {
  readonly bucket: Bucket;
  readonly where: Where;
  readonly found: HeadObjectCommandOutput;
  readonly source: Locator;
  readonly target: string;
}

/** The current version, if it is this very object in the class that is wanted. */
async function movedBefore({ bucket, where, found, source, target }: Copy): Promise<string | null> {
  const creation = creationOf(found);
  const current = await headOrNull(bucket, where, null);
  if (current === null || creation === null || current.VersionId === source.versionId) return null;
  const isSame = creationOf(current) === creation && current.ContentLength === found.ContentLength;
  return isSame && classOf(current) === target ? (current.VersionId ?? null) : null;
}

async function copyAtOnce(copy: Copy, bytes: number): Promise<string | null> {
  const { bucket, where, found, target } = copy;
  const command = {
    ...bucket.object(where),
    CopySource: sourceOf(copy),
    ...(found.ETag === undefined ? {} : { CopySourceIfMatch: found.ETag }),
    StorageClass: target as "STANDARD",
    MetadataDirective: "COPY",
    TaggingDirective: "COPY",
    ...encryptionOf(bucket),
  } as const;
  let tries = 0;
  return await bucket.call(
    where,
    NEEDS,
    async (s3, how) => {
      tries += 1;
      const before = tries === 1 ? null : await movedBefore(copy);
      if (before !== null) return before;
      const { VersionId } = await s3.send(new CopyObjectCommand(command), how);
      // Not every store names the version that it made.
      return VersionId ?? (await movedBefore(copy));
    },
    { bytes: bytes / COPIED_BYTES },
  );
}

/** The same for what is too large for one request; metadata and tags have to be told again. */
async function copyByParts(copy: Copy, bytes: number, partBytes: number): Promise<string | null> {
  const { bucket, where, found, target } = copy;
  const tags = new URLSearchParams(await tagsOf(bucket, where, found)).toString();
  const UploadId = await beginUpload(bucket, where, NEEDS, {
    ...bucket.object(where),
    StorageClass: target as "STANDARD",
    Metadata: found.Metadata,
    ContentType: found.ContentType,
    ...(tags === "" ? {} : { Tagging: tags }),
    ...encryptionOf(bucket),
  });
  const upload = { ...bucket.object(where), UploadId };
  try {
    const Parts: CompletedPart[] = [];
    for (const [index, { start, end }] of copyRanges(bytes, partBytes).entries()) {
      const part = {
        ...upload,
        PartNumber: index + 1,
        CopySource: sourceOf(copy),
        CopySourceRange: `bytes=${start}-${end - 1}`,
        ...(found.ETag === undefined ? {} : { CopySourceIfMatch: found.ETag }),
      };
      const { CopyPartResult } = await bucket.call(
        where,
        NEEDS,
        async (s3, how) => {
          const answer = await s3.send(new UploadPartCopyCommand(part), how);
          if (answer.CopyPartResult?.ETag === undefined) throw brokenOff();
          return answer;
        },
        { bytes: (end - start) / COPIED_BYTES },
      );
      Parts.push({ PartNumber: index + 1, ETag: CopyPartResult?.ETag });
    }
    const reply = await bucket.call(where, NEEDS, async (s3, how) => {
      return await s3.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }),
        how,
      );
    });
    return reply.VersionId ?? (await movedBefore(copy));
  } catch (error) {
    await abort(bucket, where, UploadId).catch(() => {}); // the first error is the one to tell
    throw error;
  }
}

function sourceOf({ bucket, where, source: { versionId } }: Copy): string {
  const { Bucket: name, Key } = bucket.object(where);
  const path = `${name}/${Key.split("/").map(encodeURIComponent).join("/")}`;
  return versionId === null ? path : `${path}?versionId=${encodeURIComponent(versionId)}`;
}
