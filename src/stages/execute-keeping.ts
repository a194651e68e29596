/** Steps that remove something for good, or put right what keeps it. What keeps it in spite of the plan is told, and no failure. */
import { isFirnlineError } from "../errors.ts";
import type { Held, Step } from "../plan/step.ts";
import { requireLeaf, type StageContext } from "./context.ts";
import { deletePartition } from "./delete-only.ts";
import { expireSegment } from "./expire.ts";
import { protectSegment } from "./lock.ts";

export interface KeepingTally {
  deleted: bigint;
  expired: bigint;
  readonly kept: Held[];
}

export async function executeKeeping<Tx>(
  context: StageContext<Tx>,
  step: Step,
  tally: KeepingTally,
): Promise<void> {
  const { catalog, policy, source } = context;
  const { day, leaf, rule, segment, stages } = step;
  const keep = (reason: string): void => {
    tally.kept.push({ leaf, rule, day, rows: step.rows, reason, needsPerson: false });
  };
  if (stages.includes("delete")) {
    const add = (rows: bigint): void => {
      tally.deleted += rows;
    };
    try {
      await deletePartition(context, { leaf: requireLeaf(source, leaf), rule, day }, add);
    } catch (error) {
      // A hold that was placed since the plan was made. What it came too late for is gone, and counted.
      if (!isFirnlineError(error, "E_HELD")) throw error;
      keep(`not deleted: ${error.problem}`);
    }
    return;
  }
  const record = await catalog.segment(policy.pipeline, segment as string);
  if (stages.includes("lock")) {
    await protectSegment(context, record);
    return;
  }
  const expiry = await expireSegment(context, record);
  if (expiry.outcome === "expired") tally.expired += expiry.rows;
  else keep(expiry.reason);
}
