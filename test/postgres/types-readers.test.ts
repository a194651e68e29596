/**
 * Other programs read the archive too: DuckDB, and hyparquet as it comes. They see the columns in types of their own
 * and the values that Postgres has, and a condition on any of them skips no row that it should find.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { parquetReadObjects } from "hyparquet";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeSegment } from "../support/segment-bytes.ts";
import { hotOf } from "./connect.ts";
import { exportDay, NOON, openScene } from "./types-lossless.ts";
import { finite, NAMES, type Reading, READINGS, SAME } from "./types-readings.ts";

const cleanup = new AsyncDisposableStack();
let client: pg.Client;
let duckdb: DuckDBConnection;
let file = "";
let objects: Record<string, unknown>[] = [];

/** The value of a scalar subquery as a literal, so that the planner can hold it against the bounds of each row group. */
async function literal(type: string, value: string): Promise<string> {
  const isText = type === "VARCHAR";
  const printed = isText ? `hex(encode(${value}))` : type === "BLOB" ? `hex(${value})` : `${value}::VARCHAR`;
  const [found] = await ask(`SELECT ${printed}`);
  if (isText) return `decode(unhex('${String(found)}'))`;
  return type === "BLOB" ? `unhex('${String(found)}')` : `'${String(found)}'::${type}`;
}

/** The first column of the answer. */
async function ask(sql: string): Promise<unknown[]> {
  return (await duckdb.runAndReadAll(sql)).getRowsJson().map(([value]) => value);
}

beforeAll(async () => {
  const scene = await openScene(cleanup);
  const { database } = scene;
  client = scene.client;
  const folder = await mkdtemp(join(tmpdir(), "firnline-readers-"));
  cleanup.defer(async () => await rm(folder, { recursive: true }));
  const columns = NAMES.map((name) => `"${name}" ${READINGS[name]?.type}`);
  await client.query(
    `CREATE TABLE wide (id int PRIMARY KEY, ts timestamptz NOT NULL, ${columns.join(", ")})`,
  );
  for (let row = 0; row < 8; row += 1) {
    const values = NAMES.map((name) => READINGS[name]?.values[row] ?? "NULL");
    await client.query(`INSERT INTO wide VALUES (${row}, ${NOON}, ${values.join(", ")})`);
  }
  const { source, chunks } = await exportDay(hotOf(database, "wide"));
  // A row group a chunk of four rows, so that bounds tell row groups apart.
  const segment = await encodeSegment(
    source.columns,
    chunks.map((chunk) => [chunk]),
  );
  expect(segment.manifest.rowGroups).toHaveLength(2);
  file = join(folder, "wide.parquet");
  await writeFile(file, segment.bytes);
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  cleanup.defer(() => instance.closeSync());
  duckdb = await instance.connect();
  cleanup.defer(() => duckdb.closeSync());
  await duckdb.run("SET TimeZone = 'UTC'");
  objects = await parquetReadObjects({
    utf8: false, // or it takes a bytea for a text
    file: segment.bytes.slice().buffer,
    compressors: {
      ZSTD: (input, length) => zstdDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
    },
  });
});
afterAll(async () => await cleanup.disposeAsync());

describe("DuckDB", () => {
  it("sees the columns in order, in types of its own", async () => {
    const described = await duckdb.runAndReadAll(`DESCRIBE SELECT * FROM read_parquet('${file}')`);
    expect(described.getRowsJson().map(([name, type]) => [name, type])).toEqual([
      ["id", "INTEGER"],
      ["ts", "TIMESTAMP WITH TIME ZONE"],
      ...NAMES.map((name) => [name, READINGS[name]?.duckdb]),
    ]);
  });

  it("counts the rows, and the NULLs with the exceptions", async () => {
    expect(await ask(`SELECT count(*) FROM read_parquet('${file}')`)).toEqual(["8"]);
    for (const name of NAMES) {
      const [nulls] = await ask(`SELECT count(*) FROM read_parquet('${file}') WHERE "${name}" IS NULL`);
      expect([name, nulls]).toEqual([name, String(1 + (READINGS[name]?.exceptions ?? 0))]);
    }
  });

  it.each(NAMES)("reads %s as Postgres has it", async (name) => {
    const { text = SAME } = READINGS[name] as Reading;
    const theirs = await ask(
      `SELECT ${text.duckdb} FROM (SELECT id, "${name}" AS v FROM read_parquet('${file}')) ORDER BY id`,
    );
    const { rows } = await client.query(
      `SELECT CASE WHEN ${finite(name)} THEN ${text.postgres} END AS v
       FROM (SELECT id, "${name}" AS v FROM wide) wide ORDER BY id`,
    );
    const ours = rows.map((row) => row.v as string | null);
    // Both print the shortest digits that are exact, each in a notation of its own.
    const comparable = (value: unknown): unknown =>
      value === null || !name.startsWith("float") ? value : Number(String(value).replace("inf", "Infinity"));
    expect(theirs.map(comparable)).toEqual(ours.map((value) => comparable(value)));
  });

  it.each(NAMES)("finds each value of %s by a condition that the bounds are used for", async (name) => {
    const count = `SELECT count(*) FROM read_parquet('${file}') WHERE`;
    for (let row = 0; row < 8; row += 1) {
      const value = `(SELECT "${name}" FROM read_parquet('${file}') WHERE id = ${row})`;
      const [isNull] = await ask(`SELECT ${value} IS NULL`);
      if (isNull === true) continue;
      const condition = await literal(READINGS[name]?.duckdb as string, value);
      const all = `SELECT count(*) FROM (SELECT "${name}" AS v FROM read_parquet('${file}') OFFSET 0) WHERE v`;
      for (const operator of ["=", "<=", ">="]) {
        const found = await ask(`${count} "${name}" ${operator} ${condition}`);
        const expected = await ask(`${all} ${operator} ${condition}`);
        expect([row, operator, found]).toEqual([row, operator, expected]);
        expect(Number(found[0])).toBeGreaterThan(0);
      }
    }
  });
});

describe("hyparquet, as it comes", () => {
  it.each(NAMES)("reads %s as Postgres has it, as far as JavaScript can", async (name) => {
    const { text = SAME, plain } = READINGS[name] as Reading;
    const { rows } = await client.query(
      `SELECT CASE WHEN ${finite(name)} THEN ${text.postgres} END AS v
       FROM (SELECT id, "${name}" AS v FROM wide) wide ORDER BY id`,
    );
    const ours = rows.map((row) => (row.v === null ? null : plain(row.v as string)));
    const theirs = objects.map((object) => object[name] ?? null);
    if (name === "text") {
      // Its text decoder drops a byte order mark in front; ours reads bytes.
      expect(ours[1]).toBe("\uFEFFx");
      expect(theirs).toEqual(ours.with(1, "x"));
    } else if (name.startsWith("decimal")) {
      const numbers = theirs.map((value) => (value === null ? null : Number(value)));
      for (const [row, value] of ours.entries()) {
        if (value === null) expect(numbers[row]).toBeNull();
        else expect(numbers[row]).toBeCloseTo(value as number, 2);
      }
    } else if (name === "float4") {
      expect(theirs).toEqual(ours.map((value) => (value === null ? null : Math.fround(value as number))));
    } else {
      expect(theirs).toEqual(ours);
    }
  });
});
