/**
 * `catalog rebuild` and `adopt`: the catalog is written anew from the archive alone. Nothing in the archive is touched by
 * a rebuild; an adoption adds one entry to the journal, by which the archive belongs to this database and to no other.
 *
 * What only the lost catalog knew is found out again. Deletions whose entry was never written, and rows that a restore of
 * the database brought back, make chunks of unknown state: they are read from both tiers until the next run has looked
 * (`stages/reconcile.ts`). Uploads that were not sealed are given up; `collect` removes them.
 *
 * Commit point: the transaction that writes the catalog. The entry `adopted` is decided in it and journaled after it, so
 * that a crash in between leaves it to the next run.
 */
import { readHistory } from "../archived/walk-journal.ts";
import type { Lease, PipelineRecord } from "../catalog/port.ts";
import type { RebuiltCatalog } from "../catalog/upkeep.ts";
import { checkpoint, type Environment, timestamp } from "../environment.ts";
import { FirnlineError, invariant } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import { sameSource } from "../segment/history.ts";
import type { JournalHead, SourceIdentity } from "../segment/journal.ts";
import type { SegmentState } from "../segment/state.ts";
import { Journal } from "../stages/journal.ts";
import { type LeaseRequest, startHeartbeat, takeLease } from "../stages/lease.ts";
import { rebuiltHolds, withoutKnownHolds } from "./rebuilt-holds.ts";
import { countStates, findDetached, rebuildSegments, rowsUnknown } from "./rebuilt-segments.ts";

/**
 * What was deleted without being archived, who was given which rows, what was paid for and which days are held: this
 * database alone knows.
 */
const KNOWN_HERE_ALONE: ReadonlySet<string> = new Set([
  "deleted",
  "retrieved",
  "restored",
  "hold",
  "released",
]);

export interface RebuildOptions extends LeaseRequest {
  /** Whether the archive is to belong to this database from now on, whoever owned it before. */
  readonly adopts: boolean;
  /** Whether what the catalog holds already may be replaced. */
  readonly isConfirmed: boolean;
  readonly signal: AbortSignal;
}

export interface RebuildResult {
  readonly archiveId: string;
  readonly journal: JournalHead;
  readonly segments: Readonly<Partial<Record<SegmentState, number>>>;
  /** Rows whose place the next run has to find out. */
  readonly rowsUnknown: bigint;
  /** Decisions of this database that wait to be journaled. */
  readonly pending: number;
  /** The database that owned the archive; null unless it was adopted. */
  readonly adoptedFrom: SourceIdentity | null;
}

export async function rebuildCatalog<Tx>(
  environment: Environment<Tx>,
  options: RebuildOptions,
): Promise<RebuildResult> {
  const { catalog, hot, limits, policy } = environment;
  const source = await hot.describe("read");
  const before = await catalog.pipeline(policy.pipeline);
  if (!options.isConfirmed) refuseUnconfirmed(before, options.adopts);
  // Without a row there is no lease to take, and no run can be at work.
  let lease = before === null ? null : await takeLease(environment, options);
  try {
    const heartbeat = lease === null ? null : startHeartbeat(environment, lease, options.signal);
    let prepared: Prepared;
    try {
      prepared = await prepare(environment, source, {
        ...options,
        signal: heartbeat?.signal ?? options.signal,
      });
    } finally {
      await heartbeat?.[Symbol.asyncDispose]();
    }
    const { run, holder } = options;
    const request = { run, holder, durationMs: limits.leaseMs, lease };
    const renewed = await environment.upkeep.rebuild(request, prepared.rebuilt);
    lease = renewed;
    environment.failpoint("adopt.rebuilt");
    const journal = options.adopts ? await publish(environment, renewed, options.signal) : null;
    return { ...prepared.result, journal: journal ?? prepared.result.journal };
  } finally {
    // If the database is out of reach the lease expires by itself.
    if (lease !== null) await catalog.releaseLease(lease).catch(() => {});
  }
}

interface Prepared {
  readonly rebuilt: RebuiltCatalog;
  readonly result: RebuildResult;
}

/** Everything that the archive says, as the catalog is to say it. Writes nothing. */
async function prepare<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  { adopts, signal }: RebuildOptions,
): Promise<Prepared> {
  const { archive, catalog, clock, policy, writer } = environment;
  const { pipeline } = policy;
  const pending = await catalog.pending(pipeline);
  const journaled = new Set<string>();
  const reader = { ...environment, pipeline, signal };
  const { history, head } = await readHistory(reader, ({ n, entry }) => {
    environment.report({ stage: "journal", subject: pipeline, rows: n, bytes: 0n });
    checkpoint(signal);
    if (entry !== null && pending.some(({ entryId }) => entryId === entry.entryId)) {
      journaled.add(entry.entryId);
    }
  });
  const { archiveId, source: owner } = history;
  if (archiveId === null || owner === null) throw noJournal(pipeline, archive.url);
  if (!adopts && !sameSource(owner, source.identity)) throw anotherSource(pipeline, owner, source.identity);
  // What the journal says of segments counts, and the next run finds out the rest.
  const kept = withoutKnownHolds(
    history,
    pending.filter(({ entryId, event }) => !journaled.has(entryId) && KNOWN_HERE_ALONE.has(event.type)),
  );
  const segments = await rebuildSegments(environment, source, { ...history, archiveId }, signal);
  const decision = adopts
    ? {
        event: { type: "adopted" as const, archiveId, source: source.identity, previous: owner, writer },
        at: timestamp(clock),
      }
    : null;
  const forgotten = pending.filter((one) => !kept.includes(one)).map(({ entryId }) => entryId);
  return {
    rebuilt: {
      pipeline,
      archiveId,
      archiveUrl: archive.url,
      source: source.identity,
      policy: history.policy,
      journal: head,
      epoch: history.epoch,
      segments,
      holds: rebuiltHolds(history, []),
      detached: await findDetached(environment, source, segments),
      forgotten,
      decision,
    },
    result: {
      archiveId,
      journal: head,
      segments: countStates(segments),
      rowsUnknown: rowsUnknown(segments),
      pending: kept.length,
      adoptedFrom: adopts ? owner : null,
    },
  };
}

/** Journals what was decided, `adopted` with it. `E_OWNER` if another database took the number: it adopted it first. */
async function publish<Tx>(
  environment: Environment<Tx>,
  lease: Lease,
  signal: AbortSignal,
): Promise<JournalHead> {
  const { catalog, policy } = environment;
  const heartbeat = startHeartbeat(environment, lease, signal);
  try {
    const record = await catalog.pipeline(policy.pipeline);
    invariant(record !== null, policy.pipeline, "its row is gone");
    const journal = new Journal({ ...environment, lease, head: record.journal });
    await journal.publish();
    return journal.head;
  } finally {
    await heartbeat[Symbol.asyncDispose]();
  }
}

function refuseUnconfirmed(before: PipelineRecord | null, adopts: boolean): void {
  const holds = before !== null && before.journal.n > 0n;
  if (!adopts && !holds) return;
  const held = holds ? `the catalog holds its state up to entry ${before.journal.n} of the journal` : "";
  throw new FirnlineError({
    code: "E_INPUT",
    subject: `pipeline ${before?.pipeline ?? ""}`.trim(),
    problem: adopts
      ? `the archive would belong to this database, and the one that writes to it now would be stopped${holds ? `; ${held}` : ""}`
      : `${held}, and that would be replaced by what the archive says`,
    hint: "If that is what you want, and no other database is to go on with this archive, add --yes",
  });
}

function noJournal(pipeline: string, url: string): FirnlineError {
  return new FirnlineError({
    code: "E_CATALOG",
    subject: `pipeline ${pipeline}`,
    problem: `its archive ${url} has no journal`,
    hint: "Does the policy name the right archive? A new one begins with `firnline run`",
  });
}

function anotherSource(pipeline: string, owner: SourceIdentity, found: SourceIdentity): FirnlineError {
  const part = (["systemIdentifier", "databaseOid", "tableOid"] as const).find(
    (one) => owner[one] !== found[one],
  );
  return new FirnlineError({
    code: "E_OWNER",
    subject: `pipeline ${pipeline}`,
    problem: `its archive belongs to another source (${part} ${part && owner[part]}, this is ${part && found[part]})`,
    hint: "Nothing was changed. If this database is to go on in the place of that one, use `firnline adopt`",
  });
}
