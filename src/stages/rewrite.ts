/**
 * rewrite: a segment some of whose chunks were exported anew is written again without them, so that a folder of Parquet
 * files holds each row once. The chunks that stay keep their segment, range, salts and digests: their leaves are what
 * they were, and nothing has to be believed that was not sealed before.
 *
 * Commit point: the journal entry `packed`. Until then the new object is named by nothing, and the next run gives it up.
 */
import { objectLocator } from "../archive/locators.ts";
import { readChunkGroups, readManifest } from "../archived/read-chunks.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { invariant } from "../errors.ts";
import { type Manifest, encodeManifest, manifestRoot, type ManifestChunk } from "../segment/manifest.ts";
import { timestamp } from "../environment.ts";
import type { StageContext } from "./context.ts";
import { ID_BYTES } from "./export.ts";
import { sealSegment } from "./seal.ts";
import { footerMetadata } from "./segment-build.ts";

export async function rewriteSegment<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
): Promise<SegmentRecord> {
  const { archive, catalog, failpoint, lease, policy, random, signal } = context;
  const { pipeline } = policy;
  const before = await readManifest({ ...context, pipeline }, record);
  const kept = (await catalog.chunks(pipeline, record.segment))
    .filter(({ state }) => state === "pruned")
    .map(({ chunk }) => chunk);
  invariant(kept.length > 0, `segment ${record.segment}`, "no chunk of it is pruned");
  const { storageClass, leaf, rule, dayFrom: day } = record;
  const reserved = await catalog.reserveSegment(lease, {
    leaf,
    rule,
    day,
    storageClass,
    random: random(ID_BYTES),
    replaces: true,
  });
  const rewriting = new Rewriting(context, record, before, new Set(kept), reserved.segment);
  const { key } = objectLocator(pipeline, reserved);
  const created = await archive.create(key, rewriting.object(), { storageClass, signal });
  invariant(created.outcome === "created", key, "a fresh segment id is taken already");
  failpoint("rewrite.uploaded");
  const { pin } = created;
  const manifest = rewriting.manifest({ ...pin, bytes: pin.bytes.toString() });
  // I2: from the entry `packed` on, these chunks are in the new object or nowhere.
  invariant(
    manifest.chunks.length === kept.length,
    reserved.segment,
    `it holds ${manifest.chunks.length} of ${kept.length} chunks`,
  );
  await catalog.uploaded(lease, reserved.segment, {
    rows: BigInt(manifest.rows),
    object: { versionId: pin.versionId, etag: pin.etag, sha256: pin.sha256, bytes: pin.bytes },
    chunkRows: manifest.chunks.map(({ rows }) => rows),
    draft: encodeManifest(manifest),
  });
  const packs = [{ segment: record.segment, chunks: kept }];
  const sealed = await sealSegment(context, await catalog.segment(pipeline, reserved.segment), { packs });
  failpoint("rewrite.sealed");
  return sealed;
}

class Rewriting<Tx> {
  readonly #context: StageContext<Tx>;
  readonly #record: SegmentRecord;
  readonly #before: Manifest;
  readonly #kept: ReadonlySet<number>;
  readonly #segment: string;
  readonly #chunks: ManifestChunk[] = [];
  readonly #rowGroups: number[] = [];

  constructor(
    context: StageContext<Tx>,
    record: SegmentRecord,
    before: Manifest,
    kept: ReadonlySet<number>,
    segment: string,
  ) {
    this.#context = context;
    this.#record = record;
    this.#before = before;
    this.#kept = kept;
    this.#segment = segment;
  }

  /** The new object's bytes; memory is one row group (I10). */
  async *object(): AsyncGenerator<Uint8Array, void, undefined> {
    const { policy } = this.#context;
    const { columns, chunks } = this.#before;
    const encoder = this.#context.newEncoder(
      columns,
      footerMetadata(policy.pipeline, this.#segment, columns),
    );
    const reader = { ...this.#context, pipeline: policy.pipeline };
    const isKept = (chunk: number): boolean => this.#kept.has(chunk);
    for await (const group of readChunkGroups(reader, this.#record, this.#before, isKept)) {
      const encoded = await encoder.rowGroup(group.map(({ rows }) => rows));
      for (const [at, { chunk }] of group.entries()) {
        const exceptions = encoded.exceptions[at] ?? [];
        this.#chunks.push({ ...(chunks[chunk] as ManifestChunk), exceptions });
      }
      this.#rowGroups.push(group.length);
      yield encoded.bytes;
    }
    yield await encoder.finish();
  }

  manifest(object: Manifest["object"]): Manifest {
    const { clock, lease, newHash, writer } = this.#context;
    const { root: _, ...before } = this.#before;
    const withoutRoot = {
      ...before,
      segment: this.#segment,
      rows: this.#chunks.reduce((sum, { rows }) => sum + BigInt(rows), 0n).toString(),
      object,
      rowGroups: this.#rowGroups,
      chunks: this.#chunks,
      run: lease.run,
      epoch: lease.epoch.toString(),
      exportedAt: timestamp(clock),
      writer,
    };
    return { ...withoutRoot, root: manifestRoot(newHash, withoutRoot) };
  }
}
