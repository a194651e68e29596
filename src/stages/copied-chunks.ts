/**
 * Chunks that are in the archive, written into another object: what `rewrite` and `pack` share. Each keeps its segment, day,
 * table, range, salts and digests, so that its leaf is what it was, and nothing has to be believed that was not sealed
 * before. They are verified as they are read, and the new object is sealed like any other.
 *
 * Commit point: the journal entry `packed`. Until then the new object is named by nothing, and the next run gives it up.
 */
import { objectLocator } from "../archive/locators.ts";
import { type ArchivedChunk, readChunkGroups } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { timestamp } from "../environment.ts";
import { invariant } from "../errors.ts";
import { pinIndex } from "../parquet/pin-index.ts";
import type { SegmentEncoder } from "../parquet/segment-encoder.ts";
import type { DayUtc } from "../rows/day.ts";
import { formatDay } from "../rows/day.ts";
import type { ChunksOf } from "../segment/journal.ts";
import {
  encodeManifest,
  type Manifest,
  type ManifestChunk,
  manifestRoot,
  tableOf,
} from "../segment/manifest.ts";
import type { LeafName } from "../segment/partition-key.ts";
import { shapeOf } from "../segment/shape.ts";
import type { StageContext } from "./context.ts";
import { ID_BYTES } from "./export.ts";
import { sealSegment } from "./seal.ts";
import { footerMetadata } from "./segment-build.ts";

/** A segment some of whose chunks go into the new one. */
export interface CopySource {
  readonly record: SegmentRecord;
  readonly manifest: Manifest;
  /** In their order. */
  readonly chunks: readonly number[];
}

export interface CopyOptions {
  readonly storageClass: string;
  readonly leaf: LeafName | null;
  /** The table that the manifest names; chunks of other tables name their own. */
  readonly table: Pick<Manifest, "table" | "source">;
  readonly onUploaded: () => void;
}

/** All sources are of one rule and one shape, in the order of their days, which are of one month. */
export async function copyChunks<Tx>(
  context: StageContext<Tx>,
  sources: readonly CopySource[],
  options: CopyOptions,
): Promise<SegmentRecord> {
  const { archive, catalog, lease, newHash, policy, random, signal } = context;
  const { pipeline } = policy;
  const { leaf, storageClass } = options;
  const { rule } = first(sources).record;
  const [day, dayTo] = daysOf(sources);
  const reserved = await catalog.reserveSegment(lease, {
    leaf,
    rule,
    day,
    dayTo,
    storageClass,
    random: random(ID_BYTES),
    replaces: true,
  });
  const copying = new Copying(context, sources, reserved, options.table);
  const { key } = objectLocator(pipeline, reserved);
  const created = await archive.create(key, copying.object(), { storageClass, signal });
  invariant(created.outcome === "created", key, "a fresh segment id is taken already");
  options.onUploaded();
  const { pin } = created;
  const manifest = copying.manifest({ ...pin, bytes: pin.bytes.toString() });
  const wanted = sources.reduce((sum, { chunks }) => sum + chunks.length, 0);
  // I2: from the entry `packed` on, these chunks are in the new object or nowhere.
  invariant(
    manifest.chunks.length === wanted,
    reserved.segment,
    `it holds ${manifest.chunks.length} of ${wanted} chunks`,
  );
  await catalog.uploaded(lease, reserved.segment, {
    rows: BigInt(manifest.rows),
    object: { versionId: pin.versionId, bytes: pin.bytes },
    chunkRows: manifest.chunks.map(({ rows }) => rows),
    draft: encodeManifest(manifest),
    shape: shapeOf(newHash, manifest),
  });
  const packs = sources.map(({ record, chunks }): ChunksOf => ({
    segment: record.segment,
    chunks: [...chunks],
  }));
  return await sealSegment(context, await catalog.segment(pipeline, reserved.segment), { packs });
}

const first = <T>(items: readonly T[]): T => items[0] as T;

function daysOf(sources: readonly CopySource[]): [DayUtc, DayUtc] {
  const days = sources.flatMap(({ record: { dayFrom, dayTo } }) => [dayFrom, dayTo]);
  return [Math.min(...days) as DayUtc, Math.max(...days) as DayUtc];
}

class Copying<Tx> {
  readonly #context: StageContext<Tx>;
  readonly #sources: readonly CopySource[];
  readonly #record: SegmentRecord;
  readonly #table: Pick<Manifest, "table" | "source">;
  readonly #chunks: ManifestChunk[] = [];
  readonly #rowGroups: number[] = [];
  #index: Manifest["index"];

  constructor(
    context: StageContext<Tx>,
    sources: readonly CopySource[],
    record: SegmentRecord,
    table: Pick<Manifest, "table" | "source">,
  ) {
    this.#context = context;
    this.#sources = sources;
    this.#record = record;
    this.#table = table;
  }

  /** The newest has the definition that the rows were last seen under. */
  get #newest(): Manifest {
    return (this.#sources.at(-1) as CopySource).manifest;
  }

  /** The new object's bytes; memory is one row group, and one of a source (I10). */
  async *object(): AsyncGenerator<Uint8Array, void, undefined> {
    const { newEncoder, newHash, policy } = this.#context;
    const { columns } = this.#newest;
    const metadata = footerMetadata(policy.pipeline, this.#record.segment, columns);
    const { bloomFilters } = policy.archive;
    const encoder = newEncoder(columns, metadata, { bloomFilters });
    let group: Copied[] = [];
    let start = 0;
    for await (const next of this.#read()) {
      if (group.length > 0 && this.#isFull(group, next)) {
        const bytes = await this.#encode(encoder, group);
        start += bytes.length;
        yield bytes;
        group = [];
      }
      group.push(next);
    }
    invariant(group.length > 0, this.#record.segment, "there is no chunk to copy");
    const last = await this.#encode(encoder, group);
    start += last.length;
    yield last;
    const tail = await encoder.finish();
    this.#index = pinIndex(newHash, { start, bytes: tail }, columns.length, this.#rowGroups.length);
    yield tail;
  }

  async *#read(): AsyncGenerator<Copied, void, undefined> {
    const reader = { ...this.#context, pipeline: this.#context.policy.pipeline };
    for (const { record, manifest, chunks } of this.#sources) {
      const wanted = new Set(chunks);
      for await (const group of readChunkGroups(reader, record, manifest, (chunk) => wanted.has(chunk))) {
        for (const one of group) yield { ...one, manifest };
      }
    }
  }

  #isFull(group: readonly Copied[], next: Copied): boolean {
    const { rowGroupBytesMax, rowGroupRowsMax } = this.#context.limits;
    const all = [...group, next];
    const rows = all.reduce((sum, one) => sum + one.rows.rows, 0);
    const bytes = all.reduce((sum, one) => sum + bytesOf(one), 0);
    return rows > rowGroupRowsMax || bytes > rowGroupBytesMax;
  }

  async #encode(encoder: SegmentEncoder, group: readonly Copied[]): Promise<Uint8Array> {
    const encoded = await encoder.rowGroup(group.map(({ rows }) => rows));
    for (const [at, { chunk, manifest }] of group.entries()) {
      const { table: _, ...copied } = manifest.chunks[chunk] as ManifestChunk;
      const exceptions = encoded.exceptions[at] ?? [];
      const table = tableOf(manifest, manifest.chunks[chunk] as ManifestChunk);
      const own = this.#table.table;
      const isOwn = table.schema === own.schema && table.name === own.name;
      this.#chunks.push({ ...copied, exceptions, ...(isOwn ? {} : { table }) });
    }
    this.#rowGroups.push(group.length);
    return encoded.bytes;
  }

  manifest(object: Manifest["object"]): Manifest {
    const { clock, lease, newHash, writer } = this.#context;
    const { root: _, ...before } = this.#newest;
    const { segment, dayFrom, dayTo } = this.#record;
    const withoutRoot = {
      ...before,
      ...this.#table,
      segment,
      dayFrom: formatDay(dayFrom),
      dayTo: formatDay(dayTo),
      rows: this.#chunks.reduce((sum, { rows }) => sum + BigInt(rows), 0n).toString(),
      object,
      rowGroups: this.#rowGroups,
      index: this.#index,
      chunks: this.#chunks,
      run: lease.run,
      epoch: lease.epoch.toString(),
      exportedAt: timestamp(clock),
      writer,
    };
    return { ...withoutRoot, root: manifestRoot(newHash, withoutRoot) };
  }
}

interface Copied extends ArchivedChunk {
  readonly manifest: Manifest;
}

const bytesOf = ({ rows }: Copied): number => rows.columns.reduce((sum, { length }) => sum + length, 0);
