/** What a reader leaves out by a segment's index, and that it reads nothing else. That it loses nothing: `read-back.test.ts`. */
import { parquetMetadata, type RowGroup } from "hyparquet";
import { ByteWriter } from "hyparquet-writer";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import { beforeAll, describe, expect, it } from "vitest";
import {
  chunksThatMayHold,
  type ColumnEntry,
  readIndex,
  type SegmentIndex,
} from "../../../src/parquet/read-index.ts";
import { decodeSelected, selectedRanges } from "../../../src/parquet/read-pages.ts";
import type { ByteRange, RowGroupLayout, SegmentLayout } from "../../../src/parquet/read-segment.ts";
import type { RawRows } from "../../../src/rows/copy-binary.ts";
import { encodeNumeric } from "../../../src/rows/numeric.ts";
import { bytesOf, int64, joined, rawRows } from "../../support/copy-stream.ts";
import { newHyparquetEncoder } from "../../support/hyparquet-encoder.ts";
import { columnOf, encodeSegment, layoutOf, type SegmentBytes } from "../../support/segment-bytes.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const INFINITY = int64(2n ** 63n - 1n);

const columns = [
  columnOf("id", "int8"),
  columnOf("actor", "uuid"),
  columnOf("kind", "text"),
  columnOf("until", "timestamptz"),
  columnOf("note", "text"),
  columnOf("price", "numeric"),
  columnOf("body", "jsonb"),
];
const names = columns.map(({ name }) => name);
const [ROWS, CHUNKS] = [100, 4];

/** An actor of its own every row, the numbers of which are spread over all chunks. */
const actorOf = (id: number): Uint8Array => {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, Math.imul(id + 1, 0x9e37_79b1));
  return bytes;
};

function chunkOf(number: number): RawRows {
  return rawRows(
    columns.length,
    Array.from({ length: ROWS }, (_, at) => {
      const id = number * ROWS + at;
      return [
        int64(BigInt(id)),
        actorOf(id),
        utf8(`kind ${(number % 2) * 10 + (at % 3)}`),
        number === 2 && at === 7 ? INFINITY : int64(BigInt(id)),
        number === 3 && at === 5 ? utf8("noted") : null,
        encodeNumeric({ unscaled: BigInt(id), scale: 0 }),
        utf8(`\u0001{"id": ${id}, "text": "${"long ".repeat(30)}"}`),
      ];
    }),
  );
}

let segment: SegmentBytes;
let layout: SegmentLayout;
let index: SegmentIndex;

const opened = async (one: SegmentBytes): Promise<void> => {
  segment = one;
  layout = await layoutOf(one);
  index = readIndex(one.manifest, layout, one.bytes.slice(Number(one.manifest.index?.start)));
};

const chunks = Array.from({ length: CHUNKS }, (_, number) => chunkOf(number));
beforeAll(
  async () => await opened(await encodeSegment(columns, [chunks], { bloomFilters: ["actor", "body"] })),
);

const holding = (name: string, field: Uint8Array | null): number[] =>
  chunksThatMayHold(segment.manifest, layout, index, 0, names.indexOf(name), field);

describe("the chunks that may hold", () => {
  it("a number are those within whose bounds it is", () => {
    expect(holding("id", int64(0n))).toEqual([0]);
    expect(holding("id", int64(299n))).toEqual([2]);
    expect(holding("id", int64(-1n))).toEqual([]);
    expect(holding("id", int64(400n))).toEqual([]);
  });

  it("a value of a column with a bloom filter are none when it is nowhere", () => {
    expect(holding("actor", actorOf(250))).toContain(2);
    const absent = Array.from({ length: 200 }, (_, at) => holding("actor", actorOf(10_000 + at)));
    expect(absent.filter((found) => found.length > 0).length).toBeLessThan(20);
    expect(holding("body", utf8(`\u0001{"id": 7, "text": "${"long ".repeat(29)}"}`))).toEqual([]);
  });

  it("a text are those whose dictionary is near it", () => {
    expect(holding("kind", utf8("kind 1"))).toEqual([0, 2]);
    expect(holding("kind", utf8("kind 11"))).toEqual([0, 1, 2, 3]);
    expect(holding("kind", utf8("kind 9"))).toEqual([]);
    expect(holding("kind", utf8(""))).toEqual([]);
  });

  it("an exception are those that have it in the manifest", () => {
    expect(segment.manifest.chunks[2]?.exceptions).toHaveLength(1);
    expect(holding("until", INFINITY)).toEqual([2]);
    expect(holding("id", INFINITY)).toEqual([]); // the same bytes, another column
    expect(holding("until", int64(5n))).toEqual([0]);
  });

  it("NULL, or what is not NULL, are not those that have only the other", () => {
    expect(holding("note", null)).toEqual([0, 1, 2, 3]);
    expect(holding("note", utf8("noted"))).toEqual([3]);
    expect(holding("id", null)).toEqual([]);
    // The exception is a null of the file, and no NULL of the table: nobody can tell from here.
    expect(holding("until", null)).toEqual([2]);
  });

  it("a numeric are all: one value has many forms", () => {
    expect(holding("price", encodeNumeric({ unscaled: 50_000n, scale: 1 }))).toEqual([0, 1, 2, 3]);
  });

  it("a field that the kind does not have are all", () => {
    expect(holding("id", bytesOf(1))).toEqual([0, 1, 2, 3]);
    expect(holding("body", bytesOf(2, 3))).toEqual([0, 1, 2, 3]);
  });
});

describe("a selection", () => {
  const selection = { group: 0, chunks: [1, 3], columns: [0, 2] };

  it("is read from its pages and dictionaries alone", () => {
    const ranges = selectedRanges(segment.manifest, layout, index, selection);
    const read = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    const [group] = layout.rowGroups as [RowGroupLayout];
    expect(read).toBeLessThan((group.end - group.start) / 10);
    const pieces = ranges.map(({ start, end }) => ({ start, bytes: segment.bytes.slice(start, end) }));
    const parts = decodeSelected(segment.manifest, layout, index, selection, pieces);
    expect(parts.map(({ chunk, rows }) => [chunk, rows])).toEqual([
      [1, ROWS],
      [3, ROWS],
    ]);
    for (const { chunk, columns: raw } of parts) {
      expect(raw).toEqual(chunks[chunk]?.columns.map((column, at) => (at === 0 || at === 2 ? column : null)));
    }
  });

  it("asks for pages that touch in one range", () => {
    const all = { group: 0, chunks: [0, 1, 2, 3], columns: [...columns.keys()] };
    const [group] = layout.rowGroups as [RowGroupLayout];
    expect(selectedRanges(segment.manifest, layout, index, all)).toEqual([
      { start: group.start, end: group.end },
    ]);
  });

  it("is refused when its bytes are not there, or are others", () => {
    const decode = (pieces: { start: number; bytes: Uint8Array }[]) => () =>
      decodeSelected(segment.manifest, layout, index, selection, pieces);
    expect(decode([])).toThrow(/^E_FORMAT .* were not read/);
    expect(decode([{ start: 0, bytes: new Uint8Array(segment.bytes.length) }])).toThrow(/^E_FORMAT /);
    const moved = [{ start: 1, bytes: segment.bytes.slice(0, -1) }];
    expect(decode(moved)).toThrow(/^E_FORMAT /);
  });

  it("takes whole columns where pages do not end with chunks, and finds the chunks in them", async () => {
    const ours = { segment, layout, index };
    await opened(await encodeSegment(columns, [chunks], { newEncoder: newHyparquetEncoder }));
    try {
      const ranges = selectedRanges(segment.manifest, layout, index, selection);
      const [group] = layout.rowGroups as [RowGroupLayout];
      expect(ranges).toEqual([group.columns[0], group.columns[2]]);
      const pieces = [{ start: 0, bytes: segment.bytes }];
      const parts = decodeSelected(segment.manifest, layout, index, selection, pieces);
      expect(parts.map(({ columns: raw }) => raw[2])).toEqual(
        [1, 3].map((chunk) => chunks[chunk]?.columns[2]),
      );
    } finally {
      ({ segment, layout, index } = ours);
    }
  });
});

/** The tail with another footer, which hyparquet-writer makes of the old one and the change. Its statistics are gone. */
function withFooter(change: (group: RowGroup) => void): Uint8Array {
  const tail = segment.bytes.slice(Number(segment.manifest.index?.start));
  const metadata = parquetMetadata(tail);
  for (const { meta_data: column } of metadata.row_groups.flatMap(({ columns: all }) => all))
    delete column?.statistics;
  change(metadata.row_groups[0] as RowGroup);
  const footer = new ByteWriter();
  writeMetadata(footer, metadata);
  footer.appendUint32(0x31524150);
  return joined([tail.slice(0, tail.length - 8 - metadata.metadata_length), footer.getBytes()]);
}

/** The index in that tail, of an object that is as long as it has to be. */
function indexWith(change: (group: RowGroup) => void): SegmentIndex {
  const tail = withFooter(change);
  const bytes = (Number(segment.manifest.index?.start) + tail.length).toString();
  const { manifest } = segment;
  return readIndex({ ...manifest, object: { ...manifest.object, bytes } }, layout, tail);
}

describe("the footer of an index", () => {
  it("may lack statistics", () => {
    const [entry] = indexWith(() => {}).rowGroups[0] as readonly ColumnEntry[];
    expect(entry).toMatchObject({ min: null, max: null, nulls: null, isMinExact: false, isSorted: false });
    expect(entry?.pages).toEqual(index.rowGroups[0]?.[0]?.pages);
  });

  it("may say that rows are sorted by one column, upwards, and nothing more: nobody would prove it", () => {
    const by = (column: number, descending = false) => ({
      column_idx: column,
      descending,
      nulls_first: false,
    });
    const sorted = indexWith((group) => (group.sorting_columns = [by(1)]));
    expect(sorted.rowGroups[0]?.map(({ isSorted }) => isSorted)).toEqual(names.map((_, at) => at === 1));
    for (const sorting of [[by(0), by(1)], [by(0, true)]]) {
      expect(() => indexWith((group) => (group.sorting_columns = sorting))).toThrow(
        /row group 0 is sorted by more than a column, or downwards/,
      );
    }
  });

  it("may say of an index where it is, within the tail", () => {
    const moveColumnIndex = (offset: bigint) => (group: RowGroup) => {
      for (const column of group.columns) column.column_index_offset = offset;
    };
    const start = BigInt(segment.manifest.index?.start ?? "0");
    for (const offset of [0n, start - 1n, start + 100_000n]) {
      expect(() => indexWith(moveColumnIndex(offset))).toThrow(/an index at \d+/);
    }
    expect(() => indexWith(moveColumnIndex(start + 1n))).toThrow(/^E_FORMAT /);
    const otherColumns = (group: RowGroup): void => void group.columns.pop();
    expect(() => indexWith(otherColumns)).toThrow(/row group 0 has other columns/);
  });
});

describe("the index", () => {
  it("is plain data that goes to another thread", () => {
    expect(structuredClone(index)).toEqual(index);
    // Its bytes are copies: they do not hold on to the tail.
    const entry = index.rowGroups[0]?.[0] as ColumnEntry;
    expect((entry.min as Uint8Array).buffer.byteLength).toBe(8);
  });

  it("is refused when it is of another object", () => {
    const { manifest, bytes } = segment;
    const tail = bytes.slice(Number(manifest.index?.start));
    const grown = { ...manifest, object: { ...manifest.object, bytes: (bytes.length + 1).toString() } };
    expect(() => readIndex(grown, layout, tail)).toThrow(/^E_FORMAT .*its index cannot be read/);
    expect(() => readIndex(manifest, layout, tail.slice(-8))).toThrow(/^E_FORMAT .*its index cannot be read/);
    expect(() => readIndex(manifest, layout, tail.slice(200))).toThrow(/an index at \d+/);
    expect(() => readIndex(manifest, layout, new Uint8Array(0))).toThrow(/^E_FORMAT /);
    const [group] = layout.rowGroups as [RowGroupLayout];
    expect(() => readIndex(manifest, { rowGroups: [group, group] }, tail)).toThrow(/it has 1 row groups/);
    const [first, ...others] = group.columns as [ByteRange, ...ByteRange[]];
    const later = { ...group, columns: [{ ...first, start: first.start + 1 }, ...others] };
    expect(() => readIndex(manifest, { rowGroups: [later] }, tail)).toThrow(/page 0 of column 0 lies at/);
    const longer = { ...group, columns: [{ ...first, end: first.end + 1 }, ...others] };
    expect(() => readIndex(manifest, { rowGroups: [longer] }, tail)).toThrow(/page 3 of column 0 lies at/);
    const fewer = { ...group, columns: others };
    expect(() => readIndex(manifest, { rowGroups: [fewer] }, tail)).toThrow(/row group 0 has other columns/);
    expect(() => readIndex(manifest, { rowGroups: [{ ...group, rows: 250 }] }, tail)).toThrow(
      /page 3 of column 0/,
    );
  });
});
