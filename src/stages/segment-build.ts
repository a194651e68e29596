/**
 * Builds one segment from exported chunks: encodes row groups, takes digests on the raw bytes and remembers what the
 * manifest needs. Memory is one row group and one chunk (I10).
 */
import type { Pin } from "../archive/port.ts";
import { invariant } from "../errors.ts";
import type { ExportedChunk, PartitionName } from "../hot/port.ts";
import type { Column } from "../rows/column.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { formatDay } from "../rows/day.ts";
import { toHex } from "../rows/hex.ts";
import type { Bound, KeyRange } from "../rows/key-range.ts";
import { columnDigest, SALT_BYTES } from "../segment/digest.ts";
import { type Manifest, MANIFEST_FORMAT, manifestRoot, type ManifestChunk } from "../segment/manifest.ts";
import { timestamp } from "../environment.ts";
import type { StageContext } from "./context.ts";

/** Chunks with a look at the next one: a chunk ends where the next one begins. */
export class ChunkQueue {
  readonly #chunks: AsyncIterator<ExportedChunk>;
  #next: IteratorResult<ExportedChunk> | null = null;

  constructor(chunks: AsyncIterable<ExportedChunk>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next chunk without taking it; null at the end. */
  async peek(): Promise<ExportedChunk | null> {
    this.#next ??= await this.#chunks.next();
    return this.#next.done === true ? null : this.#next.value;
  }

  async take(): Promise<ExportedChunk> {
    const chunk = await this.peek();
    invariant(chunk !== null, "export", "there is no chunk left");
    this.#next = null;
    return chunk;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** A segment ends when it has so many exceptions; its manifest is some ten megabytes then. */
const EXCEPTIONS_MAX = 50_000;

/** Where a segment's rows come from. */
export interface ExportedRange extends PartitionName {
  /** The whole day; the chunks tile it. */
  readonly range: KeyRange;
  /** Where the segment's first chunk begins: the day's start, or where the last segment ended. */
  readonly from: Bound;
  /** Of the leaf's definition. */
  readonly fingerprint: string;
}

type BuiltChunk = Omit<ManifestChunk, "exceptions">;

export class SegmentBuild<Tx> {
  readonly #context: StageContext<Tx>;
  readonly #segment: string;
  readonly #exported: ExportedRange;
  readonly #chunks: BuiltChunk[] = [];
  readonly #exceptions: ManifestChunk["exceptions"][] = [];
  readonly #rowGroups: number[] = [];
  #exceptionCount = 0;
  rows = 0n;
  bytes = 0;

  constructor(context: StageContext<Tx>, segment: string, exported: ExportedRange) {
    this.#context = context;
    this.#segment = segment;
    this.#exported = exported;
  }

  /** Large enough, as an object or as a manifest: both are held in memory by somebody (I10). */
  get #isFull(): boolean {
    return this.bytes >= this.#context.limits.segmentBytesMax || this.#exceptionCount >= EXCEPTIONS_MAX;
  }

  get chunkRows(): number[] {
    return this.#chunks.map(({ rows }) => rows);
  }

  /** Where the next segment begins. */
  get end(): Bound {
    return this.#chunks.at(-1)?.to ?? this.#exported.from;
  }

  /** The object's bytes. Ends when the queue is empty or the segment is large enough. */
  async *object(queue: ChunkQueue): AsyncGenerator<Uint8Array, void, undefined> {
    const { source, failpoint, report, policy } = this.#context;
    const encoder = this.#context.newEncoder(
      source.columns,
      footerMetadata(policy.pipeline, this.#segment, source.columns),
    );
    while (!this.#isFull && (await queue.peek()) !== null) {
      const group = await this.#collectRowGroup(queue);
      const encoded = await encoder.rowGroup(group);
      this.#exceptions.push(...encoded.exceptions);
      this.#exceptionCount += encoded.exceptions.reduce((sum, ofChunk) => sum + ofChunk.length, 0);
      this.#rowGroups.push(group.length);
      this.bytes += encoded.bytes.length;
      report({ stage: "export", subject: this.#segment, rows: this.rows, bytes: BigInt(this.bytes) });
      yield encoded.bytes;
      failpoint("export.uploading");
    }
    yield await encoder.finish();
  }

  async #collectRowGroup(queue: ChunkQueue): Promise<RawRows[]> {
    const { limits } = this.#context;
    const group: RawRows[] = [];
    let rows = 0;
    let bytes = 0;
    for (let next = await queue.peek(); next !== null; next = await queue.peek()) {
      const size = next.rows.columns.reduce((sum, column) => sum + column.length, 0);
      const full = rows + next.rows.rows > limits.rowGroupRowsMax || bytes + size > limits.rowGroupBytesMax;
      if (group.length > 0 && full) break;
      const chunk = await queue.take();
      const following = await queue.peek();
      group.push(chunk.rows);
      this.#addChunk(chunk, following?.first ?? this.#exported.range.to);
      rows += chunk.rows.rows;
      bytes += size;
    }
    return group;
  }

  #addChunk(chunk: ExportedChunk, to: Bound): void {
    const { newHash, random } = this.#context;
    const salts = chunk.rows.columns.map(() => random(SALT_BYTES));
    this.#chunks.push({
      segment: this.#segment,
      day: formatDay(this.#exported.day),
      rows: chunk.rows.rows,
      from: this.end,
      to,
      salts: salts.map(toHex),
      digests: chunk.rows.columns.map((column, index) =>
        toHex(columnDigest(newHash, salts[index] as Uint8Array, column)),
      ),
    });
    this.rows += BigInt(chunk.rows.rows);
  }

  manifest(pin: Pin): Manifest {
    const { archiveId, lease, newHash, policy, source, writer, clock } = this.#context;
    const { leaf, rule, fingerprint } = this.#exported;
    const day = formatDay(this.#exported.day);
    const { predicate } = source.rules.find(({ name }) => name === rule) ?? { predicate: null };
    const withoutRoot: Omit<Manifest, "root"> = {
      format: MANIFEST_FORMAT,
      archiveId,
      pipeline: policy.pipeline,
      segment: this.#segment,
      rule,
      predicate,
      dayFrom: day,
      dayTo: day,
      table: { schema: leaf.schema, name: leaf.name, oid: leaf.oid },
      source: source.identity,
      fingerprint,
      time: { column: source.columns[source.timeColumn]?.name as string, zone: source.zone },
      key: source.keyColumns.map((index) => source.columns[index]?.name as string),
      columns: source.columns.map((column) => ({ ...column })),
      rows: this.rows.toString(),
      object: { ...pin, bytes: pin.bytes.toString() },
      rowGroups: this.#rowGroups,
      chunks: this.#chunks.map((chunk, index) => ({ ...chunk, exceptions: this.#exceptions[index] ?? [] })),
      run: lease.run,
      epoch: lease.epoch.toString(),
      exportedAt: timestamp(clock),
      writer,
    };
    return { ...withoutRoot, root: manifestRoot(newHash, withoutRoot) };
  }
}

/** What the Parquet footer says besides the columns. */
export function footerMetadata(
  pipeline: string,
  segment: string,
  columns: readonly Column[],
): Record<string, string> {
  return {
    "firnline.pipeline": pipeline,
    "firnline.segment": segment,
    "firnline.postgres_types": JSON.stringify(
      Object.fromEntries(columns.map(({ name, type }) => [name, type])),
    ),
  };
}
