/**
 * How an answer in Parquet is written: bounded row groups, a valid file without rows, and no value that silently
 * becomes null. That other programs read what Postgres has is checked in `test/postgres/retrieve-formats.test.ts`.
 */
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { describe, expect, it } from "vitest";
import { zstdDecompressSync } from "node:zlib";
import { newParquetEncoder } from "../../../src/parquet/encode/parquet-encoder.ts";
import { parquetWriter } from "../../../src/retrieve/formats/parquet.ts";
import type { Column } from "../../../src/rows/column.ts";
import {
  bytes,
  column,
  type Field,
  FIELDS,
  float8,
  INT64_MAX,
  INT64_MIN,
  instant,
  int4,
  int8,
  numeric,
  rowsOf,
  utf8,
} from "./value-fields.ts";

const LIMITS = { rowGroupRowsMax: 4, rowGroupBytesMax: 1000 };

/** Rows come in runs of `runRows`, as the merge hands them over. */
async function fileOf(
  columns: readonly Column[],
  rows: Iterable<readonly Field[]>,
  runRows = 3,
): Promise<{ file: ArrayBuffer; fullAt: number[] }> {
  const writer = parquetWriter(columns, {
    newEncoder: newParquetEncoder("firnline version 0.0.0"),
    ...LIMITS,
    metadata: { "firnline.pipeline": "audit_logs" },
  });
  const pieces = [writer.header() as Uint8Array];
  const fullAt: number[] = [];
  const all = [...rows];
  const chunk = rowsOf(all);
  for (let at = 0; at < all.length;) {
    at = writer.take(chunk, at, Math.min(all.length, at + runRows));
    if (!writer.isFull) continue;
    fullAt.push(at);
    pieces.push((await writer.piece()) as Uint8Array);
  }
  pieces.push((await writer.end()) as Uint8Array);
  return { file: new Uint8Array(Buffer.concat(pieces)).buffer, fullAt };
}

async function objectsOf(file: ArrayBuffer): Promise<Record<string, unknown>[]> {
  const compressors = { ZSTD: (input: Uint8Array) => new Uint8Array(zstdDecompressSync(input)) };
  return await parquetReadObjects({ file, compressors });
}

describe("an answer in Parquet", () => {
  it("has row groups of bounded rows, each written when it is full", async () => {
    const columns = [column("id", "int8"), column("name", "text")];
    const rows = Array.from({ length: 10 }, (_, n): Field[] => [
      int8(BigInt(n)),
      n % 3 === 0 ? null : utf8(`row ${n}`),
    ]);
    const { file, fullAt } = await fileOf(columns, rows);
    expect(fullAt).toEqual([4, 8]);
    expect(parquetMetadata(file).row_groups.map(({ num_rows }) => num_rows)).toEqual([4n, 4n, 2n]);
    expect(await objectsOf(file)).toEqual(
      rows.map((_, n) => ({ id: BigInt(n), name: n % 3 === 0 ? null : `row ${n}` })),
    );
  });

  it("has row groups of bounded bytes, and takes a row that is larger than one", async () => {
    const columns = [column("id", "int8"), column("name", "text")];
    const sizes = [400, 400, 400, 5000, 1];
    const { file } = await fileOf(
      columns,
      sizes.map((size, n) => [int8(BigInt(n)), utf8("x".repeat(size))]),
      sizes.length,
    );
    expect(parquetMetadata(file).row_groups.map(({ num_rows }) => num_rows)).toEqual([3n, 1n, 1n]);
    expect((await objectsOf(file)).map(({ name }) => (name as string).length)).toEqual(sizes);
  });

  it("is a valid file without rows too, and says what the columns were in Postgres", async () => {
    const columns = [
      column("id", "int8"),
      column("price", "decimal", { type: "numeric(12,2)", precision: 12, scale: 2 }),
    ];
    const { file } = await fileOf(columns, []);
    const metadata = parquetMetadata(file);
    expect(metadata.num_rows).toBe(0n);
    expect(metadata.schema.map(({ name }) => name)).toEqual(["root", "id", "price"]);
    expect(await objectsOf(file)).toEqual([]);
    expect(metadata.key_value_metadata).toEqual([
      { key: "firnline.pipeline", value: "audit_logs" },
      { key: "firnline.postgres_types", value: '{"id":"int8","price":"numeric(12,2)"}' },
    ]);
  });
});

describe("a value that Parquet cannot hold", () => {
  const REFUSED: readonly [what: string, column: Column, field: Uint8Array, found: string][] = [
    ["an infinite instant", column("c", "timestamptz"), int8(INT64_MAX), "infinity"],
    ["a minus infinite timestamp", column("c", "timestamp"), int8(INT64_MIN), "-infinity"],
    [
      "an instant that is too late",
      column("c", "timestamptz"),
      int8(INT64_MAX - 1n),
      "294277-01-09T04:00:54.775806Z",
    ],
    ["an infinite date", column("c", "date"), int4(2_147_483_647), "infinity"],
    ["a NaN in a decimal", column("c", "decimal", { precision: 9, scale: 2 }), numeric("NaN"), "NaN"],
    ["a numeric that is none", column("c", "numeric"), bytes(0xff), "\\xff"],
    ["a jsonb of another version", column("c", "jsonb"), bytes(2, 0x31), "1"],
  ];

  it.each(REFUSED)("is refused with its column and row: %s", async (_what, odd, field, found) => {
    const fine = FIELDS[odd.kind].find((one) => one !== field) as Uint8Array;
    const rows = Array.from({ length: 9 }, (_, n): Field[] => [
      int8(1n),
      n === 6 ? field : n === 5 ? null : fine,
    ]);
    const usable =
      odd.kind === "decimal" ? rows.map((row, n): Field[] => (n === 6 ? row : [int8(1n), null])) : rows;
    await expect(fileOf([column("id", "int8"), odd], usable)).rejects.toMatchObject({
      code: "E_TYPE",
      subject: "--format parquet, column c",
      problem: expect.stringMatching(/^row 7 of the answer holds a \w+ that Parquet cannot \(found /),
      hint: "Retrieve as ndjson or csv, which hold every value",
    });
    await expect(fileOf([odd], [[field]])).rejects.toThrow(`(found ${found})`);
  });

  it("is not what has other bits and the same value: NaN with a payload, an infinite numeric", async () => {
    const payload = float8(Number.NaN);
    payload[7] = 1;
    const columns = [column("f", "float8"), column("n", "numeric"), column("t", "timestamptz")];
    const { file } = await fileOf(columns, [
      [payload, numeric("Infinity"), instant("2026-01-03T04:05:06.000007Z")],
      [float8(Number.NaN), numeric("-Infinity"), null],
    ]);
    const [first, second] = await objectsOf(file);
    expect([first?.["f"], first?.["n"]]).toEqual([Number.NaN, "Infinity"]);
    expect([second?.["f"], second?.["n"], second?.["t"]]).toEqual([Number.NaN, "-Infinity", null]);
  });
});
