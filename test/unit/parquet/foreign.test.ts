/** Files that Firnline did not write, and pages made to exhaust whoever decodes them. */
import { zstdCompressSync } from "node:zlib";
import { ByteWriter, parquetWrite } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { isFirnlineError } from "../../../src/errors.ts";
import { checkPages } from "../../../src/parquet/check-pages.ts";
import { bytesOf, int32, joined, rawRows } from "../../support/copy-stream.ts";
import { columnOf, decodeSegment, encodeSegment } from "../../support/segment-bytes.ts";

type WriteOptions = Omit<Parameters<typeof parquetWrite>[0], "writer">;
type Source = WriteOptions["columnData"][number];

const zstd = { ZSTD: (input: Uint8Array) => zstdCompressSync(input) };
const columns = [columnOf("id", "int4"), columnOf("name", "text")];
const names = ["a", "b", "c"].map((name) => new TextEncoder().encode(name));

/** A file of another writer, offered as the object of a segment with three rows of (id int4, name text). */
async function offered(options: WriteOptions): Promise<string> {
  const rows = rawRows(
    2,
    names.map((name, id) => [int32(id), name]),
  );
  const { manifest } = await encodeSegment(columns, [[rows]]);
  const writer = new ByteWriter();
  parquetWrite({ compressors: zstd, codec: "ZSTD", ...options, writer });
  const bytes = writer.getBytes().slice();
  const object = { ...manifest.object, bytes: bytes.length.toString() };
  try {
    const [found] = await decodeSegment({ bytes, manifest: { ...manifest, object } });
    expect(found).toEqual(rows);
    return "read";
  } catch (error) {
    if (isFirnlineError(error, "E_FORMAT")) return error.problem;
    throw error;
  }
}

const id: Source = { name: "id", data: [0, 1, 2], type: "INT32" };
const name: Source = { name: "name", data: ["a", "b", "c"], type: "STRING" };

describe("a foreign Parquet file", () => {
  it("would be read if it were just what we write, so that the cases below show what they mean to", async () => {
    expect(await offered({ columnData: [id, name] })).toBe("read");
  });

  it.each<[string, WriteOptions, RegExp]>([
    ["has a column more", { columnData: [id, name, { ...id, name: "more" }] }, /its columns are/],
    ["has a column less", { columnData: [id] }, /its columns are/],
    ["has its columns in another order", { columnData: [name, id] }, /its columns are name .*, id/],
    ["has another name", { columnData: [{ ...id, name: "ID" }, name] }, /its columns are/],
    [
      "has a wider type",
      { columnData: [{ name: "id", data: [0n, 1n, 2n], type: "INT64" }, name] },
      /its columns are id INT64/,
    ],
    [
      "has a double for an integer",
      { columnData: [{ ...id, type: "DOUBLE" }, name] },
      /its columns are id DOUBLE/,
    ],
    ["has required columns", { columnData: [{ ...id, nullable: false }, name] }, /its columns are/],
    [
      "has a list for a value",
      {
        columnData: [
          { name: "id", data: [0, 1, 2] },
          { name: "name", data: [["a"], [], null] },
        ],
        schema: [
          { name: "root", num_children: 2 },
          { name: "id", type: "INT32", repetition_type: "OPTIONAL" },
          { name: "name", repetition_type: "OPTIONAL", converted_type: "LIST", num_children: 1 },
          { name: "list", repetition_type: "REPEATED", num_children: 1 },
          { name: "element", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
        ],
      },
      /its columns are/,
    ],
    ["is compressed with Snappy", { columnData: [id, name], codec: "SNAPPY" }, /is not ZSTD/],
    ["is not compressed", { columnData: [id, name], codec: "UNCOMPRESSED" }, /is not ZSTD/],
    ["is compressed in part", { columnData: [id, { ...name, codec: "SNAPPY" }] }, /column name is not ZSTD/],
    [
      "has more rows",
      {
        columnData: [
          { ...id, data: [0, 1, 2, 3] },
          { ...name, data: ["a", "b", "c", "d"] },
        ],
      },
      /4 rows, expected 3/,
    ],
    [
      "has no rows",
      {
        columnData: [
          { ...id, data: [] },
          { ...name, data: [] },
        ],
      },
      /0 row groups, expected 1/,
    ],
    ["has more row groups", { columnData: [id, name], rowGroupSize: 2 }, /2 row groups, expected 1/],
    [
      "has an encoding that we do not write",
      { columnData: [{ ...id, encoding: "DELTA_BINARY_PACKED" }, name] },
      /the encoding DELTA_BINARY_PACKED/,
    ],
  ])("that %s is refused", async (_, options, problem) => {
    expect(await offered(options)).toMatch(problem);
  });
});

/** Thrift's compact protocol, as far as a page header needs it: numbers, flags and structs, in the order of fields. */
type Thrift = number | boolean | { readonly [field: number]: Thrift };

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

function thrift(fields: { readonly [field: number]: Thrift }): number[] {
  let last = 0;
  const bytes = Object.entries(fields).flatMap(([key, value]) => {
    const delta = (Number(key) - last) << 4;
    last = Number(key);
    if (typeof value === "boolean") return [delta | (value ? 1 : 2)];
    if (typeof value === "number") return [delta | 5, ...varint(value >= 0 ? value * 2 : -value * 2 - 1)];
    return [delta | 12, ...thrift(value)];
  });
  return [...bytes, 0];
}

interface Page {
  readonly levels?: readonly number[];
  readonly values?: Uint8Array;
  readonly count?: number;
  readonly nulls?: number;
  readonly rows?: number;
  /** 0 PLAIN, 3 RLE, 8 RLE_DICTIONARY. */
  readonly encoding?: number;
  readonly inflated?: number;
  readonly compressedBytes?: number;
  readonly levelsBytes?: number;
  readonly repetitionBytes?: number;
  readonly compressed?: boolean;
}

/** A data page v2 of three INT32 values, unless told otherwise. */
function dataPage(page: Page): Uint8Array {
  const { levels = [6, 1], values = new Uint8Array(12), count = 3 } = page;
  const body = joined([Uint8Array.from(levels), zstdCompressSync(values)]);
  const header = thrift({
    1: 3,
    2: page.inflated ?? levels.length + values.length,
    3: page.compressedBytes ?? body.length,
    8: {
      1: count,
      2: page.nulls ?? 0,
      3: page.rows ?? count,
      4: page.encoding ?? 0,
      5: page.levelsBytes ?? levels.length,
      6: page.repetitionBytes ?? 0,
      ...(page.compressed === false ? { 7: false } : {}),
    },
  });
  return joined([Uint8Array.from(header), body]);
}

function dictionaryPage(count: number): Uint8Array {
  const body = zstdCompressSync(new Uint8Array(12));
  return joined([Uint8Array.from(thrift({ 1: 2, 2: 12, 3: body.length, 7: { 1: count, 2: 0 } })), body]);
}

const BILLION = 1_000_000_000;
const indexes = (...bytes: number[]): Page => ({ encoding: 8, values: bytesOf(...bytes) });

describe("the look over a column's pages", () => {
  it("lets pass what we write", () => {
    checkPages(dataPage({}), 3);
    checkPages(
      joined([dataPage({}), dataPage({ levels: [3, 0b101], nulls: 1, values: new Uint8Array(8) })]),
      6,
    );
    checkPages(joined([dictionaryPage(2), dataPage(indexes(1, 3, 0b101))]), 3);
    checkPages(joined([dictionaryPage(1), dataPage(indexes(0, 6))]), 3);
    checkPages(dataPage({ encoding: 3, values: bytesOf(2, 0, 0, 0, 6, 1) }), 3);
    checkPages(dataPage({ levels: [6, 0], nulls: 3, ...indexes(0) }), 3);
  });

  it.each<[string, Uint8Array]>([
    ["no pages", bytesOf()],
    ["too few values", dataPage({ count: 2, levels: [4, 1] })],
    ["too many values", joined([dataPage({}), dataPage({})])],
    ["a billion values", dataPage({ count: BILLION })],
    ["a negative number of values", dataPage({ count: -3 })],
    ["other rows than values", dataPage({ rows: 2 })],
    ["more nulls than values", dataPage({ nulls: 4 })],
    ["a negative number of nulls", dataPage({ nulls: -BILLION })],
    ["a run of a billion levels", dataPage({ levels: [...varint(2 * BILLION), 1] })],
    ["a packed run of a billion levels", dataPage({ levels: [...varint(BILLION + 1), 1] })],
    ["a run of no levels", dataPage({ levels: [0, 1, 6, 1] })],
    ["a run whose length has no end", dataPage({ levels: [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 1] })],
    ["levels that are cut", dataPage({ levels: [6] })],
    ["no levels", dataPage({ levels: [] })],
    ["more bytes of levels than of page", dataPage({ levelsBytes: 1_000 })],
    ["a negative number of bytes of levels", dataPage({ levelsBytes: -1 })],
    ["repetition levels", dataPage({ repetitionBytes: 1 })],
    ["values that are not compressed", dataPage({ compressed: false })],
    ["a page that runs over the end", dataPage({ compressedBytes: 10_000 })],
    ["a page of negative size", dataPage({ compressedBytes: -1 })],
    ["a page that would inflate to two gigabytes", dataPage({ inflated: 2_000_000_000 })],
    ["a page that inflates to a negative size", dataPage({ inflated: -1 })],
    ["a page that inflates to more than it says", dataPage({ ...indexes(1, 3, 0b101), inflated: 3 })],
    ["indexes of 32 bits", dataPage(indexes(32, 6, 0, 0, 0, 0))],
    ["a run of a billion indexes", dataPage(indexes(1, ...varint(2 * BILLION), 1))],
    ["a packed run of a billion indexes of no bits", dataPage(indexes(0, ...varint(BILLION + 1)))],
    [
      "a run of a billion booleans",
      dataPage({ encoding: 3, values: bytesOf(9, 0, 0, 0, ...varint(2 * BILLION), 1) }),
    ],
    ["an encoding that we do not write", dataPage({ encoding: 5 })],
    ["a dictionary of a billion values", joined([dictionaryPage(BILLION), dataPage(indexes(1, 3, 0b101))])],
    ["a dictionary behind the values", joined([dataPage({}), dictionaryPage(2)])],
    ["a page of the old kind", Uint8Array.from(thrift({ 1: 0, 2: 0, 3: 0, 5: { 1: 3, 2: 0, 3: 3, 4: 3 } }))],
    ["a header without an end", bytesOf(0x15, 0x06, 0x15)],
  ])("refuses %s", (_, bytes) => {
    expect(() => checkPages(bytes, 3)).toThrow(Error);
  });
});
