/**
 * Which checksum the store compares with the bytes of a request, found by sending a wrong one: what S3's own clients
 * send by default breaks some stores, others take it and never look. The question is asked with a part of an upload that
 * is given up again, so that no object is made and nothing is left, even in a bucket that locks whatever is put there.
 */
import { createHash } from "node:crypto";
import { UploadPartCommand } from "@aws-sdk/client-s3";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { isUnable } from "./failure.ts";
import { encryptionOf } from "./new-object.ts";
import { newProbe } from "./probes.ts";
import { refusalOf } from "../sdk-refusal.ts";
import { abort, beginUpload } from "./uploads.ts";

/** `none`: the store compares nothing; then only reading the object back tells. */
export type Checksums = "sha256" | "md5" | "none";

const BODY = new TextEncoder().encode("firnline");
const OTHER = new TextEncoder().encode("not the same");

/** These are 400 too, and say that the bytes did not come at all. */
const BROKEN_OFF = new Set(["RequestTimeout", "IncompleteBody"]);

const base64 = (algorithm: "sha256" | "md5", bytes: Uint8Array): string =>
  createHash(algorithm).update(bytes).digest("base64");

/** What goes with a request that carries `bytes`, besides them. */
export function checksumFields(
  checksums: Checksums,
  bytes: Uint8Array,
): { readonly ChecksumSHA256?: string; readonly ContentMD5?: string } {
  if (checksums === "sha256") return { ChecksumSHA256: base64("sha256", bytes) };
  // A store that compares nothing may still want to see one where objects are locked.
  return { ContentMD5: base64("md5", bytes) };
}

export async function findChecksums(bucket: Bucket): Promise<Checksums> {
  if (await isCompared(bucket, "sha256")) return "sha256";
  return (await isCompared(bucket, "md5")) ? "md5" : "none";
}

async function isCompared(bucket: Bucket, algorithm: "sha256" | "md5"): Promise<boolean> {
  const where = newProbe(bucket, "archive.probe");
  const object = bucket.object(where);
  const upload = await begin(bucket, where, algorithm);
  if (upload === null) return false;
  const wrong = base64(algorithm, OTHER);
  const sum = algorithm === "sha256" ? { ChecksumSHA256: wrong } : { ContentMD5: wrong };
  const part = { ...object, UploadId: upload, PartNumber: 1, Body: BODY, ...sum };
  try {
    return await bucket.call(
      where,
      "s3:PutObject",
      async (s3, how) => await isRefused(s3.send(new UploadPartCommand(part), how)),
    );
  } finally {
    await abort(bucket, where, upload);
  }
}

/** 400, by whatever name; a store that does not know the header may have no word for it. What broke on the way is thrown. */
async function isRefused(sending: Promise<unknown>): Promise<boolean> {
  try {
    await sending;
    return false;
  } catch (error) {
    const { status, name } = refusalOf(error) ?? { status: null, name: "" };
    if (status === 400 && !BROKEN_OFF.has(name)) return true;
    if (isUnable(error)) return false;
    throw error;
  }
}

/** Null where the store refuses even to hear of the algorithm. */
async function begin(bucket: Bucket, where: Where, algorithm: "sha256" | "md5"): Promise<string | null> {
  const sum = algorithm === "sha256" ? { ChecksumAlgorithm: "SHA256" as const } : {};
  try {
    // A bucket may refuse whatever does not ask to be encrypted as its owner wants it.
    const description = { ...bucket.object(where), ...encryptionOf(bucket), ...sum };
    return await beginUpload(bucket, where, "s3:PutObject", description);
  } catch (error) {
    const isUnknown = refusalOf(error)?.status === 400 || isUnable(error);
    if (algorithm === "sha256" && isUnknown) return null;
    throw error;
  }
}
