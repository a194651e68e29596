/**
 * Partitions that another session's lock kept from their stage. An ALTER TABLE that waits behind an export of ours has
 * everybody else wait behind itself, and an export may last for hours. So they are tried once more when nothing else of the
 * run is under way; whoever is in the way then is not ourselves, and it is a failure.
 */
import { isFirnlineError } from "../errors.ts";
import type { Plan, Step } from "../plan/step.ts";
import { partitionId } from "../segment/partition-key.ts";
import type { Tally } from "./execute-steps.ts";

/** What is left to do of them, by a plan made now. Nothing is put off after this. */
export async function stepsPutOff(tally: Tally, planAgain: () => Promise<Plan>): Promise<Step[]> {
  const putOff = new Map((tally.putOff ?? []).map((one) => [partitionId(one.partition), one.error]));
  tally.putOff = null;
  if (putOff.size === 0) return [];
  const steps = await planAgain().then(
    (plan) => plan.steps,
    (error: unknown) => {
      // The same lock, perhaps: what else the run did counts all the same.
      if (isFirnlineError(error) && error.blocked) return null;
      throw error;
    },
  );
  const again: Step[] = [];
  for (const [id, error] of putOff) {
    const left = steps?.filter((step) => partitionId(step) === id);
    // A leaf that could not be dropped is for the next run.
    if (left === undefined || left.some(({ stages }) => stages.includes("drop"))) tally.failures.push(error);
    else again.push(...left);
  }
  return again;
}
