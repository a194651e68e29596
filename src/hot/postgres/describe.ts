/** Looks at the table the way a careful operator would before the first row moves, and judges all of it at once. */
import { readFileSync } from "node:fs";
import { FirnlineError, FirnlineErrors } from "../../errors.ts";
import { type Column, mapColumn, mapColumns } from "../../rows/column.ts";
import { toHex } from "../../rows/hex.ts";
import type { NewSha256 } from "../../segment/digest.ts";
import type { SourceIdentity } from "../../segment/journal.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import type { SourceTable, TableName } from "../port.ts";
import { chooseKey } from "./choose-key.ts";
import { type FoundLeaf, judgeLeaves, readLeaves } from "./leaves.ts";
import { readRules } from "./predicates.ts";
import type { ListDetaching } from "./whole-source.ts";
import {
  judgeServer,
  judgeSideEffects,
  judgeTable,
  type ServerFacts,
  type SideEffectFacts,
  type TableFacts,
  VERSION_MIN,
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
  /** Whether whole native partitions may be dropped, or must be. */
  readonly drops?: "never" | "where possible" | "only";
}

function sqlFile(name: string): string {
  return readFileSync(new URL(`./sql/${name}`, import.meta.url), "utf8");
}

const TABLE_FACTS = sqlFile("table-facts.sql");
const SERVER_FACTS = sqlFile("server-facts.sql");
const FINGERPRINT = sqlFile("fingerprint.sql");
const SIDE_EFFECTS = sqlFile("side-effects.sql");

const NO_SIDE_EFFECTS: SideEffectFacts = { deleteTriggers: [], references: [], rules: [], publications: [] };

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
export async function readSideEffects(tx: Transaction, oids: readonly string[]): Promise<SideEffectFacts> {
  const { rows } = await tx.query(SIDE_EFFECTS, [oids], "side effects");
  return rows[0]?.["facts"] as SideEffectFacts;
}

export async function describeSource(
  database: Database,
  newHash: NewSha256,
  request: SourceRequest,
  listDetaching: ListDetaching,
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
  const { server, facts, fingerprint, sideEffects, found } = await readFacts(
    database,
    newHash,
    request,
    listDetaching,
  );
  findings.push(...judgeServer(server));
  if (server.version < VERSION_MIN) throw new FirnlineErrors(findings);
  if (facts === null) throw new FirnlineErrors([...findings, noSuchTable(subject, server)]);
  findings.push(...judgeTable(subject, facts, request.deletes));
  if (request.deletes) findings.push(...judgeSideEffects(subject, sideEffects));
  findings.push(...judgeLeaves(subject, found, { deletes: request.deletes, role: facts.role }));
  const isPartitioned = facts.kind === "p";
  if (request.drops === "only" && !isPartitioned) findings.push(notPartitioned(subject));
  const isTable = facts.kind === "r" || isPartitioned;
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
    isTable && columns
      ? collect(() => chooseKey(subject, columns, facts, { ...request, encoding: server.encoding }))
      : null;
  const asker = { database: server.database, role: facts.role };
  const rules = isTable ? await readRules(database, asker, request, findings) : null;
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
    identity: identityOf(server, facts.oid),
    fingerprint,
    isPartitioned,
    leaves: isPartitioned
      ? found.map(({ leaf }) => leaf)
      : [{ ...request.table, oid: facts.oid, partition: null }],
    columns,
    looseCollations: facts.looseCollations,
    timeColumn,
    zone: request.zone,
    keyColumns,
    rules,
  };
}

/** Throws `E_RELATION` where there is no such table. */
export async function identifySource(database: Database, table: TableName): Promise<SourceIdentity> {
  return await database.transaction("repeatable read, read only", "identify", async (tx) => {
    const server = (await tx.query(SERVER_FACTS, [], "server facts")).rows[0]?.["facts"] as ServerFacts;
    const { rows } = await tx.query(
      `SELECT c.oid::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = $2`,
      [table.schema, table.name],
      "identify",
    );
    const tableOid = rows[0]?.["oid"] as string | undefined;
    if (tableOid === undefined) throw noSuchTable(`${table.schema}.${table.name}`, server);
    return identityOf(server, tableOid);
  });
}

function identityOf({ systemIdentifier, databaseOid }: ServerFacts, tableOid: string): SourceIdentity {
  return { systemIdentifier, databaseOid, tableOid };
}

function noSuchTable(subject: string, { database }: ServerFacts): FirnlineError {
  return new FirnlineError({
    code: "E_RELATION",
    subject,
    problem: `there is no such table in database ${database}`,
    hint: "Check source.table and the connection; names are case-sensitive",
  });
}

async function readFacts(
  database: Database,
  newHash: NewSha256,
  { table, time, zone }: SourceRequest,
  listDetaching: ListDetaching,
): Promise<{
  server: ServerFacts;
  facts: TableFacts | null;
  fingerprint: string;
  sideEffects: SideEffectFacts;
  found: FoundLeaf[];
}> {
  return await database.transaction("repeatable read, read only", "describe", async (tx) => {
    const server = (await tx.query(SERVER_FACTS, [], "server facts")).rows[0]?.["facts"] as ServerFacts;
    // It lacks views that are asked next.
    if (server.version < VERSION_MIN) {
      return { server, facts: null, fingerprint: "", sideEffects: NO_SIDE_EFFECTS, found: [] };
    }
    const found = await tx.query(TABLE_FACTS, [table.schema, table.name], "table facts");
    const facts = (found.rows[0]?.["facts"] ?? null) as TableFacts | null;
    const leaves =
      facts?.kind === "p"
        ? await readLeaves(tx, { oid: facts.oid, time, zone }, await listDetaching(tx))
        : [];
    const oids = [facts?.oid ?? "0", ...leaves.map(({ leaf }) => leaf.oid)];
    return {
      server,
      facts,
      fingerprint: facts === null ? "" : await readFingerprint(tx, newHash, facts.oid),
      sideEffects: await readSideEffects(tx, oids),
      found: leaves,
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

function notPartitioned(subject: string): FirnlineError {
  return new FirnlineError({
    code: "E_POLICY",
    subject,
    problem: "prune: partitions drops whole native partitions, and the table has none",
    hint: "Set prune: auto or prune: rows",
  });
}
