/** Whether a run ended as it should, given what happened while it was at work. */
import { strict as assert } from "node:assert";
import { type ErrorCode, FirnlineError } from "../../src/errors.ts";
import type { RunSummary } from "../../src/stages/run-pipeline.ts";
import { Crash } from "./gate.ts";
import type { Happening } from "./steps.ts";

/** Errors that a run may end with, or report for one partition. */
const MAY_BE: Readonly<Record<Happening["what"], readonly ErrorCode[]>> = {
  crash: [],
  failure: ["E_ARCHIVE", "E_DATABASE"],
  // The rows that the plan counted may be gone, or have other columns.
  write: ["E_SOURCE"],
  run: ["E_STALE", "E_OWNER"],
  look: [],
  retrieve: [],
};

export function expectExplained(run: {
  readonly failure: unknown;
  readonly summary: RunSummary | undefined;
  readonly met: ReadonlySet<Happening>;
  readonly quarantined: number;
}): void {
  const { failure, summary, met, quarantined } = run;
  const whats = [...met].map(({ what }) => what);
  const allowed = new Set(whats.flatMap((what) => MAY_BE[what]));
  const errors = [...(failure === undefined ? [] : [failure]), ...(summary?.failures ?? [])];
  for (const error of errors) {
    if (error instanceof Crash || (whats.includes("crash") && isFromCrash(error))) continue;
    if (!(error instanceof FirnlineError) || !allowed.has(error.code)) throw error;
  }
  if (summary === undefined || errors.length > 0) return;
  assert.equal(
    summary.state,
    quarantined > 0 ? "partly" : "done",
    "a run is done, unless something is quarantined",
  );
}

/** The adapters wrap what comes out of a transaction. */
function isFromCrash(error: unknown): boolean {
  return error instanceof FirnlineError && error.cause instanceof Crash;
}

export function expectMovedNothing(summary: RunSummary | undefined): void {
  const { exported, pruned, deleted, cooled, replaced, rewritten, plan } = summary as RunSummary;
  const nothing = {
    exported: 0n,
    pruned: 0n,
    deleted: 0n,
    cooled: 0n,
    replaced: 0n,
    rewritten: 0n,
    steps: [],
  };
  const moved = { exported, pruned, deleted, cooled, replaced, rewritten, steps: plan.steps };
  assert.deepEqual(moved, nothing, "I7: a second run moves nothing");
}
