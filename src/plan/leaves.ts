/**
 * Native partitions: which of them leave the table as a whole, and when. A leaf is dropped once its last day is due for
 * every rule; until then the rows of the rules that stay longest are archived as they become due, and wait. Rows of
 * shorter rules go one by one, as they do where a leaf cannot be dropped. Pure.
 */
import { dueDay } from "../policy/ages.ts";
import { addDays, type DayUtc, dayOf, type EpochMicros } from "../rows/day.ts";
import { type LeafName, partitionId } from "../segment/partition-key.ts";
import { holdOver, type PlannedHold } from "./holds.ts";
import { keepingReasonFor, leafReasonFor } from "./reasons.ts";
import type { Held, PlanInput, PlannedLeaf, Step } from "./step.ts";

/** How archived rows leave the table. */
export type Way =
  | { readonly by: "rows"; readonly because: string | null }
  | { readonly by: "leaf"; readonly drops: boolean; readonly reason: string }
  | { readonly by: "nothing"; readonly reason: string };

const BY_ROWS: Way = { by: "rows", because: null };

export class LeafPlan {
  readonly #input: PlanInput;
  readonly #leaves: ReadonlyMap<string, PlannedLeaf>;
  readonly #quarantined: ReadonlySet<string>;
  /** With rows of delete-only rules that a hold keeps: nothing else has them. */
  readonly #kept: ReadonlyMap<string, PlannedHold>;
  /** How long the rule keeps its rows hot that keeps them longest: archived or not, they are in the same leaves. */
  readonly #daysLongest: number;

  constructor(input: PlanInput) {
    this.#input = input;
    this.#leaves = new Map((input.leaves ?? []).map((one) => [one.leaf.oid, one]));
    this.#daysLongest = Math.max(...input.policy.rules.map(({ hotDays }) => hotDays));
    const isStuck = input.retryQuarantined !== true;
    this.#quarantined = new Set(
      input.catalog.unfinished.flatMap(({ leaf, rowsQuarantined }) =>
        isStuck && leaf !== null && rowsQuarantined > 0n ? [leaf.oid] : [],
      ),
    );
    this.#kept = keptLeaves(input);
  }

  /** For rows that are due, and for archived ones that are still in the table. */
  wayOf(leaf: LeafName | null, rule: string): Way {
    const planned = this.#leaves.get(leaf?.oid ?? "");
    if (planned === undefined || !this.#wantsWhole(planned)) return BY_ROWS;
    const { hasKey = true, policy } = this.#input;
    const days = policy.rules.find(({ name }) => name === rule)?.hotDays ?? 0;
    if (hasKey && days < this.#daysLongest) return BY_ROWS;
    const obstacle = obstacleOf(planned);
    if (obstacle === null) {
      const isDue = this.#isDue(planned);
      const isStuck = this.#quarantined.has(planned.leaf.oid);
      const kept = this.#kept.get(planned.leaf.oid);
      const reason =
        isDue && kept !== undefined
          ? keepingReasonFor.leafHeld(planned.leaf, kept)
          : isDue && isStuck
            ? leafReasonFor.quarantined(planned.leaf)
            : this.#reasonOf(planned);
      return { by: "leaf", drops: isDue && !isStuck && kept === undefined, reason };
    }
    if (hasKey && policy.prune === "auto") return { by: "rows", because: obstacle };
    return { by: "nothing", reason: leafReasonFor.stays(planned.leaf, obstacle, hasKey) };
  }

  /** Leaves that are empty, or will be once `steps` are done: they go on the same day as the others. */
  drained(steps: readonly Step[]): Step[] {
    const { inventory, policy } = this.#input;
    const dropped = new Set(
      steps.flatMap(({ stages, leaf }) => (stages.includes("drop") ? [leaf?.oid] : [])),
    );
    const moved = new Set(steps.map(partitionId));
    const left = new Set(
      inventory.partitions.flatMap((one) =>
        one.rows > 0n && !moved.has(partitionId(one)) ? [one.leaf?.oid] : [],
      ),
    );
    return [...this.#leaves.values()].flatMap((planned) => {
      const { leaf } = planned;
      if (dropped.has(leaf.oid) || left.has(leaf.oid) || this.#quarantined.has(leaf.oid)) return [];
      if (!this.#wantsWhole(planned) || obstacleOf(planned) !== null || !this.#isDue(planned)) return [];
      return [
        {
          stages: ["drop" as const],
          leaf,
          rule: policy.rules.at(-1)?.name as string,
          day: lastDay(planned),
          replaces: false,
          segment: null,
          rows: 0n,
          bytes: 0n,
          reason: leafReasonFor.drained(leaf),
        },
      ];
    });
  }

  /** Leaves that are out of the table already, and cannot be dropped under this policy. */
  held(): Held[] {
    if (this.#input.policy.prune !== "off") return [];
    return [...this.#leaves.values()].flatMap((planned) => {
      if (!planned.isDetaching) return [];
      const rule = this.#input.policy.rules.at(-1)?.name as string;
      const reason = leafReasonFor.pruneOff(planned.leaf);
      return [{ leaf: planned.leaf, rule, day: lastDay(planned), rows: 0n, reason, needsPerson: true }];
    });
  }

  /** What was begun is finished, whatever the policy says now, unless it says that nothing goes. */
  #wantsWhole({ isDetaching }: PlannedLeaf): boolean {
    const { prune } = this.#input.policy;
    return prune === "auto" || prune === "partitions" || (prune === "rows" && isDetaching);
  }

  #isDue(planned: PlannedLeaf): boolean {
    return lastDay(planned) <= dueDay(this.#daysLongest, this.#input.asOf);
  }

  #reasonOf(planned: PlannedLeaf): string {
    const dueOn = addDays(lastDay(planned), this.#daysLongest + 1);
    return this.#isDue(planned)
      ? leafReasonFor.due(planned.leaf, dueOn)
      : leafReasonFor.waits(planned.leaf, dueOn);
  }
}

/** The day of the last instant within the bounds. Only asked of leaves that have any. */
function lastDay({ range }: PlannedLeaf): DayUtc {
  return dayOf(((range?.to ?? 0n) - 1n) as EpochMicros);
}

function obstacleOf({ range, canDrop }: PlannedLeaf): string | null {
  if (range === null) return leafReasonFor.unbounded;
  return canDrop ? null : leafReasonFor.notOwned;
}

/** Rows that come after this look are seen again, under lock, before the leaf is dropped. */
function keptLeaves({ catalog, inventory, policy }: PlanInput): ReadonlyMap<string, PlannedHold> {
  const kept = new Map<string, PlannedHold>();
  const deleted = new Set(policy.rules.flatMap(({ archive, name }) => (archive ? [] : [name])));
  for (const { day, leaf, rows, rule } of inventory.partitions) {
    const hold = rows > 0n && deleted.has(rule) ? holdOver(catalog.holds, day, day) : null;
    if (leaf !== null && hold !== null) kept.set(leaf.oid, hold);
  }
  return kept;
}
