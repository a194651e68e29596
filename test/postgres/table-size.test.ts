/** How large a table is, for an estimate: counted where that is quick, else as Postgres believes. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { whole } from "../../src/hot/postgres/sql-text.ts";
import { readTableSize } from "../../src/hot/postgres/table-size.ts";
import type { SourceTable, TableSize } from "../../src/hot/port.ts";
import type { Database } from "../../src/postgres/database.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { connect, hotOf, openDatabase } from "./connect.ts";

let owned: TestDatabase;
let database: Database;
beforeAll(async () => {
  owned = await createDatabase();
  database = openDatabase(owned.url);
  await using client = await connect(owned.url);
  await client.query(`
    CREATE TABLE plain (id bigint PRIMARY KEY, ts timestamptz NOT NULL, note text);
    INSERT INTO plain SELECT n, '2026-01-01+00'::timestamptz + n * interval '1 minute', repeat('x', 200)
      FROM generate_series(1, 20000) n;
    CREATE TABLE empty (id bigint PRIMARY KEY, ts timestamptz NOT NULL);
    CREATE TABLE parted (id bigint, ts timestamptz NOT NULL, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01+00') TO ('2026-01-02+00');
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2026-01-02+00') TO ('2026-01-03+00');
    INSERT INTO parted SELECT n, '2026-01-01+00'::timestamptz + n * interval '1 minute' FROM generate_series(1, 2000) n;
    ANALYZE plain;
    ANALYZE parted;
  `);
});
afterAll(async () => {
  await database?.[Symbol.asyncDispose]();
  await owned?.[Symbol.asyncDispose]();
});

const describeTable = async (table: string): Promise<SourceTable> => await hotOf(database, table).describe();

async function sizeOf(table: string, countedBytesMax?: bigint): Promise<TableSize> {
  const source = await describeTable(table);
  if (countedBytesMax === undefined) return await hotOf(database, table).size(source);
  return await database.transaction(
    "repeatable read, read only",
    "test",
    async (tx) => await readTableSize(tx, source, whole(source), countedBytesMax),
  );
}

async function relationBytes(...tables: string[]): Promise<bigint> {
  await using client = await connect(owned.url);
  const { rows } = await client.query(
    "SELECT sum(pg_total_relation_size(name::regclass))::text AS bytes FROM unnest($1::text[]) AS name",
    [tables],
  );
  return BigInt(rows[0].bytes as string);
}

describe("the size of a table", () => {
  it("is counted, with the bytes of indexes and TOAST", async () => {
    const bytes = await relationBytes("plain");
    expect(await sizeOf("plain")).toEqual({ rows: 20_000n, bytes, isCounted: true });
    expect(await sizeOf("empty")).toMatchObject({ rows: 0n, isCounted: true });
  });

  it("is that of all leaves of a partitioned one", async () => {
    const bytes = await relationBytes("parted_1", "parted_2");
    expect(await sizeOf("parted")).toEqual({ rows: 2_000n, bytes, isCounted: true });
  });

  it.each([
    ["plain", 20_000],
    ["parted", 2_000],
  ])("is an estimate of Postgres where %s is too large to be counted", async (table, rows) => {
    const size = await sizeOf(table, 0n);
    expect(size.isCounted).toBe(false);
    expect(Math.abs(Number(size.rows) - rows)).toBeLessThan(rows / 10);
    expect(size.bytes).toBe((await sizeOf(table)).bytes);
  });

  it("grows with the table before anybody analyzes it again", async () => {
    await using client = await connect(owned.url);
    await client.query(`CREATE TABLE grown (LIKE plain INCLUDING ALL); ALTER TABLE grown SET (autovacuum_enabled = off);
      INSERT INTO grown SELECT * FROM plain; ANALYZE grown;
      INSERT INTO grown SELECT id + 20000, ts, note FROM plain`);
    const { rows } = await sizeOf("grown", 0n);
    expect(Number(rows)).toBeGreaterThan(35_000);
  });
});
