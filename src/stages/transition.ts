/**
 * transition: moves a wholly pruned segment's object to the cold class. The request is recorded before the store is
 * touched, the store is asked what it did, and only then is the journal written.
 *
 * `lifecycle`: the object is tagged, and a rule of the bucket on that tag moves it, a day or more later. Until it has,
 * later runs look (`tagged-segments.ts`) and do nothing else. The version stays what it was.
 * `copy`: the class is changed here; see `transition-copy.ts`.
 *
 * Whoever moved it, the store's word counts (hazard 27): an object that is in a cold class already is journaled as that.
 */
import { objectLocator } from "../archive/locators.ts";
import type { Locator, ObjectHead } from "../archive/port.ts";
import { readManifest } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { FirnlineError, invariant } from "../errors.ts";
import { COLD_TAG } from "../plan/lifecycle-rules.ts";
import type { StageContext } from "./context.ts";
import { protectSegment } from "./lock.ts";
import { isMoved } from "./tagged-segments.ts";
import { moveByCopy, removeOldVersion, type SealedSegment } from "./transition-copy.ts";

/** The segment as it is then: `cold`, or `cooling` where the bucket's rule has to move it. */
export async function transitionSegment<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
): Promise<SegmentRecord> {
  const { archive, catalog, failpoint, lease, policy } = context;
  const { pipeline } = policy;
  invariant(policy.cold !== null && record.object !== null, record.segment, "there is nothing to cool down");
  const { storageClass, transition } = policy.cold;
  if (record.state === "warm") await catalog.classRequested(lease, record.segment);
  failpoint("transition.requested");
  const object = objectLocator(pipeline, record);
  const before = await archive.head(object);
  if (before === null || before.bytes !== record.object.bytes) {
    throw notMoved(object, storageClass, before);
  }
  // Moving it again would need a restore first.
  if (isMoved(before, storageClass))
    await journalMove(context, { record, sha256: await sealedHash(context, record) }, before);
  else if (transition === "lifecycle") await tagObject(context, record, before);
  else {
    const sealed = { record, sha256: await sealedHash(context, record) };
    const moved = await moveByCopy(context, sealed, before, storageClass);
    failpoint("transition.moved");
    const after = await archive.head(moved);
    if (after === null || after.storageClass !== storageClass || after.bytes !== record.object.bytes) {
      throw notMoved(object, storageClass, after);
    }
    await journalMove(context, sealed, after);
    // Another version: whatever keeps it was the other one's.
    await protectSegment(context, await catalog.segment(pipeline, record.segment));
    await removeOldVersion(context, record, before, after);
  }
  return await catalog.segment(pipeline, record.segment);
}

/** What the object hashes to. Its manifest says so, which hashes to what the catalog pins. */
async function sealedHash<Tx>(context: StageContext<Tx>, record: SegmentRecord): Promise<string> {
  const { object } = await readManifest({ ...context, pipeline: context.policy.pipeline }, record);
  return object.sha256;
}

async function tagObject<Tx>(
  { archive, failpoint, journal, policy }: StageContext<Tx>,
  record: SegmentRecord,
  { key, versionId, tags }: ObjectHead,
): Promise<void> {
  const isTagged = tags[COLD_TAG.Key] === COLD_TAG.Value;
  if (!isTagged) await archive.tag({ key, versionId }, { [COLD_TAG.Key]: COLD_TAG.Value });
  failpoint("transition.tagged");
  if (isTagged && record.taggedAt !== null) return;
  const storageClass = policy.cold?.storageClass as string;
  await journal.append({ type: "tagged", segment: record.segment, storageClass });
}

async function journalMove<Tx>(
  { failpoint, journal, report }: StageContext<Tx>,
  { record: { object, rows, segment }, sha256 }: SealedSegment,
  { etag, key, storageClass, versionId }: ObjectHead,
): Promise<void> {
  const { bytes } = object as NonNullable<SegmentRecord["object"]>;
  await journal.append({
    type: "transitioned",
    segment,
    storageClass,
    object: { key, versionId, etag, sha256, bytes: bytes.toString() },
  });
  failpoint("transition.journaled");
  report({ stage: "transition", subject: segment, rows, bytes });
}

function notMoved({ key }: Locator, storageClass: string, found: ObjectHead | null): FirnlineError {
  const what = found === null ? "no object" : `${found.bytes} bytes in ${found.storageClass}`;
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `the store did not move it to ${storageClass} (found ${what})`,
    hint: "Nothing was deleted; run again, the segment is taken up where it stands",
    key,
    retryable: true,
  });
}
