/**
 * Executes the steps of a plan, in its order. A partition that fails is left as it stands, reported, and does not keep the
 * others waiting: the backlog of a whole table must not grow behind one damaged object or one locked row.
 */
import type { SegmentRecord } from "../catalog/port.ts";
import type { FirnlineError } from "../errors.ts";
import type { Held, Step } from "../plan/step.ts";
import { type LeafName, partitionId, type PartitionKey } from "../segment/partition-key.ts";
import { Attempts, type PutOff, type StageGate } from "./attempts.ts";
import { requireLeaf, type StageContext } from "./context.ts";
import { dropLeaf } from "./drop-leaf.ts";
import { abandonSegment, coolDown, executeCopying } from "./execute-cooling.ts";
import { executeKeeping } from "./execute-keeping.ts";
import { exportPartition } from "./export.ts";
import { ExportGate, EXPORTS_MAX } from "./export-gate.ts";
import { Gate, Overlap } from "./overlap.ts";
import { type Drift, pruneLanes, pruneSegment } from "./prune.ts";
import { reconcileSegment } from "./reconcile.ts";
import { type Replaced, replacePartition, settleDrift } from "./replace.ts";
import { sealSegment } from "./seal.ts";

export class Tally {
  exported = 0n;
  pruned = 0n;
  deleted = 0n;
  cooled = 0n;
  /** Rows of segments that expired. */
  expired = 0n;
  /** Of the exported rows, those that were in the archive already and had changed since. */
  replaced = 0n;
  /** Rows of segments that were written again without their superseded chunks. */
  rewritten = 0n;
  /** Rows of small segments that were put together into larger ones. */
  packed = 0n;
  /** Rows of segments that the bucket's rule has to move now. */
  tagged = 0n;
  /** Segments of this run that are due for the cold class and too small for it: they may be packed now. */
  tooSmall = 0;
  /** What could not be settled by exporting it anew. */
  readonly drift: Drift[] = [];
  /** Partitions that failed; their rows are where they were. */
  readonly failures: FirnlineError[] = [];
  /** Those that another session kept from their stage, to be tried once more. */
  putOff: PutOff[] | null = [];
  /** What a hold, a lock or a reader kept that was not known when the plan was made. */
  readonly kept: Held[] = [];

  /** Rows that anything was done to. */
  get rows(): bigint {
    return (
      this.exported +
      this.pruned +
      this.deleted +
      this.cooled +
      this.expired +
      this.rewritten +
      this.packed +
      this.tagged
    );
  }
}

/** What an earlier run began and left to be abandoned, verified or pruned. It keeps the rest of its partition waiting. */
export const isTakenUp = ({ segment, stages }: Step): boolean =>
  segment !== null && stages.some((stage) => ["abandon", "reconcile", "seal", "prune"].includes(stage));

/** A leaf goes when all of its rows are archived: not before what an earlier run began is finished. */
export function withoutDrop(step: Step): Step {
  const at = step.stages.indexOf("drop");
  return at < 0 ? step : { ...step, stages: step.stages.slice(0, at) };
}

/** Returns whether rows were exported anew, or given up: what that leaves to do is for another plan. */
export async function executeSteps<Tx>(
  run: StageContext<Tx>,
  steps: readonly Step[],
  tally: Tally,
): Promise<boolean> {
  const attempts = new Attempts(run, tally);
  const { context } = attempts;
  const overlap = new Overlap(concurrencyOf(context, steps));
  const gates: Gates = {
    export: new ExportGate(attempts.newGate(EXPORTS_MAX)),
    seal: attempts.newGate(),
    prune: attempts.newGate(pruneLanes(context)),
    lanes: new Gate(pruneLanes(context)),
  };
  const leafByLeaf = new Gate();
  const drifted = new Map<string, Drifted>();
  const drops = leavesToDrop(steps);
  const begun = new Map<string, Promise<void>[]>();
  let hasReplaced = steps.some(({ replaces }) => replaces);

  const executeOne = async (step: Step): Promise<void> => {
    await attempts.make(step, async () => {
      const drift = await executeStep(context, step, tally, gates);
      if (drift.length === 0) return;
      const before = drifted.get(partitionId(step))?.drift ?? [];
      drifted.set(partitionId(step), { partition: step, drift: [...before, ...drift] });
    });
  };
  const dropAfter = async (step: Step, leaf: LeafName, others: readonly Promise<void>[]): Promise<void> => {
    await Promise.all(others);
    if (attempts.hasFailedIn(leaf)) return;
    await attempts.make(step, async () => {
      if (await gates.prune.passAlone(async () => await executeDrop(context, leaf, steps, tally)))
        hasReplaced = true;
      // What had drifted there went with it, or was reported.
      for (const [id, { partition }] of drifted) if (partition.leaf?.oid === leaf.oid) drifted.delete(id);
    });
  };

  for (const [index, step] of steps.entries()) {
    if (!isMove(step)) await overlap.idle();
    await overlap.begin(async () => {
      const done = executeOne(step);
      if (step.leaf === null) return await done;
      const ofLeaf = [...(begun.get(step.leaf.oid) ?? []), done];
      begun.set(step.leaf.oid, ofLeaf);
      const leaf = drops.get(index);
      // In the order of the plan: a leaf that is half detached keeps the others from it.
      await (leaf === undefined ? done : leafByLeaf.pass(async () => await dropAfter(step, leaf, ofLeaf)));
    });
    if (!isMove(step)) await overlap.idle();
    if (attempts.areOver) break;
  }
  await overlap.idle();
  attempts.throwFatal();
  // Only now are all segments of a partition pruned as far as they can be: what is left of it is what drifted.
  for (const { partition, drift } of drifted.values()) {
    if (attempts.hasFailed(partition)) {
      tally.drift.push(...drift);
      continue;
    }
    await attempts.make(partition, async () => {
      tallyReplaced(tally, await settleDrift(context, partition, drift));
    });
    attempts.throwFatal();
  }
  return drifted.size > 0 || hasReplaced;
}

/** See `overlap.ts`. */
interface Gates {
  readonly export: ExportGate;
  readonly seal: StageGate;
  readonly prune: StageGate;
  /** Of the deleting transactions. */
  readonly lanes: Gate;
}

/**
 * To finish a detachment, Postgres waits for all snapshots that are older, and that of an export may last for hours. Beside
 * a DEFAULT partition a leaf is detached under a lock that an export of that one would stand in the way of.
 */
const concurrencyOf = (
  { limits, source }: Pick<StageContext<unknown>, "limits" | "source">,
  steps: readonly Step[],
): number => {
  const drops = new Set(steps.flatMap(({ leaf, stages }) => (stages.includes("drop") ? leaf?.oid : [])));
  const isAlone = source.leaves.some(
    ({ oid, partition }) =>
      partition?.isDetachPending === true || (partition?.hasDefaultSibling === true && drops.has(oid)),
  );
  return isAlone ? 1 : limits.concurrency;
};

const MOVES: ReadonlySet<Step["stages"][number]> = new Set(["export", "seal", "prune", "drop", "transition"]);

/** Whether a step may go on beside others: what it does concerns its own partition alone, and is one of the three gates'. */
const isMove = ({ stages, replaces }: Step): boolean =>
  !replaces && stages.every((stage) => MOVES.has(stage)) && stages.some((stage) => stage !== "transition");

/** Leaves that are dropped, by the last step that has to do with each. */
function leavesToDrop(steps: readonly Step[]): ReadonlyMap<number, LeafName> {
  const last = new Map(steps.map(({ leaf }, index) => [leaf?.oid, index]));
  return new Map(
    steps.flatMap(({ leaf, stages }) =>
      leaf !== null && stages.includes("drop") ? [[last.get(leaf.oid) as number, leaf] as const] : [],
    ),
  );
}

/** Returns whether rows were exported anew on the way. */
async function executeDrop<Tx>(
  context: StageContext<Tx>,
  leaf: LeafName,
  steps: readonly Step[],
  tally: Tally,
): Promise<boolean> {
  const { drift, deleted, exported, rows, segments } = await dropLeaf(context, leaf);
  tally.deleted += deleted;
  tallyReplaced(tally, { exported, pruned: rows, drift });
  const cooled = steps.filter(({ stages }) => stages.includes("drop") && stages.includes("transition"));
  const isDue = new Set(cooled.map(partitionId));
  for (const { segment, rule, dayFrom: day } of segments) {
    if (isDue.has(partitionId({ leaf, rule, day }))) await coolDown(context, segment, tally);
  }
  return exported > 0n;
}

interface Drifted {
  readonly partition: PartitionKey;
  readonly drift: readonly Drift[];
}

function tallyReplaced(tally: Tally, { exported, pruned, drift }: Replaced): void {
  tally.exported += exported;
  tally.replaced += exported;
  tally.pruned += pruned;
  tally.drift.push(...drift);
}

async function executeStep<Tx>(
  context: StageContext<Tx>,
  step: Step,
  tally: Tally,
  gates: Gates,
): Promise<Drift[]> {
  const { source } = context;
  const wants = (stage: Step["stages"][number]): boolean => step.stages.includes(stage);
  const partition = { leaf: step.leaf, rule: step.rule, day: step.day };
  if (wants("delete") || wants("expire") || wants("lock")) {
    await executeKeeping(context, step, tally);
    return [];
  }
  if (wants("abandon")) {
    await abandonSegment(context, step.segment as string);
    return [];
  }
  if (step.replaces) {
    tallyReplaced(tally, await replacePartition(context, partition, wants("prune")));
    return [];
  }
  if (wants("rewrite") || wants("pack")) {
    await executeCopying(context, step, tally);
    return [];
  }
  // Its other partitions may still have to be archived: see `executeDrop`.
  const isWhole = wants("drop");
  if (isWhole && step.segment === null && !wants("export")) return [];
  const segments =
    step.segment === null
      ? await gates.export.pass(async (onReceived) => {
          const leaf = requireLeaf(source, step.leaf);
          return await exportPartition(context, { ...partition, leaf }, { rows: step.rows, onReceived });
        })
      : [await takeUp(context, step.segment, wants("reconcile"))];
  if (wants("export")) tally.exported += segments.reduce((sum, { rows }) => sum + rows, 0n);
  const found: Drift[] = [];
  for (const exported of segments) {
    const segment = wants("seal")
      ? await gates.seal.pass(async () => await sealSegment(context, exported))
      : exported;
    await gates.prune.pass(async () => {
      if (wants("prune") && segment.rowsUnpruned > segment.rowsQuarantined) {
        const { rows, drift } = await pruneSegment(context, segment, gates.lanes);
        tally.pruned += rows;
        found.push(...drift);
      }
      if (wants("transition") && !isWhole) await coolDown(context, segment.segment, tally);
    });
  }
  return found;
}

/** A segment as an earlier run left it; after a rebuild of the catalog its rows are looked for first. */
async function takeUp<Tx>(
  context: StageContext<Tx>,
  segment: string,
  reconciles: boolean,
): Promise<SegmentRecord> {
  const record = await context.catalog.segment(context.policy.pipeline, segment);
  return reconciles ? await reconcileSegment(context, record) : record;
}
