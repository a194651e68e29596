/**
 * Exclusive creation in a bucket. What fits into one part is one PutObject, anything larger a multipart upload; both
 * with `If-None-Match: *`, which is the commit point (I3).
 *
 * A try whose reply is lost may have been taken, and then the next one is told that the key is taken: by itself. So each
 * call of `create` puts a name of its own into the object's metadata, and is `created` if the object bears that name.
 */
import { createHash, randomBytes } from "node:crypto";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { FirnlineError } from "../../errors.ts";
import { bodyChunks } from "../body.ts";
import { newState } from "../object-state.ts";
import type { CreateOptions, CreateResult } from "../port.ts";
import { throwIfAborted, type Where } from "../refusals.ts";
import { brokenOff } from "../sdk-answers.ts";
import type { Bucket } from "./bucket.ts";
import { checksumFields } from "./checksums.ts";
import { lookUp, settle } from "./exclusive.ts";
import { isPreconditionFailed } from "./failure.ts";
import { uploadParts } from "./multipart.ts";
import { descriptionOf, type NewObject, pinOf, type Standing, standingOf } from "./new-object.ts";
import { PartReader } from "./part-reader.ts";
import type { Traits } from "./traits.ts";

export async function createObject(
  bucket: Bucket,
  traits: Traits,
  where: Where,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  { storageClass, retention, signal }: CreateOptions,
): Promise<CreateResult> {
  const object: NewObject = {
    where,
    creation: randomBytes(16).toString("hex"),
    storageClass: newState(storageClass).storageClass,
    retention: retention ?? null,
  };
  const parts = new PartReader(where, bodyChunks(where, body, signal), bucket.limits.partBytes);
  try {
    const first = await parts.next();
    throwIfAborted(where, signal);
    if (first === null || first.isLast) {
      return await put(bucket, traits, object, first?.bytes ?? new Uint8Array(0), signal);
    }
    return await uploadParts({ bucket, traits, object, signal }, parts, first);
  } finally {
    await parts.close();
  }
}

async function put(
  bucket: Bucket,
  traits: Traits,
  object: NewObject,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<CreateResult> {
  const { where } = object;
  const before = (await traits.isWatched()) ? await lookUp(bucket, traits, object) : null;
  if (before?.isTaken === true) return { outcome: "exists" };
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const sums = checksumFields(await traits.checksums(), bytes);
  let tries = 0;
  try {
    const reply = await bucket.call(
      where,
      "s3:PutObject",
      async (s3, how) => {
        tries += 1;
        const description = descriptionOf(bucket, object, sha256);
        const command = new PutObjectCommand({ ...description, ...sums, Body: bytes, IfNoneMatch: "*" });
        const answer = await s3.send(command, how);
        // What nobody named may not be there: sent again, it is told apart by its name.
        if (answer.ETag === undefined) throw brokenOff();
        return answer;
      },
      { signal, bytes: bytes.byteLength },
    );
    const created = {
      versionId: reply.VersionId ?? null,
      etag: reply.ETag ?? null,
      bytes: BigInt(bytes.byteLength),
    };
    const stored: Standing =
      before === null ? { whose: "ours", ...created } : await settle(bucket, traits, object, before, created);
    if (stored.whose !== "ours") return { outcome: "exists" };
    return { outcome: "created", pin: pinOf(object, stored, sha256, created.bytes) };
  } catch (error) {
    if (!isPreconditionFailed(error)) throw error;
  }
  if (tries === 1) return { outcome: "exists" };
  return await decide(bucket, object, sha256, BigInt(bytes.byteLength));
}

/** After a refusal that an earlier try of ours may be the reason of. */
export async function decide(
  bucket: Bucket,
  object: NewObject,
  sha256: string,
  bytes: bigint,
): Promise<CreateResult> {
  const standing = await standingOf(bucket, object, bytes);
  if (standing.whose === "ours") return { outcome: "created", pin: pinOf(object, standing, sha256, bytes) };
  if (standing.whose === "another") return { outcome: "exists" };
  const { op, key } = object.where;
  throw new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: "the store said that the key is taken, and there is no such object",
    hint: "Run again; who else writes or deletes there?",
    op,
    key,
    retryable: true,
  });
}
