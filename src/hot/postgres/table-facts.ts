/** What `sql/table-facts.sql` and `sql/server-facts.sql` report, and the judgement on it. Pure. */
import { type ErrorCode, FirnlineError } from "../../errors.ts";
import type { AttributeFacts } from "../../rows/column.ts";

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
  readonly kind: string;
  readonly persistence: string;
  readonly isPartition: boolean;
  readonly inherits: boolean;
  readonly hasChildren: boolean;
  readonly accessMethod: string;
  readonly rowSecurityActive: boolean;
  readonly canSelect: boolean;
  readonly canDelete: boolean;
  readonly bytesTotal: string;
  readonly rowsEstimated: string;
  readonly attributes: readonly AttributeFacts[];
  readonly indexes: readonly IndexFacts[];
}

/** What `sql/side-effects.sql` reports. */
export interface SideEffectFacts {
  readonly deleteTriggers: readonly string[];
  readonly references: readonly { constraint: string; table: string; onDelete: string }[];
  readonly rules: readonly string[];
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
const VERSION_MIN = 150_000;

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
  const finding = (problem: string, hint: string): void => {
    findings.push(
      new FirnlineError({ code: "E_SERVER", subject: `database ${server.database}`, problem, hint }),
    );
  };
  if (server.version < VERSION_MIN) {
    finding(`the server is PostgreSQL ${Math.floor(server.version / 10_000)}`, "Use PostgreSQL 15 or newer");
  }
  if (server.inRecovery) finding("the server is a standby", "Connect to the primary");
  if (server.encoding === "SQL_ASCII") {
    finding(
      "its encoding is SQL_ASCII, so texts have no known characters",
      "Dump and restore into a UTF8 database",
    );
  }
  return findings;
}

export function judgeTable(subject: string, facts: TableFacts, deletes: boolean): FirnlineError[] {
  const findings: FirnlineError[] = [];
  const finding = (code: ErrorCode, problem: string, hint: string): void => {
    findings.push(new FirnlineError({ code, subject, problem, hint }));
  };
  if (facts.kind === "p") {
    finding(
      "E_RELATION",
      "it is natively partitioned, and this version moves plain tables only",
      "Name one plain table, or wait for the version that moves partitions",
    );
  } else if (facts.kind !== "r") {
    finding(
      "E_RELATION",
      `it is ${KINDS[facts.kind] ?? `a relation of kind ${facts.kind}`}`,
      "Name a plain table",
    );
  }
  if (facts.isPartition) {
    finding("E_RELATION", "it is a partition of another table", "Name the partitioned table, not a leaf");
  } else if (facts.inherits || facts.hasChildren) {
    finding("E_RELATION", "it takes part in table inheritance", "Move the rows into a plain table first");
  }
  if (facts.persistence === "u") {
    finding("E_RELATION", "it is UNLOGGED and is emptied by a crash", "ALTER TABLE ... SET LOGGED");
  }
  if (facts.persistence === "t") finding("E_RELATION", "it is temporary", "Name a permanent table");
  if (facts.rowSecurityActive) {
    finding(
      "E_VISIBILITY",
      "row-level security hides rows from this role",
      "Use a role with BYPASSRLS, or the table's owner without FORCE ROW LEVEL SECURITY",
    );
  }
  if (!facts.canSelect) finding("E_VISIBILITY", "this role may not SELECT", "GRANT SELECT on it");
  if (deletes && !facts.canDelete) {
    finding("E_VISIBILITY", "this role may not DELETE", "GRANT DELETE on it, or set prune: off");
  }
  return findings;
}

const ON_DELETE: Readonly<Record<string, string>> = { c: "CASCADE", n: "SET NULL", d: "SET DEFAULT" };

/** What a DELETE would do besides deleting rows: reasons not to delete at all. */
export function judgeSideEffects(subject: string, facts: SideEffectFacts): FirnlineError[] {
  const findings: FirnlineError[] = [];
  const finding = (code: ErrorCode, problem: string, hint: string): void => {
    findings.push(new FirnlineError({ code, subject, problem, hint }));
  };
  for (const { constraint, table, onDelete } of facts.references) {
    const action = ON_DELETE[onDelete];
    if (action === undefined) continue;
    finding(
      "E_SIDE_EFFECT",
      `constraint ${constraint} of ${table} is ON DELETE ${action} and would change rows that are not archived`,
      "Make it NO ACTION, or set prune: off",
    );
  }
  if (facts.deleteTriggers.length > 0) {
    finding(
      "E_SIDE_EFFECT",
      `triggers run on DELETE: ${facts.deleteTriggers.join(", ")}`,
      "Drop or disable them, or set prune: off",
    );
  }
  if (facts.rules.length > 0) {
    finding("E_SIDE_EFFECT", `it has rules: ${facts.rules.join(", ")}`, "Drop them, or set prune: off");
  }
  if (facts.publications.length > 0) {
    finding(
      "E_SIDE_EFFECT",
      `publications replicate its deletes: ${facts.publications.join(", ")}`,
      "ALTER PUBLICATION ... SET (publish = 'insert, update'), or set prune: off",
    );
  }
  return findings;
}

/** The key's columns in order: those the policy names, or the primary key's. Throws `E_KEY`. */
export function chooseKey(
  subject: string,
  facts: TableFacts,
  wanted: readonly string[] | null,
): readonly string[] {
  const usable = (index: IndexFacts): boolean =>
    index.unique &&
    index.valid &&
    index.immediate &&
    !index.partial &&
    !index.expression &&
    index.method === "btree";
  const candidates = facts.indexes.filter((index) => index.columns !== null && usable(index));
  const primary = candidates.find((index) => index.primary);
  const columns = wanted ?? primary?.columns ?? null;
  const unusable = facts.indexes.filter((index) => index.unique && !usable(index)).map(describeIndex);
  const found = unusable.length === 0 ? "" : ` (found ${unusable.join(", ")})`;
  const fail = (problem: string): FirnlineError =>
    new FirnlineError({
      code: "E_KEY",
      subject,
      problem,
      hint: "Add a unique index over NOT NULL columns, or set source.key to one that exists",
    });
  if (columns === null) throw fail(`no primary key and no source.key${found}`);
  const sameSet = (index: IndexFacts): boolean =>
    index.columns?.length === columns.length && columns.every((name) => index.columns?.includes(name));
  if (!candidates.some(sameSet)) {
    throw fail(`no unique, valid, immediate index is on exactly (${columns.join(", ")})${found}`);
  }
  for (const name of columns) {
    const attribute = facts.attributes.find((one) => one.name === name);
    if (attribute?.notNull !== true) throw fail(`key column ${name} may be NULL`);
  }
  return columns;
}

function describeIndex(index: IndexFacts): string {
  const flaws = [
    index.partial ? "partial" : "",
    index.expression ? "expression" : "",
    index.valid ? "" : "invalid",
    index.immediate ? "" : "deferrable",
    index.method === "btree" ? "" : index.method,
  ].filter((flaw) => flaw !== "");
  return `${flaws.join(" ")} index ${index.name}`;
}
