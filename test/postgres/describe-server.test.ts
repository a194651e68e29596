/** Servers that Firnline refuses to work on. */
import { describe, expect, it } from "vitest";

import {
  Database,
  type QueryResult,
  type Transaction,
  type TransactionMode,
} from "../../src/postgres/database.ts";
import { dayStart, parseDay } from "../../src/rows/day.ts";
import { judgeServer, type ServerFacts } from "../../src/hot/postgres/table-facts.ts";
import { createDatabase, runAlone } from "../support/postgres.ts";
import { hotOf, openDatabase, OPTIONS } from "./connect.ts";

describe("a server that is not safe", () => {
  const facts: ServerFacts = {
    systemIdentifier: "1",
    databaseOid: "5",
    database: "app",
    version: 180_004,
    inRecovery: false,
    encoding: "UTF8",
  };
  const messages = (changes: Partial<ServerFacts>): string[] =>
    judgeServer({ ...facts, ...changes }).map(({ message }) => message);

  it("is refused by its version, as a standby, or for its encoding", () => {
    expect(messages({})).toEqual([]);
    expect(messages({ version: 150_000 })).toEqual([]);
    expect(messages({ version: 149_999 })).toEqual([
      "E_SERVER database app: the server is PostgreSQL 14. Use PostgreSQL 15 or newer.",
    ]);
    expect(messages({ inRecovery: true })).toEqual([
      "E_SERVER database app: the server is a standby. Connect to the primary.",
    ]);
    expect(messages({ version: 130_000, inRecovery: true, encoding: "SQL_ASCII" })).toHaveLength(3);
  });

  it("is asked for nothing that an old version does not have", async () => {
    await using owned = await createDatabase();
    await runAlone(owned.url, "CREATE TABLE public.t (id bigint PRIMARY KEY, ts timestamptz NOT NULL)");
    const asked: string[] = [];
    /** Says that it is PostgreSQL 14. */
    class Old extends Database {
      override async transaction<T>(
        mode: TransactionMode,
        op: string,
        work: (tx: Transaction) => Promise<T>,
      ): Promise<T> {
        return await super.transaction(mode, op, async (tx) => {
          const query = async (text: string, ...rest: [unknown[]?, string?]): Promise<QueryResult> => {
            asked.push(text);
            return await tx.query(
              text.replaceAll("current_setting('server_version_num')", "'140022'"),
              ...rest,
            );
          };
          return await work({ query } as unknown as Transaction);
        });
      }
    }
    await using database = new Old({ ...OPTIONS, connectionString: owned.url });
    const dueBefore = dayStart(parseDay("2026-01-01"));
    const { advice, findings, source } = await hotOf(database, "t").examine({ hotDays: 30, dueBefore });
    expect({ advice, source, messages: findings.map(({ message }) => message) }).toEqual({
      advice: [],
      source: null,
      messages: [expect.stringMatching(/: the server is PostgreSQL 14\. Use PostgreSQL 15 or newer\.$/)],
    });
    expect(asked.join()).not.toMatch(/pg_publication_namespace|collation_actual_version/);
  });

  it.each([
    [
      "SQL_ASCII",
      "bigint",
      /^E_TYPE database \w+: its encoding is SQL_ASCII, so texts have no known characters\. /m,
    ],
    [
      "LATIN1",
      "text",
      /^E_KEY public\.t\.id: a text key sorts by the database's encoding, which is LATIN1\. /m,
    ],
  ])("really is with encoding %s and a key of type %s (hazard 18)", async (encoding, key, message) => {
    await using base = await createDatabase();
    const name = `${base.name}_${encoding.toLowerCase()}`;
    await runAlone(base.url, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'`);
    try {
      const url = new URL(base.url);
      url.pathname = `/${name}`;
      await runAlone(url.href, `CREATE TABLE public.t (id ${key} PRIMARY KEY, ts timestamptz NOT NULL)`);
      await using database = openDatabase(url.href);
      await expect(hotOf(database, "t").describe()).rejects.toThrow(message);
    } finally {
      await runAlone(base.url, `DROP DATABASE ${name} WITH (FORCE)`);
    }
  });
});
