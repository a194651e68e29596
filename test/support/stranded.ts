/**
 * What a bucket holds and no pipeline needs: parts of uploads that nobody completed, objects, versions and delete markers
 * that the journal does not know. Found with nothing of the product's, from a listing of all versions and the journal alone.
 */
import { ListMultipartUploadsCommand, ListObjectVersionsCommand, type S3Client } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import { type Journaled, readJournal } from "./oracle.ts";
import { mirrorBucket } from "./s3-mirror.ts";
import type { Scenario } from "./scenario.ts";

const PREFIX = "firnline/";
const JOURNAL = "_firnline/audit_logs/journal/";
/** The version of what was written while the bucket kept none. */
const NO_VERSION = "null";

/** As the journal names an object. */
interface Pin {
  readonly key: string;
  readonly versionId: string | null;
}

const nameOf = ({ key, versionId }: Pin): string => `${key} ${versionId ?? NO_VERSION}`;

/** What the journal says to be in the archive: an object that went to another class has left its old version behind. */
export function pinnedBy(journal: readonly Pick<Journaled, "event">[]): Set<string> {
  const pinned = new Set<string>();
  const objects = new Map<unknown, Pin>();
  for (const { event } of journal) {
    const { type, segment } = event;
    if (type === "sealed" || type === "packed" || type === "transitioned") {
      const before = objects.get(segment);
      if (before !== undefined) pinned.delete(nameOf(before));
      const object = event["object"] as Pin;
      objects.set(segment, object);
      pinned.add(nameOf(object));
    }
    if (type === "sealed" || type === "packed") pinned.add(nameOf(event["manifest"] as Pin));
    if (type === "expired" || type === "collected") {
      for (const one of event["objects"] as Pin[]) pinned.delete(nameOf(one));
    }
  }
  return pinned;
}

/** A line for each: markers, versions, uploads. `besides` are whole keys that are somebody else's. */
export async function strandedIn(
  client: S3Client,
  Bucket: string,
  { journal, besides = [] }: { journal: readonly Pick<Journaled, "event">[]; besides?: readonly string[] },
): Promise<string[]> {
  const pinned = pinnedBy(journal);
  const stranded: string[] = [];
  const entries = new Set<string>();
  const {
    Versions = [],
    DeleteMarkers = [],
    IsTruncated,
  } = await client.send(new ListObjectVersionsCommand({ Bucket }));
  expect(IsTruncated, "the listing ends before the bucket does").not.toBe(true);
  for (const { Key = "", VersionId = NO_VERSION } of DeleteMarkers) {
    stranded.push(`delete marker ${Key} ${VersionId}`);
  }
  for (const { Key = "", VersionId = NO_VERSION } of Versions) {
    if (besides.includes(Key)) continue;
    const key = Key.startsWith(PREFIX) ? Key.slice(PREFIX.length) : null;
    // Each entry has one version, and `readJournal` has checked that it is the chain's.
    const isEntry =
      key?.startsWith(JOURNAL) === true &&
      !entries.has(key) &&
      Number(key.slice(JOURNAL.length, -".json".length)) <= journal.length;
    if (isEntry) entries.add(key);
    else if (key === null || !pinned.has(nameOf({ key, versionId: VersionId })))
      stranded.push(`version ${Key} ${VersionId}`);
  }
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
  return [...stranded, ...Uploads.map(({ Key = "" }) => `upload ${Key}`)];
}

/** The end of every suite that has a bucket. It leaves a mirror of the bucket in the scenario's archive folder. */
export async function expectNothingStranded(
  scenario: Scenario,
  client: S3Client,
  bucket: string,
  besides: readonly string[] = [],
): Promise<void> {
  await mirrorBucket(client, bucket, scenario.archive);
  const journal = await readJournal(scenario);
  expect(journal, "a journal that nobody wrote knows nothing").not.toEqual([]);
  expect(await strandedIn(client, bucket, { journal, besides })).toEqual([]);
}
