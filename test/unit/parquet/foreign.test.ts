/** Files that Firnline did not write, and pages made to exhaust whoever decodes them. */
import { zstdCompressSync } from "node:zlib";
import { type ColumnChunk, type ColumnMetaData, parquetMetadata } from "hyparquet";
import { ByteWriter, parquetWrite } from "hyparquet-writer";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import { describe, expect, it } from "vitest";
import { isFirnlineError } from "../../../src/errors.ts";
import { ColumnPages } from "../../../src/parquet/decode/column-pages.ts";
import { readLayout } from "../../../src/parquet/read-segment.ts";
import type { ValueKind } from "../../../src/rows/column.ts";
import { bytesOf, type FieldBytes, fieldsOf, int32, joined, rawRows } from "../../support/copy-stream.ts";
import { newHyparquetEncoder } from "../../support/hyparquet-encoder.ts";
import { columnOf, decodeSegment, encodeSegment } from "../../support/segment-bytes.ts";

type WriteOptions = Omit<Parameters<typeof parquetWrite>[0], "writer">;
type Source = WriteOptions["columnData"][number];

const zstd = { ZSTD: (input: Uint8Array) => zstdCompressSync(input) };
const columns = [columnOf("id", "int4"), columnOf("name", "text")];
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const names = ["a", "b", "c"].map(utf8);

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

  it("is read in encodings that our encoder may choose one day", async () => {
    const columnData: Source[] = [
      { ...id, encoding: "DELTA_BINARY_PACKED" },
      { ...name, encoding: "DELTA_LENGTH_BYTE_ARRAY" },
    ];
    expect(await offered({ columnData })).toBe("read");
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
      "has an encoding that we do not read",
      { columnData: [id, { ...name, encoding: "DELTA_BYTE_ARRAY" }] },
      /the encoding DELTA_BYTE_ARRAY/,
    ],
  ])("that %s is refused", async (_, options, problem) => {
    expect(await offered(options)).toMatch(problem);
  });
});

describe("a footer", () => {
  const rows = rawRows(
    2,
    names.map((name_, number) => [int32(number), name_]),
  );

  /** The problem with our own file once its footer says something else, or null. */
  async function problemWith(change: (column: ColumnChunk) => void): Promise<string | null> {
    const { bytes, manifest } = await encodeSegment(columns, [[rows]], { newEncoder: newHyparquetEncoder });
    const metadata = parquetMetadata(bytes);
    for (const { meta_data: column } of metadata.row_groups[0]?.columns ?? []) delete column?.statistics;
    change(metadata.row_groups[0]?.columns[1] as ColumnChunk);
    const footer = new ByteWriter();
    writeMetadata(footer, metadata);
    footer.appendUint32(0x31524150);
    const changed = joined([bytes.slice(0, bytes.length - 8 - metadata.metadata_length), footer.getBytes()]);
    const object = { ...manifest.object, bytes: changed.length.toString() };
    try {
      await readLayout({ ...manifest, object }, async ({ start, end }) => changed.slice(start, end));
      return null;
    } catch (error) {
      if (isFirnlineError(error, "E_FORMAT")) return error.problem;
      throw error;
    }
  }

  const data = (column: ColumnChunk): ColumnMetaData => column.meta_data as ColumnMetaData;

  it.each<[string, RegExp | null, (column: ColumnChunk) => void]>([
    ["is what it was", null, () => {}],
    ["has a column in another file", /not ZSTD or of another/, (column) => (column.file_path = "other")],
    ["has a column of another type", /of another type/, (column) => (data(column).type = "INT64")],
    [
      "has another path",
      /has a.b in the place of name/,
      (column) => (data(column).path_in_schema = ["a", "b"]),
    ],
    [
      "has a longer path",
      /has name.b in the place/,
      (column) => (data(column).path_in_schema = ["name", "b"]),
    ],
    ["has a column where another one is", /lies at 4/, (column) => (data(column).data_page_offset = 4n)],
    ["has a column beyond the end", /lies at 100000/, (column) => (data(column).data_page_offset = 100_000n)],
    [
      "has a longer column",
      /column name lies at/,
      (column) => (data(column).total_compressed_size = 100_000n),
    ],
    ["has an empty column", /column name lies at/, (column) => (data(column).total_compressed_size = 0n)],
    ["has a negative size", /column name lies at/, (column) => (data(column).total_compressed_size = -9n)],
  ])("that %s is refused, or read", async (_, problem, change) => {
    const found = await problemWith(change);
    if (problem === null) expect(found).toBeNull();
    else expect(found).toMatch(problem);
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
  /** 0 PLAIN, 3 RLE, 5 DELTA_BINARY_PACKED, 6 DELTA_LENGTH_BYTE_ARRAY, 8 RLE_DICTIONARY. */
  readonly encoding?: number;
  readonly inflated?: number;
  readonly compressedBytes?: number;
  readonly levelsBytes?: number;
  readonly repetitionBytes?: number;
  readonly compressed?: boolean;
  /** What stands behind the levels, in the place of the compressed values. */
  readonly body?: Uint8Array;
}

/** A data page v2 of three INT32 values, unless told otherwise. */
function dataPage(page: Page): Uint8Array {
  const { levels = [6, 1], values = new Uint8Array(12), count = 3 } = page;
  const body = joined([Uint8Array.from(levels), page.body ?? zstdCompressSync(values)]);
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

/** So many values of INT32, all of them 0. */
function dictionaryPage(count: number, bytes = Math.min(count, 9) * 4, encoding = 0): Uint8Array {
  const body = zstdCompressSync(new Uint8Array(bytes));
  return joined([
    Uint8Array.from(thrift({ 1: 2, 2: bytes, 3: body.length, 7: { 1: count, 2: encoding } })),
    body,
  ]);
}

const BILLION = 1_000_000_000;
const indexes = (...bytes: number[]): Page => ({ encoding: 8, values: bytesOf(...bytes) });
const deltas = (...bytes: number[]): Page => ({ encoding: 5, values: bytesOf(...bytes) });
/** A block of 128 values in four miniblocks, three values in all, the first of which is 0. */
const DELTA_HEAD = [0x80, 1, 4, 3, 0];

/** The fields of three rows. */
function decode(bytes: Uint8Array, kind: ValueKind = "int4", rows = 3): FieldBytes[] {
  const pages = new ColumnPages(columnOf("v", kind), rows);
  const [column] = pages.decode(bytes, [{ rows, exceptions: [] }]);
  return fieldsOf(column as Uint8Array, rows);
}

describe("the pages of a column", () => {
  const zero = int32(0);

  it("are read as they are meant", () => {
    expect(decode(dataPage({}))).toEqual([zero, zero, zero]);
    const levels = { levels: [3, 0b101], nulls: 1, values: new Uint8Array(8) };
    expect(decode(joined([dataPage({}), dataPage(levels)]), "int4", 6)).toEqual([
      zero,
      zero,
      zero,
      zero,
      null,
      zero,
    ]);
    expect(decode(joined([dictionaryPage(2), dataPage(indexes(1, 3, 0b101))]))).toEqual([zero, zero, zero]);
    expect(decode(joined([dictionaryPage(1), dataPage(indexes(0, 6))]))).toEqual([zero, zero, zero]);
    const [yes, no] = [bytesOf(1), bytesOf(0)];
    expect(decode(dataPage({ encoding: 3, values: bytesOf(2, 0, 0, 0, 6, 1) }), "bool")).toEqual([
      yes,
      yes,
      yes,
    ]);
    expect(decode(dataPage({ values: bytesOf(0b101) }), "bool")).toEqual([yes, no, yes]);
    expect(decode(dataPage({ levels: [6, 0], nulls: 3, ...indexes(0) }))).toEqual([null, null, null]);
    expect(decode(dataPage({ levels: [6, 0], nulls: 3, values: bytesOf() }))).toEqual([null, null, null]);
    // Differences of 1 and 3 above the smallest, 2, in two bits each.
    const block = [4, 2, 0, 0, 0, 0b1101, 0, 0, 0, 0, 0, 0, 0];
    expect(decode(dataPage(deltas(...DELTA_HEAD, ...block)))).toEqual([zero, int32(3), int32(8)]);
    const lengths = bytesOf(...DELTA_HEAD, 2, 0, 0, 0, 0, ...utf8("abb"));
    expect(decode(dataPage({ encoding: 6, values: lengths }), "text")).toEqual(["", "a", "bb"].map(utf8));
    const plain = { compressed: false, body: new Uint8Array(12) };
    expect(decode(dataPage(plain))).toEqual([zero, zero, zero]);
  });

  it.each<[string, RegExp, Uint8Array, ValueKind?]>([
    ["no pages", /pages of 0 values/, bytesOf()],
    [
      "too few values",
      /pages of 2 values for 3/,
      dataPage({ count: 2, levels: [4, 1], values: new Uint8Array(8) }),
    ],
    ["too many values", /pages of more than 3/, joined([dataPage({}), dataPage({})])],
    ["a billion values", /a page of 1000000000 values/, dataPage({ count: BILLION })],
    ["a negative number of values", /a page of -3 values/, dataPage({ count: -3 })],
    ["other rows than values", /a page of 3 values/, dataPage({ rows: 2 })],
    ["more nulls than values", /4 nulls among/, dataPage({ nulls: 4 })],
    ["a negative number of nulls", /-1000000000 nulls among/, dataPage({ nulls: -BILLION })],
    ["more nulls than its levels", /3 values in a page of 3 rows and 1 nulls/, dataPage({ nulls: 1 })],
    ["fewer nulls than its levels", /2 values in a page of 3/, dataPage({ levels: [3, 0b101] })],
    ["a run of a billion levels", /a run of 1000000000/, dataPage({ levels: [...varint(2 * BILLION), 1] })],
    [
      "a packed run of a billion levels",
      /a run of 4000000000/,
      dataPage({ levels: [...varint(BILLION + 1), 1] }),
    ],
    ["a run of no levels", /a run of 0/, dataPage({ levels: [0, 1, 6, 1] })],
    ["a level of 2", /a run of 2, which/, dataPage({ levels: [6, 2] })],
    [
      "a run whose length has no end",
      /a run without a length/,
      dataPage({ levels: [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 1] }),
    ],
    ["levels that are cut", /a run that is cut/, dataPage({ levels: [6] })],
    ["no levels", /a run without a length/, dataPage({ levels: [] })],
    ["more bytes of levels than of page", /1000 bytes of levels/, dataPage({ levelsBytes: 1_000 })],
    ["a negative number of bytes of levels", /-1 bytes of levels/, dataPage({ levelsBytes: -1 })],
    ["repetition levels", /nested/, dataPage({ repetitionBytes: 1 })],
    [
      "plain values of another size",
      /should be 12/,
      dataPage({ compressed: false, body: new Uint8Array(13) }),
    ],
    ["a page that runs over the end", /runs over its end/, dataPage({ compressedBytes: 10_000 })],
    ["a page of negative size", /runs over its end/, dataPage({ compressedBytes: -1 })],
    [
      "a page that would inflate to two gigabytes",
      /a page of 2000000000 bytes/,
      dataPage({ inflated: 2 * BILLION }),
    ],
    ["a page that inflates to a negative size", /a page of -1 bytes/, dataPage({ inflated: -1 })],
    ["a page that inflates to more than it says", /larger than 10 bytes/, dataPage({ inflated: 12 })],
    [
      "a page that inflates to less than it says",
      /inflates to 12 bytes, not to 14/,
      dataPage({ inflated: 16 }),
    ],
    ["too few values in a page", /8 bytes of 3 values/, dataPage({ values: new Uint8Array(8) })],
    ["too many values in a page", /16 bytes of 3 values/, dataPage({ values: new Uint8Array(16) })],
    [
      "indexes of 32 bits",
      /runs of 32 bits/,
      joined([dictionaryPage(2), dataPage(indexes(32, 6, 0, 0, 0, 0))]),
    ],
    [
      "a run of a billion indexes",
      /a run of 1000000000/,
      joined([dictionaryPage(2), dataPage(indexes(1, ...varint(2 * BILLION), 1))]),
    ],
    [
      "a packed run of a billion indexes of no bits",
      /a run of 4000000000/,
      joined([dictionaryPage(2), dataPage(indexes(0, ...varint(BILLION + 1)))]),
    ],
    [
      "an index beyond the dictionary",
      /value 2 of a/,
      joined([dictionaryPage(2), dataPage(indexes(2, 6, 2))]),
    ],
    ["indexes without a dictionary", /without a dictionary/, dataPage(indexes(1, 3, 0b101))],
    [
      "a run of a billion booleans",
      /a run of 1000000000/,
      dataPage({ encoding: 3, values: bytesOf(6, 0, 0, 0, ...varint(2 * BILLION), 1) }),
      "bool",
    ],
    [
      "booleans without a length",
      /bytes of booleans/,
      dataPage({ encoding: 3, values: bytesOf(6, 1) }),
      "bool",
    ],
    [
      "booleans that are cut",
      /9 bytes of booleans/,
      dataPage({ encoding: 3, values: bytesOf(9, 0, 0, 0) }),
      "bool",
    ],
    ["too few booleans", /0 bytes of 3 values/, dataPage({ values: bytesOf() }), "bool"],
    [
      "texts that are cut",
      /value 1 of 3 is cut/,
      dataPage({ values: bytesOf(0, 0, 0, 0, 9, 0, 0, 0) }),
      "text",
    ],
    [
      "a text of four gigabytes",
      /value 0 of 3 is cut/,
      dataPage({ values: bytesOf(255, 255, 255, 255) }),
      "text",
    ],
    ["bytes behind its texts", /13 bytes of 3 values/, dataPage({ values: new Uint8Array(13) }), "text"],
    ["runs of integers", /the encoding RLE of INT32/, dataPage({ encoding: 3 })],
    ["differences of texts", /the encoding DELTA_BINARY_PACKED/, dataPage({ encoding: 5 }), "text"],
    ["an encoding that nobody knows", /the encoding 77 of/, dataPage({ encoding: 77 })],
    [
      "a dictionary of a billion values",
      /a dictionary of 1000000000/,
      joined([dictionaryPage(BILLION), dataPage(indexes(1, 3, 0b101))]),
    ],
    [
      "a dictionary of fewer bytes",
      /8 bytes of 3 values/,
      joined([dictionaryPage(3, 8), dataPage(indexes(0, 6))]),
    ],
    ["a dictionary of differences", /a dictionary in encoding 5/, dictionaryPage(3, 12, 5)],
    ["a dictionary behind the values", /a dictionary of 2/, joined([dataPage({}), dictionaryPage(2)])],
    [
      "a page of the old kind",
      /a page of type 0/,
      Uint8Array.from(thrift({ 1: 0, 2: 0, 3: 0, 5: { 1: 3, 2: 0, 3: 3, 4: 3 } })),
    ],
    ["a header without an end", /without an end/, bytesOf(0x15, 0x06, 0x15)],
    ["blocks of no values", /blocks of 0 values/, dataPage(deltas(0, 4, 3, 0))],
    ["blocks of no miniblocks", /in 0 miniblocks/, dataPage(deltas(0x80, 1, 0, 3, 0))],
    ["miniblocks of no whole bytes", /blocks of 4 values/, dataPage(deltas(4, 4, 3, 0))],
    ["blocks of a billion values", /a block of/, dataPage(deltas(...varint(BILLION), 4, 3, 0))],
    ["a billion differences", /1000000000 values where/, dataPage(deltas(0x80, 1, 4, ...varint(BILLION), 0))],
    ["differences of 65 bits", /of 65 bits/, dataPage(deltas(...DELTA_HEAD, 0, 65, 0, 0, 0))],
    ["differences without a width", /of undefined bits/, dataPage(deltas(...DELTA_HEAD, 0))],
    [
      "differences that are cut",
      /differences that are cut/,
      dataPage(deltas(...DELTA_HEAD, 0, 8, 0, 0, 0, 1, 2)),
    ],
    ["a first value without an end", /a number without an end/, dataPage(deltas(0x80, 1, 4, 3, 0x80))],
    [
      "lengths below zero",
      /value 1 of 3 is cut/,
      dataPage({ encoding: 6, values: bytesOf(...DELTA_HEAD, 1, 0, 0, 0, 0, 1, 2, 3) }),
      "text",
    ],
    [
      "lengths beyond the page",
      /value 2 of 3 is cut/,
      dataPage({ encoding: 6, values: bytesOf(...DELTA_HEAD, 4, 0, 0, 0, 0, 1, 2, 3) }),
      "text",
    ],
  ])("are refused with %s", (_, problem, bytes, kind) => {
    expect(() => decode(bytes, kind)).toThrow(problem);
  });

  it("are refused when few of their bytes would be gigabytes of rows", () => {
    const value = new Uint8Array(2 ** 20);
    const length = new Uint8Array(new Uint32Array([value.length]).buffer);
    const inflated = joined([length, value]);
    const body = zstdCompressSync(inflated);
    const header = thrift({ 1: 2, 2: inflated.length, 3: body.length, 7: { 1: 1, 2: 0 } });
    const rows = 4_000;
    const page = dataPage({
      count: rows,
      levels: [...varint(rows * 2), 1],
      ...indexes(0, ...varint(rows * 2)),
    });
    const bytes = joined([Uint8Array.from(header), body, page]);
    expect(() => decode(bytes, "text", rows)).toThrow(/a chunk's column of 4194320000 bytes/);
  });
});
