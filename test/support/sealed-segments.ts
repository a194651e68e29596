/**
 * Segments in memory as a seal leaves them: object, manifest with true digests, and the index that the manifest binds; in an
 * archive that tells what was read of it.
 */
import { createHash } from "node:crypto";
import { manifestLocator, objectLocator } from "../../src/archive/locators.ts";
import type { ByteRange, Locator } from "../../src/archive/port.ts";
import type { ReadableSegment } from "../../src/catalog/port.ts";
import { newParquetEncoder } from "../../src/parquet/encode/parquet-encoder.ts";
import { FirnlineError } from "../../src/errors.ts";
import { pinIndex } from "../../src/parquet/pin-index.ts";
import type { Column } from "../../src/rows/column.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { type DayUtc, formatDay, parseDay } from "../../src/rows/day.ts";
import { fromHex, toHex } from "../../src/rows/hex.ts";
import type { Bound } from "../../src/rows/key-range.ts";
import { columnDigest } from "../../src/segment/digest.ts";
import { encodeManifest, type Manifest, manifestRoot } from "../../src/segment/manifest.ts";
import { joined } from "./copy-stream.ts";

export const newHash = () => createHash("sha256");
const PIPELINE = "test";
const SALT = "5a".repeat(16);

export interface SealedChunk extends RawRows {
  /** By default the whole day. */
  readonly from?: Bound;
  readonly to?: Bound;
}

export interface SegmentToSeal {
  readonly name: string;
  readonly day: string;
  readonly columns: readonly Column[];
  readonly rowGroups: readonly (readonly SealedChunk[])[];
  readonly bloomFilters?: readonly string[];
  /** Names of the key's columns. */
  readonly key?: readonly string[];
}

export interface SealedSegment {
  readonly segment: ReadableSegment;
  readonly manifest: Manifest;
  readonly object: Uint8Array;
}

export async function sealSegment({
  name,
  day,
  columns,
  rowGroups,
  bloomFilters = [],
  key = ["id"],
}: SegmentToSeal): Promise<SealedSegment> {
  const encoder = newParquetEncoder("test version 1.0.0")(columns, {}, { bloomFilters });
  const pieces: Uint8Array[] = [];
  const chunks: Manifest["chunks"] = [];
  const start = parseDay(day);
  const [from, to] = [start, (start + 1) as DayUtc].map((one) => ({
    time: `${formatDay(one)} 00:00:00.000000`,
    key: null,
  })) as [Bound, Bound];
  for (const group of rowGroups) {
    const encoded = await encoder.rowGroup(group);
    pieces.push(encoded.bytes);
    for (const [index, chunk] of group.entries()) {
      chunks.push({
        segment: name,
        day,
        rows: chunk.rows,
        from: chunk.from ?? from,
        to: chunk.to ?? to,
        salts: columns.map(() => SALT),
        digests: chunk.columns.map((column) => toHex(columnDigest(newHash, fromHex(SALT), column))),
        exceptions: encoded.exceptions[index] ?? [],
      });
    }
  }
  const tail = await encoder.finish();
  const before = joined(pieces);
  const object = joined([before, tail]);
  const place = {
    segment: name,
    rule: "default",
    dayFrom: start,
    dayTo: start,
    object: null,
    manifest: null,
  };
  const draft: Omit<Manifest, "root"> = {
    format: 1,
    archiveId: "00000000-0000-4000-8000-000000000000",
    pipeline: PIPELINE,
    segment: name,
    rule: "default",
    predicate: null,
    dayFrom: day,
    dayTo: day,
    table: { schema: "public", name: "test", oid: "1" },
    source: { systemIdentifier: "1", databaseOid: "1", tableOid: "1" },
    fingerprint: "00".repeat(32),
    time: { column: "ts", zone: null },
    key: [...key],
    columns: columns.map((column) => ({ ...column })),
    rows: String(chunks.reduce((sum, chunk) => sum + chunk.rows, 0)),
    object: {
      key: objectLocator(PIPELINE, place).key,
      versionId: null,
      etag: null,
      sha256: hashOf(object),
      bytes: String(object.length),
    },
    rowGroups: rowGroups.map((group) => group.length),
    index: pinIndex(newHash, { start: before.length, bytes: tail }, columns.length, rowGroups.length),
    chunks,
    run: "test",
    epoch: "1",
    exportedAt: "2026-02-03T00:00:00.000Z",
    writer: "test",
  };
  return withManifest({ ...draft, root: manifestRoot(newHash, draft) }, object);
}

/** The segment with another object or manifest, as it would be if that had been sealed. */
export function withManifest(manifest: Manifest, object: Uint8Array): SealedSegment {
  const text = encodeManifest(manifest);
  const record = {
    segment: manifest.segment,
    rule: manifest.rule,
    dayFrom: parseDay(manifest.dayFrom),
    dayTo: parseDay(manifest.dayTo),
    object: null,
    manifest: { versionId: null, etag: null, sha256: hashOf(text), bytes: BigInt(text.length) },
  } as unknown as ReadableSegment["record"];
  return { segment: { record, prunedChunks: null }, manifest, object };
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The part of an archive that reading takes. */
export class SealedArchive {
  /** What was asked for, in order. */
  readonly reads: { readonly key: string; readonly range: ByteRange }[] = [];
  atOnce = 0;
  mostAtOnce = 0;
  readonly #objects = new Map<string, Uint8Array>();

  constructor(segments: readonly SealedSegment[]) {
    for (const { segment, manifest, object } of segments) {
      this.#objects.set(objectLocator(PIPELINE, segment.record).key, object);
      this.#objects.set(manifestLocator(PIPELINE, segment.record).key, encodeManifest(manifest));
    }
  }

  get bytesRead(): number {
    return this.reads.reduce((sum, { range }) => sum + range.end - range.start, 0);
  }

  /** Of objects and manifests. */
  get bytes(): number {
    return [...this.#objects.values()].reduce((sum, { length }) => sum + length, 0);
  }

  async *read({ key }: Locator, range?: ByteRange, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const object = this.#objects.get(key);
    const { start, end } = range ?? { start: 0, end: object?.length ?? 0 };
    this.reads.push({ key, range: { start, end } });
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    try {
      await new Promise(setImmediate);
      signal?.throwIfAborted();
      if (object === undefined || start >= end || end > object.length) {
        throw new FirnlineError({
          code: "E_ARCHIVE",
          subject: key,
          problem: `bytes ${start} to ${end} are not there`,
          hint: "A test asked for them",
        });
      }
      yield object.slice(start, end);
    } finally {
      this.atOnce -= 1;
    }
  }

  reader(signal = new AbortController().signal) {
    return { archive: this, newHash, pipeline: PIPELINE, signal };
  }
}
