/** What the policy's rules select, as Postgres spells it. */
import { randomBytes } from "node:crypto";
import { FirnlineError } from "../../errors.ts";
import type { Database } from "../../postgres/database.ts";
import { quoteIdentifier, quoteTable } from "../../postgres/quote.ts";
import type { SourceTable, TableName } from "../port.ts";

interface RulesRequest {
  readonly table: TableName;
  readonly rules: readonly { readonly name: string; readonly when: string | null }[];
}

/** Who asks, and where, to say what must be granted. */
interface Asker {
  readonly database: string;
  /** As SQL writes it. */
  readonly role: string;
}

/** Ends a transaction that was only there to ask a question. */
class Answered extends Error {}

/**
 * Lets Postgres judge each `when` as an index predicate on an empty temporary copy, which refuses volatile functions,
 * subqueries and anything that is not one expression; then reads back its own, fully qualified spelling of it. Only
 * that spelling is ever put into other statements, so nothing can be smuggled in. What is wrong goes into `findings`.
 */
export async function readRules(
  database: Database,
  asker: Asker,
  request: RulesRequest,
  findings: FirnlineError[],
): Promise<SourceTable["rules"]> {
  const spelled: { name: string; when: string | null }[] = [];
  for (const { name, when } of request.rules) {
    if (when === null) {
      spelled.push({ name, when });
      continue;
    }
    const subject = `rule ${name} on ${request.table.schema}.${request.table.name}`;
    try {
      const text = await spellPredicate(database, request.table, when);
      if (text === "true") {
        const problem = "its predicate matches every row, so no later rule gets any";
        findings.push(new FirnlineError({ code: "E_POLICY", subject, problem, hint: "Narrow it" }));
      }
      spelled.push({ name, when: text });
    } catch (error) {
      if (!(error instanceof FirnlineError) || error.retryable) throw error;
      findings.push(refused(subject, asker, error));
    }
  }
  // Rule k gets the rows that no earlier rule took; NULL counts as "not taken" (I2: no row is in two partitions).
  return spelled.map(({ name, when }, index) => {
    const terms = spelled.slice(0, index).map((earlier) => `(${earlier.when}) IS NOT TRUE`);
    if (when !== null) terms.push(`(${when}) IS TRUE`);
    return { name, predicate: terms.length === 0 ? null : terms.join(" AND ") };
  });
}

function refused(subject: string, { database, role }: Asker, error: FirnlineError): FirnlineError {
  const reason = error.problem.replace(/^.*?: /, "").replaceAll(/\s+/g, " ");
  const problem = `Postgres does not take its predicate (${reason})`;
  if (error.code !== "E_VISIBILITY") {
    const hint = "Use one expression over this table's columns with immutable functions only";
    return new FirnlineError({ code: "E_POLICY", subject, problem, hint });
  }
  const isTemporary = reason.includes("temporary tables");
  const fix = isTemporary ? [`GRANT TEMPORARY ON DATABASE ${quoteIdentifier(database)} TO ${role};`] : [];
  return new FirnlineError({ code: "E_VISIBILITY", subject, problem, hint: error.hint, fix });
}

async function spellPredicate(database: Database, table: TableName, when: string): Promise<string> {
  // A name that no predicate can know: `t.* IS NULL` would be spelled with it, and mean nothing in other statements.
  const scratch = `firnline_${randomBytes(12).toString("hex")}`;
  let spelled = "";
  try {
    await database.transaction("read write", "predicate", async (tx) => {
      await tx.query(`CREATE TEMPORARY TABLE ${scratch} (LIKE ${quoteTable(table)}) ON COMMIT DROP`);
      await tx.query(`CREATE INDEX ${scratch}_index ON pg_temp.${scratch} ((1)) WHERE (${when}\n)`);
      const { rows } = await tx.query(
        `SELECT pg_get_expr(indpred, indrelid) AS predicate
         FROM pg_index WHERE indexrelid = 'pg_temp.${scratch}_index'::regclass`,
      );
      // Postgres drops a predicate that is always true, and keeps none.
      spelled = String(rows[0]?.["predicate"] ?? "true");
      throw new Answered();
    });
  } catch (error) {
    if (!(error instanceof FirnlineError) || !(error.cause instanceof Answered)) throw error;
  }
  return spelled;
}
