/**
 * What lies where before a plan and after it: rows and bytes in the table, objects in the archive by tier and class.
 * What is not written yet is estimated from what earlier segments came to.
 */
import type { Policy } from "../policy/policy.ts";
import type { SegmentState } from "../segment/state.ts";
import { type ObjectGroup, SMALL_OBJECT_BYTES } from "./cost.ts";
import type { Plan, PlanInput, PlannedSegment, Step } from "./step.ts";

export type ArchiveTier = "warm" | "cold";

/** States with an object that is paid for. What was given up or superseded waits for `collect` and is left out. */
export const TIER_OF_STATE: Readonly<Partial<Record<SegmentState, ArchiveTier>>> = {
  uploaded: "warm",
  sealed: "warm",
  pruning: "warm",
  warm: "warm",
  cooling: "warm",
  cold: "cold",
};

/** Segments of one state and class, all of them small or none; the catalog has them. */
export interface StateTotals {
  readonly state: SegmentState;
  readonly storageClass: string;
  readonly isSmall: boolean;
  readonly segments: number;
  readonly rows: bigint;
  readonly bytes: bigint;
}

/** Of the whole table; the hot port has it. */
export interface TableSize {
  readonly rows: bigint;
  /** With indexes and TOAST. */
  readonly bytes: bigint;
  /** False: `rows` is what the planner of Postgres believes. */
  readonly isCounted: boolean;
}

/** Objects of one tier and class. A row that is archived and not pruned yet counts here and in the table. */
export interface StoredGroup extends ObjectGroup {
  readonly tier: ArchiveTier;
  readonly rows: bigint;
}

/** Bytes that rows come to in the archive: `bytes` for each `rows`. */
export interface ArchiveRatio {
  readonly rows: bigint;
  readonly bytes: bigint;
  /** `segments`: measured on what is archived; `default`: nothing is yet. */
  readonly from: "segments" | "default";
}

/**
 * Where nothing is archived yet: a row takes a sixth of what it takes in the table with its indexes. Audit rows of 560
 * bytes came to 0.17 of it in large objects, the demo's rows of 370 bytes to 0.13 in small ones.
 */
export const ARCHIVE_SHARE_DEFAULT = 6n;

export function archiveRatio(totals: readonly StateTotals[], table: TableSize): ArchiveRatio {
  const known = totals.filter(({ state }) => TIER_OF_STATE[state] !== undefined);
  const rows = known.reduce((sum, group) => sum + group.rows, 0n);
  const bytes = known.reduce((sum, group) => sum + group.bytes, 0n);
  if (rows > 0n && bytes > 0n) return { rows, bytes, from: "segments" };
  const tableRows = table.rows > 0n ? table.rows : 1n;
  return { rows: tableRows * ARCHIVE_SHARE_DEFAULT, bytes: table.bytes, from: "default" };
}

export interface StoredInput {
  readonly plan: Plan;
  readonly input: PlanInput;
  readonly table: TableSize;
  readonly totals: readonly StateTotals[];
  /** A segment ends about here; a larger partition has several, of a row group at least. */
  readonly segmentBytesMax: bigint;
  readonly rowGroupRowsMax: bigint;
}

/** Objects that a step makes or moves. */
export interface StepObjects {
  readonly step: Step;
  readonly objects: bigint;
  readonly bytes: bigint;
  readonly isSmall: boolean;
  /** Made by this step; otherwise they are there. */
  readonly isNew: boolean;
  /** Null: they stay in the class that they are in. */
  readonly goesTo: string | null;
  readonly storageClass: string;
  /** Old enough for the cold class, and kept warm for being smaller than it pays for. */
  readonly isTooSmall: boolean;
  /** What they are made of, and take the place of. */
  readonly packed: readonly StoredGroup[];
}

/** The objects of each step that has any, in the order of the plan. */
export function stepObjects(given: StoredInput, ratio: ArchiveRatio): StepObjects[] {
  const { plan, input } = given;
  const { policy } = input;
  const bytesMin = policy.cold?.objectBytesMin ?? input.coldBytesMin;
  const known = segmentsById(input);
  return plan.steps.flatMap((step): StepObjects[] => {
    if (step.packs !== undefined) return [packedObject(policy, step, known)];
    const isNew = step.stages.includes("export");
    // Rows that are gone are given up in the journal alone.
    if (isNew && step.rows === 0n) return [];
    const segment = step.segment === null ? undefined : known.get(step.segment);
    const bytes = isNew ? (step.rows * ratio.bytes) / ratio.rows : (segment?.object?.bytes ?? step.bytes);
    if (!isNew && (segment === undefined || step.stages.includes("abandon"))) return [];
    const objects = isNew ? newSegments(given, step.rows, bytes) : 1n;
    const isDue = step.stages.includes("transition");
    // What an earlier run began to move is moved, whatever its size.
    const isTooSmall = isDue && segment?.state !== "cooling" && bytes / objects < bytesMin;
    return [
      {
        step,
        objects,
        bytes,
        isNew,
        isTooSmall,
        isSmall: bytes / objects < SMALL_OBJECT_BYTES,
        goesTo: isDue && !isTooSmall ? coldClass(policy) : null,
        storageClass: segment?.storageClass ?? policy.warm.storageClass,
        packed: [],
      },
    ];
  });
}

/** As large as its parts together: what a footer each takes is saved, and hardly counts. */
function packedObject(policy: Policy, step: Step, known: ReadonlyMap<string, KnownSegment>): StepObjects {
  const packed = (step.packs ?? []).map((id): StoredGroup => {
    const segment = known.get(id);
    const storageClass = segment?.storageClass ?? policy.warm.storageClass;
    const [rows, bytes] = [segment?.rows ?? 0n, segment?.object?.bytes ?? 0n];
    return { tier: "warm", storageClass, isSmall: bytes < SMALL_OBJECT_BYTES, objects: 1n, rows, bytes };
  });
  const { bytes } = step;
  return {
    step,
    objects: 1n,
    bytes,
    isNew: true,
    isTooSmall: false,
    isSmall: bytes < SMALL_OBJECT_BYTES,
    goesTo: coldClass(policy),
    storageClass: policy.warm.storageClass,
    packed,
  };
}

function newSegments(given: StoredInput, rows: bigint, bytes: bigint): bigint {
  const bySize = upTo(bytes, given.segmentBytesMax);
  const byRows = upTo(rows, given.rowGroupRowsMax);
  const count = bySize < byRows ? bySize : byRows;
  return count < 1n ? 1n : count;
}

const upTo = (value: bigint, unit: bigint): bigint => (value + unit - 1n) / unit;

const coldClass = (policy: Policy): string | null => policy.cold?.storageClass ?? null;

/** The catalog's records have their class; what has none is where the policy puts it. */
type KnownSegment = PlannedSegment & { readonly storageClass?: string };

function segmentsById(input: PlanInput): ReadonlyMap<string, KnownSegment> {
  const { unfinished, dueForRewrite, dueForCold, dueForExpiry = [] } = input.catalog;
  return new Map(
    [...unfinished, ...dueForRewrite, ...dueForCold, ...dueForExpiry].map((segment) => [
      segment.segment,
      segment,
    ]),
  );
}

/** Groups by tier, class and size, which may be added to. */
export class Ledger {
  readonly #groups = new Map<string, { -readonly [Key in keyof StoredGroup]: StoredGroup[Key] }>();

  add(group: StoredGroup, sign: 1n | -1n = 1n): void {
    const key = `${group.tier} ${group.storageClass} ${group.isSmall}`;
    const known = this.#groups.get(key) ?? { ...group, objects: 0n, rows: 0n, bytes: 0n };
    // The catalog's totals and its list of segments are two looks at it: never less than nothing.
    known.objects = notNegative(known.objects + sign * group.objects);
    known.rows = notNegative(known.rows + sign * group.rows);
    known.bytes = notNegative(known.bytes + sign * group.bytes);
    this.#groups.set(key, known);
  }

  get groups(): StoredGroup[] {
    return [...this.#groups.values()].filter(({ objects }) => objects > 0n);
  }
}

const notNegative = (value: bigint): bigint => (value < 0n ? 0n : value);

export interface Stored {
  readonly hotRows: bigint;
  readonly hotBytes: bigint;
  readonly groups: readonly StoredGroup[];
}

/** What lies where now, and once the plan was executed. */
export function storedByPlan(
  given: StoredInput,
  steps: readonly StepObjects[],
): { readonly before: Stored; readonly after: Stored } {
  const { plan, table, totals } = given;
  const [before, after] = [new Ledger(), new Ledger()];
  for (const { state, segments, ...group } of totals) {
    const tier = TIER_OF_STATE[state];
    if (tier === undefined) continue;
    for (const ledger of [before, after]) ledger.add({ ...group, tier, objects: BigInt(segments) });
  }
  const known = segmentsById(given.input);
  for (const { step, objects, bytes, isSmall, isNew, goesTo, storageClass, packed } of steps) {
    for (const one of packed) after.add(one, -1n);
    const rows = isNew ? step.rows : (known.get(step.segment as string)?.rows ?? step.rows);
    const group = { storageClass, isSmall, objects, rows, bytes };
    if (goesTo !== null) after.add({ ...group, tier: "cold", storageClass: goesTo });
    if (isNew && goesTo === null) after.add({ ...group, tier: "warm" });
    if (!isNew && goesTo !== null) after.add({ ...group, tier: "warm" }, -1n);
    const expires = step.stages.includes("expire") ? known.get(step.segment as string) : undefined;
    const tier = expires && TIER_OF_STATE[expires.state];
    if (tier !== undefined) after.add({ ...group, tier }, -1n);
  }
  const leaving = plan.steps.reduce((sum, step) => sum + (leavesTable(step) ? step.rows : 0n), 0n);
  // An estimate of the planner may be lower than what was counted for the plan.
  const hotRows = table.rows > leaving ? table.rows : leaving;
  const hotBytes = hotRows === 0n ? table.bytes : (table.bytes * (hotRows - leaving)) / hotRows;
  return {
    before: { hotRows, hotBytes: table.bytes, groups: before.groups },
    after: { hotRows: hotRows - leaving, hotBytes, groups: after.groups },
  };
}

/** Whether the step takes its rows out of the table. */
export function leavesTable(step: Step): boolean {
  return isDeleted(step) || step.stages.includes("drop");
}

/** Whether it does so row by row, which leaves the table's file as large as it is. */
export function isDeleted({ stages }: Step): boolean {
  return stages.includes("prune") || stages.includes("delete");
}
