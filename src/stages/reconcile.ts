/**
 * reconcile: after a rebuild of the catalog nobody knows of some chunks whether their rows are in the table, in the archive
 * or in both. Here the table is asked.
 *
 * A chunk that the journal does not call pruned was deleted in one transaction or not at all. So, by its keys: all of its
 * rows are there, and it is sealed (whether they are still the same is for the prune to prove, I1); none is there, and it
 * is pruned, though its entry was lost; some are there, and no machine can tell why: it is quarantined.
 *
 * A chunk that the journal calls pruned holds rows whose deletion was proven. What is in the table came back, with a
 * restore of the database or by hand. The very same rows make it sealed, to be pruned once more; anything else leaves it
 * pruned, and what is in the table is late rows: readers see both, and nothing is given up (I2).
 *
 * Commit point: the journal entry `reconciled`, or `quarantined`.
 */
import { keysOf, hasSameKey } from "../archived/archived-keys.ts";
import { readChunkGroups, readManifest } from "../archived/read-chunks.ts";
import type { ChunkRecord, SegmentRecord } from "../catalog/port.ts";
import { checkpoint } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { Leaf } from "../hot/port.ts";
import { chunkDigests } from "../segment/digest.ts";
import type { Manifest, ManifestChunk } from "../segment/manifest.ts";
import { pruneVerdict } from "../segment/prune-guard.ts";
import { findLeaf, type StageContext } from "./context.ts";

type Verdicts = Record<"sealed" | "pruned" | "quarantined", number[]>;

/** Room for the largest row of a chunk, and the bytes that its rows may have grown by. */
const CHUNK_BYTES_MAX = 80 * 1024 * 1024;

export async function reconcileSegment<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
): Promise<SegmentRecord> {
  const { catalog, failpoint, journal, policy, report, signal } = context;
  const { pipeline } = policy;
  const { segment } = record;
  const unknown = (await catalog.chunks(pipeline, segment)).filter(({ state }) => state === "unknown");
  const manifest = await readManifest({ ...context, pipeline }, record);
  const leaf = findLeaf(context.source, record.leaf);
  if (leaf === null) await requireGone(context, record);
  const found: Verdicts = { sealed: [], pruned: [], quarantined: [] };
  if (manifest.key.length === 0) await judgeWhole(context, leaf, manifest, unknown, found);
  else {
    const open: ChunkRecord[] = [];
    for (const chunk of unknown) {
      checkpoint(signal);
      if (leaf !== null && (await isUnchanged(context, leaf, manifest, chunk)))
        found.sealed.push(chunk.chunk);
      else if (chunk.wasPruned) found.pruned.push(chunk.chunk);
      else open.push(chunk);
    }
    await judgeByKeys(context, record, manifest, open, found);
  }
  const { sealed, pruned, quarantined } = found;
  if (quarantined.length > 0) {
    const reason = "some of its rows are in the table and some are not, since the catalog was rebuilt";
    await journal.append({ type: "quarantined", segment, chunks: inOrder(quarantined), reason });
  }
  failpoint("reconcile.judged");
  if (sealed.length + pruned.length > 0) {
    await journal.append({ type: "reconciled", segment, pruned: inOrder(pruned), sealed: inOrder(sealed) });
  }
  report({ stage: "reconcile", subject: segment, rows: record.rowsUnknown, bytes: 0n });
  return await catalog.segment(pipeline, segment);
}

const inOrder = (chunks: readonly number[]): number[] => chunks.toSorted((left, right) => left - right);

/** Whether the table holds exactly the chunk's rows, byte for byte. */
async function isUnchanged<Tx>(
  { newHash, presentRows, source }: StageContext<Tx>,
  leaf: Leaf,
  manifest: Manifest,
  { chunk: index }: ChunkRecord,
): Promise<boolean> {
  const { fingerprint, predicate } = manifest;
  const chunk = manifest.chunks[index] as ManifestChunk;
  const limits = {
    range: { from: chunk.from, to: chunk.to },
    rowsMax: chunk.rows,
    bytesMax: CHUNK_BYTES_MAX,
  };
  const rows = await presentRows.ofChunk(source, { leaf, fingerprint, predicate }, limits);
  if (rows === null) return false;
  const digests = chunkDigests(newHash, chunk.salts, rows.columns);
  return pruneVerdict(manifest, index, { rows: rows.rows, digests }).verdict === "proven";
}

/**
 * A table without a key gives up whole leaves, in one transaction each: a leaf that is there has lost no row to us. One
 * that came back is taken as what it was if all of it is.
 */
async function judgeWhole<Tx>(
  context: StageContext<Tx>,
  leaf: Leaf | null,
  manifest: Manifest,
  chunks: readonly ChunkRecord[],
  found: Verdicts,
): Promise<void> {
  const isBack = async (): Promise<boolean> => {
    if (leaf === null) return false;
    for (const chunk of chunks.filter(({ wasPruned }) => wasPruned)) {
      if (!(await isUnchanged(context, leaf, manifest, chunk))) return false;
    }
    return true;
  };
  const back = (await isBack()) ? "sealed" : "pruned";
  for (const { chunk, wasPruned } of chunks) {
    found[wasPruned ? back : leaf === null ? "pruned" : "sealed"].push(chunk);
  }
}

/** The whole table is asked for the keys: a row may have moved to another day or rule, and came late if it is not one of them. */
async function judgeByKeys<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
  manifest: Manifest,
  chunks: readonly ChunkRecord[],
  found: Verdicts,
): Promise<void> {
  if (chunks.length === 0) return;
  const { hot, policy, presentRows, signal, source } = context;
  const leaf = findLeaf(source, record.leaf);
  if (!hasSameKey(manifest, source)) {
    // By another key only an empty range says something.
    for (const { chunk: index } of chunks) {
      const { from, to } = manifest.chunks[index] as ManifestChunk;
      const limits = { range: { from, to }, rowsMax: 0, bytesMax: CHUNK_BYTES_MAX };
      const isEmpty =
        leaf === null || (await presentRows.ofChunk(source, { leaf, ...manifest }, limits)) !== null;
      found[isEmpty ? "pruned" : "quarantined"].push(index);
    }
    return;
  }
  const wanted = new Set(chunks.map(({ chunk }) => chunk));
  const reader = { ...context, pipeline: policy.pipeline };
  for await (const group of readChunkGroups(reader, record, manifest, (chunk) => wanted.has(chunk))) {
    for (const { chunk, rows } of group) {
      checkpoint(signal);
      const missing = await hot.missingKeys(source, keysOf(manifest, rows));
      const verdict =
        missing.length === 0 ? "sealed" : missing.length === rows.rows ? "pruned" : "quarantined";
      found[verdict].push(chunk);
    }
  }
}

/** A leaf that is no part of the source any more was dropped with its rows, unless somebody only detached it. */
async function requireGone<Tx>(
  { presentRows }: StageContext<Tx>,
  { segment, leaf }: SegmentRecord,
): Promise<void> {
  if (leaf === null || !(await presentRows.isThere(leaf))) return;
  throw new FirnlineError({
    code: "E_DETACH",
    subject: `segment ${segment}`,
    problem: `its table ${leaf.schema}.${leaf.name} is there, and no partition of the source any more`,
    hint: "Attach it again, and the next run compares its rows with the archive. Nothing was deleted",
  });
}
