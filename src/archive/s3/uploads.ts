/**
 * Multipart uploads: beginning and ending them, and finding those that nobody completed: parts that no listing of objects
 * shows, and that cost what objects cost.
 */
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListPartsCommand,
  type ListPartsCommandOutput,
} from "@aws-sdk/client-s3";
import type { EpochMs } from "../../rows/day.ts";
import { segmentOfKey } from "../../segment/archive-keys.ts";
import type { Swept } from "../port.ts";
import type { Where } from "../refusals.ts";
import { brokenOff } from "../sdk-answers.ts";
import type { Bucket } from "./bucket.ts";
import { isMissing } from "./failure.ts";
import { refusalOf } from "../sdk-refusal.ts";
import { withoutEnd } from "./versions.ts";

interface Unfinished {
  readonly key: string;
  readonly uploadId: string;
  readonly begunAt: EpochMs;
}

/** A part that was under way when its upload was given up may be stored a little later. */
const ABORTS_MAX = 5;

/** Begins an upload of a key that nobody else uploads to; returns its id. */
export async function beginUpload(
  bucket: Bucket,
  where: Where,
  needs: string,
  description: CreateMultipartUploadCommandInput,
  signal?: AbortSignal,
): Promise<string> {
  let tries = 0;
  const uploadId = await bucket.call(
    where,
    needs,
    async (s3, how) => {
      tries += 1;
      const { UploadId } = await s3.send(new CreateMultipartUploadCommand(description), how);
      if (UploadId === undefined) throw brokenOff();
      return UploadId;
    },
    { signal },
  );
  // A try whose reply was lost may have begun another one, which nobody would end.
  if (tries > 1) await abortUploadsOf(bucket, where, uploadId);
  return uploadId;
}

/** Gives up an upload, with all parts. Idempotent. */
export async function abort(bucket: Bucket, where: Where, UploadId: string): Promise<void> {
  const upload = { ...bucket.object(where), UploadId };
  for (let aborts = 0; aborts < ABORTS_MAX; aborts += 1) {
    try {
      await bucket.call(where, "s3:AbortMultipartUpload", async (s3, how) => {
        await s3.send(new AbortMultipartUploadCommand(upload), how);
      });
      await bucket.call(where, "s3:ListMultipartUploadParts", async (s3, how) => {
        await s3.send(new ListPartsCommand({ ...upload, MaxParts: 1 }), how);
      });
    } catch (error) {
      if (refusalOf(error)?.name === "NoSuchUpload" || isMissing(error)) return;
      throw error;
    }
  }
}

/** Ends every upload of exactly this key, besides one. */
export async function abortUploadsOf(bucket: Bucket, where: Where, besides?: string): Promise<number> {
  let aborted = 0;
  for await (const { key, uploadId } of unfinished(bucket, where, where.key)) {
    if (key !== where.key || uploadId === besides) continue;
    await abort(bucket, where, uploadId);
    aborted += 1;
  }
  return aborted;
}

const isOurs = (key: string): boolean => key.startsWith("_firnline/") || segmentOfKey(key) !== null;

/** Ends uploads that were begun, and got their last part, before `olderThan`. */
export async function sweepUploads(bucket: Bucket, op: string, olderThan: EpochMs): Promise<Swept> {
  let files = 0;
  let bytes = 0n;
  for await (const { key, uploadId, begunAt } of unfinished(bucket, { op, key: bucket.url }, "")) {
    // An archive without a prefix shares its bucket's root with whoever else uploads there.
    if (begunAt >= olderThan || !isOurs(key)) continue;
    const where: Where = { op, key };
    const parts = await partsOf(bucket, where, uploadId);
    if (parts === null || parts.lastAt >= olderThan) continue;
    await abort(bucket, where, uploadId);
    files += 1;
    bytes += parts.bytes;
  }
  return { files, bytes };
}

async function* unfinished(bucket: Bucket, where: Where, prefix: string): AsyncGenerator<Unfinished> {
  let KeyMarker: string | undefined;
  let UploadIdMarker: string | undefined;
  while (true) {
    const query = {
      Bucket: bucket.name,
      Prefix: bucket.prefix + prefix,
      ...(KeyMarker === undefined ? {} : { KeyMarker }),
      ...(UploadIdMarker === undefined ? {} : { UploadIdMarker }),
    };
    const page: ListMultipartUploadsCommandOutput = await bucket.call(
      where,
      "s3:ListBucketMultipartUploads",
      async (s3, how) => await s3.send(new ListMultipartUploadsCommand(query), how),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      const key = bucket.keyOf(Key);
      const begunAt = (Initiated?.getTime() ?? 0) as EpochMs;
      if (key !== null && UploadId !== undefined) yield { key, uploadId: UploadId, begunAt };
    }
    if (page.IsTruncated !== true) return;
    const { NextKeyMarker: key, NextUploadIdMarker: uploadId } = page;
    if (key === undefined || (key === KeyMarker && uploadId === UploadIdMarker)) throw withoutEnd(where);
    KeyMarker = key;
    UploadIdMarker = uploadId;
  }
}

/** Null where the upload has been completed or ended since it was listed. */
async function partsOf(
  bucket: Bucket,
  where: Where,
  UploadId: string,
): Promise<{ readonly bytes: bigint; readonly lastAt: number } | null> {
  let bytes = 0n;
  let lastAt = 0;
  let PartNumberMarker: string | undefined;
  while (true) {
    const query = {
      ...bucket.object(where),
      UploadId,
      ...(PartNumberMarker === undefined ? {} : { PartNumberMarker }),
    };
    let page: ListPartsCommandOutput;
    try {
      page = await bucket.call(where, "s3:ListMultipartUploadParts", async (s3, how) => {
        return await s3.send(new ListPartsCommand(query), how);
      });
    } catch (error) {
      if (refusalOf(error)?.name === "NoSuchUpload" || isMissing(error)) return null;
      throw error;
    }
    for (const { Size, LastModified } of page.Parts ?? []) {
      bytes += BigInt(Size ?? 0);
      lastAt = Math.max(lastAt, LastModified?.getTime() ?? 0);
    }
    if (page.IsTruncated !== true) return { bytes, lastAt };
    const { NextPartNumberMarker: next } = page;
    if (next === undefined || next === PartNumberMarker) throw withoutEnd(where);
    PartNumberMarker = next;
  }
}
