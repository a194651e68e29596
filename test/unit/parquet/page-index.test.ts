/** What the end of a file says about its pages, and that other readers skip by it. */
import fc from "fast-check";
import { type AsyncBuffer, parquetMetadata, parquetReadObjects, type RowGroup } from "hyparquet";
import { BoundaryOrders } from "hyparquet/src/constants.js";
import { readOffsetIndex } from "hyparquet/src/indexes.js";
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { describe, expect, it } from "vitest";
import { newParquetEncoder } from "../../../src/parquet/encode/parquet-encoder.ts";
import { isFirnlineError } from "../../../src/errors.ts";
import { type Column } from "../../../src/rows/column.ts";
import type { RawRows } from "../../../src/rows/copy-binary.ts";
import { fromHex } from "../../../src/rows/hex.ts";
import {
  bytesOf,
  type FieldBytes,
  fieldsOf,
  int16,
  int32,
  int64,
  joined,
  rawRows,
} from "../../support/copy-stream.ts";
import { bufferOf, compressors, DuckDbFile } from "../../support/outside-readers.ts";
import { RANDOM_COLUMNS, randomRowGroups } from "../../support/random-chunks.ts";
import { columnOf, encodeSegment, newEncoder } from "../../support/segment-bytes.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bounds as the file has them. */
const parsers = { stringFromBytes: (bytes: Uint8Array) => bytes.slice() } as never;

interface Pages {
  readonly firstRows: number[];
  /** The column index; bounds as they stand there, those of a page of nothing but NULL being empty. */
  readonly index: {
    readonly nullPages: boolean[];
    readonly min: Uint8Array[];
    readonly max: Uint8Array[];
    readonly order: string;
    readonly nulls: number[];
  } | null;
}

function pagesOf(bytes: Uint8Array, group: RowGroup, column: number): Pages {
  const chunk = group.columns[column] as RowGroup["columns"][number];
  const readerAt = (offset: bigint): { view: DataView; offset: number } => ({
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    offset: Number(offset),
  });
  const locations = readOffsetIndex(readerAt(chunk.offset_index_offset as bigint)).page_locations;
  const firstRows = locations.map(({ first_row_index }) => Number(first_row_index));
  if (chunk.column_index_offset === undefined) return { firstRows, index: null };
  // Not by hyparquet's own reading of it, which wants bounds of numbers where there are none.
  const thrift = deserializeTCompactProtocol(readerAt(chunk.column_index_offset));
  const index = {
    nullPages: thrift["field_1"],
    min: thrift["field_2"],
    max: thrift["field_3"],
    order: BoundaryOrders[thrift["field_4"]] as string,
    nulls: thrift["field_5"].map(Number),
  };
  return { firstRows, index };
}

const rowGroupsOf = (bytes: Uint8Array): RowGroup[] =>
  parquetMetadata(bufferOf(bytes), { parsers }).row_groups;

const rowsOf = (fields: readonly FieldBytes[]): RawRows =>
  rawRows(
    1,
    fields.map((field) => [field]),
  );

describe("pages", () => {
  it("begin where a chunk begins, in every column", async () => {
    await fc.assert(
      fc.asyncProperty(randomRowGroups, async (groups) => {
        const { bytes } = await encodeSegment(RANDOM_COLUMNS, groups);
        for (const [index, group] of rowGroupsOf(bytes).entries()) {
          let first = 0;
          const begins = (groups[index] as RawRows[]).map(({ rows }) => (first += rows) - rows);
          for (const column of RANDOM_COLUMNS.keys())
            expect(pagesOf(bytes, group, column).firstRows).toEqual(begins);
        }
      }),
      { numRuns: 10 },
    );
  });

  it("of a large chunk have about a mebibyte each, and begin nowhere else", async () => {
    const text = (row: number): FieldBytes =>
      row % 3 === 0 ? null : utf8(`${row} `.repeat(500 + (row % 50)));
    const chunk = rowsOf(Array.from({ length: 1500 }, (_, row) => text(row)));
    const small = rowsOf([utf8("small"), null]);
    const { bytes } = await encodeSegment([columnOf("t", "text")], [[small, chunk, small]]);
    const [group] = rowGroupsOf(bytes) as [RowGroup];
    const { firstRows, index } = pagesOf(bytes, group, 0);
    expect(firstRows).toContain(2);
    expect(firstRows).toContain(1502);
    const inChunk = firstRows.filter((row) => row >= 2 && row < 1502);
    expect(inChunk).toHaveLength(3);
    const nulls = inChunk.map((row, at) => {
      const end = inChunk[at + 1] ?? 1502;
      return Array.from({ length: end - row }, (_, from) => text(row - 2 + from)).filter(
        (one) => one === null,
      ).length;
    });
    expect(index?.nulls).toEqual([1, ...nulls, 1]);
  });
});

describe("bounds", () => {
  const anyText = fc.oneof(
    fc.string({ unit: "binary", maxLength: 80 }).map(utf8),
    fc.integer({ min: 0, max: 40 }).map((length) => utf8("\u{10FFFF}".repeat(length))),
    fc.constantFrom("x", "é", "\u{FFFF}", "\u{D7FF}", "\u{1F600}").map((one) => utf8(one.repeat(70))),
    fc.integer({ min: 0, max: 100 }).map((length) => new Uint8Array(length).fill(0xff)),
  );
  const compare = (left: unknown, right: unknown): number =>
    Buffer.compare(left as Uint8Array, right as Uint8Array);

  it.each(["text", "bytea"] as const)(
    "of each page of a %s column hold its values, in 64 bytes, and say whether they were cut",
    async (kind) => {
      const strict = new TextDecoder("utf-8", { fatal: true });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(anyText, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 3 }),
          async (chunks) => {
            const { bytes } = await encodeSegment([columnOf("v", kind)], [chunks.map(rowsOf)]);
            const [group] = rowGroupsOf(bytes) as [RowGroup];
            const { index } = pagesOf(bytes, group, 0);
            const { statistics } = group.columns[0]?.meta_data ?? {};
            const values = chunks.map((fields) => [...fields].sort(compare));
            for (const [page, sorted] of (index === null ? [] : values).entries()) {
              const [min, max] = [index?.min[page], index?.max[page]] as [Uint8Array, Uint8Array];
              expect([min.length, max.length].every((length) => length <= 64)).toBe(true);
              expect(compare(min, sorted[0])).toBeLessThanOrEqual(0);
              expect(compare(max, sorted.at(-1))).toBeGreaterThanOrEqual(0);
            }
            if (statistics?.min_value === undefined || statistics.max_value === undefined) {
              // Only where there is nothing short above a long value.
              expect(
                values.flat().some((value) => value.length > 64 && [0xff, 0xf4].includes(value[0] as number)),
              ).toBe(true);
              return;
            }
            const sorted = values.flat().sort(compare);
            const exact = [statistics.is_min_value_exact, statistics.is_max_value_exact];
            const [min, max] = [statistics.min_value, statistics.max_value];
            expect(exact).toEqual([compare(min, sorted[0]) === 0, compare(max, sorted.at(-1)) === 0]);
            if (kind === "text" && values.flat().every((value) => value[0] !== 0xff)) {
              strict.decode(min as never);
              strict.decode(max as never);
            }
          },
        ),
        { numRuns: 200 },
      );
    },
  );

  it("of floats are left out where there is a NaN, and cover both zeros where there is none", async () => {
    const float8 = (hex: string): Uint8Array => fromHex(hex.padEnd(16, "0"));
    const [zero, minusZero, nan, one] = ["", "80", "7ff8", "3ff"].map(float8) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const columns = [columnOf("zeros", "float8"), columnOf("nan", "float8")];
    const first = rawRows(2, [
      [zero, one],
      [zero, one],
    ]);
    const second = rawRows(2, [
      [minusZero, nan],
      [null, one],
    ]);
    const { bytes } = await encodeSegment(columns, [[first, second]]);
    const [group] = rowGroupsOf(bytes) as [RowGroup];
    const [zeros, withNan] = group.columns.map((column) => column.meta_data?.statistics);
    expect([zeros?.min_value, zeros?.max_value, zeros?.null_count]).toEqual([-0, 0, 1n]);
    expect([withNan?.min_value, withNan?.max_value, withNan?.null_count]).toEqual([undefined, undefined, 0n]);
    expect(pagesOf(bytes, group, 1).index).toBeNull();
    expect(pagesOf(bytes, group, 0).index?.min).toEqual([minusZero.toReversed(), minusZero.toReversed()]);
    expect(pagesOf(bytes, group, 0).index?.max).toEqual([zero, zero]);
  });

  it("say in which order the pages lie, those of nothing but NULL left out", async () => {
    const orders: string[] = [];
    for (const ids of [[[1n, 2n], [], [2n, 9n]], [[9n], [4n, 5n], [4n]], [[1n], [9n], [2n]], [[5n]]]) {
      const chunks = ids.map((values) => rowsOf(values.length === 0 ? [null] : values.map(int64)));
      const { bytes } = await encodeSegment([columnOf("id", "int8")], [chunks]);
      const { index } = pagesOf(bytes, rowGroupsOf(bytes)[0] as RowGroup, 0);
      expect(index?.nullPages).toEqual(ids.map((values) => values.length === 0));
      orders.push(index?.order as string);
    }
    expect(orders).toEqual(["ASCENDING", "DESCENDING", "UNORDERED", "ASCENDING"]);
  });
});

/** Ids that rise over chunks of 500, and codes that come again everywhere. */
const needleColumns: readonly Column[] = [
  columnOf("id", "int8"),
  columnOf("ts", "timestamptz"),
  columnOf("code", "text"),
  columnOf("n", "int4"),
  columnOf("s", "int2"),
  columnOf("body", "jsonb"),
];
const code = (group: number, id: number): string => `code ${group} ${(id * 7919) % 800}`;
function needleChunk(group: number, from: number): RawRows {
  return rawRows(
    needleColumns.length,
    Array.from({ length: 500 }, (_, at) => {
      const id = from + at;
      return [
        int64(BigInt(id)),
        int64(BigInt(id) * 1_000_000n),
        utf8(code(group, id)),
        int32(id % 50),
        int16((id % 7) - 3),
        joined([
          bytesOf(1),
          utf8(`{"id": ${id}, "noise": "${(id * 2_654_435_761) % 4_294_967_296}${id ** 3}"}`),
        ]),
      ];
    }),
  );
}
const needleGroups = [0, 1, 2].map((group) =>
  [0, 1, 2, 3].map((chunk) => needleChunk(group, (group * 4 + chunk) * 500)),
);

describe("a reader of the indexes", () => {
  const bloomFilters = ["code", "id", "not there"];

  async function read(
    filter: object,
  ): Promise<{ rows: Record<string, unknown>[]; bytesRead: number; all: number }> {
    const { bytes, manifest } = await encodeSegment(needleColumns, needleGroups, { bloomFilters });
    const pages = Number(manifest.index?.start);
    let bytesRead = 0;
    const file: AsyncBuffer = {
      byteLength: bytes.length,
      slice(start, end = bytes.length) {
        bytesRead += Math.max(0, Math.min(end, pages) - start);
        return bytes.slice(start, end).buffer as ArrayBuffer;
      },
    };
    const metadata = parquetMetadata(bufferOf(bytes));
    const options = { useBloomFilters: true, usePageIndex: true, useOffsetIndex: true };
    const rows = await parquetReadObjects({
      file,
      metadata,
      compressors,
      filter: filter as never,
      ...options,
    });
    return { rows, bytesRead, all: pages };
  }

  it("finds one row in the pages of one chunk", async () => {
    const { rows, bytesRead, all } = await read({ id: { $eq: 4321n } });
    expect(rows.map(({ id, code: found }) => [id, found])).toEqual([[4321n, code(2, 4321)]]);
    expect(bytesRead).toBeLessThan(all / 6);
  });

  it("finds by a bloom filter which row group has a text, and that none has it", async () => {
    const there = await read({ code: { $eq: code(1, 2500) } });
    expect(there.rows.length).toBeGreaterThan(1);
    expect(there.rows.every(({ id }) => Math.floor(Number(id) / 2000) === 1)).toBe(true);
    expect(there.bytesRead).toBeLessThan(there.all / 2);
    // Between the bounds of the group, so that the bounds alone do not tell.
    expect((await read({ code: { $eq: "code 1 12x" } })).bytesRead).toBe(0);
  });

  it("is DuckDB too: bloom filters, bounds, sizes and types", async () => {
    const { bytes } = await encodeSegment(needleColumns, needleGroups, { bloomFilters });
    await using file = await DuckDbFile.of(bytes);
    const excludes = async (column: string, value: string): Promise<unknown[]> =>
      (
        await file.query(`SELECT bloom_filter_excludes FROM parquet_bloom_probe(FILE, '${column}', ${value})`)
      ).map((row) => row["bloom_filter_excludes"]);
    expect(await excludes("code", `'${code(1, 2500)}'`)).toEqual([true, false, true]);
    expect(await excludes("id", "4321")).toEqual([true, true, false]);
    expect(await excludes("id", "-1")).toEqual([true, true, true]);
    expect(await excludes("n", "-1")).toEqual([false, false, false]);
    const metadata = await file.query(
      "SELECT * FROM parquet_metadata(FILE) WHERE row_group_id = 1 ORDER BY column_id",
    );
    expect(
      metadata
        .map((row) => [row["path_in_schema"], row["stats_min_value"], row["stats_max_value"]])
        .slice(0, 5),
    ).toEqual([
      ["id", "2000", "3999"],
      ["ts", "2000-01-01 00:33:20+00", "2000-01-01 01:06:39+00"],
      ["code", "code 1 0", "code 1 99"],
      ["n", "0", "49"],
      ["s", "-3", "3"],
    ]);
    expect(metadata.map((row) => [row["num_values"], row["stats_null_count"], row["compression"]])).toEqual(
      needleColumns.map(() => ["2000", "0", "ZSTD"]),
    );
    const [about] = await file.query("SELECT created_by, num_rows FROM parquet_file_metadata(FILE)");
    expect(about).toEqual({ created_by: "firnline version 0.0.0", num_rows: "6000" });
    const types = await file.query("DESCRIBE SELECT * FROM FILE");
    expect(types.map((row) => row["column_type"])).toEqual([
      "BIGINT",
      "TIMESTAMP WITH TIME ZONE",
      "VARCHAR",
      "INTEGER",
      "SMALLINT",
      "VARCHAR",
    ]);
    const [found] = await file.query(
      "SELECT count(*) AS count, sum(id) AS ids FROM FILE WHERE id BETWEEN 1999 AND 2001",
    );
    expect(found).toEqual({ count: "3", ids: "6000" });
  });

  it("is told by which time column the rows are sorted, where they are", async () => {
    const columns = [columnOf("a", "timestamptz"), columnOf("b", "timestamp")];
    const rows = (times: readonly (readonly [bigint, bigint | null])[]): RawRows =>
      rawRows(
        2,
        times.map(([a, b]) => [int64(a), b === null ? null : int64(b)]),
      );
    const groups = [
      [
        rows([[1n, 5n]]),
        rows([
          [1n, 4n],
          [-(2n ** 62n), 3n],
        ]),
      ],
      [
        rows([
          [2n, 1n],
          [1n, 1n],
        ]),
        rows([[9n, 2n]]),
      ],
      [
        rows([
          [2n, 1n],
          [1n, null],
        ]),
      ],
      [
        rows([
          [-(2n ** 40n), 7n],
          [-1n, 8n],
        ]),
        rows([
          [0n, 9n],
          [2n ** 33n, 1n],
        ]),
      ],
    ];
    const { bytes } = await encodeSegment(columns, groups);
    expect(
      rowGroupsOf(bytes).map(({ sorting_columns: by }) => by?.map(({ column_idx }) => column_idx)),
    ).toEqual([undefined, [1], undefined, [0]]);
  });

  it("finds encodings that suit the columns", async () => {
    const { bytes } = await encodeSegment(needleColumns, needleGroups);
    const [group] = rowGroupsOf(bytes) as [RowGroup];
    expect(group.columns.map((column) => column.meta_data?.encodings.join(" "))).toEqual([
      "RLE DELTA_BINARY_PACKED",
      "RLE DELTA_BINARY_PACKED",
      "PLAIN RLE RLE_DICTIONARY",
      "PLAIN RLE RLE_DICTIONARY",
      "PLAIN RLE RLE_DICTIONARY",
      "RLE DELTA_LENGTH_BYTE_ARRAY",
    ]);
  });
});

describe("row groups", () => {
  const text = [columnOf("code", "text")];
  /** Much to compress, and then little: the next group's pages are done first. */
  const noise = Array.from({ length: 40_000 }, (_, at) => Math.imul(at + 1, 2_654_435_761)).join("");
  const slowAndQuick = [
    [rowsOf([utf8(noise), utf8(noise.slice(7))])],
    [rowsOf([utf8("x")])],
    [rowsOf([null])],
  ];

  it.each<[string, readonly Column[], readonly (readonly RawRows[])[]]>([
    ["many pages", needleColumns, [...needleGroups, needleGroups[0] as RawRows[]]],
    ["a large page before small ones", text, [...slowAndQuick, ...slowAndQuick]],
  ])(
    "of %s may be asked for at once: the bytes are the same, and the buffers are free when each is done",
    async (_, columns, groups) => {
      const one = newEncoder(columns, {}, { bloomFilters: ["code"] });
      const pieces: Uint8Array[] = [];
      for (const group of groups) pieces.push((await one.rowGroup(group)).bytes);
      pieces.push(await one.finish());

      const other = newEncoder(columns, {}, { bloomFilters: ["code"] });
      const copies = groups.map((group) =>
        group.map(({ rows, columns: raw }) => ({ rows, columns: raw.map((column) => column.slice()) })),
      );
      const promises = copies.map(async (group) => {
        const { bytes } = await other.rowGroup(group);
        for (const { columns: raw } of group) for (const column of raw) column.fill(0xee);
        return bytes;
      });
      const end = other.finish();
      expect(Buffer.compare(joined([...(await Promise.all(promises)), await end]), joined(pieces))).toBe(0);
    },
  );

  it("that are broken are refused, and so is everything after", async () => {
    const columns = [columnOf("id", "int8"), columnOf("t", "text")];
    const good = rawRows(2, [[int64(1n), utf8("x")]]);
    const broken = (raw: Uint8Array, column: number): RawRows => ({
      rows: 1,
      columns: good.columns.map((field, index) => (index === column ? raw : field)),
    });
    for (const bad of [
      broken(bytesOf(0, 0, 0, 8, 1), 0),
      broken(bytesOf(0, 0, 0), 0),
      broken(joined([int32(8), int64(1n), int32(8)]), 0),
      broken(bytesOf(0xff, 0xff, 0xff, 0xfe), 1),
      broken(bytesOf(0, 0, 0, 9, 1, 2), 1),
    ]) {
      const encoder = newParquetEncoder("firnline version 0.0.0")(columns, {});
      await encoder.rowGroup([good]);
      const refused = await Promise.allSettled([
        encoder.rowGroup([bad]),
        encoder.rowGroup([good]),
        encoder.finish(),
      ]);
      expect(
        refused.map((one) => one.status === "rejected" && isFirnlineError(one.reason, "E_DATABASE")),
      ).toEqual([true, true, true]);
    }
    expect(fieldsOf(good.columns[0] as Uint8Array, 1)).toEqual([int64(1n)]);
  });
});
