/**
 * transition: moves a wholly pruned segment's object to the cold class. The request is recorded before the store is
 * touched, the store is asked what it did, and only then is the journal written.
 */
import type { SegmentRecord } from "../catalog/port.ts";
import { FirnlineError, invariant } from "../errors.ts";
import { objectLocator } from "../archive/locators.ts";
import type { StageContext } from "./context.ts";

export async function transitionSegment<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
): Promise<SegmentRecord> {
  const { archive, catalog, failpoint, journal, lease, policy, report } = context;
  const storageClass = policy.cold?.storageClass;
  invariant(
    storageClass !== undefined && record.object !== null,
    record.segment,
    "there is nothing to cool down",
  );
  if (record.state === "warm") await catalog.classRequested(lease, record.segment);
  failpoint("transition.requested");
  const object = objectLocator(policy.pipeline, record);
  const before = await archive.head(object);
  // An earlier run may have moved it and died: moving it again would need a restore first.
  const moved = before?.storageClass === storageClass ? object : await archive.setClass(object, storageClass);
  failpoint("transition.moved");
  const after = await archive.head(moved);
  if (after === null || after.storageClass !== storageClass || after.bytes !== record.object.bytes) {
    throw new FirnlineError({
      code: "E_ARCHIVE",
      subject: object.key,
      problem: `the store did not move it to ${storageClass} (found ${after?.storageClass ?? "no object"})`,
      hint: "Nothing was deleted; run again, the segment is taken up where it stands",
      key: object.key,
      retryable: true,
    });
  }
  await journal.append({
    type: "transitioned",
    segment: record.segment,
    storageClass,
    object: {
      key: object.key,
      versionId: after.versionId,
      etag: after.etag,
      sha256: record.object.sha256,
      bytes: record.object.bytes.toString(),
    },
  });
  failpoint("transition.journaled");
  report({ stage: "transition", subject: record.segment, rows: record.rows, bytes: record.object.bytes });
  return await catalog.segment(policy.pipeline, record.segment);
}
