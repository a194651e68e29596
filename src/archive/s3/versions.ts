/** Listings, by pages; and the removal of one version. */
import {
  DeleteObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
} from "@aws-sdk/client-s3";
import { FirnlineError } from "../../errors.ts";
import { assertKeyPrefix } from "../object-key.ts";
import type { EpochMs } from "../../rows/day.ts";
import type { ListedObject, ListedVersion } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";

/** Objects whose keys begin with `prefix`, in a bucket that never had versions. */
export async function* listObjects(
  bucket: Bucket,
  where: Where,
  prefix: string,
): AsyncGenerator<ListedObject> {
  assertKeyPrefix(prefix);
  const Prefix = bucket.prefix + prefix;
  let last = "";
  for (let ContinuationToken: string | undefined; ;) {
    const query = {
      Bucket: bucket.name,
      Prefix,
      ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
    };
    const page = await bucket.call(where, "s3:ListBucket", async (s3, how) => {
      return await s3.send(new ListObjectsV2Command(query), how);
    });
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      const key = bucket.keyOf(Key);
      if (key === null) continue;
      if (key <= last) throw disordered(where, `${key} after ${last}`);
      last = key;
      yield { key, versionId: null, bytes: BigInt(Size ?? 0), modifiedAt: instantOf(LastModified) };
    }
    if (page.IsTruncated !== true) return;
    const { NextContinuationToken: next } = page;
    if (next === undefined || next === ContinuationToken) throw withoutEnd(where);
    ContinuationToken = next;
  }
}

/** Every version and delete marker, those of a key together and newest first. */
export async function* listVersions(
  bucket: Bucket,
  where: Where,
  prefix: string,
): AsyncGenerator<ListedVersion> {
  assertKeyPrefix(prefix);
  const Prefix = bucket.prefix + prefix;
  let KeyMarker: string | undefined;
  let VersionIdMarker: string | undefined;
  let last: ListedVersion | undefined;
  while (true) {
    const query = {
      Bucket: bucket.name,
      Prefix,
      ...(KeyMarker === undefined ? {} : { KeyMarker }),
      ...(VersionIdMarker === undefined ? {} : { VersionIdMarker }),
    };
    const page = await bucket.call(where, "s3:ListBucketVersions", async (s3, how) => {
      return await s3.send(new ListObjectVersionsCommand(query), how);
    });
    for (const version of versionsOfPage(bucket, page)) {
      if (last !== undefined && !isBehind(version, last))
        throw disordered(where, `${version.key} after ${last.key}`);
      last = version;
      yield version;
    }
    if (page.IsTruncated !== true) return;
    const { NextKeyMarker: key, NextVersionIdMarker: version } = page;
    if (key === undefined || (key === KeyMarker && version === VersionIdMarker)) throw withoutEnd(where);
    KeyMarker = key;
    VersionIdMarker = version;
  }
}

/** All versions of exactly this key, newest first. */
export async function versionsOf(bucket: Bucket, where: Where): Promise<ListedVersion[]> {
  const found: ListedVersion[] = [];
  for await (const version of listVersions(bucket, where, where.key)) {
    if (version.key !== where.key) break; // the key itself is the first that begins with it
    found.push(version);
  }
  return found;
}

/** Removes exactly this version, or the object where there are none. Idempotent. */
export async function deleteOne(bucket: Bucket, where: Where, versionId: string | null): Promise<void> {
  const version = versionId === null ? {} : { VersionId: versionId };
  const needs = versionId === null ? "s3:DeleteObject" : "s3:DeleteObjectVersion";
  await bucket.call(where, needs, async (s3, how) => {
    await s3.send(new DeleteObjectCommand({ ...bucket.object(where), ...version }), how);
  });
}

/** The answer has versions and markers apart, each in order. */
function versionsOfPage(bucket: Bucket, page: ListObjectVersionsCommandOutput): ListedVersion[] {
  const { Versions = [], DeleteMarkers = [] } = page;
  const all = [
    ...Versions.map((one) => ({ ...one, bytes: BigInt(one.Size ?? 0), isDeleteMarker: false })),
    ...DeleteMarkers.map((one) => ({ ...one, bytes: 0n, isDeleteMarker: true })),
  ].flatMap(({ Key, VersionId, LastModified, IsLatest, bytes, isDeleteMarker }) => {
    const key = bucket.keyOf(Key);
    if (key === null) return [];
    const modifiedAt = instantOf(LastModified);
    return [
      { key, versionId: VersionId ?? null, bytes, modifiedAt, isCurrent: IsLatest === true, isDeleteMarker },
    ];
  });
  return all.sort(
    (a, b) =>
      (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) ||
      Number(b.isCurrent) - Number(a.isCurrent) ||
      b.modifiedAt - a.modifiedAt,
  );
}

/** Only where pages meet there is something to see: each is put in order by `versionsOfPage`. */
function isBehind(version: ListedVersion, last: ListedVersion): boolean {
  return version.key > last.key || (version.key === last.key && version.versionId !== last.versionId);
}

/** Whoever looks for one key stops at the next, and would take a key that comes later for one that is free. */
function disordered(where: Where, found: string): FirnlineError {
  return badListing(where, `the store's listing is not in order (${found})`);
}

/** A listing that ends before its end would make everything behind look as if it were gone. */
export function withoutEnd(where: Where): FirnlineError {
  return badListing(where, "the store's listing says that there is more, and not where it goes on");
}

function badListing({ op, key }: Where, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem,
    hint: "Check that archive.endpoint is an S3-compatible store, and any proxy or cache before it",
    op,
    key,
  });
}

function instantOf(date: Date | undefined): EpochMs {
  return (date?.getTime() ?? 0) as EpochMs;
}
