/** Object Lock on single versions. Source: S3 user guide, "Locking objects with Object Lock". */
import { PutObjectLegalHoldCommand, PutObjectRetentionCommand } from "@aws-sdk/client-s3";
import type { EpochMs } from "../../rows/day.ts";
import { assertRemovable, lengthened, noLocks } from "../locks.ts";
import type { Locator, Retention } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { isDenied } from "./failure.ts";
import { headOf, headOrNull, named, objectHead } from "./head-object.ts";
import type { Traits } from "./traits.ts";
import { deleteOne } from "./versions.ts";

export async function assertLocks(traits: Traits, where: Where): Promise<void> {
  if (!(await traits.locking()).isOn) throw noLocks(where);
}

/** A lock is kept in whole seconds; rounded up, so that what is locked is never free too soon. */
export function wholeSeconds({ mode, until }: Retention): Retention {
  return { mode, until: (Math.ceil(until / 1_000) * 1_000) as EpochMs };
}

export async function retainObject(
  bucket: Bucket,
  where: Where,
  object: Locator,
  wanted: Retention,
): Promise<void> {
  const found = await headOf(bucket, where, object);
  const { retention: current, versionId } = objectHead(where.key, found, {});
  const after = lengthened(current, wholeSeconds(wanted));
  if (after === current) return;
  const Retention = { Mode: after.mode, RetainUntilDate: new Date(after.until) };
  await bucket.call(where, "s3:PutObjectRetention", async (s3, how) => {
    await s3.send(new PutObjectRetentionCommand({ ...named(bucket, where, versionId), Retention }), how);
  });
}

export async function holdObject(
  bucket: Bucket,
  where: Where,
  object: Locator,
  isHeld: boolean,
): Promise<void> {
  const found = await headOf(bucket, where, object);
  const { isHeld: isHeldNow, versionId } = objectHead(where.key, found, {});
  if (isHeldNow === isHeld) return;
  const LegalHold = { Status: isHeld ? "ON" : "OFF" } as const;
  await bucket.call(where, "s3:PutObjectLegalHold", async (s3, how) => {
    await s3.send(new PutObjectLegalHoldCommand({ ...named(bucket, where, versionId), LegalHold }), how);
  });
}

/** Removes one version. The store refuses what is locked without saying why: then the object itself is asked. */
export async function removeObject(
  bucket: Bucket,
  where: Where,
  object: Locator,
  now: EpochMs,
): Promise<void> {
  try {
    await deleteOne(bucket, where, object.versionId);
  } catch (error) {
    if (!isDenied(error)) throw error;
    const found = await headOrNull(bucket, where, object.versionId);
    if (found !== null) assertRemovable(where, objectHead(where.key, found, {}), now);
    throw error;
  }
}
