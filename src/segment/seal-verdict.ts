/** Whether what was read back from the archive is what was exported. Pure; the reading is `stages/seal.ts`. */
import type { Manifest, ManifestChunk } from "./manifest.ts";

export interface ReadBack {
  readonly bytes: bigint;
  readonly sha256: string;
  /** For each chunk in order: rows and column digests, recomputed from the decoded values. */
  readonly chunks: readonly { readonly rows: number; readonly digests: readonly string[] }[];
  /** What the indexes say wrongly of the values: a reader that prunes by them would lose rows (I8). */
  readonly indexProblem: string | null;
}

export type SealVerdict =
  | { readonly verdict: "sealed" }
  | { readonly verdict: "differs"; readonly reason: string };

const differs = (reason: string): SealVerdict => ({ verdict: "differs", reason });

export function sealVerdict(manifest: Manifest, found: ReadBack): SealVerdict {
  if (found.bytes.toString() !== manifest.object.bytes) {
    return differs(`the object has ${found.bytes} bytes, ${manifest.object.bytes} were written`);
  }
  if (found.indexProblem !== null) return differs(found.indexProblem);
  if (found.sha256 !== manifest.object.sha256) {
    return differs(`the object's SHA-256 is ${found.sha256}, ${manifest.object.sha256} was written`);
  }
  if (found.chunks.length !== manifest.chunks.length) {
    return differs(`${found.chunks.length} chunks were read, ${manifest.chunks.length} were written`);
  }
  for (const [index, expected] of manifest.chunks.entries()) {
    const chunk = found.chunks[index];
    if (chunk === undefined || chunk.rows !== expected.rows) {
      return differs(`chunk ${index} has ${chunk?.rows ?? 0} rows, ${expected.rows} were written`);
    }
    const column = firstDifference(expected, chunk.digests);
    if (column !== null)
      return differs(`chunk ${index}, column ${columnName(manifest, column)}: the values differ`);
  }
  return { verdict: "sealed" };
}

/** The index of the first column whose digest differs, or null. A missing digest differs. */
export function firstDifference(expected: ManifestChunk, digests: readonly string[]): number | null {
  // Hazard 8: an empty answer must never compare as equal, so lengths are compared first.
  if (digests.length !== expected.digests.length) return Math.min(digests.length, expected.digests.length);
  const index = expected.digests.findIndex((digest, column) => digests[column] !== digest);
  return index === -1 ? null : index;
}

/** For a message. A digest too many belongs to no column; then its place has to do. */
export function columnName(manifest: Manifest, column: number): string {
  return manifest.columns[column]?.name ?? String(column);
}
