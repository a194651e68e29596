/** Looks at the table the way a careful operator would before the first row moves, and judges all of it at once. */
import { readFileSync } from "node:fs";
import { type ErrorCode, FirnlineError, FirnlineErrors } from "../../errors.ts";
import { type Column, mapColumn, mapColumns } from "../../rows/column.ts";
import { KEY_KINDS } from "../../rows/key-range.ts";
import { toHex } from "../../rows/hex.ts";
import type { NewSha256 } from "../../segment/digest.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import { quoteTable } from "../../postgres/quote.ts";
import type { SourceTable, TableName } from "../port.ts";
import {
  chooseKey,
  judgeServer,
  judgeSideEffects,
  judgeTable,
  type ServerFacts,
  type SideEffectFacts,
  type TableFacts,
} from "./table-facts.ts";

export interface SourceRequest {
  readonly table: TableName;
  readonly time: string;
  readonly zone: string | null;
  readonly key: readonly string[] | null;
  /** The policy's rules in order; `when` is null for the last one, `default`. */
  readonly rules: readonly { readonly name: string; readonly when: string | null }[];
  /** Whether rows will be deleted. */
  readonly deletes: boolean;
  /** Whether the policy wants rows to go with whole native partitions only. */
  readonly wholePartitions?: boolean;
}

function sqlFile(name: string): string {
  return readFileSync(new URL(`./sql/${name}`, import.meta.url), "utf8");
}

const TABLE_FACTS = sqlFile("table-facts.sql");
const SERVER_FACTS = sqlFile("server-facts.sql");
const FINGERPRINT = sqlFile("fingerprint.sql");
const SIDE_EFFECTS = sqlFile("side-effects.sql");
export const BASE_TYPE = sqlFile("base-type.sql");

const encoder = new TextEncoder();

/** SHA-256 of the table's definition, as seen by `tx`. */
export async function readFingerprint(tx: Transaction, newHash: NewSha256, oid: string): Promise<string> {
  const { rows } = await tx.query(FINGERPRINT, [oid], "fingerprint");
  return toHex(
    newHash()
      .update(encoder.encode(String(rows[0]?.["definition"])))
      .digest(),
  );
}

/** What a DELETE would do besides deleting rows, as seen by `tx`. */
export async function readSideEffects(tx: Transaction, oid: string): Promise<SideEffectFacts> {
  const { rows } = await tx.query(SIDE_EFFECTS, [oid], "side effects");
  return rows[0]?.["facts"] as SideEffectFacts;
}

export async function describeSource(
  database: Database,
  newHash: NewSha256,
  request: SourceRequest,
): Promise<SourceTable> {
  const subject = `${request.table.schema}.${request.table.name}`;
  const findings: FirnlineError[] = [];
  const collect = <T>(work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof FirnlineError)) throw error;
      findings.push(error);
      return null;
    }
  };
  const { server, facts, fingerprint, sideEffects } = await readFacts(database, newHash, request.table);
  findings.push(...judgeServer(server));
  if (facts === null) {
    throw new FirnlineErrors([
      ...findings,
      new FirnlineError({
        code: "E_RELATION",
        subject,
        problem: `there is no such table in database ${server.database}`,
        hint: "Check source.table and the connection; names are case-sensitive",
      }),
    ]);
  }
  findings.push(...judgeTable(subject, facts, request.deletes));
  if (request.deletes) findings.push(...judgeSideEffects(subject, sideEffects));
  if (request.wholePartitions === true && facts.kind === "r") findings.push(notPartitioned(subject));
  const isTable = facts.kind === "r" || facts.kind === "p";
  // One by one, so that a bad type hides neither the next one nor a bad key.
  const bad = facts.attributes.filter((one) => collect(() => mapColumn(subject, one)) === null);
  const columns = collect(() =>
    mapColumns(
      subject,
      facts.attributes.filter((one) => !bad.includes(one)),
    ),
  );
  const isTimeBad = bad.some(({ name }) => name === request.time);
  const timeColumn =
    isTable && !isTimeBad && columns ? collect(() => findTime(subject, columns, request)) : null;
  const keyColumns =
    isTable && columns ? collect(() => findKey(subject, columns, facts, request, server.encoding)) : null;
  const rules = isTable ? await readRules(database, subject, request, findings) : null;
  if (
    findings.length > 0 ||
    columns === null ||
    timeColumn === null ||
    keyColumns === null ||
    rules === null
  ) {
    throw new FirnlineErrors(findings);
  }
  return {
    table: { ...request.table, oid: facts.oid },
    identity: {
      systemIdentifier: server.systemIdentifier,
      databaseOid: server.databaseOid,
      tableOid: facts.oid,
    },
    fingerprint,
    columns,
    timeColumn,
    zone: request.zone,
    keyColumns,
    rules,
  };
}

async function readFacts(
  database: Database,
  newHash: NewSha256,
  table: TableName,
): Promise<{
  server: ServerFacts;
  facts: TableFacts | null;
  fingerprint: string;
  sideEffects: SideEffectFacts;
}> {
  return await database.transaction("repeatable read, read only", "describe", async (tx) => {
    const server = (await tx.query(SERVER_FACTS, [], "server facts")).rows[0]?.["facts"] as ServerFacts;
    const found = await tx.query(TABLE_FACTS, [table.schema, table.name], "table facts");
    const facts = (found.rows[0]?.["facts"] ?? null) as TableFacts | null;
    return {
      server,
      facts,
      fingerprint: facts === null ? "" : await readFingerprint(tx, newHash, facts.oid),
      sideEffects: await readSideEffects(tx, facts?.oid ?? "0"),
    };
  });
}

function findTime(subject: string, columns: readonly Column[], request: SourceRequest): number {
  const index = columns.findIndex((column) => column.name === request.time && column.select === "value");
  const column = columns[index];
  const fail = (problem: string, hint: string): FirnlineError =>
    new FirnlineError({ code: "E_POLICY", subject: `${subject}.${request.time}`, problem, hint });
  if (column === undefined) throw fail("source.time names a column that is not there", "Check its spelling");
  if (column.kind === "timestamptz") {
    if (request.zone !== null) throw fail("a timestamptz has its zone already", "Remove source.zone");
    return index;
  }
  if (column.kind !== "timestamp") {
    throw fail(
      `source.time must be a timestamptz (found ${column.type})`,
      "Name a column that holds an instant",
    );
  }
  if (request.zone === null) {
    throw fail("a plain timestamp has no zone", "Set source.zone to the zone that its values are written in");
  }
  return index;
}

function findKey(
  subject: string,
  columns: readonly Column[],
  facts: TableFacts,
  request: SourceRequest,
  encoding: string,
): readonly number[] {
  return chooseKey(subject, facts, request.key).map((name) => {
    const index = columns.findIndex((column) => column.attribute === name && column.select === "value");
    const column = columns[index];
    const attribute = facts.attributes.find((one) => one.name === name);
    if (column === undefined || !KEY_KINDS.has(column.kind) || attribute?.base.name === "bpchar") {
      throw new FirnlineError({
        code: "E_KEY",
        subject: `${subject}.${name}`,
        problem: `type ${attribute?.type} has no order that Firnline can rely on`,
        hint: "Choose a key of integers, uuid, text, bytea, dates or times",
      });
    }
    if (column.kind === "text" && encoding !== "UTF8") {
      // Postgres would sort by the server's bytes, and the digests are taken in the order of UTF-8.
      throw new FirnlineError({
        code: "E_KEY",
        subject: `${subject}.${name}`,
        problem: `a text key sorts by the database's encoding, which is ${encoding}`,
        hint: "Choose another key, or move the table to a UTF8 database",
      });
    }
    return index;
  });
}

function notPartitioned(subject: string): FirnlineError {
  return new FirnlineError({
    code: "E_POLICY",
    subject,
    problem: "prune: partitions drops whole native partitions, and the table has none",
    hint: "Set prune: auto or prune: rows",
  });
}

/** Ends a transaction that was only there to ask a question. */
class Answered extends Error {}

/**
 * Lets Postgres judge each `when` as an index predicate on an empty temporary copy, which refuses volatile functions,
 * subqueries and anything that is not one expression; then reads back its own, fully qualified spelling of it. Only
 * that spelling is ever put into other statements, so nothing can be smuggled in.
 */
async function readRules(
  database: Database,
  subject: string,
  request: SourceRequest,
  findings: FirnlineError[],
): Promise<SourceTable["rules"]> {
  const spelled: { name: string; when: string | null }[] = [];
  for (const { name, when } of request.rules) {
    const finding = (problem: string, hint: string, code: ErrorCode = "E_POLICY"): void => {
      findings.push(new FirnlineError({ code, subject: `rule ${name} on ${subject}`, problem, hint }));
    };
    if (when === null) {
      spelled.push({ name, when });
      continue;
    }
    try {
      const text = await spellPredicate(database, request.table, when);
      if (text === "true") finding("its predicate matches every row, so no later rule gets any", "Narrow it");
      spelled.push({ name, when: text });
    } catch (error) {
      if (!(error instanceof FirnlineError) || error.retryable) throw error;
      const reason = error.problem.replace(/^.*?: /, "").replaceAll(/\s+/g, " ");
      const problem = `Postgres does not take its predicate (${reason})`;
      if (error.code === "E_VISIBILITY") finding(problem, error.hint, "E_VISIBILITY");
      else finding(problem, "Use one expression over this table's columns with immutable functions only");
    }
  }
  // Rule k gets the rows that no earlier rule took; NULL counts as "not taken" (I2: no row is in two partitions).
  return spelled.map(({ name, when }, index) => {
    const terms = spelled.slice(0, index).map((earlier) => `(${earlier.when}) IS NOT TRUE`);
    if (when !== null) terms.push(`(${when}) IS TRUE`);
    return { name, predicate: terms.length === 0 ? null : terms.join(" AND ") };
  });
}

async function spellPredicate(database: Database, table: TableName, when: string): Promise<string> {
  let spelled = "";
  try {
    await database.transaction("read write", "predicate", async (tx) => {
      await tx.query(`CREATE TEMPORARY TABLE firnline_predicate (LIKE ${quoteTable(table)}) ON COMMIT DROP`);
      await tx.query(
        `CREATE INDEX firnline_predicate_index ON pg_temp.firnline_predicate ((1)) WHERE (${when}\n)`,
      );
      const { rows } = await tx.query(
        `SELECT pg_get_expr(indpred, indrelid) AS predicate
         FROM pg_index WHERE indexrelid = 'pg_temp.firnline_predicate_index'::regclass`,
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
