/** Why a run would refuse to start although nothing is wrong with the table. */
import { FirnlineError } from "../errors.ts";
import { isDeletedSooner } from "../policy/journaled.ts";
import { type DayUtc, formatDay } from "../rows/day.ts";
import type { PlanInput, Step } from "./step.ts";

/** A first run over more days than this is more likely a mistake in the policy than a wish. */
export const FIRST_RUN_DAYS_MAX = 31;

export function blockersFor(input: PlanInput, moved: readonly Step[]): FirnlineError[] {
  return [...soonerBlockers(input), ...backfillBlockers(input, moved)];
}

/** I12: nothing is deleted sooner than the last applied policy said, unless a person confirms it. */
function soonerBlockers(input: PlanInput): FirnlineError[] {
  if (input.previous === null || input.previous === undefined || input.confirmSooner === true) return [];
  return isDeletedSooner(input.previous, input.policy).map(
    ({ subject, reason }) =>
      new FirnlineError({
        code: "E_POLICY",
        subject: `pipeline ${input.policy.pipeline}, ${subject}`,
        problem: reason,
        hint: "If that is meant, run once with --confirm-sooner; if not, put the policy back",
      }),
  );
}

function backfillBlockers(input: PlanInput, moved: readonly Step[]): FirnlineError[] {
  const days = new Set(moved.map(({ day }) => day));
  if (input.catalog.everMoved || input.backfill || days.size <= FIRST_RUN_DAYS_MAX) return [];
  const first = moved[0]?.day as DayUtc;
  return [
    new FirnlineError({
      code: "E_POLICY",
      subject: `pipeline ${input.policy.pipeline}`,
      problem:
        `the first run would move ${days.size} days, from ${formatDay(first)} on, ` +
        `and more than ${FIRST_RUN_DAYS_MAX} days at once are only moved when asked for`,
      hint: "Look at `firnline plan`, then run with --backfill",
    }),
  ];
}
