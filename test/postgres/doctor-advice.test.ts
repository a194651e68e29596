/**
 * What doctor advises, in which words, and that pasting it helps. Each case is really built; the texts are in
 * `test/golden/doctor-advice.txt` (`vitest run -u` writes it anew; read the difference).
 */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { adviseOn } from "../../src/hot/postgres/advice.ts";
import { readHealth } from "../../src/hot/postgres/health.ts";
import type { PostgresHot } from "../../src/hot/postgres/postgres-hot.ts";
import type { Database } from "../../src/postgres/database.ts";
import type { Advice } from "../../src/plan/advice.ts";
import { dayStart, parseDay } from "../../src/rows/day.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { connect } from "./connect.ts";
import { Cases, paste, told } from "./describe-case.ts";
import { ADVICE, type AdviceCase, WELL } from "./doctor-advice-cases.ts";

let owned: TestDatabase;
let cases: Cases;

beforeAll(async () => {
  owned = await createDatabase();
  cases = await Cases.on(owned);
});
afterAll(async () => await cases?.[Symbol.asyncDispose]());

const DUE_BEFORE = "2026-01-01";

/** Through `examine`, as doctor asks; what must age first is read and judged in two steps. */
async function advise(
  { aged, ages }: AdviceCase,
  schema: string,
  hot: PostgresHot,
  database: Database,
): Promise<readonly Advice[]> {
  if (aged === undefined) {
    const dueBefore = dayStart(parseDay(DUE_BEFORE));
    const { findings, advice } = await hot.examine({ hotDays: 30, dueBefore, ...ages });
    expect(findings).toEqual([]);
    return advice;
  }
  const facts = await database.transaction("repeatable read, read only", "health", async (tx) => {
    const { rows } = await tx.query("SELECT $1::regclass::oid::text AS oid", [`${schema}.t`]);
    const oids = [String(rows[0]?.["oid"])];
    return await readHealth(tx, { oids, stored: oids, time: "ts", dueBefore: DUE_BEFORE });
  });
  const searched = new Set(facts.tables.map(({ oid }) => oid));
  const about = { table: { schema, name: "t" }, time: "ts", hotDays: 30, deletes: true, searched };
  return adviseOn(about, aged(facts));
}

/** A session with an open transaction, as another application may have one. */
async function beside(sql: string | undefined): Promise<AsyncDisposable | null> {
  if (sql === undefined) return null;
  const client = await connect(owned.url);
  await client.query(`BEGIN; ${sql}`);
  return client;
}

/** A snapshot of autovacuum's own would keep VACUUM FULL from the rows that were deleted a moment ago. */
async function isUndisturbed(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query(
    `SELECT count(*)::int AS workers FROM pg_stat_activity
     WHERE backend_type = 'autovacuum worker' AND datname = current_database()`,
  );
  return rows[0]?.workers === 0;
}

const text = ({ code, subject, problem, hint, fix }: Advice): string =>
  told({ message: `${code} ${subject}: ${problem}. ${hint}.`, fix });

describe("advice", () => {
  const found = new Map<string, string>();

  it.for(Object.entries(ADVICE))("is given, and pasting it helps: %s", async ([title, one], { skip }) => {
    const lacking = cases.lacks(one);
    if (lacking !== null) skip(lacking);
    await using _session = await beside(one.beside);
    await cases.build(one, async ({ client, database, hot, schema }) => {
      const given = await advise(one, schema, hot, database);
      const texts = cases.masked(given.map(text).join("\n"), schema);
      // Sizes of pages are the server's business, and process ids nobody's.
      found.set(title, texts.replaceAll(/(process |backend\()\d+/g, "$1PID"));
      expect(given.length).toBeGreaterThan(0);
      for (const { problem, hint } of given) {
        expect(`${problem}. ${hint}.`).not.toMatch(/undefined|null\b|NaN|Infinity|\n/);
      }
      await vi.waitUntil(async () => await isUndisturbed(client), { timeout: 60_000 });
      for (const { fix } of given) await paste(client, fix);
      if (one.isCured === false) return;
      // In new sessions: what is set for a role holds for those.
      const left = await cases.look(
        one,
        schema,
        async (again, sessions) => await advise(one, schema, again, sessions),
      );
      expect(left).toEqual([]);
    });
  });

  it("is as written down", async ({ skip }) => {
    if (found.size < Object.keys(ADVICE).length) skip("not every case could be built on this server");
    const sections = [...found].map(([title, texts]) => `## ${title}\n${texts}\n`);
    await expect(sections.join("\n")).toMatchFileSnapshot("../golden/doctor-advice.txt");
  });

  it.for(Object.entries(WELL))("is not given for %s", async ([_title, one], { skip }) => {
    const lacking = cases.lacks(one);
    if (lacking !== null) skip(lacking);
    await using _session = await beside(one.beside);
    await cases.build(one, async ({ database, hot, schema }) => {
      expect(await advise(one, schema, hot, database)).toEqual([]);
    });
  });
});
