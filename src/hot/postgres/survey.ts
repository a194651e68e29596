/** The survey port on PostgreSQL 15 to 18. Each question is a read-only transaction of its own. */
import { readFileSync } from "node:fs";
import { type ErrorCode, FirnlineError, FirnlineErrors } from "../../errors.ts";
import type { Policy } from "../../policy/policy.ts";
import type { KeyIndex, TimeColumn } from "../../policy/proposal.ts";
import { DAY_MAX, DAY_MIN, type DayUtc } from "../../rows/day.ts";
import type { Database, QueryResult, Transaction } from "../../postgres/database.ts";
import { quoteIdentifier, quoteTable } from "../../postgres/quote.ts";
import type { Hot, TableName } from "../port.ts";
import type { RowsByDay, Survey, SurveyedTable } from "../survey.ts";

const SURVEY = readFileSync(new URL("./sql/survey.sql", import.meta.url), "utf8");

/** What `sql/survey.sql` says of a table. */
interface SurveyFacts {
  readonly schema: string;
  readonly name: string;
  readonly isPartitioned: boolean;
  readonly leaves: number;
  readonly bytes: string;
  readonly pages: string;
  readonly rows: string;
  readonly canRead: boolean;
  readonly isHidden: boolean;
  readonly isInherited: boolean;
  readonly times: readonly TimeColumn[];
  readonly keys: readonly KeyIndex[];
}

/** More than a century: a table with more days than that has times that nobody meant. */
const DAYS_MAX = 40_000;
/** Any number: the same pages are looked at when the same question is asked again. */
const SAMPLE_SEED = 1;

export class PostgresSurvey implements Survey {
  readonly #database: Database;
  readonly #hotOf: (policy: Policy) => Pick<Hot<Transaction>, "describe">;

  constructor(database: Database, hotOf: (policy: Policy) => Pick<Hot<Transaction>, "describe">) {
    this.#database = database;
    this.#hotOf = hotOf;
  }

  async tables(countMax: number): Promise<{ tables: SurveyedTable[]; found: number }> {
    const { rows } = await this.#read("survey", SURVEY, [Math.trunc(countMax), null, null]);
    return { tables: rows.map((row) => surveyed(row["facts"])), found: Number(rows[0]?.["found"] ?? 0) };
  }

  async table({ schema, name }: TableName): Promise<SurveyedTable | null> {
    const { rows } = await this.#read("survey", SURVEY, [1, schema, name]);
    return rows[0] === undefined ? null : surveyed(rows[0]["facts"]);
  }

  async rowsByDay(table: SurveyedTable, time: TimeColumn, pagesMax: number): Promise<RowsByDay> {
    const column = quoteIdentifier(time.name);
    const isCounted = table.pages <= BigInt(pagesMax);
    const percent = isCounted ? 100 : (100 * pagesMax) / Number(table.pages);
    const sample = isCounted ? "" : ` TABLESAMPLE SYSTEM (${percent.toFixed(6)}) REPEATABLE (${SAMPLE_SEED})`;
    // A cast to date would follow the session's zone; the epoch is in UTC, and a plain timestamp's own days are meant.
    const day = `CASE WHEN isfinite(${column}) THEN floor(extract(epoch FROM ${column}) / 86400)::int END`;
    const { rows } = await this.#read(
      "rows by day",
      `SELECT ${day} AS day, count(*) AS rows FROM ${quoteTable(table)}${sample}
       GROUP BY 1 ORDER BY 1 DESC NULLS FIRST LIMIT ${DAYS_MAX}`,
    );
    const scale = 100 / percent;
    const counted = rows.map((row) => ({
      day: row["day"] === null ? null : (Number(row["day"]) as DayUtc),
      rows: BigInt(Math.round(Number(row["rows"]) * scale)),
    }));
    const isInside = (found: number | null): found is DayUtc =>
      found !== null && found >= DAY_MIN && found <= DAY_MAX;
    return {
      days: counted
        .flatMap((one) => (isInside(one.day) ? [{ day: one.day, rows: one.rows }] : []))
        .toReversed(),
      outside: counted.reduce((sum, one) => (isInside(one.day) ? sum : sum + one.rows), 0n),
      isCounted,
    };
  }

  async refusals(policy: Policy): Promise<readonly FirnlineError[]> {
    try {
      await this.#hotOf(policy).describe();
      return [];
    } catch (error) {
      if (error instanceof FirnlineErrors) return error.errors;
      throw error;
    }
  }

  async zone(): Promise<string | null> {
    // Every transaction of ours is in UTC; what a session begins with stands in the settings.
    const { rows } = await this.#read("zone", "SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'");
    return (rows[0]?.["reset_val"] as string | undefined) ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database[Symbol.asyncDispose]();
  }

  async #read(op: string, text: string, values: readonly unknown[] = []): Promise<QueryResult> {
    return await this.#database.transaction(
      "repeatable read, read only",
      op,
      async (tx) => await tx.query(text, values, op),
    );
  }
}

function surveyed(facts: SurveyFacts): SurveyedTable {
  const { schema, name, isPartitioned, leaves, times, keys } = facts;
  return {
    schema,
    name,
    isPartitioned,
    leaves,
    bytes: BigInt(facts.bytes),
    pages: BigInt(facts.pages),
    rows: BigInt(facts.rows),
    times,
    keys,
    obstacle: obstacleOf(facts),
  };
}

/** The plainest reason first. */
function obstacleOf(facts: SurveyFacts): FirnlineError | null {
  const obstacle = (code: ErrorCode, problem: string, hint: string): FirnlineError =>
    new FirnlineError({ code, subject: `${facts.schema}.${facts.name}`, problem, hint });
  if (!facts.canRead) return obstacle("E_VISIBILITY", "this role may not read it", "GRANT SELECT on it");
  if (facts.isHidden) {
    return obstacle(
      "E_VISIBILITY",
      "row-level security hides rows of it from this role",
      "Use a role with BYPASSRLS, or the table's owner",
    );
  }
  if (facts.isInherited) {
    return obstacle(
      "E_RELATION",
      "it takes part in table inheritance",
      "Move its rows into a plain or a partitioned table first",
    );
  }
  if (facts.times.length === 0) {
    return obstacle(
      "E_TYPE",
      "no column is a timestamptz or a timestamp, so that nothing says how old a row is",
      "Add one that says when a row happened",
    );
  }
  // The rows of a partitioned table can go with their whole partitions.
  if (facts.keys.length === 0 && !facts.isPartitioned) {
    return obstacle(
      "E_KEY",
      "no unique, valid index is over NOT NULL columns of integers, texts, uuids, bytes, dates or times",
      "Add one, for example a primary key",
    );
  }
  return null;
}
