/**
 * What each kind of work asks of the control schema: `infra/roles.sql` grants this, and `doctor` misses what of it is
 * missing. A test holds both against the statements that are really sent.
 */
import { FirnlineError } from "../../errors.ts";
import type { Database, Transaction } from "../../postgres/database.ts";

/** `run`, `hold` and `lifecycle`; `retrieve`, `rehydrate`, `restores` and `verify`; `collect`. */
export type Work = "run" | "retrieve" | "collect";

type Privilege = "SELECT" | "INSERT" | "UPDATE" | "DELETE";

const S = ["SELECT"] as const;
const SI = ["SELECT", "INSERT"] as const;
const SU = ["SELECT", "UPDATE"] as const;
const SD = ["SELECT", "DELETE"] as const;
const SIU = ["SELECT", "INSERT", "UPDATE"] as const;
const SID = ["SELECT", "INSERT", "DELETE"] as const;
const SUD = ["SELECT", "UPDATE", "DELETE"] as const;
const SIUD = ["SELECT", "INSERT", "UPDATE", "DELETE"] as const;

/** Tables of schema `firnline`. None for `segment_sequence` is written down: who inserts segments uses it. */
export const GRANTS: Readonly<Record<Work, Readonly<Record<string, readonly Privilege[]>>>> = {
  run: {
    chunk: SIUD,
    detaching: SIUD,
    draft: SID,
    history: SIUD,
    hold: SIU,
    migration: S,
    outbox: SIUD,
    pin: S,
    pipeline: SIU,
    restore: S,
    retrieval: S,
    run: SIU,
    segment: SIU,
  },
  retrieve: {
    chunk: S,
    detaching: S,
    draft: S,
    history: S,
    hold: S,
    migration: S,
    outbox: SI,
    pin: SID,
    pipeline: S,
    restore: SIU,
    retrieval: SIU,
    run: S,
    segment: S,
  },
  // What a run decided and did not come to journal, `collect` journals first, and follows it as the run would have.
  collect: {
    chunk: SUD,
    draft: SD,
    garbage: SID,
    hold: S,
    migration: S,
    outbox: SIUD,
    pin: SD,
    pipeline: SU,
    retrieval: SU,
    run: SU,
    segment: SU,
  },
};

const WORDS: Readonly<Record<Work, string>> = {
  run: "a run",
  retrieve: "a retrieval",
  collect: "`collect`",
};
const LISTED_MAX = 5;

interface Lacking {
  /** `USAGE on the schema`, `INSERT on segment`. */
  readonly named: readonly string[];
  /** Statements that grant it. */
  readonly fix: readonly string[];
}

/** Throws `E_VISIBILITY` before anything is begun that this role could not finish. No schema, no objection. */
export async function requireGrants(database: Database, work: Work): Promise<void> {
  const finding = await database.transaction(
    "repeatable read, read only",
    "control schema",
    async (tx) => await judgeGrants(tx, work),
  );
  if (finding !== null) throw finding;
}

/** Null where nothing is missing, in as much of the control schema as there is. */
export async function judgeGrants(tx: Transaction, work: Work): Promise<FirnlineError | null> {
  const { rows } = await tx.query("SELECT quote_ident(current_user) AS role", [], "control schema");
  const { named, fix } = await readLacking(tx, work, String(rows[0]?.["role"]));
  if (named.length === 0) return null;
  const more = named.length - LISTED_MAX;
  const listed = `${named.slice(0, LISTED_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  return new FirnlineError({
    code: "E_VISIBILITY",
    subject: "schema firnline",
    problem: `this role lacks privileges on the control schema that ${WORDS[work]} needs (${listed})`,
    hint: "Use the role that is meant for it (infra/roles.sql), or grant them, as the role that ran `firnline migrate`",
    fix,
  });
}

/** `role` is quoted. */
async function readLacking(tx: Transaction, work: Work, role: string): Promise<Lacking> {
  const wanted = Object.entries(GRANTS[work]).flatMap(([table, privileges]) =>
    privileges.map((privilege) => ({ table, privilege })),
  );
  const { rows } = await tx.query(
    `SELECT w.table_name AS table, w.privilege FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(table_name, privilege, n)
     JOIN pg_catalog.pg_class c ON c.relname = w.table_name AND c.relkind = 'r'
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'firnline'
     WHERE NOT has_table_privilege(c.oid, w.privilege) ORDER BY w.n`,
    [wanted.map(({ table }) => table), wanted.map(({ privilege }) => privilege)],
    "control schema",
  );
  const needsSequence = GRANTS[work]["segment"]?.includes("INSERT") === true;
  const { rows: others } = await tx.query(
    `SELECT has_schema_privilege(n.oid, 'USAGE') AS schema,
            coalesce(has_sequence_privilege(c.oid, 'USAGE'), true) AS sequence
     FROM pg_catalog.pg_namespace n
     LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'segment_sequence'
     WHERE n.nspname = 'firnline'`,
    [],
    "control schema",
  );
  const isClosed = others[0]?.["schema"] === false;
  const lacksSequence = needsSequence && others[0]?.["sequence"] === false;
  const tables = rows.map((row) => ({ table: String(row["table"]), privilege: String(row["privilege"]) }));
  return {
    named: [
      ...(isClosed ? ["USAGE on the schema"] : []),
      ...tables.map(({ table, privilege }) => `${privilege} on ${table}`),
      ...(lacksSequence ? ["USAGE on segment_sequence"] : []),
    ],
    fix: [
      ...(isClosed ? [`GRANT USAGE ON SCHEMA firnline TO ${role};`] : []),
      ...grantsOn(tables, role),
      ...(lacksSequence ? [`GRANT USAGE ON SEQUENCE firnline.segment_sequence TO ${role};`] : []),
    ],
  };
}

/** A statement for all tables that lack the same. */
function grantsOn(
  lacking: readonly { readonly table: string; readonly privilege: string }[],
  role: string,
): string[] {
  const byTable = new Map<string, string[]>();
  for (const { table, privilege } of lacking) {
    byTable.set(table, [...(byTable.get(table) ?? []), privilege]);
  }
  const tablesBy = new Map<string, string[]>();
  for (const [table, privileges] of byTable) {
    const set = privileges.join(", ");
    tablesBy.set(set, [...(tablesBy.get(set) ?? []), `firnline.${table}`]);
  }
  return [...tablesBy].map(([set, tables]) => `GRANT ${set} ON ${tables.join(", ")} TO ${role};`);
}
