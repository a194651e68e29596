/**
 * Servers that are not safe to work on, really made so: on each major version, because what is looked at are the
 * server's own views. The texts are in `test/golden/doctor-server.txt`, the same for all.
 */
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { EmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import type { FirnlineError } from "../../src/errors.ts";
import { type HealthFacts, judgeHealth, readHealth } from "../../src/hot/postgres/health.ts";
import { Database, type Transaction, type TransactionMode } from "../../src/postgres/database.ts";
import { dayStart, parseDay } from "../../src/rows/day.ts";
import { createDatabase, runAlone, type TestDatabase } from "../support/postgres.ts";
import { MAJORS, startMajor } from "../support/postgres-majors.ts";
import { connect, hotOf, OPTIONS } from "./connect.ts";
import { paste, told } from "./describe-case.ts";

/** How long a prepared transaction may hold the table here. */
const GRACE_MS = 150;

/** Counts how often doctor looks at the server, and lets something happen right after each look. */
class Watched extends Database {
  looks = 0;
  onLook: (() => Promise<void>) | undefined;

  constructor(url: string, lockTimeoutMs: number) {
    super({ ...OPTIONS, connectionString: url, lockTimeoutMs });
  }

  override async transaction<T>(
    mode: TransactionMode,
    op: string,
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const result = await super.transaction(mode, op, work);
    if (op === "health") {
      this.looks += 1;
      await this.onLook?.();
    }
    return result;
  }
}

async function examine(database: Database): Promise<readonly FirnlineError[]> {
  const dueBefore = dayStart(parseDay("2026-01-01"));
  return (await hotOf(database, "t").examine({ hotDays: 30, dueBefore })).findings;
}

async function findingsOf(url: string): Promise<readonly FirnlineError[]> {
  await using database = new Watched(url, GRACE_MS);
  return await examine(database);
}

const TABLE =
  "CREATE TABLE t (id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text); CREATE INDEX ON t (ts)";
const PREPARE = (gid: string, sql: string): string => `BEGIN; ${sql}; PREPARE TRANSACTION '${gid}'`;
const INSERT = "INSERT INTO t VALUES (1, now(), 'x')";

describe.each(MAJORS)("PostgreSQL %i", (major) => {
  let server: EmbeddedPostgres;
  let owned: TestDatabase;
  let client: pg.Client;
  const found = new Map<string, string>();

  beforeAll(async () => {
    server = await startMajor(major);
    owned = await createDatabase(server.url());
    client = await connect(owned.url);
    await client.query(TABLE);
  });
  afterAll(async () => {
    await client?.end();
    await server?.stop();
  });

  /** Looks, writes down what is found, pastes its remedy, and looks again. */
  async function cure(title: string, url = owned.url, on: pg.Client = client): Promise<void> {
    const findings = await findingsOf(url);
    const text = findings.map(told).join("\n").replaceAll(new URL(url).pathname.slice(1), "DATABASE");
    found.set(
      title,
      text.replaceAll(/(now by )[\d.]+/g, "$1VERSION").replaceAll(/\d+ (seconds?) ago/g, "N seconds ago"),
    );
    for (const { fix } of findings) await paste(on, fix);
    await expect.poll(async () => await findingsOf(url)).toEqual([]);
  }

  it("is taken as it is", async () => {
    expect(await findingsOf(owned.url)).toEqual([]);
  });

  it("with fsync off is refused", async () => {
    await client.query("ALTER SYSTEM SET fsync = off");
    await client.query("SELECT pg_reload_conf()");
    await expect.poll(async () => (await client.query("SHOW fsync")).rows).toEqual([{ fsync: "off" }]);
    await cure("fsync = off");
  });

  it("with indexes that another version of the collation has sorted is refused (hazard 11)", async () => {
    const name = `${owned.name}_icu`;
    await client.query(
      `CREATE DATABASE ${name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C' ENCODING 'UTF8'`,
    );
    const url = new URL(owned.url);
    url.pathname = `/${name}`;
    await runAlone(url.href, TABLE);
    expect(await findingsOf(url.href)).toEqual([]);
    await client.query("UPDATE pg_database SET datcollversion = '1.2' WHERE datname = $1", [name]);
    await using inside = await connect(url.href);
    await cure("a database sorted by an older library", url.href, inside);
  });

  it("with such indexes over the table alone is refused, and no other table's are", async () => {
    await client.query(
      `CREATE COLLATION "d e" (provider = icu, locale = 'de'); ALTER TABLE t ADD v text COLLATE "d e"`,
    );
    await client.query(
      `CREATE COLLATION unused (provider = icu, locale = 'fr'); CREATE TABLE other (v text COLLATE unused)`,
    );
    expect(await findingsOf(owned.url)).toEqual([]);
    await client.query(`UPDATE pg_collation SET collversion = '1.2' WHERE collname = 'unused'`);
    expect(await findingsOf(owned.url)).toEqual([]);
    await client.query(`UPDATE pg_collation SET collversion = '1.2' WHERE collname = 'd e'`);
    await cure("a column sorted by an older library");
    await client.query("ALTER TABLE t DROP v");
  });

  describe("a prepared transaction", () => {
    // Its locks would hold up the next test.
    afterEach(async () => {
      const { rows } = await client.query(
        "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
      );
      for (const { gid } of rows) await client.query(`ROLLBACK PREPARED ${pg.escapeLiteral(gid)}`);
    });

    it("that was left over is refused, with its name and age (hazard 30, fault 39)", async () => {
      await client.query(PREPARE("it''s left", INSERT));
      await cure("a prepared transaction on the table");
    });

    it("is known after a restart, too", async () => {
      await client.query(PREPARE("kept", INSERT));
      await client.end();
      await server.restart();
      client = await connect(owned.url);
      expect((await findingsOf(owned.url)).map(({ problem }) => problem)).toEqual([
        expect.stringMatching(
          /^prepared transaction 'kept' of postgres was left open .+ holds rows of the table in doubt$/,
        ),
      ]);
    });

    it("of an application that commits in two phases is waited for, not refused", async () => {
      await using database = new Watched(owned.url, 30_000);
      await client.query(PREPARE("one", INSERT));
      database.onLook = async () => {
        if (database.looks > 1) return;
        // The next one is under way before the first is gone, as at a busy time.
        await client.query("COMMIT PREPARED 'one'");
        await client.query(PREPARE("two", "INSERT INTO t VALUES (2, now(), 'x')"));
      };
      expect(await examine(database)).toEqual([]);
      expect(database.looks).toBe(2);
    });

    it.each([
      ["only reads the table", "SELECT FROM t; CREATE TABLE IF NOT EXISTS elsewhere (x int)"],
      ["is about another table", "CREATE TABLE another (x int)"],
    ])("that %s is no reason to wait", async (_what, sql) => {
      await client.query(PREPARE("other", sql));
      await using database = new Watched(owned.url, 30_000);
      expect(await examine(database)).toEqual([]);
      expect(database.looks).toBe(1);
    });

    it("of another database is that one's business", async () => {
      await using other = await createDatabase(server.url());
      await using there = await connect(other.url);
      await there.query(TABLE);
      await there.query(PREPARE("there", INSERT));
      expect(await findingsOf(owned.url)).toEqual([]);
      // However old it grows.
      await using database = new Watched(owned.url, GRACE_MS);
      const request = { oids: [], stored: [], time: "ts", dueBefore: "2026-01-01" };
      const facts = await database.transaction(
        "repeatable read, read only",
        "health",
        async (tx) => await readHealth(tx, request),
      );
      expect(facts.prepared).toEqual([]);
      await there.query("ROLLBACK PREPARED 'there'");
    });
  });

  it("is refused in the words that are written down", async () => {
    const sections = [...found].map(([title, text]) => `## ${title}\n${text}\n`);
    await expect(sections.join("\n")).toMatchFileSnapshot("../golden/doctor-server.txt");
  });
});

describe("a prepared transaction of an hour ago", () => {
  const facts: HealthFacts = {
    database: "app",
    role: "firnline",
    fsync: "on",
    collation: { recorded: null, actual: null },
    collations: [],
    prepared: [],
    sessions: [],
    slots: [],
    settings: {},
    extensions: [],
    invalidIndexes: [],
    tables: [],
  };
  const messages = (seconds: number, holdsTable: boolean): string[] =>
    judgeHealth(
      "public.t",
      { ...facts, prepared: [{ gid: "g", owner: "bank", seconds, holdsTable }] },
      5,
    ).map(({ message }) => message);

  it("is refused wherever in the database it is, since no deleted row goes away before it", () => {
    expect(messages(3_599, false)).toEqual([]);
    expect(messages(3_600, false)).toEqual([
      "E_SERVER database app: prepared transaction 'g' of bank was left open 60 minutes ago and keeps vacuum from " +
        "removing what is deleted. Ask its owner, then roll it back or commit it.",
    ]);
    expect(messages(4.9, true)).toEqual([]);
    expect(messages(5, true)).toHaveLength(1);
    expect(messages(3 * 86_400, true)[0]).toContain(
      "was left open 3 days ago and holds rows of the table in doubt",
    );
  });
});
