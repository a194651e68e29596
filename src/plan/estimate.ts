/**
 * What a finished plan comes to: rows, bytes and money of each tier before and after, what the move itself costs, how
 * long it takes at the pace of earlier runs, what is charged for nothing, and what packing would give. Pure.
 *
 * It is an estimate and says where it guesses: objects that are not written yet take the bytes a row of those before,
 * and without any before a sixth of the table. Manifests and the journal are left out: some 0.2 % of the objects.
 */
import { dayOf, type EpochMicros, type EpochMs } from "../rows/day.ts";
import { classPrices, type Money, perGb, perThousand, type PriceList, storageCost } from "./cost.ts";
import { type DurationWarning, durationWarnings } from "./minimum-durations.ts";
import { type PackingDecision, packingDecisions } from "./packing.ts";
import type { Policy } from "../policy/policy.ts";
import type { Stage, Step } from "./step.ts";
import {
  type ArchiveRatio,
  archiveRatio,
  type ArchiveTier,
  isDeleted,
  type Stored,
  storedByPlan,
  type StoredGroup,
  type StoredInput,
  stepObjects,
  type StepObjects,
} from "./stored.ts";

/** An earlier run, as the catalog remembers it. */
export interface PastRun {
  readonly state: string;
  readonly startedAt: EpochMs;
  readonly finishedAt: EpochMs | null;
  /** Counts as decimal strings: `exported`, `pruned`, `deleted`. */
  readonly summary: Readonly<Record<string, unknown>> | null;
}

export interface EstimateInput extends StoredInput {
  /** The last runs, in any order. */
  readonly runs: readonly PastRun[];
  /** Null: nothing here is paid by the byte, as in a folder. */
  readonly prices: PriceList | null;
  /** Today; a plan may look ahead of it. */
  readonly now: EpochMicros;
  /** Whether the table has leaves. What becomes of each is in the plan, if that knows them. */
  readonly isPartitioned: boolean;
}

export interface Holding {
  readonly rows: bigint;
  readonly bytes: bigint;
  /** Null for the table. */
  readonly objects: bigint | null;
  /** Null without prices, and for a class that the list does not have. */
  readonly perMonth: Money | null;
}

export interface TierEstimate {
  readonly tier: "hot" | ArchiveTier;
  /** Null for the table. */
  readonly storageClass: string | null;
  readonly before: Holding;
  readonly after: Holding;
}

/** Requests of the move, and what it costs once. */
export interface MoveCost {
  readonly writes: bigint;
  readonly reads: bigint;
  readonly transitions: bigint;
  /** Objects that do not exist yet; their sizes are estimated. */
  readonly newObjects: bigint;
  readonly cost: Money | null;
}

/** How long the rows of the plan take at the pace of the last runs. */
export interface Duration {
  readonly seconds: number;
  readonly rowsPerSecond: number;
  readonly runs: number;
}

export interface Estimate {
  readonly tiers: readonly TierEstimate[];
  /** Of all tiers, a month; null without prices. */
  readonly before: Money | null;
  readonly after: Money | null;
  readonly move: MoveCost;
  /** Null: no earlier run moved a row, or this plan moves none. */
  readonly duration: Duration | null;
  readonly warnings: readonly DurationWarning[];
  readonly packing: readonly PackingDecision[];
  readonly ratio: ArchiveRatio;
  /** Whether the rows of the table were counted. */
  readonly isCounted: boolean;
  /** Classes that the price list does not have; what lies in them is not in the sums. */
  readonly unpriced: readonly string[];
  readonly prices: PriceList | null;
  /** Whole days from now to the instant of the plan; 0 unless it looks ahead. */
  readonly daysAhead: number;
  /** Of the rows that leave the table, those that are deleted one by one: the file stays as large as it is. */
  readonly rowsDeleted: bigint;
}

export function estimate(given: EstimateInput): Estimate {
  const { input, plan, prices, runs, table, totals } = given;
  const ratio = archiveRatio(totals, table);
  const objects = stepObjects(given, ratio);
  const { before, after } = storedByPlan(given, objects);
  const tiers = tierEstimates(before, after, prices);
  const sum = (of: "before" | "after"): Money | null =>
    prices === null ? null : tiers.reduce((total, tier) => total + (tier[of].perMonth ?? 0n), 0n);
  return {
    tiers,
    before: sum("before"),
    after: sum("after"),
    move: moveCost(input.policy, plan.steps, objects, prices),
    duration: durationOf(plan.steps, runs),
    warnings: prices === null ? [] : durationWarnings(input.policy, plan.asOf, objects, prices),
    packing: packingDecisions(input, objects, prices),
    ratio,
    isCounted: table.isCounted,
    unpriced: unpricedOf(tiers, prices),
    prices,
    daysAhead: Math.max(0, dayOf(plan.asOf) - dayOf(given.now)),
    rowsDeleted: rowsDeleted(given),
  };
}

function tierEstimates(before: Stored, after: Stored, prices: PriceList | null): TierEstimate[] {
  const hot = ({ hotRows, hotBytes }: Stored): Holding => ({
    rows: hotRows,
    bytes: hotBytes,
    objects: null,
    perMonth: prices === null ? null : perGb(hotBytes, prices.hot.perGbMonth),
  });
  const lines: TierEstimate[] = [{ tier: "hot", storageClass: null, before: hot(before), after: hot(after) }];
  for (const tier of ["warm", "cold"] as const) {
    const groups = [...before.groups, ...after.groups].filter((group) => group.tier === tier);
    for (const storageClass of new Set(groups.map((group) => group.storageClass))) {
      const holding = (stored: Stored): Holding =>
        holdingOf(
          stored.groups.filter((group) => group.tier === tier && group.storageClass === storageClass),
          prices,
        );
      lines.push({ tier, storageClass, before: holding(before), after: holding(after) });
    }
  }
  return lines;
}

function holdingOf(groups: readonly StoredGroup[], prices: PriceList | null): Holding {
  const sum = (of: "rows" | "bytes" | "objects"): bigint =>
    groups.reduce((total, group) => total + group[of], 0n);
  const costs = prices === null ? [null] : groups.map((group) => storageCost(prices, group));
  const perMonth = costs.includes(null)
    ? null
    : costs.reduce<bigint>((total, cost) => total + (cost ?? 0n), 0n);
  return { rows: sum("rows"), bytes: sum("bytes"), objects: sum("objects"), perMonth };
}

function unpricedOf(tiers: readonly TierEstimate[], prices: PriceList | null): string[] {
  if (prices === null) return [];
  const classes = tiers.flatMap(({ storageClass }) => storageClass ?? []);
  return [...new Set(classes)].filter((storageClass) => classPrices(prices, storageClass) === null);
}

/**
 * Requests of each stage: an export writes the object; a seal reads it back and writes the manifest and a journal entry;
 * a rewrite does both, and so does a pack, which reads each of its objects and their manifests; a prune or a drop reads the manifest, looks at the object and writes two entries; a transition looks
 * twice and writes one, and where a rule of the bucket makes it there are a tag and an entry about it besides; rows that are
 * deleted only are one entry a day. The run's own entry comes first.
 */
function moveCost(
  policy: Policy,
  steps: readonly Step[],
  objects: readonly StepObjects[],
  prices: PriceList | null,
): MoveCost {
  let [writes, reads, transitions, newObjects, cost] = [0n, 0n, 0n, 0n, 0n];
  const standard = prices?.classes.STANDARD ?? null;
  const count = (kind: { writes?: bigint; reads?: bigint }): void => {
    writes += kind.writes ?? 0n;
    reads += kind.reads ?? 0n;
    if (standard === null) return;
    cost += perThousand(kind.writes ?? 0n, standard.perThousandWrites);
    cost += perThousand(kind.reads ?? 0n, standard.perThousandReads);
  };
  if (steps.length > 0) count({ writes: 1n });
  for (const { stages } of steps) if (stages.includes("delete")) count({ writes: 1n });
  // Two heads and two listings, and two entries; to delete costs nothing.
  for (const { stages } of steps) if (stages.includes("expire")) count({ writes: 4n, reads: 2n });
  for (const { step, objects: made, goesTo, packed, storageClass } of objects) {
    const { stages } = step;
    if (["export", "rewrite", "pack"].some((stage) => stages.includes(stage as Stage))) {
      writes += made;
      newObjects += made;
      const own = prices === null ? null : classPrices(prices, storageClass);
      if (own !== null) cost += perThousand(made, own.perThousandWrites);
    }
    const isSealed = ["seal", "rewrite", "pack"].some((stage) => stages.includes(stage as Stage));
    if (isSealed) count({ writes: 2n * made, reads: 3n * made });
    count({ reads: 2n * BigInt(packed.length) });
    if (stages.includes("prune") || stages.includes("drop")) count({ writes: 2n * made, reads: 2n * made });
    if (goesTo === null) continue;
    const isTagged = policy.cold?.transition === "lifecycle";
    count(isTagged ? { writes: 3n * made, reads: 3n * made } : { writes: made, reads: 2n * made });
    transitions += made;
    const cold = prices === null ? null : classPrices(prices, goesTo);
    if (cold !== null) cost += perThousand(made, cold.perThousandTransitions);
  }
  return { writes, reads, transitions, newObjects, cost: prices === null ? null : cost };
}

/** Before its leaves are looked at one by one, a partitioned table is thought to give them up as a whole. */
function rowsDeleted({ input, isPartitioned, plan }: EstimateInput): bigint {
  const { leaves, policy } = input;
  if (isPartitioned && leaves === undefined && policy.prune !== "rows") return 0n;
  return plan.steps.reduce((sum, step) => sum + (isDeleted(step) ? step.rows : 0n), 0n);
}

const MOVING = ["export", "seal", "prune", "drop", "delete"] as const;

/** All rows that earlier runs moved, over all of their time: a large run weighs more than a small one. */
function durationOf(steps: readonly Step[], runs: readonly PastRun[]): Duration | null {
  const rows = steps.reduce(
    (sum, { stages, rows: own }) => sum + (MOVING.some((stage) => stages.includes(stage)) ? Number(own) : 0),
    0,
  );
  const known = runs.flatMap(({ state, startedAt, finishedAt, summary }) => {
    if (finishedAt === null || (state !== "done" && state !== "partly")) return [];
    const count = (name: string): number => Number(summary?.[name] ?? 0);
    const moved = Math.max(count("exported"), count("pruned")) + count("deleted");
    return moved > 0 ? [{ moved, ms: Math.max(1, finishedAt - startedAt) }] : [];
  });
  if (rows === 0 || known.length === 0) return null;
  const moved = known.reduce((sum, run) => sum + run.moved, 0);
  const ms = known.reduce((sum, run) => sum + run.ms, 0);
  const rowsPerSecond = (moved * 1_000) / ms;
  return { seconds: rows / rowsPerSecond, rowsPerSecond, runs: known.length };
}
