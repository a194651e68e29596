/** `doctor`'s look at the control schema: is it there, is it the right one, may this role work with it. */
import type { Advice } from "../../plan/advice.ts";
import type { SourceIdentity } from "../../segment/journal.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { CatalogExamination } from "../port.ts";
import { judgeGrants } from "./grants.ts";
import { newerSchema, readMigrations, readSchemaVersion } from "./migrate.ts";
import { secondPipeline } from "./register.ts";

/** `tx` only reads. `source` is null where the table could not be described. */
export async function examineCatalog(
  tx: Transaction,
  pipeline: string,
  source: SourceIdentity | null,
): Promise<CatalogExamination> {
  const who = await readAsker(tx);
  if (!who.hasSchema) return toMigrate(who, "there is no control schema yet");
  const lacking = await judgeGrants(tx, "run");
  if (lacking !== null) return { isReady: false, findings: [lacking], advice: [] };
  const [found, known] = [await readSchemaVersion(tx), readMigrations().length];
  const newer = newerSchema(found, known);
  if (newer !== null) return { isReady: false, findings: [newer], advice: [] };
  if (found < known) return toMigrate(who, `the control schema has version ${found} of ${known}`);
  const second = source === null ? null : await secondPipeline(tx, pipeline, source);
  return { isReady: true, findings: second === null ? [] : [second], advice: [] };
}

interface Asker {
  readonly database: string;
  /** As SQL writes it. */
  readonly role: string;
  readonly canCreate: boolean;
  readonly hasSchema: boolean;
}

async function readAsker(tx: Transaction): Promise<Asker> {
  const { rows } = await tx.query(
    `SELECT current_database() AS database, quote_ident(current_user) AS role,
            has_database_privilege(current_database(), 'CREATE') AS can_create,
            EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'firnline') AS has_schema`,
    [],
    "control schema",
  );
  const row = rows[0] as Record<string, unknown>;
  return {
    database: row["database"] as string,
    role: row["role"] as string,
    canCreate: row["can_create"] as boolean,
    hasSchema: row["has_schema"] as boolean,
  };
}

function toMigrate({ database, role, canCreate, hasSchema }: Asker, problem: string): CatalogExamination {
  // Later migrations change tables, and want their owner; the first one makes the schema.
  const grant =
    !hasSchema && !canCreate ? [`GRANT CREATE ON DATABASE ${quoteIdentifier(database)} TO ${role};`] : [];
  const advice: Advice = {
    code: "A_CATALOG",
    subject: `database ${database}`,
    problem,
    hint: "A run needs it; making it touches no table of yours",
    fix: [...grant, "firnline migrate"],
  };
  return { isReady: false, findings: [], advice: [advice] };
}
