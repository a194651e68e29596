/** Executes what a plan wants of the way to the cold class. */
import { objectLocator } from "../archive/locators.ts";
import { inParallel } from "../archived/read-manifests.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import type { Step } from "../plan/step.ts";
import type { StageContext } from "./context.ts";
import { packSegments } from "./pack.ts";
import { rewriteSegment } from "./rewrite.ts";
import { isMoved } from "./tagged-segments.ts";
import { transitionSegment } from "./transition.ts";

/** What the steps came to, in rows. */
export interface CoolingTally {
  cooled: bigint;
  rewritten: bigint;
  packed: bigint;
  tagged: bigint;
  /** Segments that were made by this run, are due for the cold class and too small for it: they may be packed now. */
  tooSmall: number;
}

/** `rewrite` and `pack`, with the transition that follows. */
export async function executeCopying<Tx>(
  context: StageContext<Tx>,
  step: Step,
  tally: CoolingTally,
): Promise<void> {
  const { catalog, policy } = context;
  const made: string[] = [];
  if (step.packs !== undefined) {
    const left = await withoutMoved(context, step.packs, tally);
    for (const { segment, rows } of await packSegments(context, left)) {
      tally.packed += rows;
      made.push(segment);
    }
  } else {
    const before = await catalog.segment(policy.pipeline, step.segment as string);
    const { segment, rows } = await rewriteSegment(context, before);
    tally.rewritten += rows;
    made.push(segment);
  }
  if (!step.stages.includes("transition")) return;
  for (const segment of made) await coolDown(context, segment, tally);
}

/** What somebody has moved to a cold class cannot be packed: it is journaled as what the store says, and left out. */
async function withoutMoved<Tx>(
  context: StageContext<Tx>,
  segments: readonly string[],
  tally: CoolingTally,
): Promise<string[]> {
  const { archive, catalog, policy } = context;
  const moved: SegmentRecord[] = [];
  await inParallel(segments, async (segment) => {
    const record = await catalog.segment(policy.pipeline, segment);
    if (record.state !== "warm") return;
    const head = await archive.head(objectLocator(policy.pipeline, record));
    if (head !== null && isMoved(head, policy.cold?.storageClass ?? "")) moved.push(record);
  });
  for (const record of moved) tally.cooled += (await transitionSegment(context, record)).rows;
  const isMovedNow = new Set(moved.map(({ segment }) => segment));
  return segments.filter((segment) => !isMovedNow.has(segment));
}

/** A segment that drifted is not whole, and a small object is not worth a cold class: both stay as they are. */
export async function coolDown<Tx>(
  context: StageContext<Tx>,
  segment: string,
  tally: CoolingTally,
): Promise<void> {
  const record = await context.catalog.segment(context.policy.pipeline, segment);
  const bytesMin = context.policy.cold?.objectBytesMin ?? context.coldBytesMin;
  if (record.state !== "cooling" && record.state !== "warm") return;
  if (record.rowsSuperseded > 0n) return;
  if (record.state === "warm" && (record.object?.bytes ?? 0n) < bytesMin) {
    tally.tooSmall += 1;
    return;
  }
  const { rows, state, taggedAt } = await transitionSegment(context, record);
  if (state === "cold") tally.cooled += rows;
  else if (taggedAt !== record.taggedAt) tally.tagged += rows;
}

/** An upload that a killed run left is given up, and its parts with it: its process is gone, or it would hold the lease. */
export async function abandonSegment<Tx>(
  { archive, catalog, lease, policy }: StageContext<Tx>,
  segment: string,
): Promise<void> {
  const record = await catalog.segment(policy.pipeline, segment);
  await archive.abortUploads(objectLocator(policy.pipeline, record).key);
  await catalog.abandon(lease, segment);
}
