/**
 * A run: lease, journal, fence, plan, steps. The order of the first four is what keeps two writers apart:
 *
 * 1. the source's identity is compared before anything is written (hazard 4);
 * 2. the lease makes this the only run of this database, under a new epoch;
 * 3. what earlier runs decided is published, and the archive must end where the catalog says (hazard 3);
 * 4. `run-started` is created at the next number of the journal: of two databases that share the archive, one gets it.
 */
import type { PipelineRecord, RunState } from "../catalog/port.ts";
import { FirnlineError, FirnlineErrors, invariant, isFirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import { lastColdDay, lastDueDay, makePlan, type Plan, type Step } from "../plan/plan.ts";
import { policyToJson } from "../policy/journaled.ts";
import type { EpochMicros } from "../rows/day.ts";
import { canonicalJson, type Json } from "../segment/canonical-json.ts";
import type { SourceIdentity } from "../segment/journal.ts";
import { checkpoint, type Environment } from "../environment.ts";
import type { StageContext } from "./context.ts";
import { deletePartition } from "./delete-only.ts";
import { exportPartition } from "./export.ts";
import { Journal } from "./journal.ts";
import { type LeaseRequest, startHeartbeat, takeLease } from "./lease.ts";
import { type Drift, pruneSegment } from "./prune.ts";
import { sealSegment } from "./seal.ts";
import { transitionSegment } from "./transition.ts";

export interface RunOptions extends LeaseRequest {
  readonly asOf: EpochMicros;
  readonly backfill: boolean;
  readonly signal: AbortSignal;
}

export interface RunSummary {
  readonly run: string;
  readonly state: Exclude<RunState, "running">;
  readonly exported: bigint;
  readonly pruned: bigint;
  readonly deleted: bigint;
  readonly cooled: bigint;
  readonly drift: readonly Drift[];
  readonly plan: Plan;
}

/** What `plan` prints and `run` executes. Reads, and changes nothing. */
export async function planPipeline<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  options: Pick<RunOptions, "asOf" | "backfill">,
): Promise<Plan> {
  const { catalog, coldBytesMin, hot, policy } = environment;
  const inventory = await hot.inventory(source, lastDueDay(policy, options.asOf));
  const hotDays = [...new Set(inventory.partitions.map(({ day }) => day))];
  const view = await catalog.view(policy.pipeline, lastColdDay(policy, options.asOf), hotDays);
  return makePlan({
    policy,
    inventory,
    catalog: view,
    coldBytesMin,
    asOf: options.asOf,
    backfill: options.backfill,
  });
}

export async function runPipeline<Tx>(
  environment: Environment<Tx>,
  options: RunOptions,
): Promise<RunSummary> {
  const { archive, catalog, hot, newUuid, policy } = environment;
  const source = await hot.describe();
  const known = await catalog.pipeline(policy.pipeline);
  if (known === null) {
    await catalog.register({
      pipeline: policy.pipeline,
      archiveId: newUuid(),
      archiveUrl: archive.url,
      source: source.identity,
    });
  } else requireOwner(known, source.identity, archive.url);
  const lease = await takeLease(environment, options);
  const heartbeat = startHeartbeat(environment, lease, options.signal);
  try {
    // Read under the lease: an earlier run may have moved the journal's head a moment ago.
    const record = await catalog.pipeline(policy.pipeline);
    invariant(record !== null, policy.pipeline, "its row is gone");
    requireOwner(record, source.identity, archive.url);
    const context: StageContext<Tx> = {
      ...environment,
      source,
      lease,
      journal: new Journal({ ...environment, lease, head: record.journal }),
      archiveId: record.archiveId,
      signal: heartbeat.signal,
    };
    return await execute(context, record, options);
  } finally {
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
  await journal.publish();
  await journal.checkHead();
  const plan = await planPipeline(context, context.source, options);
  if (plan.blockers.length > 0) throw new FirnlineErrors(plan.blockers);
  await catalog.startRun(lease, options.asOf);
  const tally = { exported: 0n, pruned: 0n, deleted: 0n, cooled: 0n, drift: [] as Drift[] };
  const summary = (state: RunSummary["state"]): RunSummary => ({ run: lease.run, state, ...tally, plan });
  try {
    await journal.append({
      type: "run-started",
      archiveId: record.archiveId,
      source: context.source.identity,
      writer: context.writer,
    });
    await journalPolicy(context, record);
    for (const step of plan.steps) {
      checkpoint(context.signal);
      await executeStep(context, step, tally);
    }
  } catch (error) {
    const state = isFirnlineError(error, "E_INTERRUPTED") ? "interrupted" : "failed";
    // A run that lost its lease can't say so in the catalog: the row is the other run's.
    if (!isFirnlineError(error, "E_STALE")) await finish(context, summary(state), (error as Error).message);
    throw error;
  }
  const done = summary(tally.drift.length > 0 ? "partly" : "done");
  await finish(context, done, null);
  return done;
}

async function finish<Tx>(
  context: StageContext<Tx>,
  summary: RunSummary,
  error: string | null,
): Promise<void> {
  const { exported, pruned, deleted, cooled, drift } = summary;
  await context.catalog.finishRun(context.lease, {
    state: summary.state,
    summary: {
      exported: exported.toString(),
      pruned: pruned.toString(),
      deleted: deleted.toString(),
      cooled: cooled.toString(),
      drift: drift.length,
    },
    error,
  });
}

type Tally = { exported: bigint; pruned: bigint; deleted: bigint; cooled: bigint; drift: Drift[] };

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

async function journalPolicy<Tx>(context: StageContext<Tx>, record: PipelineRecord): Promise<void> {
  const policy = policyToJson(context.policy) as unknown as Json & Record<string, never>;
  if (record.policy !== null && canonicalJson(record.policy as Json) === canonicalJson(policy)) return;
  await context.journal.append({ type: "policy", policy });
}

function requireOwner(record: PipelineRecord, found: SourceIdentity, archiveUrl: string): void {
  const owned = record.source;
  const fail = (problem: string): FirnlineError =>
    new FirnlineError({
      code: "E_OWNER",
      subject: `pipeline ${record.pipeline}`,
      problem,
      hint: "Nothing was written. If this database is meant to go on, its archive must be adopted first",
    });
  for (const part of ["systemIdentifier", "databaseOid", "tableOid"] as const) {
    if (owned[part] === found[part]) continue;
    throw fail(`its archive belongs to another source (${part} ${owned[part]}, this is ${found[part]})`);
  }
  if (record.archiveUrl !== archiveUrl) {
    throw fail(`its archive is ${record.archiveUrl}, the policy names ${archiveUrl}`);
  }
}
