/**
 * Builds one segment from exported chunks: encodes row groups, takes digests on the raw bytes and remembers what the
 * manifest needs.
 */
import type { Pin } from "../archive/port.ts";
import { invariant } from "../errors.ts";
import type { PartitionName } from "../hot/port.ts";
import { pinIndex } from "../parquet/pin-index.ts";
import type { EncodedRowGroup } from "../parquet/segment-encoder.ts";
import type { Column } from "../rows/column.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { formatDay } from "../rows/day.ts";
import { toHex } from "../rows/hex.ts";
import type { Bound, KeyRange } from "../rows/key-range.ts";
import { columnDigest, SALT_BYTES } from "../segment/digest.ts";
import { type Manifest, MANIFEST_FORMAT, manifestRoot, type ManifestChunk } from "../segment/manifest.ts";
import { timestamp } from "../environment.ts";
import type { StageContext } from "./context.ts";
import type { GatheredChunk, RowGroupQueue } from "./row-group-queue.ts";

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
  #index: Manifest["index"];
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

  /**
   * The object's bytes. Ends when the queue is empty or the segment is large enough. While a row group is compressed, in
   * other threads, the next one is received.
   */
  async *object(queue: RowGroupQueue): AsyncGenerator<Uint8Array, void, undefined> {
    const { failpoint, newEncoder, newHash, policy, report, source } = this.#context;
    const { bloomFilters } = policy.archive;
    const metadata = footerMetadata(policy.pipeline, this.#segment, source.columns);
    const encoder = newEncoder(source.columns, metadata, { bloomFilters });
    let group: readonly GatheredChunk[] = [];
    let encoding: Promise<EncodedRowGroup> | null = null;
    for (;;) {
      const following = queue.peek();
      if (encoding !== null) {
        const { bytes, exceptions } = await encoding;
        for (const { release } of group) release();
        this.#exceptions.push(...exceptions);
        this.#exceptionCount += exceptions.reduce((sum, ofChunk) => sum + ofChunk.length, 0);
        this.bytes += bytes.length;
        report({ stage: "export", subject: this.#segment, rows: this.rows, bytes: BigInt(this.bytes) });
        yield bytes;
        failpoint("export.uploading");
      }
      if (this.#isFull || (await following) === null) break;
      group = await queue.take();
      encoding = encoder.rowGroup(this.#addGroup(group));
      encoding.catch(() => {}); // it is awaited above, perhaps after another error
    }
    const tail = await encoder.finish();
    const place = { start: this.bytes, bytes: tail };
    this.#index = pinIndex(newHash, place, source.columns.length, this.#rowGroups.length);
    this.bytes += tail.length;
    yield tail;
  }

  #addGroup(group: readonly GatheredChunk[]): RawRows[] {
    for (const chunk of group) this.#addChunk(chunk);
    this.#rowGroups.push(group.length);
    return group.map(({ rows }) => rows);
  }

  #addChunk({ rows: { rows, columns }, to }: GatheredChunk): void {
    const { newHash, random } = this.#context;
    const salts = columns.map(() => random(SALT_BYTES));
    this.#chunks.push({
      segment: this.#segment,
      day: formatDay(this.#exported.day),
      rows,
      from: this.end,
      to,
      salts: salts.map(toHex),
      digests: columns.map((column, index) =>
        toHex(columnDigest(newHash, salts[index] as Uint8Array, column)),
      ),
    });
    this.rows += BigInt(rows);
  }

  manifest(pin: Pin): Manifest {
    const { archiveId, lease, newHash, policy, source, writer, clock } = this.#context;
    const { leaf, rule, fingerprint } = this.#exported;
    const day = formatDay(this.#exported.day);
    invariant(this.#index !== undefined, this.#segment, "the object is not finished");
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
      index: this.#index,
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
