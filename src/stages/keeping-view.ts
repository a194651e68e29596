/** What a plan has to know of holds, locks and expiry, beside the catalog's view. Reads, and changes nothing. */
import type { Environment } from "../environment.ts";
import { lastExpiryDay } from "../plan/expiry.ts";
import type { PlanInput } from "../plan/step.ts";
import type { EpochMicros } from "../rows/day.ts";

/** Segments that one run locks, or puts a legal hold on: a policy that begins to lock may find ten years of them. */
const UNPROTECTED_MAX = 10_000;

export type KeepingView = Required<Pick<PlanInput["catalog"], "dueForExpiry" | "holds" | "unprotected">>;

export async function readKeeping<Tx>(
  { archive, clock, holds, policy }: Pick<Environment<Tx>, "archive" | "clock" | "holds" | "policy">,
  asOf: EpochMicros,
): Promise<KeepingView> {
  const { pipeline } = policy;
  const all = await holds.list(pipeline);
  const last = lastExpiryDay(policy, asOf);
  const { lock } = policy.archive;
  // Most pipelines never had a hold: their store need not be asked.
  const legalHolds = all.length > 0 && (await archive.traits()).locks;
  return {
    holds: all.filter(({ released }) => released === null),
    dueForExpiry: last === null ? [] : await holds.dueForExpiry(pipeline, last),
    unprotected: await holds.unprotected(pipeline, {
      lock: lock === null ? null : { ...lock, now: clock.now() },
      legalHolds,
      countMax: UNPROTECTED_MAX,
    }),
  };
}
