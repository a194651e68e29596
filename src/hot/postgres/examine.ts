/** `doctor`'s look at the database: the table's definition, the server, the storage. Changes nothing. */
import { setTimeout as delay } from "node:timers/promises";
import { type FirnlineError, FirnlineErrors } from "../../errors.ts";
import type { Advice } from "../../plan/advice.ts";
import {
  DAY_MAX,
  DAY_MIN,
  dayEnd,
  dayStart,
  type EpochMicros,
  type EpochMs,
  formatInstant,
} from "../../rows/day.ts";
import type { Database } from "../../postgres/database.ts";
import { quoteLiteral, quoteTable } from "../../postgres/quote.ts";
import type { Examination, SourceTable, TableName } from "../port.ts";
import { adviseOn } from "./advice.ts";
import { timeLimitsOf } from "./days.ts";
import { type HealthFacts, type HealthRequest, isLeftOver, judgeHealth, readHealth } from "./health.ts";
import { VERSION_MIN } from "./table-facts.ts";
import { timeBound, timeIdentifier, whole } from "./sql-text.ts";

export interface ExamineOptions {
  readonly table: TableName;
  readonly time: string;
  readonly deletes: boolean;
  /** How long rows of most rules stay hot. */
  readonly hotDays: number;
  readonly dueBefore: EpochMicros;
  /** How long a transaction in two phases may hold the table before it counts as left over. */
  readonly graceMs: number;
  readonly describe: () => Promise<SourceTable>;
}

const LOOK_AGAIN_MS = 100;
/** Rows without a day are counted so far; without an index only in a table that is read in a moment. */
const ROWS_COUNTED_MAX = 1_000;
const UNINDEXED_BYTES_MAX = 64n * 1024n * 1024n;

export async function examineSource(database: Database, options: ExamineOptions): Promise<Examination> {
  const { deletes, graceMs, hotDays, table, time } = options;
  const { source, findings } = await described(options.describe);
  const subject = `${table.schema}.${table.name}`;
  const { oids, version } = await readOids(database, table);
  if (version < VERSION_MIN) return { source, findings, advice: [] };
  // Where the limits of a partition lead to a day's rows, an index would add nothing.
  const leaves = (source?.leaves ?? []).filter(({ partition }) => partition !== null);
  const searched = source?.isPartitioned
    ? leaves.flatMap(({ oid, partition }) => (partition?.range === null ? [oid] : []))
    : oids.slice(0, 1);
  const facts = await readSettled(database, graceMs, {
    oids,
    stored: [...new Set([...oids.slice(0, 1), ...searched])],
    time,
    dueBefore: formatInstant(options.dueBefore),
  });
  return {
    source,
    findings: [...findings, ...judgeHealth(subject, facts, graceMs / 1000)],
    advice: [
      ...adviseOn({ table, time, hotDays, deletes, searched: new Set(searched) }, facts),
      ...(source === null ? [] : await dayless(database, source, facts)),
    ],
  };
}

/** Reading only: a standby has a clock, and is to be refused for what it is. */
export async function readClock(database: Database): Promise<EpochMs> {
  const sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms";
  const { rows } = await database.transaction(
    "repeatable read, read only",
    "clock",
    async (tx) => await tx.query(sql, [], "clock"),
  );
  return Number(rows[0]?.["ms"]) as EpochMs;
}

async function described(
  describe: () => Promise<SourceTable>,
): Promise<{ source: SourceTable | null; findings: readonly FirnlineError[] }> {
  try {
    return { source: await describe(), findings: [] };
  } catch (error) {
    if (error instanceof FirnlineErrors) return { source: null, findings: error.errors };
    throw error;
  }
}

/** The table and its partitions, also where it must not be moved. Asks no privilege on its schema. */
async function readOids(
  database: Database,
  table: TableName,
): Promise<{ readonly oids: readonly string[]; readonly version: number }> {
  return await database.transaction("repeatable read, read only", "examine", async (tx) => {
    const { rows } = await tx.query(
      `WITH RECURSIVE tree AS (
         SELECT c.oid, 0 AS level FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = $2
         UNION ALL
         SELECT i.inhrelid, t.level + 1 FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid)
       SELECT current_setting('server_version_num')::int AS version,
              (SELECT coalesce(array_agg(oid::text ORDER BY level, oid), '{}') FROM tree) AS oids`,
      [table.schema, table.name],
      "examine",
    );
    return { oids: rows[0]?.["oids"] as string[], version: rows[0]?.["version"] as number };
  });
}

/**
 * Applications that commit in two phases have a transaction prepared at any moment, for moments. Those that hold the
 * table now are looked at until they are gone, or are left over.
 */
async function readSettled(
  database: Database,
  graceMs: number,
  request: HealthRequest,
): Promise<HealthFacts> {
  const read = async (): Promise<HealthFacts> =>
    await database.transaction(
      "repeatable read, read only",
      "health",
      async (tx) => await readHealth(tx, request),
    );
  let facts = await read();
  const isOpen = ({ prepared }: HealthFacts, gid: string): boolean =>
    prepared.some((one) => one.gid === gid && one.holdsTable && !isLeftOver(one, graceMs / 1000));
  const fresh = facts.prepared.map(({ gid }) => gid);
  // Bounded: each of them grows older than the grace, or goes.
  while (fresh.some((gid) => isOpen(facts, gid))) {
    await delay(LOOK_AGAIN_MS);
    facts = await read();
  }
  return facts;
}

/** Rows that belong to no day: no stage ever moves them, and each stays hot for ever (hazard 28). */
async function dayless(database: Database, source: SourceTable, facts: HealthFacts): Promise<Advice[]> {
  const bytes = facts.tables.reduce((sum, { dataBytes }) => sum + BigInt(dataBytes), 0n);
  const isQuick = facts.tables.every(({ kind, hasTimeIndex }) => kind === "p" || hasTimeIndex);
  if (!isQuick && bytes > UNINDEXED_BYTES_MAX) return [];
  const time = timeIdentifier(source);
  return await database.transaction("repeatable read, read only", "examine", async (tx) => {
    const { from, to } = await timeLimitsOf(tx, source, { from: dayStart(DAY_MIN), to: dayEnd(DAY_MAX) });
    // Of no type, so that each takes the column's: a timestamptz heeds the zone, a plain timestamp does not (I11).
    const [first, past] = [from, to].map((micros) => quoteLiteral(`${timeBound(micros).time}+00`));
    const kinds = {
      NULL: `${time} IS NULL`,
      "before year 1": `${time} < ${first}`,
      "after year 9999": `${time} >= ${past}`,
    };
    const counts = Object.values(kinds).map(
      (condition) =>
        `(SELECT count(*) FROM (SELECT FROM ${whole(source)} WHERE ${condition} LIMIT ${ROWS_COUNTED_MAX}) few)::int`,
    );
    const { rows } = await tx.query(`SELECT ARRAY[${counts.join(", ")}] AS counts`, [], "examine");
    const found = Object.keys(kinds).flatMap((kind, at) => {
      const count = rows[0]?.["counts"][at] as number;
      if (count === 0) return [];
      return [`${kind}: ${count < ROWS_COUNTED_MAX ? count : `${count} or more`}`];
    });
    if (found.length === 0) return [];
    const table = quoteTable(source.table);
    return [
      {
        code: "A_ROWS",
        subject: `${source.table.schema}.${source.table.name}`,
        problem: `rows without a time of the calendar belong to no day, and are never moved (found ${found.join(", ")})`,
        hint: "Give them a time, or delete them",
        fix: [`SELECT * FROM ${table} WHERE ${Object.values(kinds).join(" OR ")};`],
      },
    ];
  });
}
