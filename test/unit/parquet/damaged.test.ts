/**
 * An object that is not what was sealed: it is refused with `E_FORMAT`, or it decodes to as many rows as the manifest
 * says, which the digests then judge. It never ends the process, and never goes on for long.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { isFirnlineError } from "../../../src/errors.ts";
import { proveRowGroup } from "../../../src/parquet/prove-index.ts";
import { chunksThatMayHold, readIndex } from "../../../src/parquet/read-index.ts";
import { decodeSelected, selectedRanges } from "../../../src/parquet/read-pages.ts";
import { readLayout, type RowGroupLayout } from "../../../src/parquet/read-segment.ts";
import type { NewSegmentEncoder } from "../../../src/parquet/segment-encoder.ts";
import { encodeNumeric } from "../../../src/rows/numeric.ts";
import { indexFields, type RawRows } from "../../../src/rows/copy-binary.ts";
import { bytesOf, type FieldBytes, int32, int64, joined, rawRows } from "../../support/copy-stream.ts";
import { newHyparquetEncoder } from "../../support/hyparquet-encoder.ts";
import {
  columnOf,
  decodeSegment,
  encodeSegment,
  layoutOf,
  newEncoder,
  type SegmentBytes,
} from "../../support/segment-bytes.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const columns = [
  columnOf("id", "int8"),
  columnOf("n", "int4"),
  columnOf("b", "bool"),
  columnOf("f", "float8"),
  columnOf("t", "text"),
  columnOf("x", "numeric"),
  columnOf("d", "decimal", [20, 3]),
  columnOf("u", "uuid"),
  columnOf("j", "jsonb"),
];

function chunkOf(from: number, rows: number): RawRows {
  const row = (id: number): FieldBytes[] => [
    int64(BigInt(id)),
    id % 5 === 0 ? null : int32(id * 3),
    bytesOf(id % 2),
    new Uint8Array(8).fill(id),
    utf8(["alpha", "beta", "ガンマ"][id % 3] as string),
    encodeNumeric({ unscaled: BigInt(id) * 7n, scale: 2 }),
    encodeNumeric({ unscaled: BigInt(id) * 70_000_000_000n + 1n, scale: 3 }),
    new Uint8Array(16).fill(id * 3),
    utf8(`\u0001{"id": ${id}}`),
  ];
  return rawRows(
    columns.length,
    Array.from({ length: rows }, (_, at) => row(from + at)),
  );
}

/** `refused`, or the number of rows of each chunk. Any other failure is thrown. */
async function outcome(segment: SegmentBytes): Promise<string | number[]> {
  try {
    return (await decodeSegment(segment)).map(({ rows, columns: raw }) => {
      for (const column of raw) indexFields(column, rows);
      return rows;
    });
  } catch (error) {
    if (isFirnlineError(error, "E_FORMAT")) return "refused";
    throw error;
  }
}

let segment: SegmentBytes;
const ROWS = [12, 12, 20];

const encode = async (encoder: NewSegmentEncoder): Promise<void> => {
  const [one, two, three] = [chunkOf(0, 12), chunkOf(12, 12), chunkOf(24, 20)];
  segment = await encodeSegment(columns, [[one, two], [three]], {
    newEncoder: encoder,
    bloomFilters: ["id"],
  });
};

beforeAll(async () => await encode(newEncoder));

/** Behind it are indexes and footer, of which not all is needed to read the rows. */
const pagesEnd = (): number => Number(segment.manifest.index?.start);

const damaged = (change: (bytes: Uint8Array) => Uint8Array): SegmentBytes => {
  const bytes = change(segment.bytes.slice());
  // As the store would tell it: the manifest's size is that of the object, or `seal` and `retrieve` stop before this.
  const object = { ...segment.manifest.object, bytes: bytes.length.toString() };
  return { bytes, manifest: { ...segment.manifest, object } };
};

// Ours writes differences, lengths and dictionaries; the former one's objects are in the archives of its users.
describe.each([
  ["our encoder", newEncoder],
  ["hyparquet-writer", newHyparquetEncoder],
])("an object of %s with damage", (_, encoder) => {
  beforeAll(async () => await encode(encoder));

  it("is read when there is none", async () => {
    expect(await outcome(segment)).toEqual(ROWS);
  });

  it("in one bit, at any byte of it, is refused or has the rows that it should have", async () => {
    let refused = 0;
    for (let at = 0; at < segment.bytes.length; at += at < pagesEnd() ? 1 : 3) {
      const found = await outcome(
        damaged((bytes) => {
          bytes[at] = (bytes[at] as number) ^ (1 << ((at * 5) % 8));
          return bytes;
        }),
      );
      if (found === "refused") refused += 1;
      else expect([at, found]).toEqual([at, ROWS]);
    }
    expect(refused).toBeGreaterThan(segment.bytes.length / 3);
  });

  it("in several places is refused or has the rows that it should have", async () => {
    const place = fc.record({ at: fc.nat(), value: fc.oneof(fc.nat({ max: 255 }), fc.constant(0xff)) });
    await fc.assert(
      fc.asyncProperty(fc.array(place, { minLength: 1, maxLength: 8 }), async (places) => {
        const found = await outcome(
          damaged((bytes) => {
            for (const { at, value } of places) bytes[at % bytes.length] = value;
            return bytes;
          }),
        );
        expect(["refused", ROWS]).toContainEqual(found);
      }),
      { numRuns: 400 },
    );
  });

  it("that cuts pieces out, or moves them, is refused, but for the indexes, which decoding does without", async () => {
    const trailer = segment.bytes.length - 8;
    const footerStart = trailer - new DataView(segment.bytes.buffer).getUint32(trailer, true);
    const cut = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 300 }));
    await fc.assert(
      fc.asyncProperty(cut, async ([place, length]) => {
        const start = place % trailer;
        const without = (bytes: Uint8Array): Uint8Array =>
          joined([bytes.subarray(0, start), bytes.subarray(Math.min(start + length, trailer))]);
        // A cut may reach into the footer, and what moves up may be the very bytes that it takes.
        const footerOf = (bytes: Uint8Array): Uint8Array => bytes.slice(footerStart - segment.bytes.length);
        const left = footerOf(without(segment.bytes));
        const isIndex = start >= pagesEnd() && Buffer.compare(left, footerOf(segment.bytes)) === 0;
        expect(isIndex ? ["refused", ROWS] : ["refused"]).toContainEqual(await outcome(damaged(without)));
      }),
      { numRuns: 200 },
    );
  });

  it("that ends it early is refused, wherever", async () => {
    for (let length = 0; length < segment.bytes.length; length += 3) {
      expect([length, await outcome(damaged((bytes) => bytes.slice(0, length)))]).toEqual([
        length,
        "refused",
      ]);
    }
  });

  it("that appends to it or empties it is refused, that doubles it is not", async () => {
    expect(await outcome(damaged((bytes) => joined([bytes, bytesOf(0)])))).toBe("refused");
    // The copy behind has the footer that is found, and its offsets lead into the copy in front: no row is wrong.
    expect(await outcome(damaged((bytes) => joined([bytes, bytes])))).toEqual(ROWS);
    expect(await outcome(damaged((bytes) => bytes.fill(0)))).toBe("refused");
    expect(await outcome(damaged(() => new Uint8Array(0)))).toBe("refused");
    expect(await outcome(damaged(() => utf8("PAR1PAR1PAR1")))).toBe("refused");
  });

  it("is refused when a store gives fewer bytes than were asked for", async () => {
    await expect(
      readLayout(segment.manifest, async ({ start, end }) => segment.bytes.slice(start, end - 5)),
    ).rejects.toThrow(/^E_FORMAT /);
    await expect(readLayout(segment.manifest, async () => new Uint8Array(0))).rejects.toThrow(/^E_FORMAT /);
  });
});

describe("an index with damage", () => {
  const chunks = [0, 1];
  const wanted = [...columns.keys()];

  /** Reads and prunes by the index, which no reader does before its hash is right. */
  async function outcomeOfIndex({ bytes, manifest }: SegmentBytes): Promise<string> {
    try {
      const layout = await layoutOf({ bytes, manifest });
      const index = readIndex(manifest, layout, bytes.subarray(pagesEnd()));
      for (const column of wanted)
        expect(chunksThatMayHold(manifest, layout, index, 0, column, int64(3n)).length).toBeLessThan(3);
      const selection = { group: 0, chunks, columns: wanted };
      const ranges = selectedRanges(manifest, layout, index, selection);
      const pieces = ranges.map(({ start, end }) => ({ start, bytes: bytes.subarray(start, end) }));
      for (const { rows, columns: raw } of decodeSelected(manifest, layout, index, selection, pieces)) {
        for (const column of raw) indexFields(column as Uint8Array, rows);
      }
      const [group] = layout.rowGroups as [RowGroupLayout, ...unknown[]];
      const piece = bytes.subarray(group.start, group.end);
      const { problem } = await proveRowGroup(manifest, layout, index, 0, piece);
      return problem === null ? "right" : "wrong";
    } catch (error) {
      if (isFirnlineError(error, "E_FORMAT")) return "refused";
      throw error;
    }
  }

  it("is refused, or proved wrong, or says nothing else, and never reads anything but pages", async () => {
    const found = new Map<string, number>([[await outcomeOfIndex(segment), 0]]);
    expect(found.has("right")).toBe(true);
    for (let at = pagesEnd(); at < segment.bytes.length; at += 1) {
      const outcomeHere = await outcomeOfIndex(
        damaged((bytes) => {
          bytes[at] = (bytes[at] as number) ^ (1 << ((at * 5) % 8));
          return bytes;
        }),
      );
      found.set(outcomeHere, (found.get(outcomeHere) ?? 0) + 1);
    }
    expect([...found.keys()].sort()).toEqual(["refused", "right", "wrong"]);
    expect(found.get("refused")).toBeGreaterThan(50);
    expect(found.get("wrong")).toBeGreaterThan(50);
  });
});

describe("a footer's length", () => {
  const withLength = (length: number): SegmentBytes =>
    damaged((bytes) => {
      new DataView(bytes.buffer).setUint32(bytes.length - 8, length, true);
      return bytes;
    });

  it.each([0, 1, 7, 0x7fff_ffff, 0xffff_ffff, 256 * 1024 * 1024])(
    "of %i bytes is refused",
    async (length) => {
      expect(await outcome(withLength(length))).toBe("refused");
    },
  );

  it("of all bytes there are is refused, and nothing is read outside of the object", async () => {
    for (const past of [-12, -8, -4, 0, 4]) {
      expect(await outcome(withLength(segment.bytes.length + past))).toBe("refused");
    }
  });
});

describe("a manifest that is about another object", () => {
  const changed = (change: Partial<SegmentBytes["manifest"]>): SegmentBytes => ({
    bytes: segment.bytes,
    manifest: { ...segment.manifest, ...change },
  });

  it("is refused: other columns, other row groups, other rows", async () => {
    const { columns: known, chunks } = segment.manifest;
    const [first, ...rest] = known;
    const [chunk, ...others] = chunks;
    for (const other of [
      changed({ columns: rest }),
      changed({ columns: [...rest, first] as typeof known }),
      changed({ columns: [...known, { ...(first as (typeof known)[0]), name: "more" }] }),
      changed({
        columns: known.map((column) => (column.name === "n" ? { ...column, kind: "int8" } : column)),
      }),
      changed({ rowGroups: [3] }),
      changed({ rowGroups: [1, 2] }),
      changed({ rowGroups: [2, 1, 1] }),
      changed({ chunks: [{ ...(chunk as (typeof chunks)[0]), rows: 13 }, ...others] }),
    ]) {
      expect(await outcome(other)).toBe("refused");
    }
  });

  it("is refused when an exception is not hexadecimal", async () => {
    const chunks = segment.manifest.chunks.map((chunk) => ({
      ...chunk,
      exceptions: [{ column: 0, row: 0, rows: 1, field: "xyz" }],
    }));
    expect(await outcome(changed({ chunks }))).toBe("refused");
  });
});
