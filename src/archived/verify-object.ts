/**
 * Whether an object holds what its manifest says: every byte is read and hashed, every row group decoded to physical values
 * on the way, every column digest taken again, and what the indexes say is held against the values.
 */
import type { Archive, Locator } from "../archive/port.ts";
import { hashObject, readBytes } from "../archive/read-object.ts";
import { FirnlineError } from "../errors.ts";
import { type DecodedGroup, type DecodeGroup, groupJob } from "../parquet/decode-group.ts";
import { apartProblem } from "../parquet/pin-index.ts";
import { openIndex } from "../parquet/read-index.ts";
import { type ByteRange, readLayout, type ReadRange, type RowGroupLayout } from "../parquet/read-segment.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { toHex } from "../rows/hex.ts";
import type { NewSha256 } from "../segment/digest.ts";
import type { Manifest } from "../segment/manifest.ts";
import { type ReadBack, type SealVerdict, sealVerdict } from "../segment/seal-verdict.ts";

/** Page indexes and bloom filters of a very large object; more is damage. */
const TAIL_BYTES_MAX = 512 * 1024 * 1024;

export interface ObjectVerifier {
  readonly archive: Archive;
  readonly newHash: NewSha256;
  readonly decodeGroup: DecodeGroup;
  readonly signal: AbortSignal;
  /** Rows and bytes that were gone through so far. */
  readonly onProgress?: (rows: bigint, bytes: bigint) => void;
  /** The rows of each chunk, before it is known whether they are right. */
  readonly onChunk?: (chunk: number, rows: RawRows) => Promise<void>;
}

/**
 * Damaged bytes may not even decode. That is a verdict like any other, or a segment would be taken up, and fail, for ever.
 * Bytes that are intact and do not decode are a fault of ours, and thrown.
 */
export async function verifyObject(
  verifier: ObjectVerifier,
  object: Locator,
  manifest: Manifest,
): Promise<SealVerdict> {
  const { archive, newHash, signal } = verifier;
  try {
    return sealVerdict(manifest, await readBack(verifier, object, manifest));
  } catch (error) {
    // The store failed, or somebody asked to stop: nothing is known about the bytes.
    if (signal.aborted || (error instanceof FirnlineError && error.code !== "E_FORMAT")) throw error;
    const sha256 = await hashObject(archive, newHash, object, signal);
    if (sha256 === manifest.object.sha256) throw error;
    return { verdict: "differs", reason: error instanceof FirnlineError ? error.problem : String(error) };
  }
}

async function readBack(
  { archive, decodeGroup, newHash, signal, onProgress, onChunk }: ObjectVerifier,
  object: Locator,
  manifest: Manifest,
): Promise<ReadBack> {
  const head = await archive.head(object);
  const bytes = head?.bytes ?? 0n;
  const nothing = { bytes, sha256: "", chunks: [], indexProblem: null };
  if (bytes.toString() !== manifest.object.bytes) return nothing;
  const read = async (range: ByteRange): Promise<Uint8Array> =>
    await readBytes(archive, object, range, signal);
  const tail = await readTail(manifest, newHash, read);
  if (tail !== null && tail.problem !== null) return { ...nothing, indexProblem: tail.problem };
  const layout = await readLayout(manifest, read, tail?.bytes);
  const index = tail === null ? null : openIndex(manifest, layout, tail.bytes);
  let indexProblem = tail === null ? null : apartProblem(newHash, manifest, tail);
  let hash = newHash();
  let at = 0;
  const hashUpTo = async (end: number): Promise<void> => {
    if (end === at) return;
    for await (const piece of archive.read(object, { start: at, end }, signal)) hash = hash.update(piece);
    at = end;
  };
  const chunks: { rows: number; digests: readonly string[] }[] = [];
  let rows = 0n;
  const take = async ({ number, decoded }: Decoding): Promise<void> => {
    const group = layout.rowGroups[number] as RowGroupLayout;
    const { chunks: found, problem } = await decoded;
    indexProblem ??= problem;
    for (const [place, chunk] of found.entries()) {
      chunks.push({ rows: chunk.rows, digests: chunk.digests });
      rows += BigInt(chunk.rows);
      await onChunk?.(group.chunkFrom + place, chunk);
    }
    onProgress?.(rows, BigInt(group.end));
  };
  // While one row group is decoded, perhaps by another thread, the next one is read.
  let before: Decoding | null = null;
  for (const [number, group] of layout.rowGroups.entries()) {
    await hashUpTo(group.start);
    const piece = await read(group);
    hash = hash.update(piece);
    at = group.end;
    const entries = index?.(number) ?? null;
    const job = groupJob(manifest, group, { index: entries, bytes: piece, wantsRows: onChunk !== undefined });
    const decoding = { number, decoded: decodeGroup(job) };
    decoding.decoded.catch(() => {}); // it is awaited, perhaps after another one's error
    if (before !== null) await take(before);
    before = decoding;
  }
  if (before !== null) await take(before);
  await hashUpTo(Number(bytes) - (tail?.bytes.length ?? 0));
  if (tail !== null) hash = hash.update(tail.bytes);
  return { bytes, sha256: toHex(hash.digest()), chunks, indexProblem };
}

interface Decoding {
  readonly number: number;
  readonly decoded: Promise<DecodedGroup>;
}

/** The object's indexes and footer, as the manifest pins them; null where it pins none. */
async function readTail(
  { index, object }: Manifest,
  newHash: NewSha256,
  read: ReadRange,
): Promise<{ readonly start: number; readonly bytes: Uint8Array; readonly problem: string | null } | null> {
  if (index === undefined) return null;
  const [start, end] = [Number(index.start), Number(object.bytes)];
  if (end - start > TAIL_BYTES_MAX || start >= end) {
    return { start, bytes: new Uint8Array(), problem: `its index is from byte ${start} to ${end}` };
  }
  const bytes = await read({ start, end });
  const found = toHex(newHash().update(bytes).digest());
  const problem = found === index.sha256 ? null : `its index has the SHA-256 ${found}`;
  return { start, bytes, problem };
}
