/**
 * Drift to its end: rows that are not what was archived any more are exported anew, as what they are now. The new
 * segment's `sealed` entry names the chunks that it replaces; these were never pruned, so nothing is given up that is
 * not in the table (I2).
 *
 * A partition is exported anew as a whole: what of it could be pruned is pruned, so the rows that are left are those of
 * the chunks that drifted, and those that came late. Rows that change faster than they can be moved are quarantined
 * after a bounded number of attempts: they stay hot until a person asks for another one.
 */
import type { SegmentRecord } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import type { ChunksOf } from "../segment/journal.ts";
import type { PartitionKey } from "../segment/partition-key.ts";
import { findLeaf, type StageContext } from "./context.ts";
import { exportPartition } from "./export.ts";
import { type Drift, pruneSegment } from "./prune.ts";
import { sealSegment } from "./seal.ts";
import { recordMissing } from "./tombstones.ts";

/** Exports of the same rows in one run. */
const ATTEMPTS_MAX = 3;

export interface Replaced {
  /** Rows that were exported anew. */
  readonly exported: bigint;
  readonly pruned: bigint;
  /** What is left unsolved. */
  readonly drift: readonly Drift[];
}

/** Exports a partition's open chunks anew until they can be pruned, or quarantines them. */
export async function settleDrift<Tx>(
  context: StageContext<Tx>,
  partition: PartitionKey,
  drift: readonly Drift[],
): Promise<Replaced> {
  const { catalog, policy } = context;
  const { quarantined } = await catalog.replaceable(policy.pipeline, partition);
  if (quarantined.length > 0) {
    // It would be exported anew together with them, every night.
    await quarantine(context, drift);
    return { exported: 0n, pruned: 0n, drift };
  }
  return await replacePartition(context, partition, true);
}

/** Exports anew what the table holds of a partition now, in place of its sealed and its quarantined chunks. */
export async function replacePartition<Tx>(
  context: StageContext<Tx>,
  partition: PartitionKey,
  prunes: boolean,
): Promise<Replaced> {
  let exported = 0n;
  let pruned = 0n;
  for (let attempt = 1; ; attempt += 1) {
    const drift: Drift[] = [];
    for (const segment of await exportAnew(context, partition)) {
      exported += segment.rows;
      if (!prunes) continue;
      const result = await pruneSegment(context, segment);
      pruned += result.rows;
      drift.push(...result.drift);
    }
    if (drift.length === 0) return { exported, pruned, drift };
    if (attempt < ATTEMPTS_MAX) continue;
    await quarantine(context, drift);
    return { exported, pruned, drift };
  }
}

/** The new segments, sealed; none where no row is left. */
export async function exportAnew<Tx>(
  context: StageContext<Tx>,
  partition: PartitionKey,
): Promise<SegmentRecord[]> {
  const { catalog, failpoint, journal, policy, source } = context;
  const { sealed, quarantined } = await catalog.replaceable(policy.pipeline, partition);
  const replaced = [...sealed, ...quarantined];
  const leaf = findLeaf(source, partition.leaf);
  if (leaf === null) throw gone(partition);
  for (const chunks of replaced) await recordMissing(context, chunks);
  failpoint("replace.recorded");
  // Rows of a rule that is not in the policy any more belong to other rules now, which export them by themselves.
  const isRuleKnown = source.rules.some(({ name }) => name === partition.rule);
  const segments = isRuleKnown
    ? await exportPartition(context, { leaf, rule: partition.rule, day: partition.day }, { replaces: true })
    : [];
  if (segments.length === 0) {
    const reason = isRuleKnown ? "none of their rows is in the table any more" : "their rule is gone";
    for (const chunks of replaced) await journal.append({ type: "superseded", ...chunks, reason });
    return [];
  }
  // All are sealed before any is pruned: a chunk that is replaced must not be hot for one and pruned for another.
  const ready: SegmentRecord[] = [];
  for (const [index, segment] of segments.entries()) {
    ready.push(await sealSegment(context, segment, { supersedes: index === 0 ? unfolded(replaced) : [] }));
    failpoint("replace.sealed");
  }
  return ready;
}

/** One entry a segment, whatever states its chunks are in. */
function unfolded(replaced: readonly ChunksOf[]): ChunksOf[] {
  const bySegment = Map.groupBy(replaced, ({ segment }) => segment);
  return [...bySegment].map(([segment, parts]) => ({
    segment,
    chunks: parts.flatMap(({ chunks }) => chunks).sort((left, right) => left - right),
  }));
}

/** A chunk number is missing where the whole segment could not be compared: that is tried again by the next run. */
export async function quarantine<Tx>(context: StageContext<Tx>, drift: readonly Drift[]): Promise<void> {
  const bySegment = Map.groupBy(drift, ({ segment }) => segment);
  for (const [segment, parts] of bySegment) {
    const chunks = parts.flatMap(({ chunk }) => chunk ?? []);
    if (chunks.length === 0) continue;
    await context.journal.append({
      type: "quarantined",
      segment,
      chunks,
      reason: parts[0]?.reason ?? "",
    });
  }
}

function gone({ leaf }: PartitionKey): FirnlineError {
  return new FirnlineError({
    code: "E_DETACH",
    subject: `partition ${leaf?.schema}.${leaf?.name}`,
    problem: "it is no part of the source any more, and some of its archived rows were not pruned",
    hint: "Attach it again, and the next run goes on. Nothing was deleted",
  });
}
