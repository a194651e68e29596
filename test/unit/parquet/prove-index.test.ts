/** What the seal finds: an index that says one thing wrongly about the pages, whatever that is (I8). */
import { beforeAll, describe, expect, it } from "vitest";
import { proveRowGroup } from "../../../src/parquet/prove-index.ts";
import {
  type ColumnEntry,
  type PageEntry,
  readIndex,
  type SegmentIndex,
} from "../../../src/parquet/read-index.ts";
import type { RowGroupLayout, SegmentLayout } from "../../../src/parquet/read-segment.ts";
import { encodeNumeric } from "../../../src/rows/numeric.ts";
import { bytesOf, type FieldBytes, int32, int64, rawRows } from "../../support/copy-stream.ts";
import { columnOf, encodeSegment, layoutOf, type SegmentBytes } from "../../support/segment-bytes.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const float8 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
};

const columns = [
  columnOf("id", "int8"),
  columnOf("day", "date"),
  columnOf("name", "text"), // three values, which take the dictionary's way
  columnOf("body", "jsonb"),
  columnOf("actor", "uuid"),
  columnOf("amount", "decimal", [30, 2]),
  columnOf("small", "decimal", [6, 2]),
  columnOf("ratio", "float8"),
  columnOf("flag", "bool"),
  columnOf("rare", "int4"), // null in every chunk but the second
  columnOf("number", "numeric"),
  columnOf("at", "timestamptz"),
  columnOf("nan", "float8"), // one in the second chunk
];
const names = columns.map(({ name }) => name);
const bloomFilters = ["id", "name", "body", "actor", "rare"];

function chunkOf(number: number): ReturnType<typeof rawRows> {
  const row = (at: number): FieldBytes[] => {
    const id = number * 40 + at;
    return [
      int64(BigInt(id)),
      int32(id - 30),
      utf8(["alpha", "beta", "ガンマ"][id % 3] as string),
      utf8(`\u0001{"id": ${id * 7}, "what": "${"long ".repeat(20)}"}`),
      new Uint8Array(16).fill((id * 37) % 256),
      encodeNumeric({ unscaled: (BigInt(id) - 60n) * 10n ** 20n, scale: 2 }),
      encodeNumeric({ unscaled: BigInt(id) - 60n, scale: 2 }),
      float8(id / 3 - 20),
      bytesOf(id % 2),
      number === 1 && at % 2 === 0 ? int32(id) : null,
      encodeNumeric({ unscaled: BigInt(id), scale: 1 }),
      int64(BigInt(id) * 1_000_000n),
      float8(number === 1 && at === 20 ? Number.NaN : id),
    ];
  };
  return rawRows(
    columns.length,
    Array.from({ length: 40 }, (_, at) => row(at)),
  );
}

let segment: SegmentBytes;
let layout: SegmentLayout;
let index: SegmentIndex;

beforeAll(async () => {
  segment = await encodeSegment(columns, [[chunkOf(0), chunkOf(1), chunkOf(2)], [chunkOf(3)]], {
    bloomFilters,
  });
  layout = await layoutOf(segment);
  index = readIndex(segment.manifest, layout, segment.bytes.slice(Number(segment.manifest.index?.start)));
});

/** What the proof says of the first row group once the entry of one column is another one. */
async function problemOf(name: string, change: (entry: ColumnEntry) => ColumnEntry): Promise<string | null> {
  const column = names.indexOf(name);
  const [first, ...rest] = index.rowGroups as [readonly ColumnEntry[], ...ColumnEntry[][]];
  const rowGroups = [first.map((entry, at) => (at === column ? change(entry) : entry)), ...rest];
  const { start, end } = layout.rowGroups[0] as RowGroupLayout;
  const bytes = segment.bytes.slice(start, end);
  return (await proveRowGroup(segment.manifest, layout, { rowGroups }, 0, bytes)).problem;
}

/** The entry with one of its pages changed. */
const withPage =
  (number: number, change: (page: PageEntry) => Partial<PageEntry>) =>
  (entry: ColumnEntry): ColumnEntry => ({
    ...entry,
    pages: entry.pages.map((page, at) => (at === number ? { ...page, ...change(page) } : page)),
  });

/** The next value up or down, of a number in little-endian order; for others it is the first byte that is changed. */
function moved(bound: Uint8Array | null, by: number, isLittleEndian: boolean): Uint8Array {
  const bytes = (bound as Uint8Array).slice();
  let carry = by;
  const places = [...bytes.keys()];
  for (const at of isLittleEndian ? places : places.toReversed()) {
    const sum = (bytes[at] as number) + carry;
    bytes[at] = sum;
    carry = sum > 255 ? 1 : sum < 0 ? -1 : 0;
  }
  return bytes;
}

describe("the index of a segment as it was written", () => {
  it("is right, and has what the cases below take away", async () => {
    for (const [group, { start, end }] of layout.rowGroups.entries()) {
      const bytes = segment.bytes.slice(start, end);
      const { problem, chunks } = await proveRowGroup(segment.manifest, layout, index, group, bytes);
      expect(problem).toBeNull();
      expect(chunks).toEqual(group === 0 ? [0, 1, 2].map(chunkOf) : [chunkOf(3)]);
    }
    for (const [at, entry] of (index.rowGroups[0] as readonly ColumnEntry[]).entries()) {
      const name = names[at] as string;
      expect([name, entry.pages.length]).toEqual([name, 3]);
      expect([name, entry.bloomFilter !== null]).toEqual([name, bloomFilters.includes(name)]);
      expect([name, entry.min !== null, entry.max !== null, entry.nulls]).toEqual([
        name,
        name !== "nan",
        name !== "nan",
        name === "rare" ? 100 : 0,
      ]);
    }
    const of = (name: string): ColumnEntry => index.rowGroups[0]?.[names.indexOf(name)] as ColumnEntry;
    expect(of("name").dictionary).not.toBeNull();
    expect(of("rare").pages.map(({ isEmpty }) => isEmpty)).toEqual([true, false, true]);
    expect([of("id").order, of("actor").order]).toEqual(["ascending", "unordered"]);
    expect(names.filter((name) => of(name).isSorted)).toEqual(["day"]);
  });
});

const littleEndian = ["id", "day", "small", "rare", "at"];
const bounded = ["id", "day", "name", "body", "actor", "amount", "small", "flag", "rare", "number", "at"];

describe("an index", () => {
  it.each(bounded)("with a bound of %s that leaves one value out is wrong", async (name) => {
    const isLittle = littleEndian.includes(name);
    const step = 1;
    const page = 1;
    expect(await problemOf(name, (entry) => ({ ...entry, min: moved(entry.min, step, isLittle) }))).toMatch(
      /out of bounds|lowest/,
    );
    expect(
      await problemOf(
        name,
        withPage(page, ({ min }) => ({ min: moved(min, step, isLittle) })),
      ),
    ).toMatch(/a value of page 1 is out of that page's bounds/);
    if (name === "body") return; // its highest bound was rounded up
    expect(await problemOf(name, (entry) => ({ ...entry, max: moved(entry.max, -step, isLittle) }))).toMatch(
      /out of bounds/,
    );
    expect(
      await problemOf(
        name,
        withPage(page, ({ max }) => ({ max: moved(max, -step, isLittle) })),
      ),
    ).toMatch(/a value of page 1 is out of that page's bounds/);
  });

  it("with a bound of another length than its type's is wrong", async () => {
    for (const name of ["id", "day", "amount", "ratio", "flag"]) {
      expect(await problemOf(name, (entry) => ({ ...entry, min: new Uint8Array(3) }))).toMatch(
        /out of bounds/,
      );
    }
  });

  it("with bounds that floats are not within is wrong", async () => {
    const low = (value: number): Uint8Array => float8(value).reverse();
    expect(await problemOf("ratio", (entry) => ({ ...entry, max: low(1), isMaxExact: false }))).toMatch(
      /out of bounds/,
    );
    expect(await problemOf("ratio", (entry) => ({ ...entry, max: low(Number.NaN) }))).toMatch(
      /out of bounds/,
    );
    expect(await problemOf("ratio", (entry) => ({ ...entry, max: low(1e9), isMaxExact: false }))).toBeNull();
  });

  it("with bounds of a page that has a NaN, which is above all numbers, is wrong", async () => {
    const [min, max] = [float8(-1e9).reverse(), float8(1e9).reverse()];
    expect(await problemOf("nan", (entry) => ({ ...entry, min, max }))).toMatch(
      /page 1 has a NaN, and bounds/,
    );
    expect(
      await problemOf(
        "nan",
        withPage(1, () => ({ max })),
      ),
    ).toMatch(/page 1 has a NaN, and bounds/);
    expect(
      await problemOf(
        "nan",
        withPage(0, () => ({ min, max })),
      ),
    ).toBeNull();
  });

  it("with a bound that is said to be a value, and is none, is wrong", async () => {
    const wide = (entry: ColumnEntry): ColumnEntry => ({ ...entry, min: moved(entry.min, -1, true) });
    expect(await problemOf("day", wide)).toMatch(/lowest value is another/);
    expect(await problemOf("day", (entry) => ({ ...wide(entry), isMinExact: false }))).toBeNull();
    const high = (entry: ColumnEntry): ColumnEntry => ({ ...entry, max: moved(entry.max, 1, true) });
    expect(await problemOf("day", high)).toMatch(/highest value is another/);
    expect(await problemOf("day", (entry) => ({ ...high(entry), isMaxExact: false }))).toBeNull();
  });

  it.each(["id", "name", "rare"])("with another number of nulls of %s is wrong", async (name) => {
    expect(await problemOf(name, (entry) => ({ ...entry, nulls: (entry.nulls as number) + 1 }))).toMatch(
      /there are \d+ nulls, not \d+/,
    );
    expect(
      await problemOf(
        name,
        withPage(1, ({ nulls }) => ({ nulls: (nulls as number) + 1 })),
      ),
    ).toMatch(/page 1 has \d+ nulls, not \d+/);
  });

  it("that calls a page empty which has values is wrong", async () => {
    expect(
      await problemOf(
        "rare",
        withPage(1, () => ({ isEmpty: true })),
      ),
    ).toMatch(/page 1 is not empty/);
  });

  it("with a page that lies elsewhere, or begins with another row, is wrong", async () => {
    for (const change of [
      ({ start }: PageEntry) => ({ start: start + 1 }),
      ({ end }: PageEntry) => ({ end: end - 1 }),
      ({ firstRow, rows }: PageEntry) => ({ firstRow: firstRow + 1, rows: rows - 1 }),
      ({ rows }: PageEntry) => ({ rows: rows + 1 }),
    ]) {
      expect(await problemOf("body", withPage(1, change))).toMatch(/page 1 lies elsewhere/);
      expect(await problemOf("name", withPage(1, change))).toMatch(/page 1 lies elsewhere/);
    }
  });

  it("with a page too few or too many is wrong", async () => {
    const fewer = (entry: ColumnEntry): ColumnEntry => ({ ...entry, pages: entry.pages.slice(0, 2) });
    expect(await problemOf("id", fewer)).toMatch(/there are 3 pages, not 2/);
    const more = (entry: ColumnEntry): ColumnEntry => ({ ...entry, pages: [...entry.pages, ...entry.pages] });
    expect(await problemOf("id", more)).toMatch(/there are 3 pages, not 6/);
  });

  it("that says of its bounds that they go up or down, and they do not, is wrong", async () => {
    const order = (to: ColumnEntry["order"]) => (entry: ColumnEntry) => ({ ...entry, order: to });
    expect(await problemOf("id", order("descending"))).toMatch(/its pages are not descending/);
    expect(await problemOf("actor", order("ascending"))).toMatch(/its pages are not ascending/);
    expect(await problemOf("id", order("unordered"))).toBeNull();
  });

  it("that calls rows sorted which are not is wrong", async () => {
    const sorted = (entry: ColumnEntry): ColumnEntry => ({ ...entry, isSorted: true });
    expect(await problemOf("actor", sorted)).toMatch(/is not sorted/);
    expect(await problemOf("name", sorted)).toMatch(/is not sorted/);
    expect(await problemOf("rare", sorted)).toMatch(/has nulls, and is not sorted/);
    expect(await problemOf("id", sorted)).toBeNull();
  });

  it.each(bloomFilters)("with a bloom filter of %s that lacks a bit is wrong", async (name) => {
    const filter = index.rowGroups[0]?.[names.indexOf(name)]?.bloomFilter as Uint8Array;
    let set = 0;
    for (let bit = 0; bit < filter.length * 8; bit += 1) {
      const mask = 1 << (bit % 8);
      if (((filter[bit >> 3] as number) & mask) === 0) continue;
      set += 1;
      if (set % 7 !== 1) continue;
      const bloomFilter = filter.slice();
      bloomFilter[bit >> 3] = (filter[bit >> 3] as number) ^ mask;
      expect(await problemOf(name, (entry) => ({ ...entry, bloomFilter }))).toMatch(
        /a value is missing from the bloom filter/,
      );
    }
    expect(set).toBeGreaterThan(20);
  });

  it("names the row group and the column", async () => {
    expect(await problemOf("day", (entry) => ({ ...entry, nulls: 9 }))).toBe(
      "the index of column day is wrong in the row group from row 0 on: there are 0 nulls, not 9",
    );
  });
});
