/**
 * A row's whole way and back: a real table, the export's raw columns, Parquet, raw columns again, and from those a
 * table in Postgres whose export is the same once more. So nothing is lost, neither for Firnline nor for whoever
 * restores.
 */
import { pipeline } from "node:stream/promises";
import type pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { expect } from "vitest";
import type { Leaf, SourceTable } from "../../src/hot/port.ts";
import type { PostgresHot } from "../../src/hot/postgres/postgres-hot.ts";
import type { Database } from "../../src/postgres/database.ts";
import { quoteIdentifier } from "../../src/postgres/quote.ts";
import type { Column } from "../../src/rows/column.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { parseDay } from "../../src/rows/day.ts";
import { copyStream, type FieldBytes, fieldsOf } from "../support/copy-stream.ts";
import { decodeSegment, encodeSegment, type SegmentBytes } from "../support/segment-bytes.ts";
import { createDatabase } from "../support/postgres.ts";
import { connect, hotOf, openDatabase } from "./connect.ts";

/** A database of one's own, Firnline's way into it, and plain SQL beside it. */
export interface Scene {
  readonly url: string;
  readonly database: Database;
  readonly client: pg.Client;
}

export async function openScene(cleanup: AsyncDisposableStack): Promise<Scene> {
  const { url } = cleanup.use(await createDatabase());
  const database = cleanup.use(openDatabase(url));
  const client = cleanup.use(await connect(url));
  // Dozens of small tables; nothing here is about what survives a crash.
  await client.query("SET synchronous_commit = off");
  return { url, database, client };
}

export const DAY = "2026-01-03";
/** The time of every row; a key decides the order. */
export const NOON = `timestamptz '${DAY} 12:00:00+00'`;

/** Chunks so small that most tables make several of them. */
const LIMITS = { rowsMax: 4, bytesMax: 4 * 1024 * 1024 };

export interface Exported {
  readonly source: SourceTable;
  readonly chunks: readonly RawRows[];
}

/** All rows of `DAY`, in chunks of four. */
export async function exportDay(hot: PostgresHot): Promise<Exported> {
  const source = await hot.describe();
  const partition = { leaf: source.leaves[0] as Leaf, rule: "default", day: parseDay(DAY) };
  return await hot.exportPartition(source, partition, LIMITS, async (rows) => {
    const chunks: RawRows[] = [];
    for await (const chunk of rows.chunks) chunks.push(chunk.rows);
    return { source, chunks };
  });
}

/** The rows as lists of fields. */
export function rowsOf(chunks: readonly RawRows[]): FieldBytes[][] {
  return chunks.flatMap(({ rows, columns }) => {
    const fields = columns.map((column) => fieldsOf(column, rows));
    return Array.from({ length: rows }, (_, row) => fields.map((column) => column[row] ?? null));
  });
}

export interface Lossless extends Exported {
  readonly segment: SegmentBytes;
  /** How many fields stand in the manifest because Parquet cannot hold them, by column. */
  readonly exceptions: Readonly<Record<string, number>>;
}

/** Moves the table's rows of `DAY` there and back and expects every byte. `time` is `ts`, the key is the primary key. */
export async function expectLossless(
  database: Database,
  client: pg.Client,
  table: string,
): Promise<Lossless> {
  const exported = await exportDay(hotOf(database, table));
  const { source, chunks } = exported;
  // Two row groups, so that chunks and row groups both have borders inside of the data.
  const half = Math.ceil(chunks.length / 2);
  const groups = [chunks.slice(0, half), chunks.slice(half)].filter((group) => group.length > 0);
  const segment = await encodeSegment(source.columns, groups);
  const restored = await decodeSegment(segment);
  expectSameChunks(restored, chunks);

  await restoreTable(client, source, restored, `${table}_restored`);
  const again = await exportDay(hotOf(database, `${table}_restored`));
  expectSameChunks(again.chunks, chunks);

  const exceptions: Record<string, number> = {};
  for (const { column } of segment.manifest.chunks.flatMap((chunk) => chunk.exceptions)) {
    const { name } = source.columns[column] as Column;
    exceptions[name] = (exceptions[name] ?? 0) + 1;
  }
  return { ...exported, segment, exceptions };
}

/** By hand, as `toEqual` takes its time over megabytes; it then shows the first field that differs. */
function expectSameChunks(found: readonly RawRows[], expected: readonly RawRows[]): void {
  expect(found.map(({ rows }) => rows)).toEqual(expected.map(({ rows }) => rows));
  for (const [index, { columns }] of expected.entries()) {
    for (const [at, column] of columns.entries()) {
      const other = found[index]?.columns[at] as Uint8Array;
      if (Buffer.compare(column, other) === 0) continue;
      expect([index, at, ...fieldsOf(other, found[index]?.rows ?? 0)]).toEqual([
        index,
        at,
        ...fieldsOf(column, expected[index]?.rows ?? 0),
      ]);
    }
  }
}

/**
 * A new table like the source's with the rows in it: values by COPY BINARY, texts by their cast to the type. What a
 * person with FORMAT.md and psql would do.
 */
async function restoreTable(
  client: pg.Client,
  source: SourceTable,
  chunks: readonly RawRows[],
  table: string,
): Promise<void> {
  // The text beside a binary form is for people; the binary form alone restores the value.
  const kept = [...source.columns.entries()].filter(([, { attribute, name }]) => attribute === name);
  const staged = kept.map(
    ([, { name, select, type }]) => `${quoteIdentifier(name)} ${select === "value" ? type : "text"}`,
  );
  const restored = kept.map(([, { name, select, type }]) =>
    select === "value" ? quoteIdentifier(name) : `CAST(${quoteIdentifier(name)} AS ${type})`,
  );
  const names = kept.map(([, { name }]) => quoteIdentifier(name)).join(", ");
  const original = `${quoteIdentifier(source.table.schema)}.${quoteIdentifier(source.table.name)}`;
  await client.query(`CREATE TEMPORARY TABLE staged (${staged.join(", ")})`);
  const rows = rowsOf(chunks).map((row) => kept.map(([at]) => row[at] ?? null));
  await copyIn(client, "staged", rows);
  await client.query(`CREATE TABLE ${quoteIdentifier(table)} (LIKE ${original} INCLUDING ALL)`);
  await client.query(
    `INSERT INTO ${quoteIdentifier(table)} (${names}) SELECT ${restored.join(", ")} FROM staged`,
  );
  await client.query("DROP TABLE staged");
}

/** Rows of raw fields into a table, through COPY BINARY: the only way in for a NaN with a payload. */
export async function copyIn(
  client: pg.Client,
  target: string,
  rows: readonly FieldBytes[][],
): Promise<void> {
  const stream = client.query(copyFrom(`COPY ${target} FROM STDIN (FORMAT binary)`));
  await pipeline([Buffer.from(copyStream(rows))], stream);
}

/** How a type's values are archived. */
export interface TypeCase {
  /** As it is declared. */
  readonly type: string;
  /** SQL expressions; each is cast to the type. */
  readonly values: readonly string[];
  readonly kind: Column["kind"];
  readonly select?: Column["select"];
  /** Fields that go into the manifest; 0 unless said. */
  readonly exceptions?: number;
}

/** A table of its own for the case: its values, NULLs around them, then the values backwards. */
export async function expectCaseLossless(
  database: Database,
  client: pg.Client,
  { type, values, kind, select = "value", exceptions = 0 }: TypeCase,
): Promise<Lossless> {
  const table = `t_${tables++}`;
  await client.query(
    `CREATE TABLE ${table} (id int PRIMARY KEY, v ${type}, ts timestamptz NOT NULL DEFAULT ${NOON})`,
  );
  const all = ["NULL", ...values, "NULL", ...values.toReversed(), "NULL"];
  const rows = all.map((value, id) => `(${id}, CAST(${value} AS ${type}))`);
  await client.query(`INSERT INTO ${table} (id, v) VALUES ${rows.join(", ")}`);
  const found = await expectLossless(database, client, table);
  expect(rowsOf(found.chunks)).toHaveLength(all.length);
  expect(found.source.columns[1]).toMatchObject({ name: "v", kind, select });
  expect(found.exceptions["v"] ?? 0).toBe(2 * exceptions);
  return found;
}

let tables = 0;
