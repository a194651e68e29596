/**
 * Exclusive creation where the store does not see to it. Ceph 16, for one, knows `If-None-Match` neither on
 * CompleteMultipartUpload nor, in a bucket with versions, on PutObject. There the key is looked up before, and the
 * versions are compared after: of two creators the one with the older version has won, and the other one removes its own.
 *
 * What remains. A loser that is killed between the two, or whose version is locked from its first moment on, leaves a
 * version above the winner's: who reads by the winner's pin does not notice, who reads without one gets the loser's bytes
 * and stops, since they are not what the journal names. Without versions, of two who complete a multipart upload of one
 * key in the same moment, the later one's bytes stay and both may believe that they won. Firnline itself never sends two
 * creators after one large object: keys of segments are drawn anew for every attempt, and all else fits into a PutObject.
 */
import { FirnlineError } from "../../errors.ts";
import type { Bucket } from "./bucket.ts";
import { isDenied } from "./failure.ts";
import { headOrNull } from "./head-object.ts";
import { creationOf, type NewObject, type Standing, standingOf } from "./new-object.ts";
import type { Traits } from "./traits.ts";
import { deleteOne, versionsOf } from "./versions.ts";

export interface LookedUp {
  readonly isTaken: boolean;
  /** Versions of the key that are there already, below a marker that makes it look free. */
  readonly versions: ReadonlySet<string>;
}

export async function lookUp(bucket: Bucket, traits: Traits, object: NewObject): Promise<LookedUp> {
  if (!(await traits.keepsVersions())) {
    const { whose } = await standingOf(bucket, object, -1n);
    return { isTaken: whose !== "nobody", versions: new Set() };
  }
  const found = await versionsOf(bucket, object.where);
  return {
    isTaken: found.some(({ isCurrent, isDeleteMarker }) => isCurrent && !isDeleteMarker),
    versions: new Set(found.flatMap(({ versionId }) => versionId ?? [])),
  };
}

export interface Created {
  readonly versionId: string | null;
  readonly etag: string | null;
  readonly bytes: bigint;
}

/**
 * Whose the key is after `created`: somebody else may have created it in the moment after it was looked up, or we
 * ourselves, by a try whose reply was lost. The oldest version counts; younger ones of ours are removed, where their lock
 * allows it.
 */
export async function settle(
  bucket: Bucket,
  traits: Traits,
  object: NewObject,
  before: LookedUp,
  created: Created,
): Promise<Standing> {
  const { versionId, etag, bytes } = created;
  if (versionId === null || !(await traits.keepsVersions())) return await standingOf(bucket, object, bytes);
  const found = await versionsOf(bucket, object.where); // newest first
  // A listing that is behind may lack somebody else's too, and both would believe that they won.
  if (!found.some((one) => one.versionId === versionId)) throw notListed(object, versionId);
  const fresh = found.filter((one) => !one.isDeleteMarker && !before.versions.has(one.versionId ?? ""));
  const first = fresh.at(-1)?.versionId ?? null;
  if (first === null || first === versionId) return { whose: "ours", versionId, etag };
  const oldest = await headOrNull(bucket, object.where, first);
  const isOurs = oldest !== null && creationOf(oldest) === object.creation;
  for (const one of fresh) {
    if (one.versionId === first) continue;
    const head = await headOrNull(bucket, object.where, one.versionId);
    if (head !== null && creationOf(head) === object.creation)
      await withdraw(bucket, object, one.versionId, isOurs);
  }
  return isOurs ? { whose: "ours", versionId: first, etag: oldest.ETag ?? null } : { whose: "another" };
}

function notListed({ where }: NewObject, versionId: string): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: where.key,
    problem: `the store does not list the version that it has just made (${versionId})`,
    hint: "Run again later; it goes on where it stopped",
    ...where,
    retryable: true,
  });
}

/** `mayStay`: the older one is ours too, and says the same. */
async function withdraw(
  bucket: Bucket,
  { where }: NewObject,
  versionId: string | null,
  mayStay: boolean,
): Promise<void> {
  try {
    await deleteOne(bucket, where, versionId);
  } catch (error) {
    if (!isDenied(error)) throw error;
    if (mayStay) return;
    throw new FirnlineError({
      code: "E_BUCKET",
      subject: where.key,
      problem: `somebody else created it in the same moment, and our version ${versionId} cannot be removed again`,
      hint: "Remove that version by hand, once its lock allows it; the older one is the one that counts",
      ...where,
      cause: error,
    });
  }
}
