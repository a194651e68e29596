/** Segments that wait for the bucket's rule: what the store says of each, so that a plan can tell which it has moved. */
import { objectLocator } from "../archive/locators.ts";
import { CLASSES_THAT_NEED_RESTORE, type ObjectHead } from "../archive/port.ts";
import { inParallel } from "../archived/read-manifests.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import { COLD_TAG } from "../plan/lifecycle-rules.ts";

/** Those of the tagged segments that are where the rule has not moved them yet, and still have the tag. */
export async function waitingForRule<Tx>(
  { archive, policy }: Environment<Tx>,
  unfinished: readonly SegmentRecord[],
): Promise<ReadonlySet<string>> {
  const waiting = new Set<string>();
  const { cold, pipeline } = policy;
  if (cold?.transition !== "lifecycle") return waiting;
  const tagged = unfinished.filter(({ state, taggedAt }) => state === "cooling" && taggedAt !== null);
  await inParallel(tagged, async (record) => {
    const head = await archive.head(objectLocator(pipeline, record)).catch((error: unknown) => {
      // A store that cannot be asked for a moment must not end a plan: nothing is known, so it waits.
      if (!(error instanceof FirnlineError && error.retryable)) throw error;
      waiting.add(record.segment);
      return undefined;
    });
    if (head === undefined) return;
    // What is gone, or has lost its tag, is taken up: the stage says what is wrong, or tags it again.
    if (head === null || head.tags[COLD_TAG.Key] !== COLD_TAG.Value) return;
    if (!isMoved(head, cold.storageClass)) waiting.add(record.segment);
  });
  return waiting;
}

/** Whether a run of ours, the bucket's rule or somebody else has moved it to the cold class, or to another one. */
export function isMoved({ storageClass: found }: ObjectHead, storageClass: string): boolean {
  return found === storageClass || CLASSES_THAT_NEED_RESTORE.has(found);
}
