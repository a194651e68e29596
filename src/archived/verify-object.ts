/**
 * Whether an object holds what its manifest says: read once from front to back, every byte hashed, every row group decoded
 * to physical values on the way, and every column digest taken again.
 */
import type { Archive, Locator } from "../archive/port.ts";
import { hashObject, readBytes } from "../archive/read-object.ts";
import { FirnlineError } from "../errors.ts";
import { decodeRowGroup, readLayout } from "../parquet/read-segment.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { fromHex, toHex } from "../rows/hex.ts";
import { columnDigest, type NewSha256 } from "../segment/digest.ts";
import type { Manifest } from "../segment/manifest.ts";
import { type ReadBack, type SealVerdict, sealVerdict } from "../segment/seal-verdict.ts";

export interface ObjectVerifier {
  readonly archive: Archive;
  readonly newHash: NewSha256;
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
  { archive, newHash, signal, onProgress, onChunk }: ObjectVerifier,
  object: Locator,
  manifest: Manifest,
): Promise<ReadBack> {
  const head = await archive.head(object);
  const bytes = head?.bytes ?? 0n;
  if (bytes.toString() !== manifest.object.bytes) return { bytes, sha256: "", chunks: [] };
  const layout = await readLayout(manifest, async (range) => await readBytes(archive, object, range, signal));
  let hash = newHash();
  let at = 0;
  const hashUpTo = async (end: number): Promise<void> => {
    for await (const piece of archive.read(object, { start: at, end }, signal)) hash = hash.update(piece);
    at = end;
  };
  const chunks: { rows: number; digests: string[] }[] = [];
  let rows = 0n;
  for (const group of layout.rowGroups) {
    if (group.start > at) await hashUpTo(group.start);
    const piece = await readBytes(archive, object, group, signal);
    hash = hash.update(piece);
    at = group.end;
    const decoded = await decodeRowGroup(manifest, layout, group, piece);
    for (const [index, chunk] of decoded.entries()) {
      const { salts } = manifest.chunks[group.chunkFrom + index] as Manifest["chunks"][number];
      const digests = chunk.columns.map((column, at_) =>
        toHex(columnDigest(newHash, fromHex(salts[at_] as string), column)),
      );
      chunks.push({ rows: chunk.rows, digests });
      rows += BigInt(chunk.rows);
      await onChunk?.(group.chunkFrom + index, chunk);
    }
    onProgress?.(rows, BigInt(at));
  }
  await hashUpTo(Number(bytes));
  return { bytes, sha256: toHex(hash.digest()), chunks };
}
