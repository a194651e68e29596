/** What `sql/table-facts.sql` and `sql/server-facts.sql` report, and the judgement on it. Pure. */
import { type ErrorCode, FirnlineError } from "../../errors.ts";
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { AttributeFacts } from "../../rows/column.ts";
import type { LooseCollations } from "../port.ts";

export interface IndexFacts {
  readonly name: string;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly valid: boolean;
  readonly immediate: boolean;
  readonly partial: boolean;
  readonly expression: boolean;
  readonly method: string;
  readonly columns: readonly string[] | null;
}

export interface TableFacts {
  readonly oid: string;
  readonly schema: string;
  /** Schema and name as SQL writes them. */
  readonly quoted: string;
  /** The role that asks, as SQL writes it. */
  readonly role: string;
  readonly kind: string;
  readonly persistence: string;
  readonly isPartition: boolean;
  readonly inherits: boolean;
  readonly hasChildren: boolean;
  readonly accessMethod: string;
  readonly rowSecurityActive: boolean;
  /** Whether the role may name anything in the table's schema. */
  readonly canUse: boolean;
  readonly canSelect: boolean;
  readonly canDelete: boolean;
  readonly bytesTotal: string;
  readonly rowsEstimated: string;
  readonly attributes: readonly AttributeFacts[];
  readonly indexes: readonly IndexFacts[];
  readonly looseCollations: LooseCollations;
}

/** What `sql/side-effects.sql` reports. */
export interface SideEffectFacts {
  /** Tables are written as SQL writes them, names are not. */
  readonly deleteTriggers: readonly { readonly name: string; readonly table: string }[];
  readonly references: readonly {
    readonly constraint: string;
    readonly table: string;
    readonly onDelete: string;
    /** As `pg_get_constraintdef` prints it. */
    readonly definition: string;
  }[];
  readonly rules: readonly { readonly name: string; readonly table: string }[];
  readonly publications: readonly string[];
}

export interface ServerFacts {
  readonly systemIdentifier: string;
  readonly databaseOid: string;
  readonly database: string;
  readonly version: number;
  readonly inRecovery: boolean;
  readonly encoding: string;
}

/** The oldest release that the SQL in here was tried on. */
export const VERSION_MIN = 150_000;

const KINDS: Readonly<Record<string, string>> = {
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
  S: "a sequence",
  i: "an index",
  c: "a composite type",
};

export function judgeServer(server: ServerFacts): FirnlineError[] {
  const findings: FirnlineError[] = [];
  const finding = (problem: string, hint: string, code: ErrorCode = "E_SERVER"): void => {
    findings.push(new FirnlineError({ code, subject: `database ${server.database}`, problem, hint }));
  };
  if (server.version < VERSION_MIN) {
    finding(`the server is PostgreSQL ${Math.floor(server.version / 10_000)}`, "Use PostgreSQL 15 or newer");
  }
  if (server.inRecovery) finding("the server is a standby", "Connect to the primary");
  if (server.encoding === "SQL_ASCII") {
    finding(
      "its encoding is SQL_ASCII, so texts have no known characters",
      "Dump and restore into a UTF8 database",
      "E_TYPE",
    );
  }
  return findings;
}

export function judgeTable(subject: string, facts: TableFacts, deletes: boolean): FirnlineError[] {
  const findings: FirnlineError[] = [];
  const finding = (code: ErrorCode, problem: string, hint: string, ...fix: string[]): void => {
    findings.push(new FirnlineError({ code, subject, problem, hint, fix }));
  };
  const { quoted, role } = facts;
  if (facts.kind !== "r" && facts.kind !== "p") {
    finding(
      "E_RELATION",
      `it is ${KINDS[facts.kind] ?? `a relation of kind ${facts.kind}`}`,
      "Name a plain table",
    );
  }
  if (facts.isPartition) {
    finding("E_RELATION", "it is a partition of another table", "Name the partitioned table, not a leaf");
  } else if (facts.inherits || (facts.hasChildren && facts.kind !== "p")) {
    finding("E_RELATION", "it takes part in table inheritance", "Move the rows into a plain table first");
  }
  if (facts.persistence === "u") {
    finding(
      "E_RELATION",
      "it is UNLOGGED and is emptied by a crash",
      "ALTER TABLE ... SET LOGGED",
      `ALTER TABLE ${quoted} SET LOGGED;`,
    );
  }
  if (facts.persistence === "t") finding("E_RELATION", "it is temporary", "Name a permanent table");
  if (facts.rowSecurityActive) {
    finding(
      "E_VISIBILITY",
      "row-level security hides rows from this role",
      "Use a role with BYPASSRLS, or the table's owner without FORCE ROW LEVEL SECURITY",
      `ALTER ROLE ${role} BYPASSRLS;`,
    );
  }
  if (!facts.canUse) {
    finding(
      "E_VISIBILITY",
      "this role may not use its schema",
      "GRANT USAGE on it",
      `GRANT USAGE ON SCHEMA ${quoteIdentifier(facts.schema)} TO ${role};`,
    );
  }
  if (!facts.canSelect) {
    finding(
      "E_VISIBILITY",
      "this role may not SELECT",
      "GRANT SELECT on it",
      `GRANT SELECT ON ${quoted} TO ${role};`,
    );
  }
  if (deletes && !facts.canDelete) {
    finding(
      "E_VISIBILITY",
      "this role may not DELETE",
      "GRANT DELETE on it, or set prune: off",
      `GRANT DELETE ON ${quoted} TO ${role};`,
    );
  }
  return findings;
}

const ON_DELETE: Readonly<Record<string, string>> = { c: "CASCADE", n: "SET NULL", d: "SET DEFAULT" };

/** What a DELETE would do besides deleting rows: reasons not to delete at all. */
export function judgeSideEffects(subject: string, facts: SideEffectFacts): FirnlineError[] {
  const findings: FirnlineError[] = [];
  const finding = (problem: string, hint: string, fix: readonly string[]): void => {
    findings.push(new FirnlineError({ code: "E_SIDE_EFFECT", subject, problem, hint, fix }));
  };
  const names = (found: readonly { readonly name: string }[]): string =>
    [...new Set(found.map(({ name }) => name))].join(", ");
  for (const { constraint, table, onDelete, definition } of facts.references) {
    const action = ON_DELETE[onDelete];
    if (action === undefined) continue;
    const quoted = quoteIdentifier(constraint);
    finding(
      `constraint ${constraint} of ${table} is ON DELETE ${action} and would change rows that are not archived`,
      "Make it NO ACTION, or set prune: off",
      [
        `ALTER TABLE ${table} DROP CONSTRAINT ${quoted},`,
        `  ADD CONSTRAINT ${quoted} ${withoutAction(definition)} NOT VALID;`,
        `ALTER TABLE ${table} VALIDATE CONSTRAINT ${quoted};`,
      ],
    );
  }
  if (facts.deleteTriggers.length > 0) {
    finding(
      `triggers run on DELETE: ${names(facts.deleteTriggers)}`,
      "Drop or disable them, or set prune: off",
      facts.deleteTriggers.map(
        ({ name, table }) => `ALTER TABLE ${table} DISABLE TRIGGER ${quoteIdentifier(name)};`,
      ),
    );
  }
  if (facts.rules.length > 0) {
    finding(
      `it has rules: ${names(facts.rules)}`,
      "Drop them, or set prune: off",
      facts.rules.map(({ name, table }) => `DROP RULE ${quoteIdentifier(name)} ON ${table};`),
    );
  }
  if (facts.publications.length > 0) {
    finding(
      `publications replicate its deletes: ${facts.publications.join(", ")}`,
      "ALTER PUBLICATION ... SET (publish = 'insert, update'), or set prune: off",
      facts.publications.map(
        (name) => `ALTER PUBLICATION ${quoteIdentifier(name)} SET (publish = 'insert, update, truncate');`,
      ),
    );
  }
  return findings;
}

/** A foreign key's definition with NO ACTION on DELETE. The last one counts: a name may look like an action. */
function withoutAction(definition: string): string {
  const plain = definition.replace(/^(.*) ON DELETE (?:CASCADE|SET NULL|SET DEFAULT)(?: \([^)]*\))?/s, "$1");
  return plain.replace(/ NOT VALID$/, "");
}
