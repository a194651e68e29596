/** `doctor`'s look at the control schema: is it there, is it the right one, may this role work with it. */
import { FirnlineError } from "../../errors.ts";
import type { Advice } from "../../plan/advice.ts";
import type { SourceIdentity } from "../../segment/journal.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { CatalogExamination } from "../port.ts";
import { newerSchema, readMigrations, readSchemaVersion } from "./migrate.ts";
import { secondPipeline } from "./register.ts";

const LISTED_MAX = 5;

/** `tx` only reads. `source` is null where the table could not be described. */
export async function examineCatalog(
  tx: Transaction,
  pipeline: string,
  source: SourceIdentity | null,
): Promise<CatalogExamination> {
  const who = await readAsker(tx);
  if (who.schema === "missing") return toMigrate(who, "there is no control schema yet");
  if (who.schema === "closed")
    return { isReady: false, findings: [withoutGrants(who, ["USAGE"])], advice: [] };
  const [found, known] = [await readSchemaVersion(tx), readMigrations().length];
  const newer = newerSchema(found, known);
  if (newer !== null) return { isReady: false, findings: [newer], advice: [] };
  if (found < known) return toMigrate(who, `the control schema has version ${found} of ${known}`);
  const lacking = await readLackingPrivileges(tx);
  if (lacking.length > 0) return { isReady: false, findings: [withoutGrants(who, lacking)], advice: [] };
  const second = source === null ? null : await secondPipeline(tx, pipeline, source);
  return { isReady: true, findings: second === null ? [] : [second], advice: [] };
}

interface Asker {
  readonly database: string;
  /** As SQL writes it. */
  readonly role: string;
  readonly canCreate: boolean;
  readonly schema: "missing" | "closed" | "open";
}

async function readAsker(tx: Transaction): Promise<Asker> {
  const { rows } = await tx.query(
    `SELECT current_database() AS database, quote_ident(current_user) AS role,
            has_database_privilege(current_database(), 'CREATE') AS can_create,
            (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = 'firnline') AS can_use`,
    [],
    "control schema",
  );
  const row = rows[0] as Record<string, unknown>;
  return {
    database: row["database"] as string,
    role: row["role"] as string,
    canCreate: row["can_create"] as boolean,
    schema: row["can_use"] === null ? "missing" : row["can_use"] === true ? "open" : "closed",
  };
}

function toMigrate({ database, role, canCreate, schema }: Asker, problem: string): CatalogExamination {
  // Later migrations change tables, and want their owner; the first one makes the schema.
  const grant =
    schema === "missing" && !canCreate
      ? [`GRANT CREATE ON DATABASE ${quoteIdentifier(database)} TO ${role};`]
      : [];
  const advice: Advice = {
    code: "A_CATALOG",
    subject: `database ${database}`,
    problem,
    hint: "A run needs it; making it touches no table of yours",
    fix: [...grant, "firnline migrate"],
  };
  return { isReady: false, findings: [], advice: [advice] };
}

/** Privileges on the control schema that this role lacks, as `INSERT on segment`. */
async function readLackingPrivileges(tx: Transaction): Promise<string[]> {
  const { rows } = await tx.query(
    `SELECT privilege || ' on ' || c.relname AS lacking
     FROM pg_catalog.pg_class c
     CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS p(privilege, position)
     WHERE c.relnamespace = 'firnline'::regnamespace AND c.relkind = 'r'
       AND (c.relname <> 'migration' OR p.privilege = 'SELECT') AND NOT has_table_privilege(c.oid, p.privilege)
     UNION ALL
     SELECT 'USAGE on ' || c.relname FROM pg_catalog.pg_class c
     WHERE c.relnamespace = 'firnline'::regnamespace
       AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE') END
     ORDER BY 1`,
    [],
    "control schema",
  );
  return rows.map((row) => String(row["lacking"]));
}

function withoutGrants({ role }: Asker, lacking: readonly string[]): FirnlineError {
  const more = lacking.length - LISTED_MAX;
  const named = lacking.slice(0, LISTED_MAX).join(", ");
  return new FirnlineError({
    code: "E_VISIBILITY",
    subject: "schema firnline",
    problem: `this role lacks privileges on the control schema (${named}${more > 0 ? ` and ${more} more` : ""})`,
    hint: "Grant them, as the role that ran `firnline migrate`",
    fix: [
      `GRANT USAGE ON SCHEMA firnline TO ${role};`,
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA firnline TO ${role};`,
      `GRANT USAGE ON ALL SEQUENCES IN SCHEMA firnline TO ${role};`,
    ],
  });
}
