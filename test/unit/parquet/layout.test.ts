/** How chunks, row groups and pages lie in an object, and that the reader finds them all again. */
import fc from "fast-check";
import { parquetMetadata } from "hyparquet";
import { describe, expect, it } from "vitest";
import { readLayout } from "../../../src/parquet/read-segment.ts";
import type { Column } from "../../../src/rows/column.ts";
import type { RawRows } from "../../../src/rows/copy-binary.ts";
import { bytesEqual } from "../../../src/rows/hex.ts";
import { bytesOf, type FieldBytes, int32, int64, rawRows } from "../../support/copy-stream.ts";
import { columnOf, decodeSegment, encodeSegment, layoutOf } from "../../support/segment-bytes.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Compared by hand: `toEqual` takes seconds over megabytes. */
function expectSame(found: readonly RawRows[], expected: readonly RawRows[]): void {
  expect(found.map(({ rows }) => rows)).toEqual(expected.map(({ rows }) => rows));
  for (const [chunk, { columns }] of expected.entries()) {
    const equal = columns.map((column, at) =>
      bytesEqual(column, found[chunk]?.columns[at] as Uint8Array) ? "same" : `chunk ${chunk} column ${at}`,
    );
    expect(equal).toEqual(columns.map(() => "same"));
  }
}

const columns: readonly Column[] = [columnOf("id", "int8"), columnOf("name", "text"), columnOf("n", "int4")];

function chunkOf(from: number, rows: number): RawRows {
  const row = (id: number): FieldBytes[] => [
    int64(BigInt(id)),
    id % 7 === 0 ? null : utf8(`name ${id % 11}`),
    id % 3 === 0 ? null : int32(-id),
  ];
  return rawRows(
    columns.length,
    Array.from({ length: rows }, (_, at) => row(from + at)),
  );
}

describe("chunks and row groups", () => {
  it("come back in order, whatever their sizes", async () => {
    const sizes = fc.array(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(sizes, async (groups) => {
        let from = 0;
        const chunks = groups.map((group) =>
          group.map((rows) => {
            from += rows;
            return chunkOf(from - rows, rows);
          }),
        );
        const segment = await encodeSegment(columns, chunks);
        expectSame(await decodeSegment(segment), chunks.flat());
        // Row groups lie one after the other, and each knows its rows and its chunks.
        const { rowGroups } = await layoutOf(segment);
        let [end, row, chunk] = [4, 0, 0];
        for (const [index, group] of rowGroups.entries()) {
          expect([group.start, group.firstRow, group.chunkFrom]).toEqual([end, row, chunk]);
          end = group.end;
          row += group.rows;
          chunk += (groups[index] as number[]).length;
        }
        expect([row, chunk]).toEqual([from, groups.flat().length]);
      }),
      { numRuns: 40 },
    );
  });

  it("of one row each", async () => {
    const chunks = Array.from({ length: 20 }, (_, id) => [chunkOf(id, 1)]);
    expectSame(await decodeSegment(await encodeSegment(columns, chunks)), chunks.flat());
  });

  it("of nothing but NULL", async () => {
    const chunk = rawRows(3, [[null, null, null]]);
    const many = rawRows(
      3,
      Array.from({ length: 100 }, () => [null, null, null]),
    );
    expectSame(await decodeSegment(await encodeSegment(columns, [[chunk, many], [many]])), [
      chunk,
      many,
      many,
    ]);
  });

  it("give the exceptions of each chunk the row within that chunk", async () => {
    const time = [columnOf("t", "timestamptz")];
    const infinite = int64(2n ** 63n - 1n);
    const one = rawRows(1, [[int64(0n)], [infinite]]);
    const two = rawRows(1, [[infinite], [null], [int64(1n)]]);
    const segment = await encodeSegment(time, [[one, two], [two]]);
    expect(segment.manifest.chunks.map((chunk) => chunk.exceptions.map(({ row }) => row))).toEqual([
      [1],
      [0],
      [0],
    ]);
    expectSame(await decodeSegment(segment), [one, two, two]);
  });
});

describe("pages", () => {
  it("of more than 1 MiB, and several in a column chunk", async () => {
    const wide = [columnOf("id", "int4"), columnOf("body", "bytea")];
    const noise = (seed: number, length: number): Uint8Array => {
      let state = seed;
      return new Uint8Array(length).map(() => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return state >>> 16;
      });
    };
    const chunk = rawRows(2, [
      [int32(1), noise(1, 1_500_000)],
      [int32(2), null],
      [int32(3), noise(2, 1_048_576)],
      ...Array.from({ length: 40 }, (_, at) => [int32(at), noise(at, 60_000)]),
      [int32(4), bytesOf()],
    ]);
    const segment = await encodeSegment(wide, [[chunk], [chunk]]);
    const [group] = parquetMetadata(segment.bytes.slice().buffer).row_groups;
    const pages = group?.columns[1]?.meta_data?.encoding_stats?.find(
      (one) => one.page_type === "DATA_PAGE_V2",
    );
    expect(pages?.count).toBeGreaterThan(3);
    expectSame(await decodeSegment(segment), [chunk, chunk]);
  });

  it("of one long run and of a dictionary of one value", async () => {
    const same = rawRows(
      3,
      Array.from({ length: 5_000 }, () => [int64(1n), utf8("the same"), null]),
    );
    expectSame(await decodeSegment(await encodeSegment(columns, [[same]])), [same]);
  });

  it("of a dictionary that needs more than eight bits", async () => {
    const chunk = rawRows(
      3,
      Array.from({ length: 3_000 }, (_, row) => [int64(1n), utf8(`value number ${(row * 7) % 700}`), null]),
    );
    const segment = await encodeSegment(columns, [[chunk]]);
    const [group] = parquetMetadata(segment.bytes.slice().buffer).row_groups;
    expect(group?.columns[1]?.meta_data?.encodings).toContain("RLE_DICTIONARY");
    expectSame(await decodeSegment(segment), [chunk]);
  });
});

describe("the footer", () => {
  it("is read a second time when it is longer than the tail that is fetched first", async () => {
    const many = Array.from({ length: 400 }, (_, at) => columnOf(`column number ${at}`, "int4"));
    const chunk = rawRows(many.length, [many.map((_, at) => int32(at)), many.map(() => null)]);
    const segment = await encodeSegment(many, [[chunk], [chunk], [chunk]]);
    const reads: number[] = [];
    await readLayout(segment.manifest, async ({ start, end }) => {
      reads.push(end - start);
      return segment.bytes.slice(start, end);
    });
    expect(reads).toHaveLength(2);
    expect(reads[1]).toBeGreaterThan(reads[0] as number);
    expectSame(await decodeSegment(segment), [chunk, chunk, chunk]);
  });

  it("carries names that mean something elsewhere", async () => {
    const names = [
      "\uFEFFa", // from a CSV file's header
      "a.b",
      "a",
      "A",
      "q\"uo'te",
      "__proto__",
      "constructor",
      "root",
      "list",
      " ",
      "\n",
      "日本",
    ];
    const odd = names.map((name) => columnOf(name, "text"));
    const chunk = rawRows(odd.length, [names.map(utf8), names.map(() => null), names.map(utf8)]);
    const segment = await encodeSegment(odd, [[chunk]]);
    expectSame(await decodeSegment(segment), [chunk]);
    const metadata = parquetMetadata(segment.bytes.slice().buffer);
    const [, ...found] = metadata.schema.map((element) => element.name);
    expect(found).toEqual(["a", ...names.slice(1)]); // hyparquet drops the mark; the file has it
    expect(metadata.key_value_metadata).toEqual([{ key: "firnline.segment", value: "test" }]);
  });
});

describe("the bounds in the footer", () => {
  /** The raw bytes of the bounds, not hyparquet's idea of them. */
  const parsers = { stringFromBytes: (bytes: Uint8Array) => bytes.slice() } as never;

  const longText = fc.oneof(
    fc.uint8Array({ maxLength: 90 }),
    fc.integer({ min: 0, max: 120 }).map((length) => new Uint8Array(length).fill(0xff)),
    fc.integer({ min: 0, max: 40 }).map((length) => utf8("\u{10FFFF}".repeat(length))),
    fc.string({ unit: "binary", maxLength: 40 }).map(utf8),
    fc
      .array(fc.constantFrom("\u{10FFFF}", "\u007F", "\u07FF", "\uFFFF"), { maxLength: 30 })
      .map((parts) => utf8(parts.join(""))),
  );

  it.each(["text", "bytea"] as const)(
    "hold every value of a %s column: no engine skips a row",
    async (kind) => {
      await fc.assert(
        fc.asyncProperty(fc.array(longText, { minLength: 1, maxLength: 6 }), async (fields) => {
          const chunk = rawRows(
            1,
            fields.map((field) => [field]),
          );
          const { bytes } = await encodeSegment([columnOf("v", kind)], [[chunk]]);
          const [group] = parquetMetadata(bytes.slice().buffer, { parsers }).row_groups;
          const { min_value: min, max_value: max } = group?.columns[0]?.meta_data?.statistics ?? {};
          for (const field of fields) {
            if (min !== undefined)
              expect(Buffer.compare(min as unknown as Uint8Array, field)).toBeLessThanOrEqual(0);
            if (max !== undefined)
              expect(Buffer.compare(max as unknown as Uint8Array, field)).toBeGreaterThanOrEqual(0);
          }
        }),
        { numRuns: 150 },
      );
    },
  );
});
