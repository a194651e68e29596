/** A segment's object in memory: raw rows to Parquet and back, with the manifest that belongs to it. */
import { createHash } from "node:crypto";
import { decodeRowGroup, readLayout, type SegmentLayout } from "../../src/parquet/read-segment.ts";
import { newParquetEncoder } from "../../src/parquet/encode/parquet-encoder.ts";
import type { NewSegmentEncoder } from "../../src/parquet/segment-encoder.ts";
import type { Column, ValueKind } from "../../src/rows/column.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { type Manifest, manifestSchema } from "../../src/segment/manifest.ts";
import { joined } from "./copy-stream.ts";

export interface SegmentBytes {
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

/** A column that is made up; `digits` are those of a decimal. */
export function columnOf(name: string, kind: ValueKind, digits?: [precision: number, scale: number]): Column {
  return {
    name,
    attribute: name,
    attnum: 1,
    type: kind,
    select: "value",
    kind,
    precision: digits?.[0] ?? null,
    scale: digits?.[1] ?? null,
  };
}

/** The archive's own encoder. */
export const newEncoder = newParquetEncoder("firnline version 0.0.0");

export interface EncodeOptions {
  /** Another one than the archive's own. */
  readonly newEncoder?: NewSegmentEncoder;
  readonly bloomFilters?: readonly string[];
}

/** Encodes row groups of whole chunks. Digests are not the business of this file and are all zero. */
export async function encodeSegment(
  columns: readonly Column[],
  rowGroups: readonly (readonly RawRows[])[],
  options: EncodeOptions = {},
): Promise<SegmentBytes> {
  const { bloomFilters = [] } = options;
  const encoder = (options.newEncoder ?? newEncoder)(
    columns,
    { "firnline.segment": "test" },
    { bloomFilters },
  );
  const pieces: Uint8Array[] = [];
  const chunks: Manifest["chunks"] = [];
  for (const group of rowGroups) {
    const encoded = await encoder.rowGroup(group);
    pieces.push(encoded.bytes);
    for (const [index, { rows }] of group.entries()) {
      chunks.push({
        segment: "test",
        day: "2026-01-03",
        rows,
        from: { time: "2026-01-03 00:00:00.000000", key: null },
        to: { time: "2026-01-04 00:00:00.000000", key: null },
        salts: columns.map(() => "00".repeat(16)),
        digests: columns.map(() => "00".repeat(32)),
        exceptions: encoded.exceptions[index] ?? [],
      });
    }
  }
  const start = joined(pieces).length;
  const index = await encoder.finish();
  const bytes = joined([...pieces, index]);
  const manifest = manifestSchema.parse({
    format: 1,
    archiveId: "00000000-0000-4000-8000-000000000000",
    pipeline: "test",
    segment: "test",
    rule: "default",
    predicate: null,
    dayFrom: "2026-01-03",
    dayTo: "2026-01-03",
    table: { schema: "public", name: "test", oid: "1" },
    source: { systemIdentifier: "1", databaseOid: "1", tableOid: "1" },
    fingerprint: "00".repeat(32),
    time: { column: "ts", zone: null },
    key: ["id"],
    columns: columns.map((column) => ({ ...column })),
    rows: chunks.reduce((sum, chunk) => sum + chunk.rows, 0).toString(),
    object: {
      key: "test/daily/rule=default/dt=2026-01-03/test.parquet",
      versionId: null,
      etag: null,
      sha256: createHash("sha256").update(bytes).digest("hex"),
      bytes: bytes.length.toString(),
    },
    rowGroups: rowGroups.map((group) => group.length),
    index: { start: start.toString(), sha256: createHash("sha256").update(index).digest("hex") },
    chunks,
    root: "00".repeat(32),
    run: "test",
    epoch: "1",
    exportedAt: "2026-02-03T00:00:00.000Z",
    writer: "test",
  });
  return { bytes, manifest };
}

/** The layout, with every read checked to lie within the object. */
export async function layoutOf({ bytes, manifest }: SegmentBytes): Promise<SegmentLayout> {
  return await readLayout(manifest, async ({ start, end }) => {
    if (start < 0 || end > bytes.length || start >= end) throw new Error(`a read of ${start} to ${end}`);
    return bytes.slice(start, end);
  });
}

/** All chunks, in order, as the reader restores them. */
export async function decodeSegment(segment: SegmentBytes): Promise<RawRows[]> {
  const layout = await layoutOf(segment);
  const chunks: RawRows[] = [];
  for (const group of layout.rowGroups) {
    const piece = segment.bytes.slice(group.start, group.end);
    chunks.push(...(await decodeRowGroup(segment.manifest, layout, group, piece)));
  }
  return chunks;
}
