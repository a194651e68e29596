/**
 * Whether the store honours `If-None-Match: *`, found by creating a small object twice. All versions of it are
 * removed again.
 */
import { PutObjectCommand } from "@aws-sdk/client-s3";
import type { EpochMs } from "../../rows/day.ts";
import type { Retention } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { type Checksums, checksumFields } from "./checksums.ts";
import { isDenied, isPreconditionFailed, patienceOf } from "./failure.ts";
import { descriptionOf, type NewObject } from "./new-object.ts";
import { newProbe, PROBE_FOLDER } from "./probes.ts";
import { deleteOne, versionsOf } from "./versions.ts";

const BODY = new TextEncoder().encode("firnline");
/** A bucket that locks everything is told to lock the probe for a moment only. */
const LOCKED_MS = 3_000;
const REMOVALS_MAX = 40;
const PROBES_MAX = 3;
const REMOVAL_PAUSE_MS = 250;

/** What is known of the bucket already. */
export interface ProbedBucket {
  readonly checksums: Checksums;
  readonly hasVersions: boolean;
  /** Whether it locks whatever is put into it. */
  readonly isLocking: boolean;
}

/** `look` sees the object while it is there. */
export async function areConditionsHonoured(
  bucket: Bucket,
  op: string,
  known: ProbedBucket,
  look: (probe: NewObject) => Promise<void> = async () => {},
): Promise<boolean> {
  for (let probes = 1; ; probes += 1) {
    try {
      return await probeOnce(bucket, op, known, look);
    } catch (error) {
      if (probes === PROBES_MAX || patienceOf(error) !== "broken") throw error;
    }
    await bucket.pause({ op, key: bucket.url }, probes, undefined);
  }
}

/** Nothing is sent twice under one name: after a lost reply nobody knows what a refusal means. */
async function probeOnce(
  bucket: Bucket,
  op: string,
  known: ProbedBucket,
  look: (probe: NewObject) => Promise<void>,
): Promise<boolean> {
  const where = newProbe(bucket, op);
  const probe: NewObject = {
    where,
    creation: where.key.slice(PROBE_FOLDER.length),
    storageClass: "STANDARD",
    retention: known.isLocking ? momentary(bucket) : null,
  };
  try {
    await put(bucket, known.checksums, probe);
    const isHonoured = await isRefused(async () => await put(bucket, known.checksums, probe));
    await look(probe);
    return isHonoured;
  } finally {
    await remove(bucket, known, probe.where);
  }
}

async function put(bucket: Bucket, checksums: Checksums, probe: NewObject): Promise<void> {
  const sums = checksumFields(checksums, BODY);
  await bucket.call(
    probe.where,
    "s3:PutObject",
    async (s3, how) => {
      const description = descriptionOf(bucket, probe);
      await s3.send(new PutObjectCommand({ ...description, ...sums, Body: BODY, IfNoneMatch: "*" }), how);
    },
    { tries: 1 },
  );
}

async function isRefused(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (isPreconditionFailed(error)) return true;
    throw error;
  }
}

async function remove(bucket: Bucket, { hasVersions }: ProbedBucket, where: Where): Promise<void> {
  if (!hasVersions) {
    await deleteOne(bucket, where, null);
    return;
  }
  for (const { versionId } of await versionsOf(bucket, where)) await removeVersion(bucket, where, versionId);
}

/** A lock of a moment has to be waited for. */
async function removeVersion(bucket: Bucket, where: Where, versionId: string | null): Promise<void> {
  for (let removals = 1; ; removals += 1) {
    try {
      await deleteOne(bucket, where, versionId);
      return;
    } catch (error) {
      if (!isDenied(error) || removals === REMOVALS_MAX) throw error;
    }
    await bucket.options.sleep(REMOVAL_PAUSE_MS);
  }
}

function momentary(bucket: Bucket): Retention {
  const until = Math.ceil((bucket.options.now() + LOCKED_MS) / 1_000) * 1_000;
  return { mode: "GOVERNANCE", until: until as EpochMs };
}
