/** Archived rows in the columns of the answer: digests are of the archived bytes, and are looked at before anything else. */
import { describe, expect, it } from "vitest";

import { manifestLocator, objectLocator } from "../../../src/archive/locators.ts";
import type { Archive } from "../../../src/archive/port.ts";
import { readManifest } from "../../../src/archived/read-chunks.ts";
import type { ReadableSegment } from "../../../src/catalog/port.ts";
import { readArchived } from "../../../src/retrieve/archived-rows.ts";
import { uniteColumns } from "../../../src/retrieve/united-columns.ts";
import type { Column } from "../../../src/rows/column.ts";
import type { RawRows } from "../../../src/rows/copy-binary.ts";
import { parseDay } from "../../../src/rows/day.ts";
import { fromHex, toHex } from "../../../src/rows/hex.ts";
import { columnDigest } from "../../../src/segment/digest.ts";
import { encodeManifest, type Manifest, manifestRoot } from "../../../src/segment/manifest.ts";
import { type FieldBytes, fieldsOf, int32, int64, rawRows } from "../../support/copy-stream.ts";
import { columnOf, encodeSegment } from "../../support/segment-bytes.ts";
import { newHash } from "../segment/sample-manifest.ts";

const OLD = [columnOf("id", "int4"), columnOf("ts", "timestamptz"), columnOf("n", "int4")];
const NEW = [
  columnOf("id", "int8"),
  columnOf("ts", "timestamptz"),
  columnOf("added", "text"),
  columnOf("n", "int8"),
];

const chunk = (from: number, changed = false): RawRows =>
  rawRows(
    3,
    [0, 1].map((at) => [int32(from + at), int64(BigInt(from + at)), int32(changed ? 99 : -(from + at))]),
  );

const united = uniteColumns(
  {
    table: { schema: "public", name: "t", oid: "1" },
    columns: NEW as Column[],
    timeColumn: 1,
    keyColumns: [0],
  },
  true,
  [{ columns: OLD, time: "ts", key: ["id"], examples: [], segments: 1, isCurrent: false }],
);

/** A segment of two chunks; its object holds `stored`, its digests are those of `exported`. */
async function segmentOf(
  exported: readonly RawRows[],
  stored: readonly RawRows[],
): Promise<{ archive: Archive; segment: ReadableSegment }> {
  const { bytes, manifest } = await encodeSegment(OLD, [[stored[0] as RawRows], [stored[1] as RawRows]]);
  const chunks = manifest.chunks.map((one, index) => ({
    ...one,
    digests: exported[index]?.columns.map((column, at) =>
      toHex(columnDigest(newHash, fromHex(one.salts[at] as string), column)),
    ),
  })) as Manifest["chunks"];
  const sealed = { ...manifest, chunks };
  const text = encodeManifest({ ...sealed, root: manifestRoot(newHash, sealed) });
  const record = {
    segment: "test",
    rule: "default",
    dayFrom: parseDay("2026-01-03"),
    dayTo: parseDay("2026-01-03"),
    object: null,
    manifest: {
      versionId: null,
      etag: null,
      sha256: toHex(newHash().update(text).digest()),
      bytes: BigInt(text.length),
    },
  } as unknown as ReadableSegment["record"];
  const objects = new Map([
    [manifestLocator("test", record).key, text],
    [objectLocator("test", record).key, bytes],
  ]);
  const archive = {
    async *read({ key }: { key: string }, range: { start: number; end: number }) {
      yield objects.get(key)?.slice(range.start, range.end);
    },
  } as unknown as Archive;
  return { archive, segment: { record, prunedChunks: null } };
}

async function rowsOf(
  { archive, segment }: { archive: Archive; segment: ReadableSegment },
  prunedChunks: readonly number[] | null = null,
): Promise<(string | null)[][]> {
  const reader = { archive, newHash, pipeline: "test", signal: new AbortController().signal };
  const found: (string | null)[][] = [];
  const [all, ...more] = await readArchived(
    reader,
    await readManifest(reader, segment.record),
    { ...segment, prunedChunks },
    united,
  );
  expect(more).toEqual([]);
  for await (const { rows, columns } of all ?? []) {
    const fields = columns.map((column) => fieldsOf(column, rows));
    for (let row = 0; row < rows; row += 1) found.push(fields.map((column) => hexOf(column[row] ?? null)));
  }
  return found;
}

const hexOf = (field: FieldBytes): string | null => (field === null ? null : toHex(field));
const hex8 = (value: number): string => toHex(int64(BigInt(value)));
const expected = (...ids: number[]): (string | null)[][] =>
  ids.map((id) => [hex8(id), hex8(id), null, hex8(-id)]);

describe("rows of an archived segment", () => {
  it("have the columns of the answer", async () => {
    const chunks = [chunk(1), chunk(3)];
    expect(await rowsOf(await segmentOf(chunks, chunks))).toEqual(expected(1, 2, 3, 4));
  });

  it("are those of its pruned chunks", async () => {
    const chunks = [chunk(1), chunk(3)];
    expect(await rowsOf(await segmentOf(chunks, chunks), [1])).toEqual(expected(3, 4));
  });

  it("with another value than the one that was exported are refused, also where it would be widened", async () => {
    const segment = await segmentOf([chunk(1), chunk(3)], [chunk(1), chunk(3, true)]);
    await expect(rowsOf(segment)).rejects.toMatchObject({
      code: "E_VERIFY",
      problem: "chunk 1, column n: its digest is not the manifest's",
    });
    expect(await rowsOf(segment, [0])).toEqual(expected(1, 2));
  });
});
