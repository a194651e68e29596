/**
 * A run: lease, journal, fence, plan, steps. The order of the first four is what keeps two writers apart:
 *
 * 1. the source's identity is compared before anything is written (hazard 4);
 * 2. the lease makes this the only run of this database, under a new epoch;
 * 3. what earlier runs decided is published, and the archive must end where the catalog says (hazard 3);
 * 4. `run-started` is created at the next number of the journal: of two databases that share the archive, one gets it.
 */
import { requireOwner } from "../catalog/owner.ts";
import type { PipelineRecord, RunState } from "../catalog/port.ts";
import { type FirnlineError, FirnlineErrors, invariant, isFirnlineError } from "../errors.ts";
import type { TableSize } from "../hot/port.ts";
import type { Plan } from "../plan/step.ts";
import { policyToJson } from "../policy/journaled.ts";
import { dayOf, microsFromMs } from "../rows/day.ts";
import { canonicalJson, type Json } from "../segment/canonical-json.ts";
import type { Environment } from "../environment.ts";
import type { StageContext } from "./context.ts";
import { executeSteps, isTakenUp, Tally, withoutDrop } from "./execute-steps.ts";
import { Journal } from "./journal.ts";
import { type LeaseRequest, startHeartbeat, takeLease } from "./lease.ts";
import { lockFinding } from "./lock.ts";
import { inTurns, startPace } from "./pace.ts";
import { journaledPolicy, planPipeline, type PlanRequest } from "./plan-input.ts";
import type { Drift } from "./prune.ts";
import { stepsPutOff } from "./put-off.ts";
import { copyProblem } from "./transition-copy.ts";

export interface RunOptions extends LeaseRequest, PlanRequest {
  readonly signal: AbortSignal;
}

export interface RunSummary {
  readonly run: string;
  readonly state: Exclude<RunState, "running">;
  readonly exported: bigint;
  readonly pruned: bigint;
  readonly deleted: bigint;
  readonly cooled: bigint;
  /** Rows of segments that expired. */
  readonly expired: bigint;
  /** Of the exported rows, those that were in the archive already and had changed since. */
  readonly replaced: bigint;
  /** Rows of segments that were written again without their superseded chunks. */
  readonly rewritten: bigint;
  /** Rows of segments that were too small for the cold class, and are one segment now. */
  readonly packed: bigint;
  /** Rows of segments that were tagged, for the bucket's rule to move them. */
  readonly tagged: bigint;
  /** Chunks that changed faster than they could be moved; they are quarantined. */
  readonly drift: readonly Drift[];
  /** Partitions that failed; their rows are where they were, and the next run tries again. */
  readonly failures: readonly FirnlineError[];
  readonly plan: Plan;
}

export async function runPipeline<Tx>(
  environment: Environment<Tx>,
  options: RunOptions,
): Promise<RunSummary> {
  const { archive, catalog, hot, newUuid, policy } = environment;
  const source = await hot.describe();
  const known = await catalog.pipeline(policy.pipeline);
  if (known === null || known.journal.n === 0n) {
    const archiveId = newUuid();
    await catalog.register({
      pipeline: policy.pipeline,
      archiveId,
      archiveUrl: archive.url,
      source: source.identity,
    });
  } else requireOwner(known, source.identity, archive.url);
  const lease = await takeLease(environment, options);
  const heartbeat = startHeartbeat(environment, lease, options.signal);
  const pace = startPace(environment, heartbeat.signal);
  try {
    // Read under the lease: an earlier run may have moved the journal's head a moment ago.
    const record = await catalog.pipeline(policy.pipeline);
    invariant(record !== null, policy.pipeline, "its row is gone");
    requireOwner(record, source.identity, archive.url);
    const context: StageContext<Tx> = {
      ...environment,
      ...inTurns(environment, pace),
      // A run that has just ended may have dropped some of its partitions.
      source: source.isPartitioned ? await hot.describe() : source,
      lease,
      journal: new Journal({ ...environment, lease, head: record.journal }),
      pace,
      archiveId: record.archiveId,
      signal: heartbeat.signal,
    };
    return await execute(context, record, options);
  } finally {
    await pace[Symbol.asyncDispose]();
    await heartbeat[Symbol.asyncDispose]();
    // If the database is out of reach the lease expires by itself; the run's own error is what matters then.
    await catalog.releaseLease(lease).catch(() => {});
  }
}

async function execute<Tx>(
  context: StageContext<Tx>,
  record: PipelineRecord,
  options: RunOptions,
): Promise<RunSummary> {
  const { catalog, journal, lease } = context;
  // Before anything is written: entries of the journal are locked too.
  const unfit = (await lockFinding(context.archive, context.policy)) ?? (await copyProblem(context));
  if (unfit !== null) throw unfit;
  await journal.publish();
  await journal.checkHead();
  let plan = await planPipeline(context, context.source, options);
  if (plan.blockers.length > 0) throw new FirnlineErrors(plan.blockers);
  await catalog.startRun(lease, options.asOf);
  const tally = new Tally();
  const summary = (state: RunSummary["state"]): RunSummary => {
    const { kept, tooSmall: _, putOff, ...counts } = tally;
    const failures = [...counts.failures, ...(putOff ?? []).map(({ error }) => error)];
    return { run: lease.run, state, ...counts, failures, plan: { ...plan, held: [...plan.held, ...kept] } };
  };
  try {
    await journal.append({
      type: "run-started",
      archiveId: record.archiveId,
      source: context.source.identity,
      writer: context.writer,
    });
    await journalPolicy(context, record);
    const takenUp = plan.steps.filter(isTakenUp).map(withoutDrop);
    await executeSteps(context, takenUp, tally);
    let rest = plan.steps.slice(takenUp.length);
    if (takenUp.length > 0) {
      // I7: what an earlier run began comes first, and may have been all that kept a partition waiting.
      const done = new Set(takenUp.map(({ segment }) => segment));
      const again = await planAgain(context, options);
      // What failed a moment ago is for the next run; but a segment that was pruned may have to be rewritten now.
      rest = again.steps.filter((step) => !(isTakenUp(step) && done.has(step.segment)));
      plan = { ...again, steps: [...takenUp, ...rest] };
    }
    let hasReplaced = await executeSteps(context, rest, tally);
    const putOff = await stepsPutOff(tally, async () => await planAgain(context, options));
    if (putOff.length > 0) {
      hasReplaced = (await executeSteps(context, putOff, tally)) || hasReplaced;
      plan = { ...plan, steps: [...plan.steps, ...putOff] };
    }
    if (hasReplaced || tally.tooSmall > 0) plan = await settle(context, plan, options, tally);
    if (tally.failures.length > 0 && tally.rows === 0n) throw tally.failures[0];
  } catch (error) {
    const state = isFirnlineError(error, "E_INTERRUPTED") ? "interrupted" : "failed";
    // A run that lost its lease can't say so in the catalog: the row is the other run's.
    if (!isFirnlineError(error, "E_STALE")) await finish(context, summary(state), (error as Error).message);
    throw error;
  }
  const needsPerson = plan.held.some((held) => held.needsPerson);
  const partly = tally.drift.length > 0 || tally.failures.length > 0 || needsPerson;
  const done = summary(partly ? "partly" : "done");
  await finish(context, done, tally.failures[0]?.message ?? null);
  return done;
}

/** A step that failed may have decided something that was not journaled: a plan must not decide it a second time (I5). */
async function planAgain<Tx>(context: StageContext<Tx>, options: PlanRequest): Promise<Plan> {
  await context.journal.publish();
  return await planPipeline(context, context.source, options);
}

/**
 * What an export of drifted rows leaves to do: segments to rewrite or to cool down, and quarantined rows to report. And small
 * segments that this run has made: a month of them may be packed.
 */
async function settle<Tx>(
  context: StageContext<Tx>,
  plan: Plan,
  options: RunOptions,
  tally: Tally,
): Promise<Plan> {
  const again = await planAgain(context, { ...options, retryQuarantined: false });
  const known = new Set(plan.steps.flatMap(({ segment }) => segment ?? []));
  const left = again.steps.filter(
    ({ segment, stages }) =>
      stages.includes("rewrite") ||
      stages.includes("pack") ||
      // A leaf that could not be dropped is for the next run.
      (stages.includes("transition") && !stages.includes("drop") && !known.has(segment as string)),
  );
  await executeSteps(context, left, tally);
  return { ...again, steps: [...plan.steps, ...left] };
}

async function finish<Tx>(
  context: StageContext<Tx>,
  summary: RunSummary,
  error: string | null,
): Promise<void> {
  const { exported, pruned, deleted, cooled, expired, replaced, drift, failures } = summary;
  const { catalog, clock, lease } = context;
  await catalog.finishRun(lease, {
    state: summary.state,
    summary: {
      exported: exported.toString(),
      pruned: pruned.toString(),
      deleted: deleted.toString(),
      cooled: cooled.toString(),
      expired: expired.toString(),
      replaced: replaced.toString(),
      drift: drift.length,
      failures: failures.length,
    },
    error,
    history: {
      day: dayOf(microsFromMs(clock.now())),
      archived: exported,
      pruned,
      deleted,
      expired,
      hot: summary.state === "done" || summary.state === "partly" ? await measured(context) : null,
    },
  });
}

/** Null where the table cannot be looked at: a lock on it must not make a failure of a run that has done its work. */
async function measured<Tx>({ hot, source }: StageContext<Tx>): Promise<TableSize | null> {
  try {
    return await hot.size(source);
  } catch {
    return null;
  }
}

async function journalPolicy<Tx>(context: StageContext<Tx>, record: PipelineRecord): Promise<void> {
  const policy = policyToJson(context.policy, journaledPolicy(record)) as unknown as Json &
    Record<string, never>;
  if (record.policy !== null && canonicalJson(record.policy as Json) === canonicalJson(policy)) return;
  await context.journal.append({ type: "policy", policy });
}
