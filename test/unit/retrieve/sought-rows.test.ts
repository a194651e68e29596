/**
 * A filter is answered from few bytes: by index, bloom filter and the filter's own column. Nothing is left out on account of
 * bytes that are not what was sealed (I8).
 */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";

import type { RawRows } from "../../../src/rows/copy-binary.ts";
import type { Column } from "../../../src/rows/column.ts";
import { parseDay, type DayUtc } from "../../../src/rows/day.ts";
import { readArchived, type Wanted } from "../../../src/retrieve/archived-rows.ts";
import type { PreparedFilter } from "../../../src/retrieve/filters.ts";
import { IndexedRows } from "../../../src/retrieve/indexed-rows.ts";
import { uniteColumns, type UnitedColumns } from "../../../src/retrieve/united-columns.ts";
import { type Manifest, manifestRoot, type PinnedFilter } from "../../../src/segment/manifest.ts";
import { bytesEqual, toHex } from "../../../src/rows/hex.ts";
import { type FieldBytes, rawRows } from "../../support/copy-stream.ts";
import {
  SealedArchive,
  type SealedSegment,
  newHash,
  sealSegment,
  withManifest,
} from "../../support/sealed-segments.ts";
import { column, int4, int8, utf8 } from "./value-fields.ts";

const DAY = "2026-01-03";
const FIRST = BigInt(parseDay(DAY) - 10_957) * 86_400_000_000n;
const COLUMNS = [
  column("id", "int8"),
  column("ts", "timestamptz"),
  column("actor", "uuid"),
  column("n", "int4"),
  column("message", "text"),
];
const TABLE = { table: { schema: "public", name: "t", oid: "1" }, timeColumn: 1, keyColumns: [0] };

const uuidOf = (n: number): Uint8Array => createHash("md5").update(String(n)).digest();

/** Rows `from..to`, one a second; the actor of row n is `n % actors`. */
function rowsOf(from: number, to: number, actors: number): RawRows {
  const fields = Array.from({ length: to - from }, (_, at): FieldBytes[] => {
    const n = from + at;
    const message = `message number ${n} ${toHex(uuidOf(n))} ${toHex(uuidOf(-n))}`;
    return [
      int8(BigInt(n)),
      int8(FIRST + BigInt(n) * 1_000_000n),
      n % 97 === 0 ? null : uuidOf(n % actors),
      int4(n),
      utf8(message),
    ];
  });
  return rawRows(COLUMNS.length, fields);
}

const unitedOf = (current: readonly Column[], archived: readonly Column[] = COLUMNS): UnitedColumns =>
  uniteColumns({ ...TABLE, columns: [...current] }, true, [
    { columns: [...archived], time: "ts", key: ["id"], examples: [], segments: 1, isCurrent: false },
  ]);

/** As `filters.ts` prepares one whose equality is that of bytes. */
function equals(united: UnitedColumns, name: string, field: Uint8Array, isBytes = true): PreparedFilter {
  const at = united.columns.findIndex((one) => one.name === name);
  return {
    column: at,
    field: isBytes ? field : null,
    matches: (rows, row) => !rows.isNull(at, row) && bytesEqual(rows.field(at, row), field),
  };
}

const allOf = (filters: readonly PreparedFilter[]): Wanted => ({
  days: { dayFrom: parseDay(DAY), dayTo: (parseDay(DAY) + 400) as DayUtc },
  times: { from: -(2n ** 62n), to: 2n ** 62n },
  filters,
});

/** The ids of all rows that the filters take, read with them or, to compare with, without. */
async function idsOf(
  archive: SealedArchive,
  { segment, manifest }: SealedSegment,
  united: UnitedColumns,
  filters: readonly PreparedFilter[],
  pruned = true,
): Promise<bigint[]> {
  const wanted = pruned ? allOf(filters) : null;
  const ids: bigint[] = [];
  for (const part of await readArchived(archive.reader(), manifest, segment, united, wanted)) {
    for await (const raw of part) {
      const rows = new IndexedRows(raw);
      for (let row = 0; row < rows.count; row += 1) {
        if (!filters.every((filter) => filter.matches(rows, row))) continue;
        const id = rows.field(0, row);
        ids.push(new DataView(id.buffer, id.byteOffset, 8).getBigInt64(0));
      }
    }
  }
  return ids;
}

type PinnedIndex = NonNullable<Manifest["index"]>;
type Apart = NonNullable<PinnedIndex["apart"]>;

/** As an earlier version sealed it. */
function withoutParts({ manifest, object }: SealedSegment): SealedSegment {
  const { start, sha256 } = manifest.index as PinnedIndex;
  return withManifest({ ...manifest, index: { start, sha256 } }, object);
}

/** Two row groups of four chunks of 500 rows, of 1500 actors. */
let sealed: SealedSegment;
const united = unitedOf(COLUMNS);

beforeAll(async () => {
  const chunks = Array.from({ length: 8 }, (_, at) => rowsOf(at * 500, (at + 1) * 500, 1500));
  sealed = await sealSegment({
    name: "sealed",
    day: DAY,
    columns: COLUMNS,
    rowGroups: [chunks.slice(0, 4), chunks.slice(4)],
    bloomFilters: ["actor"],
  });
});

describe("a filter", () => {
  it("finds the rows that a reading of all finds, from fewer bytes", async () => {
    const filters = [equals(united, "actor", uuidOf(1234))];
    const [some, all] = [new SealedArchive([sealed]), new SealedArchive([sealed])];
    expect(await idsOf(some, sealed, united, filters)).toEqual([1234n, 2734n]);
    expect(await idsOf(all, sealed, united, filters, false)).toEqual([1234n, 2734n]);
    expect(some.bytesRead).toBeLessThan(all.bytesRead / 2);
  });

  it("on a value that is not there reads a part of each filter alone", async () => {
    const archive = new SealedArchive([sealed]);
    expect(await idsOf(archive, sealed, united, [equals(united, "actor", uuidOf(-1))])).toEqual([]);
    const { apart, start } = sealed.manifest.index as PinnedIndex;
    const filters = apart?.filters ?? [];
    expect(filters.map(({ rowGroup, column: at }) => [rowGroup, COLUMNS[at]?.name])).toEqual([
      [0, "actor"],
      [1, "actor"],
    ]);
    expect(archive.reads).toHaveLength(filters.length);
    for (const [at, { range }] of archive.reads.entries()) {
      const filter = filters[at] as PinnedFilter;
      expect(range.end - range.start).toBe(filter.partBytes);
      expect(range.start).toBeGreaterThanOrEqual(Number(filter.start));
      expect(range.end).toBeLessThanOrEqual(Number(filter.start) + filter.bytes);
    }
    expect(archive.bytesRead).toBeLessThan((sealed.object.length - Number(start)) / 3);
  });

  it("on a value that is in no row group of the wanted chunks reads no other filter", async () => {
    const archive = new SealedArchive([sealed]);
    const first = { ...sealed, segment: { ...sealed.segment, prunedChunks: [0, 1] } };
    expect(await idsOf(archive, first, united, [equals(united, "actor", uuidOf(-1))])).toEqual([]);
    expect(archive.reads).toHaveLength(1);
  });

  it("on a column without a filter reads the index apart from the filters, and finds what is there", async () => {
    const archive = new SealedArchive([sealed]);
    expect(await idsOf(archive, sealed, united, [equals(united, "n", int4(-5))])).toEqual([]);
    const { apart } = sealed.manifest.index as PinnedIndex;
    expect(archive.reads.map(({ range }) => range)).toEqual([
      { start: Number(apart?.start), end: sealed.object.length },
    ]);
    expect(await idsOf(archive, sealed, united, [equals(united, "n", int4(3210))])).toEqual([3210n]);
  });

  it("reads the tail of a manifest that binds no parts", async () => {
    const older = withoutParts(sealed);
    const archive = new SealedArchive([older]);
    expect(await idsOf(archive, older, united, [equals(united, "actor", uuidOf(-1))])).toEqual([]);
    expect(archive.reads.map(({ range }) => range)).toEqual([
      { start: Number(sealed.manifest.index?.start), end: sealed.object.length },
    ]);
    expect(await idsOf(archive, older, united, [equals(united, "actor", uuidOf(1234))])).toEqual([
      1234n,
      2734n,
    ]);
  });

  it("finds what stands in the manifest in the place of the file's value, and so is in no filter", async () => {
    const columns = [column("id", "int8"), column("ts", "timestamptz"), column("until", "timestamptz")];
    const infinity = int8(2n ** 63n - 1n);
    const fields = Array.from({ length: 1000 }, (_, n): FieldBytes[] => [
      int8(BigInt(n)),
      int8(FIRST + BigInt(n)),
      n === 777 ? infinity : int8(FIRST + BigInt(n)),
    ]);
    const chunks = [rawRows(3, fields.slice(0, 500)), rawRows(3, fields.slice(500))];
    const segment = await sealSegment({
      name: "exceptions",
      day: DAY,
      columns,
      rowGroups: [chunks],
      bloomFilters: ["until"],
    });
    const all = unitedOf(columns, columns);
    const archive = new SealedArchive([segment]);
    expect(await idsOf(archive, segment, all, [equals(all, "until", infinity)])).toEqual([777n]);
    expect(await idsOf(archive, segment, all, [equals(all, "until", int8(FIRST + 5n))])).toEqual([5n]);
    expect(await idsOf(archive, segment, all, [equals(all, "until", int8(FIRST - 5n))])).toEqual([]);
  });

  it("on a sorted column reads the one chunk whose bounds have the value", async () => {
    const archive = new SealedArchive([sealed]);
    expect(await idsOf(archive, sealed, united, [equals(united, "id", int8(3210n))])).toEqual([3210n]);
    const object = archive.reads.filter(({ range }) => range.start < Number(sealed.manifest.index?.start));
    const read = object.reduce((sum, { range }) => sum + range.end - range.start, 0);
    expect(read).toBeLessThan(sealed.object.length / 4);
  });

  it("on several columns takes rows that have all of the values", async () => {
    const both = (n: number, actor: number): readonly PreparedFilter[] => [
      equals(united, "actor", uuidOf(actor)),
      equals(united, "n", int4(n)),
    ];
    const archive = new SealedArchive([sealed]);
    expect(await idsOf(archive, sealed, united, both(2734, 1234))).toEqual([2734n]);
    expect(await idsOf(archive, sealed, united, both(2735, 1234))).toEqual([]);
  });

  it("whose equality is more than bytes is judged on all rows", async () => {
    const archive = new SealedArchive([sealed]);
    const filters = [equals(united, "actor", uuidOf(1234), false)];
    expect(await idsOf(archive, sealed, united, filters)).toEqual([1234n, 2734n]);
    expect(archive.bytesRead).toBeGreaterThan(sealed.object.length * 0.9);
  });

  it("in a wider type looks for the segment's own fields, and for nothing that they cannot hold", async () => {
    const wide = unitedOf(
      COLUMNS.map((one) => (one.name === "n" ? { ...one, ...column("n", "int8") } : one)),
    );
    const archive = new SealedArchive([sealed]);
    expect(await idsOf(archive, sealed, wide, [equals(wide, "n", int8(3999n))])).toEqual([3999n]);
    expect(archive.bytesRead).toBeLessThan(sealed.object.length / 2);
    const before = archive.reads.length;
    expect(await idsOf(archive, sealed, wide, [equals(wide, "n", int8(2n ** 31n))])).toEqual([]);
    expect(archive.reads).toHaveLength(before);
  });

  it("on a column that the segment does not have reads nothing of it: all are NULL", async () => {
    const more = unitedOf([...COLUMNS, column("added", "text")]);
    const archive = new SealedArchive([sealed]);
    expect(await idsOf(archive, sealed, more, [equals(more, "added", utf8("x"))])).toEqual([]);
    expect(archive.reads).toEqual([]);
  });

  it("finds the same rows with the index and without it, whatever the values and chunks", async () => {
    const value = fc.option(fc.constantFrom("", "a", "ab", "b", "\u0000", "z".repeat(100), "é"), {
      nil: null,
    });
    const rows = fc.array(fc.record({ text: value, n: fc.integer({ min: -3, max: 3 }) }), {
      minLength: 1,
      maxLength: 40,
    });
    const columns = [
      column("id", "int8"),
      column("ts", "timestamptz"),
      column("t", "text"),
      column("n", "int2"),
    ];
    const both = unitedOf(columns, columns);
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
        value,
        fc.integer({ min: -4, max: 4 }),
        fc.subarray(["t", "n"]),
        async (some, chunkRows, groupChunks, text, n, bloomFilters) => {
          const fields = some.map((row, id): FieldBytes[] => {
            const short = int4(row.n).slice(2);
            return [
              int8(BigInt(id)),
              int8(FIRST + BigInt(id)),
              row.text === null ? null : utf8(row.text),
              short,
            ];
          });
          const chunks: RawRows[] = [];
          for (let at = 0; at < fields.length; at += chunkRows)
            chunks.push(rawRows(4, fields.slice(at, at + chunkRows)));
          const groups: RawRows[][] = [];
          for (let at = 0; at < chunks.length; at += groupChunks)
            groups.push(chunks.slice(at, at + groupChunks));
          const segment = await sealSegment({
            name: "any",
            day: DAY,
            columns,
            rowGroups: groups,
            bloomFilters,
          });
          const archive = new SealedArchive([segment]);
          const filters = [
            ...(text === null ? [] : [equals(both, "t", utf8(text))]),
            ...(n === -4 ? [] : [equals(both, "n", int4(n).slice(2))]),
          ];
          const found = await idsOf(archive, segment, both, filters);
          expect(found).toEqual(await idsOf(archive, segment, both, filters, false));
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("bytes that are not what was sealed", () => {
  const filters = [equals(united, "actor", uuidOf(1234))];

  it("in the tail leave nothing out: the answer is whole, or refused", async () => {
    const start = Number(sealed.manifest.index?.start);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: start, max: sealed.object.length - 1 }),
        fc.integer({ min: 0, max: 7 }),
        async (at, bit) => {
          const object = sealed.object.slice();
          object[at] = (object[at] as number) ^ (1 << bit);
          const damaged = withManifest(sealed.manifest, object);
          const found = await idsOf(new SealedArchive([damaged]), damaged, united, filters).catch(
            (error: { code?: string }) => error.code,
          );
          expect([[1234n, 2734n], "E_FORMAT", "E_VERIFY"]).toContainEqual(found);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("in a filter leave nothing out, whatever its blocks say", async () => {
    const { filters: pinned } = (sealed.manifest.index as PinnedIndex).apart as Apart;
    const object = sealed.object.slice();
    for (const { start, bytes } of pinned) object.fill(0, Number(start), Number(start) + bytes);
    const damaged = withManifest(sealed.manifest, object);
    const archive = new SealedArchive([damaged]);
    expect(await idsOf(archive, damaged, united, filters)).toEqual([1234n, 2734n]);
  });

  it("in a bloom filter that says no leave nothing out", async () => {
    const object = sealed.object.slice();
    const start = Number(sealed.manifest.index?.start);
    const trailer = new DataView(object.buffer, object.length - 8, 8);
    const footer = object.length - 8 - trailer.getUint32(0, true);
    // All that stands before the footer: indexes that cannot be read, and filters that hold nothing.
    object.fill(0, start, footer);
    const damaged = withManifest(sealed.manifest, object);
    const archive = new SealedArchive([damaged]);
    expect(await idsOf(archive, damaged, united, filters)).toEqual([1234n, 2734n]);
    expect(archive.bytesRead).toBeGreaterThan(sealed.object.length * 0.9);
  });

  it("by a manifest of another hash leave nothing out", async () => {
    const index = { start: sealed.manifest.index?.start as string, sha256: "ab".repeat(32) };
    const draft = { ...sealed.manifest, index };
    const other = withManifest({ ...draft, root: manifestRoot(newHash, draft) }, sealed.object);
    const archive = new SealedArchive([other]);
    expect(await idsOf(archive, other, united, filters)).toEqual([1234n, 2734n]);
    expect(archive.bytesRead).toBeGreaterThan(sealed.object.length * 0.9);
  });

  it("in the filter's own column are refused, and never taken for rows that do not match", async () => {
    const { manifest, object } = sealed;
    // Where the actors of both row groups lie: every byte of theirs that was read is bound by the digests.
    const whole = new SealedArchive([sealed]);
    await idsOf(whole, sealed, united, filters);
    const ranges = whole.reads
      .map(({ range }) => range)
      .filter(({ start }) => start < Number(manifest.index?.start));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...ranges),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        async ({ start, end }, part) => {
          const damagedBytes = object.slice();
          const at = start + Math.floor(part * (end - start));
          damagedBytes[at] = (damagedBytes[at] as number) ^ 0x10;
          const damaged = withManifest(manifest, damagedBytes);
          const found = await idsOf(new SealedArchive([damaged]), damaged, united, filters).catch(
            (error: { code?: string }) => error.code,
          );
          expect([[1234n, 2734n], "E_FORMAT", "E_VERIFY"]).toContainEqual(found);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("in the digests of the filter's column are refused even where no row would match", async () => {
    const actor = COLUMNS.findIndex(({ name }) => name === "actor");
    const chunks = sealed.manifest.chunks.map((chunk) => ({
      ...chunk,
      digests: chunk.digests.map((digest, at) => (at === actor ? "00".repeat(32) : digest)),
    }));
    const draft = { ...sealed.manifest, chunks };
    const other = withManifest({ ...draft, root: manifestRoot(newHash, draft) }, sealed.object);
    // n and actor are of different rows: the index cannot tell, the columns do.
    const some = [equals(united, "actor", uuidOf(1234)), equals(united, "n", int4(1235))];
    await expect(idsOf(new SealedArchive([other]), other, united, some)).rejects.toMatchObject({
      code: "E_VERIFY",
      problem: "chunk 2, column actor: its digest is not the manifest's",
    });
  });
});
