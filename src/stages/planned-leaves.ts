/** The leaves of a partitioned source, as the plan sees them. */
import type { SourceTable } from "../hot/port.ts";
import type { PlannedLeaf } from "../plan/step.ts";

export function plannedLeaves({ leaves }: SourceTable): PlannedLeaf[] {
  return leaves.flatMap(({ oid, schema, name, partition }): PlannedLeaf[] => {
    if (partition === null) return [];
    const { canDrop, isAttached, isDetaching, isDetachPending, range } = partition;
    return [
      {
        leaf: { oid, schema, name },
        range,
        canDrop,
        // One that is listed and attached was never begun with, or a person attached it again.
        isDetaching: isDetaching && (isDetachPending || !isAttached),
      },
    ];
  });
}
