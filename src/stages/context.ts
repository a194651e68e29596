/** What every stage works with: the environment, and what belongs to one run. Made once a run, in `run-pipeline.ts`. */
import type { Lease } from "../catalog/port.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { Leaf, SourceTable } from "../hot/port.ts";
import type { LeafName } from "../segment/partition-key.ts";
import type { Journal } from "./journal.ts";
import type { Pace } from "./pace.ts";

export interface StageContext<Tx> extends Environment<Tx> {
  readonly source: SourceTable;
  readonly archiveId: string;
  readonly lease: Lease;
  readonly journal: Journal<Tx>;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

/** What the catalog and the plan call a leaf; null where the source is a plain table. */
export function leafName({ oid, schema, name, partition }: Leaf): LeafName | null {
  return partition === null ? null : { oid, schema, name };
}

/** The leaf that holds a partition's rows; null when it is no part of the source any more. */
export function findLeaf(source: SourceTable, name: LeafName | null): Leaf | null {
  return (
    source.leaves.find((leaf) => (name === null ? leaf.partition === null : leaf.oid === name.oid)) ?? null
  );
}

/** The same for a partition that the plan has just counted rows in. */
export function requireLeaf(source: SourceTable, name: LeafName | null): Leaf {
  const leaf = findLeaf(source, name);
  if (leaf !== null) return leaf;
  throw new FirnlineError({
    code: "E_SOURCE",
    subject: `${source.table.schema}.${source.table.name}`,
    problem: `its partition ${name?.schema}.${name?.name} is gone`,
    hint: "Was it detached or dropped by hand? Nothing was deleted; look at it before the next run",
  });
}
