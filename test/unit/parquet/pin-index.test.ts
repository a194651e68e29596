/** Filters that a manifest binds part by part: a part says what the whole filter says, and the seal proves each of them. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifyObject } from "../../../src/archived/verify-object.ts";
import { objectLocator } from "../../../src/archive/locators.ts";
import type { Archive } from "../../../src/archive/port.ts";
import { decodeGroup } from "../../../src/parquet/decode-group.ts";
import { apartProblem, filterPart, partMayHold } from "../../../src/parquet/pin-index.ts";
import { columnEntry, readIndex } from "../../../src/parquet/read-index.ts";
import { filterHolds } from "../../../src/parquet/decode/bloom-filter.ts";
import { XxHash64 } from "../../../src/parquet/decode/xxhash64.ts";
import { readLayout } from "../../../src/parquet/read-segment.ts";
import type { Manifest, PinnedFilter } from "../../../src/segment/manifest.ts";
import { type FieldBytes, int64, rawRows } from "../../support/copy-stream.ts";
import {
  newHash,
  SealedArchive,
  type SealedSegment,
  sealSegment,
  withManifest,
} from "../../support/sealed-segments.ts";
import { columnOf } from "../../support/segment-bytes.ts";

const columns = [columnOf("id", "int8"), columnOf("ts", "timestamptz"), columnOf("actor", "uuid")];
const ACTOR = 2;

const actorOf = (n: number): Uint8Array => createHash("md5").update(String(n)).digest();

/** Row groups of a chunk each, every row with an actor of its own. */
async function segmentOf(rowsOfGroups: readonly number[], bloomFilters = ["actor"]): Promise<SealedSegment> {
  let from = 0;
  const rowGroups = rowsOfGroups.map((rows) => {
    const fields = Array.from({ length: rows }, (_, at): FieldBytes[] => [
      int64(BigInt(from + at)),
      int64(BigInt(from + at)),
      actorOf(from + at),
    ]);
    from += rows;
    return [rawRows(columns.length, fields)];
  });
  return await sealSegment({ name: "pinned", day: "2026-01-03", columns, rowGroups, bloomFilters });
}

const tailOf = ({ manifest, object }: SealedSegment): { start: number; bytes: Uint8Array } => {
  const start = Number(manifest.index?.start);
  return { start, bytes: object.subarray(start) };
};

type PinnedIndex = NonNullable<Manifest["index"]>;
type Apart = NonNullable<PinnedIndex["apart"]>;

const pinnedOf = ({ index }: Manifest): readonly PinnedFilter[] => index?.apart?.filters ?? [];

/** The manifest with what it binds apart changed, as if that had been sealed. */
function withApart({ manifest, object }: SealedSegment, change: (apart: Apart) => Apart): SealedSegment {
  const index = manifest.index as PinnedIndex;
  return withManifest({ ...manifest, index: { ...index, apart: change(index.apart as Apart) } }, object);
}

const withFilters = (sealed: SealedSegment, change: (filter: PinnedFilter) => PinnedFilter): SealedSegment =>
  withApart(sealed, (apart) => ({ ...apart, filters: apart.filters.map(change) }));

describe("a filter's part", () => {
  it("says what the whole filter says, whatever is looked for", async () => {
    const { manifest, object } = await segmentOf([3000, 40]);
    const tail = object.subarray(Number(manifest.index?.start));
    const layout = await readLayout(manifest, async ({ start, end }) => object.slice(start, end));
    const index = readIndex(manifest, layout, tail);
    const hash = new XxHash64();
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 0, max: 3039 }), fc.integer({ min: 4000 })),
        fc.constantFrom(0, 1),
        (n, group) => {
          const part = filterPart(manifest, group, ACTOR, actorOf(n));
          if (part === null) throw new Error("the manifest binds no part for it");
          hash.hash(actorOf(n), 0, 16);
          const whole = columnEntry(index, group, ACTOR).bloomFilter as Uint8Array;
          const bytes = object.subarray(part.start, part.end);
          expect(partMayHold(newHash, part, bytes)).toBe(filterHolds(whole, hash.low, hash.high));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("that is not what was sealed rules nothing out, whichever bit is another one", async () => {
    const { manifest, object } = await segmentOf([3000]);
    const part = filterPart(manifest, 0, ACTOR, actorOf(-1));
    if (part === null) throw new Error("the manifest binds no part for it");
    const bytes = object.subarray(part.start, part.end);
    expect(partMayHold(newHash, part, bytes)).toBe(false);
    for (let at = 0; at < bytes.length; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
      expect(partMayHold(newHash, part, damaged)).toBe(true);
    }
    expect(partMayHold(newHash, part, bytes.subarray(1))).toBe(true);
    expect(partMayHold(newHash, part, new Uint8Array())).toBe(true);
  });

  it("is small beside the filter, and with the hashes of all parts still less than a third of it", async () => {
    const { manifest } = await segmentOf([5000]);
    const [filter, ...more] = pinnedOf(manifest) as [PinnedFilter, ...PinnedFilter[]];
    expect(more).toEqual([]);
    expect(filter).toMatchObject({ rowGroup: 0, column: ACTOR, bytes: 8192, partBytes: 1024 });
    const { length } = JSON.stringify(filter);
    expect(length + filter.partBytes).toBeLessThan(filter.bytes / 3);
  });

  it("is bound where there are few row groups alone: a manifest does not grow with its filters", async () => {
    const few = Array.from({ length: 8 }, () => 5);
    expect(pinnedOf((await segmentOf(few)).manifest)).toHaveLength(8);
    expect((await segmentOf([...few, 5])).manifest.index).not.toHaveProperty("apart");
    expect((await segmentOf([5], [])).manifest.index).not.toHaveProperty("apart");
  });
});

describe("the seal", () => {
  const CHANGES: Record<string, (filter: PinnedFilter) => PinnedFilter> = {
    "another hash": (filter) => ({ ...filter, parts: filter.parts.map(() => "ab".repeat(32)) }),
    "hashes in another order": (filter) => ({ ...filter, parts: [...filter.parts].reverse() }),
    "a part less": (filter) => ({ ...filter, parts: filter.parts.slice(1) }),
    "a part more": (filter) => ({ ...filter, parts: [...filter.parts, "ab".repeat(32)] }),
    "another place": (filter) => ({ ...filter, start: String(Number(filter.start) - 32) }),
    "another size": (filter) => ({ ...filter, bytes: filter.bytes * 2 }),
    "another column": (filter) => ({ ...filter, column: 0 }),
    "another row group": (filter) => ({ ...filter, rowGroup: 1 }),
    "a row group that is none": (filter) => ({ ...filter, rowGroup: 2 }),
  };

  it.each(Object.entries(CHANGES))("does not take a filter with %s", async (_, change) => {
    const sealed = await segmentOf([3000, 40]);
    const first = pinnedOf(sealed.manifest)[0] as PinnedFilter;
    const changed = withFilters(sealed, (filter) => (filter.rowGroup === 0 ? change(first) : filter));
    expect(apartProblem(newHash, sealed.manifest, tailOf(sealed))).toBeNull();
    expect(apartProblem(newHash, changed.manifest, tailOf(sealed))).toMatch(/^the bloom filter of column /);
    await expect(verdictOf(sealed)).resolves.toEqual({ verdict: "sealed" });
    await expect(verdictOf(changed)).resolves.toMatchObject({
      verdict: "differs",
      reason: expect.stringMatching(/^the bloom filter of column /),
    });
  });

  it("does not take parts that cut a block, though their hashes are true; and nobody would lose a row by them", async () => {
    const sealed = await segmentOf([3000]);
    const { object } = sealed;
    const cut = withFilters(sealed, (filter) => {
      const [partBytes, first] = [1000, Number(filter.start)];
      const blocks = object.subarray(first, first + filter.bytes);
      const parts = Array.from({ length: Math.ceil(blocks.length / partBytes) }, (_, at) =>
        createHash("sha256")
          .update(blocks.subarray(at * partBytes, (at + 1) * partBytes))
          .digest("hex"),
      );
      return { ...filter, partBytes, parts };
    });
    await expect(verdictOf(cut)).resolves.toEqual({
      verdict: "differs",
      reason: "the bloom filter of column actor in row group 0 has parts of 1000 bytes",
    });
    for (let n = 0; n < 3000; n += 1) {
      const part = filterPart(cut.manifest, 0, ACTOR, actorOf(n));
      if (part === null) throw new Error("the manifest binds no part for it");
      expect(partMayHold(newHash, part, object.subarray(part.start, part.end))).toBe(true);
    }
  });

  it.each<[string, (apart: Apart) => Apart]>([
    ["another hash", (apart) => ({ ...apart, sha256: "ab".repeat(32) })],
    ["another start", (apart) => ({ ...apart, start: String(Number(apart.start) + 1) })],
    ["a start before the tail", (apart) => ({ ...apart, start: "4" })],
    ["a start behind it", (apart) => ({ ...apart, start: "4000000" })],
  ])("does not take what is behind the filters with %s", async (_, change) => {
    const changed = withApart(await segmentOf([3000]), change);
    await expect(verdictOf(changed)).resolves.toMatchObject({
      verdict: "differs",
      reason: expect.stringMatching(/^its index (?:has the SHA-256|is apart from)/),
    });
  });

  it("takes a manifest of an earlier version, which binds no parts", async () => {
    const sealed = await segmentOf([3000]);
    const { start, sha256 } = sealed.manifest.index as { start: string; sha256: string };
    const older = withManifest({ ...sealed.manifest, index: { start, sha256 } }, sealed.object);
    await expect(verdictOf(older)).resolves.toEqual({ verdict: "sealed" });
  });
});

async function verdictOf(sealed: SealedSegment): Promise<unknown> {
  const store = new SealedArchive([sealed]);
  const archive = {
    read: store.read.bind(store),
    head: () => Promise.resolve({ bytes: BigInt(sealed.object.length) }),
  } as unknown as Archive;
  const { signal } = new AbortController();
  const verifier = { archive, newHash, decodeGroup: decodeGroup.bind(null, newHash), signal };
  return await verifyObject(verifier, objectLocator("test", sealed.segment.record), sealed.manifest);
}
