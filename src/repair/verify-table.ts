/** The catalog against the table: rows that were archived and are to be pruned must still be there. */
import type { SegmentRecord } from "../catalog/port.ts";
import type { CatalogContents } from "../catalog/upkeep.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import { type DayUtc, formatDay } from "../rows/day.ts";
import { type PartitionKey, partitionId } from "../segment/partition-key.ts";
import { leafName } from "../stages/context.ts";
import { NOT_DELETED } from "./verify-segment.ts";

interface Sealed {
  readonly partition: PartitionKey;
  readonly records: SegmentRecord[];
}

/**
 * Partitions with fewer rows in the table than are archived from it and not pruned. More are late rows, and nothing to
 * tell. A rule that is gone has no rows of its own, and quarantined and unknown rows are reported as such.
 */
export async function tableFindings<Tx>(
  environment: Environment<Tx>,
  source: SourceTable,
  { segments }: CatalogContents,
): Promise<FirnlineError[]> {
  const { catalog, hot, policy } = environment;
  const partitions = new Map<string, Sealed>();
  for (const { record } of segments.values()) {
    if (!isOpen(record)) continue;
    if (!source.rules.some(({ name }) => name === record.rule)) continue;
    const partition = { leaf: record.leaf, rule: record.rule, day: record.dayFrom };
    const found = partitions.get(partitionId(partition)) ?? { partition, records: [] };
    partitions.set(partitionId(partition), found);
    found.records.push(record);
  }
  if (partitions.size === 0) return [];
  const lastDay = [...partitions.values()].reduce(
    (last, { partition: { day } }) => (day > last ? day : last),
    0,
  );
  const inventory = await hot.inventory(source, lastDay as DayUtc);
  const rowsIn = new Map(
    inventory.partitions.map((one) => [partitionId({ ...one, leaf: leafName(one.leaf) }), one.rows]),
  );
  const findings: FirnlineError[] = [];
  for (const [id, { partition, records }] of partitions) {
    if (records.some(({ rowsQuarantined, rowsUnknown }) => rowsQuarantined + rowsUnknown > 0n)) continue;
    const expected = records.reduce((sum, { rowsUnpruned }) => sum + rowsUnpruned, 0n);
    const rows = rowsIn.get(id) ?? 0n;
    if (rows >= expected) continue;
    // A run may have pruned them since the catalog was read.
    const now = await Promise.all(records.map(({ segment }) => catalog.segment(policy.pipeline, segment)));
    if (now.some((one, at) => one.rowsUnpruned !== records[at]?.rowsUnpruned)) continue;
    findings.push(fewer(partition, rows, expected));
  }
  return findings;
}

/** What replaces others is given up if it is not sealed. */
const isOpen = ({ state, replaces }: SegmentRecord): boolean =>
  state === "sealed" || state === "pruning" || (state === "uploaded" && !replaces);

function fewer({ leaf, rule, day }: PartitionKey, rows: bigint, expected: bigint): FirnlineError {
  const where = leaf === null ? "" : ` of ${leaf.schema}.${leaf.name}`;
  return new FirnlineError({
    code: "E_SOURCE",
    subject: `${rule} ${formatDay(day)}${where}`,
    problem: `the table has ${rows} of its rows, ${expected} are archived and were not pruned`,
    hint: NOT_DELETED,
  });
}
