/** The tables that hold the rows of the source: itself, or the leaves of its partition tree. */
import { readFileSync } from "node:fs";
import { type ErrorCode, FirnlineError } from "../../errors.ts";
import type { EpochMicros } from "../../rows/day.ts";
import type { DetachingLeaf } from "../../segment/detaching-leaf.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteTable } from "../../postgres/quote.ts";
import type { Leaf } from "../port.ts";

function sqlFile(name: string): string {
  return readFileSync(new URL(`./sql/${name}`, import.meta.url), "utf8");
}

const LEAVES = sqlFile("leaves.sql");
const DETACHED_LEAVES = sqlFile("detached-leaves.sql");

export interface FoundLeaf {
  readonly leaf: Leaf;
  readonly kind: string;
  readonly persistence: string;
  readonly canSelect: boolean;
  readonly canDelete: boolean;
  /** Of a detached leaf: a column of the source that it lacks, or has with another type. */
  readonly otherColumn: string | null;
}

/** What hangs in the partition tree, oldest first, those that hold no range of time last; then what was detached. */
export async function readLeaves(
  tx: Transaction,
  table: { readonly oid: string; readonly time: string; readonly zone: string | null },
  detaching: readonly DetachingLeaf[],
): Promise<FoundLeaf[]> {
  const attached = await readAttached(tx, table, detaching);
  const apart = detaching.filter(({ oid }) => !attached.some(({ leaf }) => leaf.oid === oid));
  return [...attached, ...(await readDetached(tx, table.oid, apart))];
}

async function readAttached(
  tx: Transaction,
  table: { readonly oid: string; readonly time: string; readonly zone: string | null },
  detaching: readonly DetachingLeaf[],
): Promise<FoundLeaf[]> {
  const { rows } = await tx.query(LEAVES, [table.oid, table.time, table.zone], "leaves");
  return rows.map((row) => ({
    leaf: {
      oid: row["oid"] as string,
      schema: row["schema"] as string,
      name: row["name"] as string,
      partition: {
        parent: { schema: row["parent_schema"] as string, name: row["parent_name"] as string },
        bound: row["bound"] as string,
        range:
          row["is_ranged"] === true
            ? { from: BigInt(row["first"]) as EpochMicros, to: BigInt(row["past"]) as EpochMicros }
            : null,
        hasDefaultSibling: row["has_default"] as boolean,
        canDrop: row["can_drop"] as boolean,
        isDetachPending: row["pending"] as boolean,
        isDetaching: detaching.some(({ oid }) => oid === row["oid"]),
        isAttached: true,
      },
    },
    kind: row["kind"] as string,
    persistence: row["persistence"] as string,
    // Of a leaf that was dropped a moment ago Postgres cannot say.
    canSelect: row["can_select"] !== false,
    canDelete: row["can_delete"] !== false,
    otherColumn: null,
  }));
}

async function readDetached(
  tx: Transaction,
  source: string,
  detaching: readonly DetachingLeaf[],
): Promise<FoundLeaf[]> {
  if (detaching.length === 0) return [];
  const { rows } = await tx.query(DETACHED_LEAVES, [detaching.map(({ oid }) => oid), source], "leaves");
  return detaching.map(({ oid, schema, name, parent, bound, range }) => {
    const row = rows.find((one) => one["oid"] === oid);
    if (row === undefined || row["schema"] !== schema || row["name"] !== name) throw vanished(schema, name);
    return {
      leaf: {
        oid,
        schema,
        name,
        partition: {
          parent,
          bound,
          range,
          hasDefaultSibling: false,
          canDrop: row["can_drop"] as boolean,
          isDetachPending: false,
          isDetaching: true,
          isAttached: false,
        },
      },
      kind: row["kind"] as string,
      persistence: row["persistence"] as string,
      canSelect: row["can_select"] !== false,
      canDelete: row["can_delete"] !== false,
      otherColumn: row["other_column"] as string | null,
    };
  });
}

/** Its rows are the source's until the catalog knows that they are gone. */
export function vanished(schema: string, name: string): FirnlineError {
  return new FirnlineError({
    code: "E_DETACH",
    subject: `${schema}.${name}`,
    problem: "an earlier run detached this partition to drop it, and there is no table of that name any more",
    hint:
      "If it was renamed or replaced, put it back. If it was dropped by hand, run `firnline catalog rebuild`: " +
      "what was archived of it is taken from the archive then",
  });
}

/** `ALTER TABLE ...` statements about a partition, as a person would type them. */
export const statementFor = {
  finalize: ({ partition, ...leaf }: Leaf): string =>
    `ALTER TABLE ${quoteTable(partition?.parent ?? leaf)} DETACH PARTITION ${quoteTable(leaf)} FINALIZE;`,
  attach: (leaf: DetachingLeaf): string =>
    `ALTER TABLE ${quoteTable(leaf.parent)} ATTACH PARTITION ${quoteTable(leaf)} ${leaf.bound};`,
} as const;

const LISTED_MAX = 20;

/** Leaves whose rows could not be moved. Each is addressed by its own name, so a grant on the parent is not enough. `role` is quoted. */
export function judgeLeaves(
  subject: string,
  leaves: readonly FoundLeaf[],
  { deletes, role }: { readonly deletes: boolean; readonly role: string },
): FirnlineError[] {
  const findings: FirnlineError[] = [];
  const each = (found: readonly FoundLeaf[], sql: (table: string) => string): string[] => [
    ...found.slice(0, LISTED_MAX).map(({ leaf }) => sql(quoteTable(leaf))),
    ...(found.length > LISTED_MAX ? [`-- and for ${found.length - LISTED_MAX} more`] : []),
  ];
  const finding = (
    code: ErrorCode,
    found: readonly FoundLeaf[],
    problem: string,
    hint: string,
    fix: readonly string[] = [],
  ): void => {
    const [first] = found;
    if (first === undefined) return;
    const { schema, name } = first.leaf;
    const more = found.length === 1 ? "" : ` and ${found.length - 1} more`;
    findings.push(
      new FirnlineError({
        code,
        subject,
        problem: `its partition ${schema}.${name}${more} ${problem}`,
        hint,
        fix,
      }),
    );
  };
  const without = (test: (one: FoundLeaf) => boolean): FoundLeaf[] => leaves.filter((one) => !test(one));
  finding(
    "E_RELATION",
    without(({ kind }) => kind === "r"),
    "is not a local table",
    "Detach it, or move its rows into a local partition",
  );
  const unlogged = without(({ persistence }) => persistence === "p");
  finding(
    "E_RELATION",
    unlogged,
    "is UNLOGGED and is emptied by a crash",
    "ALTER TABLE ... SET LOGGED",
    each(unlogged, (table) => `ALTER TABLE ${table} SET LOGGED;`),
  );
  const unreadable = without(({ canSelect }) => canSelect);
  finding(
    "E_VISIBILITY",
    unreadable,
    "may not be read by this role",
    "GRANT SELECT on each partition",
    each(unreadable, (table) => `GRANT SELECT ON ${table} TO ${role};`),
  );
  if (deletes) {
    const undeletable = without(({ canDelete }) => canDelete);
    finding(
      "E_VISIBILITY",
      undeletable,
      "may not be deleted from by this role",
      "GRANT DELETE on each partition, or set prune: off",
      each(undeletable, (table) => `GRANT DELETE ON ${table} TO ${role};`),
    );
  }
  // Neither in nor out: queries on the table do not see its rows.
  const pending = leaves.filter(({ leaf: { partition } }) => isForeignDetach(partition));
  finding(
    "E_DETACH",
    pending,
    "is being detached by somebody else (DETACH ... CONCURRENTLY was not finished)",
    "Finish it; then it is no part of the table any more",
    pending.map(({ leaf }) => statementFor.finalize(leaf)),
  );
  for (const { leaf, otherColumn } of leaves) {
    if (otherColumn === null) continue;
    findings.push(
      new FirnlineError({
        code: "E_DETACH",
        subject: `${leaf.schema}.${leaf.name}`,
        problem: `an earlier run detached this partition to drop it, and the table's column ${otherColumn} was added or changed since`,
        hint: "Change this table in the same way; the next run drops it",
      }),
    );
  }
  return findings;
}

const isForeignDetach = (partition: Leaf["partition"]): boolean =>
  partition !== null && partition.isDetachPending && !partition.isDetaching;
