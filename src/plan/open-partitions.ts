/** Partitions that were archived, or are about to be, and still have rows in the table. */
import { dueDayHot } from "../policy/ages.ts";
import { partitionId } from "../segment/partition-key.ts";
import { inOrder } from "./order.ts";
import { reasonFor } from "./reasons.ts";
import type { Held, PlanInput, PlannedSegment } from "./step.ts";

/** A partition with rows in the archive that were not pruned yet. */
export interface OpenPartition {
  rows: bigint;
  quarantined: bigint;
  /** Whether all of its segments were read back and verified, and it is known where their rows are. */
  isSealed: boolean;
  /** Whether its quarantined rows are exported anew because a person asked for it. */
  isRetried: boolean;
}

export const idOf = ({ leaf, rule, dayFrom }: PlannedSegment): string =>
  partitionId({ leaf, rule, day: dayFrom });

export function openPartitions(input: PlanInput): Map<string, OpenPartition> {
  const open = new Map<string, OpenPartition>();
  for (const segment of input.catalog.unfinished) {
    const { state, replaces, rowsUnpruned, rowsQuarantined, rowsUnknown } = segment;
    // These are given up, or left the table long ago.
    const isGone = state === "cooling" || state === "expiring";
    if (state === "exporting" || isGone || (state === "uploaded" && replaces)) continue;
    const before = open.get(idOf(segment));
    open.set(idOf(segment), {
      rows: (before?.rows ?? 0n) + rowsUnpruned,
      quarantined: (before?.quarantined ?? 0n) + rowsQuarantined,
      isSealed: (before?.isSealed ?? true) && state !== "uploaded" && rowsUnknown === 0n,
      isRetried: (before?.isRetried ?? false) || (input.retryQuarantined === true && rowsQuarantined > 0n),
    });
  }
  return open;
}

/** Without deletions nobody sees an UPDATE, but a number of rows that changed shows. */
export function isExportedAnew(input: PlanInput, open: OpenPartition, rows: bigint): boolean {
  if (!open.isSealed) return false;
  return open.isRetried || (input.policy.prune === "off" && rows !== open.rows);
}

/**
 * Partitions of which no row is left in the table, and whose chunks have to be given up all the same: those that were
 * quarantined, when a person asks for another attempt, and those of an archive-only pipeline. One segment of each.
 */
export function emptied(input: PlanInput, open: ReadonlyMap<string, OpenPartition>): PlannedSegment[] {
  const counted = new Set(
    input.inventory.partitions.flatMap((one) => (one.rows > 0n ? [partitionId(one)] : [])),
  );
  const rules = new Map(input.policy.rules.map((rule) => [rule.name, rule]));
  const found = new Map<string, PlannedSegment>();
  for (const segment of inOrder(input.catalog.unfinished)) {
    const partition = open.get(idOf(segment));
    if (partition === undefined || counted.has(idOf(segment)) || found.has(idOf(segment))) continue;
    const rule = rules.get(segment.rule);
    // Nobody counts rows that are not due. Those of a rule that is gone are other rules' rows.
    const isCounted = rule === undefined ? partition.isRetried : segment.dayTo <= dueDayHot(rule, input.asOf);
    if (isCounted && isExportedAnew(input, partition, 0n)) found.set(idOf(segment), segment);
  }
  return [...found.values()];
}

export function quarantined(input: PlanInput, open: ReadonlyMap<string, OpenPartition>): Held[] {
  return inOrder(input.catalog.unfinished).flatMap((segment) => {
    const { leaf, rule, dayFrom: day, rowsQuarantined: rows } = segment;
    if (rows === 0n || open.get(idOf(segment))?.isRetried === true) return [];
    return [{ leaf, rule, day, rows, reason: reasonFor.quarantined(rows), needsPerson: true }];
  });
}
