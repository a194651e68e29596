/**
 * Delete-only rules: rows that the owner's policy says not to keep. They are deleted in small batches, oldest first,
 * with count and range in the journal. This is the one place where rows go without being archived (I1), and the policy
 * has to say `archive: false` for it.
 */
import type { PartitionName } from "../hot/port.ts";
import { formatDay } from "../rows/day.ts";
import { growthKey } from "../segment/journal.ts";
import { checkpoint, timestamp } from "../environment.ts";
import type { StageContext } from "./context.ts";
import { withRetries } from "./retry.ts";

/** `E_HELD` where a hold has its day; what was deleted before that was told to `onDeleted`. */
export async function deletePartition<Tx>(
  context: StageContext<Tx>,
  partition: PartitionName,
  onDeleted: (rows: bigint) => void = () => {},
): Promise<bigint> {
  const { journal } = context;
  const total = await journal.whileGrowing(
    growthKey({ type: "deleted", rule: partition.rule, day: formatDay(partition.day) }),
    async () => await deleteBatches(context, partition, onDeleted),
  );
  await journal.publish();
  return total;
}

async function deleteBatches<Tx>(
  context: StageContext<Tx>,
  partition: PartitionName,
  onDeleted: (rows: bigint) => void,
): Promise<bigint> {
  const { catalog, clock, failpoint, hot, lease, limits, pace, report, signal, source } = context;
  const deleteBatch = async (): Promise<number> =>
    await hot.deleteOnly(source, partition, limits.deleteRowsMax, async (tx, deleted) => {
      const { rows, from, to } = deleted;
      await catalog.rowsDeleted(
        tx,
        lease,
        { rule: partition.rule, day: partition.day, rows: BigInt(rows), from, to },
        timestamp(clock),
      );
      failpoint("delete.deleted");
    });
  let total = 0n;
  for (;;) {
    checkpoint(signal);
    const rows = await pace.turn(
      async () => await withRetries({ clock, attemptsMax: limits.attemptsMax, signal }, deleteBatch),
    );
    if (rows === 0) break;
    failpoint("delete.committed");
    total += BigInt(rows);
    onDeleted(BigInt(rows));
    report({
      stage: "delete",
      subject: `${partition.rule} ${formatDay(partition.day)}`,
      rows: total,
      bytes: 0n,
    });
  }
  return total;
}
