/**
 * A multipart upload of our own: which parts are stored is kept here, each is tried again by itself, and an upload that
 * fails in any way is given up, so that no part is left that nobody sees and everybody pays for.
 *
 * The commit point is CompleteMultipartUpload with `If-None-Match: *`; `exclusive.ts` says what is done where a store does
 * not know that.
 */
import { type CompletedPart, CompleteMultipartUploadCommand, UploadPartCommand } from "@aws-sdk/client-s3";
import type { CreateResult } from "../port.ts";
import { throwIfAborted, type Where } from "../refusals.ts";
import { brokenOff } from "../sdk-answers.ts";
import type { Bucket } from "./bucket.ts";
import { type Checksums, checksumFields } from "./checksums.ts";
import { isMissing, isPreconditionFailed } from "./failure.ts";
import { refusalOf } from "../sdk-refusal.ts";
import { lookUp, settle } from "./exclusive.ts";
import { descriptionOf, type NewObject, pinOf, type Standing, standingOf } from "./new-object.ts";
import { retainObject } from "./lock-object.ts";
import type { Part, PartReader } from "./part-reader.ts";
import { partsAtOnce } from "./part-sizes.ts";
import type { Traits } from "./traits.ts";
import { abort, beginUpload } from "./uploads.ts";

export interface Uploading {
  readonly bucket: Bucket;
  readonly traits: Traits;
  readonly object: NewObject;
  readonly signal: AbortSignal | undefined;
}

/** Stores `first`, which is not the last part, and all that follow. */
export async function uploadParts(
  uploading: Uploading,
  parts: PartReader,
  first: Part,
): Promise<CreateResult> {
  const { bucket, traits, object, signal } = uploading;
  const { where } = object;
  const checksums = await traits.checksums();
  const before = await lookUp(bucket, traits, object);
  if (before.isTaken) return { outcome: "exists" };
  const algorithm = checksums === "sha256" ? { ChecksumAlgorithm: "SHA256" as const } : {};
  const description = { ...descriptionOf(bucket, object), ...algorithm };
  const uploadId = await beginUpload(bucket, where, "s3:PutObject", description, signal);
  try {
    const upload = new Upload(bucket, where, uploadId, checksums, signal);
    try {
      for (let part: Part | null = first; part !== null; part = await parts.next())
        await upload.add(part, parts);
    } finally {
      await upload.settled();
    }
    upload.throwIfFailed();
    throwIfAborted(where, signal);
    if ((await lookUp(bucket, traits, object)).isTaken) {
      await abort(bucket, where, uploadId);
      return { outcome: "exists" };
    }
    const sha256 = parts.digest();
    const completed = await complete(uploading, uploadId, upload.ledger(), parts.bytes);
    if (completed.whose !== "ours") {
      await abort(bucket, where, uploadId);
      return { outcome: "exists" };
    }
    const stored = await settle(bucket, traits, object, before, { ...completed, bytes: parts.bytes });
    if (stored.whose !== "ours") return { outcome: "exists" };
    const pin = pinOf(object, stored, sha256, parts.bytes);
    // Ceph and others forget the lock that an upload was begun with.
    if (object.retention !== null) await retainObject(bucket, where, pin, object.retention);
    return { outcome: "created", pin };
  } catch (error) {
    // The first error is the one to tell; what is left is found by `abortUploads` and `sweepTemporary`.
    await abort(bucket, where, uploadId).catch(() => {});
    throw error;
  }
}

/** The parts of one upload that are stored or under way. */
class Upload {
  readonly #bucket: Bucket;
  readonly #where: Where;
  readonly #uploadId: string;
  readonly #checksums: Checksums;
  readonly #signal: AbortSignal;
  /** Ends the other parts when one has failed. */
  readonly #stop = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #stored: CompletedPart[] = [];
  #failure: unknown = null;

  constructor(
    bucket: Bucket,
    where: Where,
    uploadId: string,
    checksums: Checksums,
    signal: AbortSignal | undefined,
  ) {
    this.#bucket = bucket;
    this.#where = where;
    this.#uploadId = uploadId;
    this.#checksums = checksums;
    this.#signal = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
  }

  /** Begins to store a part; waits while too many are under way (I10). */
  async add(part: Part, parts: PartReader): Promise<void> {
    const { partBytes, partsAtOnce: atFirst } = this.#bucket.limits;
    const most = partsAtOnce(partBytes, part.bytes.byteLength, atFirst);
    this.throwIfFailed();
    const storing: Promise<void> = this.#store(part)
      .then(
        () => parts.giveBack(part),
        (error: unknown) => {
          this.#failure ??= error;
          this.#stop.abort(error);
        },
      )
      .finally(() => this.#underWay.delete(storing));
    this.#underWay.add(storing);
    while (this.#underWay.size >= most) await Promise.race(this.#underWay);
    this.throwIfFailed();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  ledger(): CompletedPart[] {
    return this.#stored.toSorted((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  }

  async #store({ index, bytes }: Part): Promise<void> {
    const part = { ...this.#bucket.object(this.#where), UploadId: this.#uploadId, PartNumber: index + 1 };
    const sums = checksumFields(this.#checksums, bytes);
    const options = { signal: this.#signal, bytes: bytes.byteLength };
    const { ETag } = await this.#bucket.call(
      this.#where,
      "s3:PutObject",
      async (s3, how) => {
        const answer = await s3.send(new UploadPartCommand({ ...part, ...sums, Body: bytes }), how);
        if (answer.ETag === undefined) throw brokenOff();
        return answer;
      },
      options,
    );
    const { ChecksumSHA256 } = sums;
    this.#stored.push({
      PartNumber: index + 1,
      ETag,
      ...(ChecksumSHA256 === undefined ? {} : { ChecksumSHA256 }),
    });
  }
}

/** The commit point. It can fail inside of HTTP 200, and its reply can be lost: then the object itself is asked. */
async function complete(
  { bucket, traits, object, signal }: Uploading,
  UploadId: string,
  Parts: CompletedPart[],
  bytes: bigint,
): Promise<Standing> {
  const { where } = object;
  const command = { ...bucket.object(where), UploadId, MultipartUpload: { Parts }, IfNoneMatch: "*" };
  let tries = 0;
  try {
    const reply = await bucket.call(
      where,
      "s3:PutObject",
      async (s3, how) => {
        tries += 1;
        const answer = await s3.send(new CompleteMultipartUploadCommand(command), how);
        if (answer.ETag === undefined) throw brokenOff();
        return answer;
      },
      { signal },
    );
    const stored = { versionId: reply.VersionId ?? null, etag: reply.ETag ?? null };
    // Not every store says what it made: Ceph leaves the ETag empty where there are versions.
    const isNamed = stored.etag !== "" && (stored.versionId !== null || !(await traits.keepsVersions()));
    return isNamed ? { whose: "ours", ...stored } : await standingOf(bucket, object, bytes);
  } catch (error) {
    const isGone = refusalOf(error)?.name === "NoSuchUpload" || isMissing(error);
    if (!isPreconditionFailed(error) && !(isGone && tries > 1)) throw error;
    const standing = await standingOf(bucket, object, bytes);
    if (standing.whose === "nobody") throw error;
    return standing;
  }
}
