/**
 * Executes the steps of a plan one by one. A partition that fails is left as it stands, reported, and does not keep the
 * others waiting: the backlog of a whole table must not grow behind one damaged object or one locked row.
 */
import { checkpoint } from "../environment.ts";
import { type ErrorCode, FirnlineError } from "../errors.ts";
import type { Step } from "../plan/plan.ts";
import type { StageContext } from "./context.ts";
import { deletePartition } from "./delete-only.ts";
import { exportPartition } from "./export.ts";
import { type Drift, pruneSegment } from "./prune.ts";
import { sealSegment } from "./seal.ts";
import { transitionSegment } from "./transition.ts";

export class Tally {
  exported = 0n;
  pruned = 0n;
  deleted = 0n;
  cooled = 0n;
  readonly drift: Drift[] = [];
  /** Partitions that failed; their rows are where they were. */
  readonly failures: FirnlineError[] = [];

  /** Rows that anything was done to. */
  get rows(): bigint {
    return this.exported + this.pruned + this.deleted + this.cooled;
  }
}

/** Failures of one partition. All others end the run; so does a table that changed under it (`E_SOURCE`). */
const OF_ONE_PARTITION: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "E_VERIFY",
  "E_FORMAT",
  "E_DATABASE",
  "E_ARCHIVE",
]);
/** So many in a row are not the partitions' fault: the database or the store is out of order. */
const FAILURES_IN_A_ROW_MAX = 3;

/** What an earlier run began and left to be abandoned, verified or pruned. It keeps the rest of its partition waiting. */
export const isTakenUp = ({ segment, stages }: Step): boolean =>
  segment !== null && stages.some((stage) => stage === "abandon" || stage === "seal" || stage === "prune");

export async function executeSteps<Tx>(
  context: StageContext<Tx>,
  steps: readonly Step[],
  tally: Tally,
): Promise<void> {
  let inARow = 0;
  for (const step of steps) {
    checkpoint(context.signal);
    try {
      await executeStep(context, step, tally);
      inARow = 0;
    } catch (error) {
      inARow += 1;
      const isLocal = error instanceof FirnlineError && OF_ONE_PARTITION.has(error.code);
      if (!isLocal || inARow >= FAILURES_IN_A_ROW_MAX) throw error;
      tally.failures.push(error);
    }
  }
}

async function executeStep<Tx>(context: StageContext<Tx>, step: Step, tally: Tally): Promise<void> {
  const { catalog, lease, policy } = context;
  const wants = (stage: Step["stages"][number]): boolean => step.stages.includes(stage);
  if (wants("delete")) {
    tally.deleted += await deletePartition(context, step);
    return;
  }
  if (wants("abandon")) {
    await catalog.abandon(lease, step.segment as string);
    return;
  }
  const segments =
    step.segment === null
      ? await exportPartition(context, step)
      : [await catalog.segment(policy.pipeline, step.segment)];
  if (wants("export")) tally.exported += segments.reduce((sum, { rows }) => sum + rows, 0n);
  for (const exported of segments) {
    const segment = wants("seal") ? await sealSegment(context, exported) : exported;
    if (wants("prune")) {
      const { rows, drift } = await pruneSegment(context, segment);
      tally.pruned += rows;
      tally.drift.push(...drift);
    }
    if (wants("transition")) tally.cooled += await coolDown(context, segment.segment);
  }
}

/** A segment that drifted is not wholly pruned, and a small object is not worth a cold class: both stay as they are. */
async function coolDown<Tx>(context: StageContext<Tx>, segment: string): Promise<bigint> {
  const record = await context.catalog.segment(context.policy.pipeline, segment);
  const bytesMin = context.policy.cold?.objectBytesMin ?? context.coldBytesMin;
  if (record.state !== "cooling" && record.state !== "warm") return 0n;
  if (record.state === "warm" && (record.object?.bytes ?? 0n) < bytesMin) return 0n;
  return (await transitionSegment(context, record)).rows;
}
