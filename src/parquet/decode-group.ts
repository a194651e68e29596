/**
 * From a row group's bytes to its rows and their digests. Plain data goes in and comes out, so that it can be another
 * thread's work; see `decode-pool.ts`.
 */
import { proveRowGroup } from "./prove-index.ts";
import type { ColumnEntry } from "./read-index.ts";
import { decodeRowGroup, type RowGroupLayout } from "./read-segment.ts";
import type { RawColumn } from "../rows/copy-binary.ts";
import { chunkDigests, type NewSha256 } from "../segment/digest.ts";
import type { Manifest } from "../segment/manifest.ts";

export interface GroupJob {
  /** With the chunks of the row group alone. */
  readonly manifest: Manifest;
  /** Its chunks are counted from 0. */
  readonly group: RowGroupLayout;
  /** What the index says of it, to be held against the values; null: nothing is to be proved. */
  readonly index: readonly ColumnEntry[] | null;
  /** Those of `group.start` to `group.end`. They are given away: another thread may have them afterwards. */
  readonly bytes: Uint8Array;
  /** Whether the rows are wanted, or their digests alone. */
  readonly wantsRows: boolean;
}

export interface DecodedChunk {
  readonly rows: number;
  /** Recomputed from the decoded values with the manifest's salts. */
  readonly digests: readonly string[];
  /** Empty unless they were wanted. */
  readonly columns: readonly RawColumn[];
}

export interface DecodedGroup {
  readonly chunks: readonly DecodedChunk[];
  /** What the index says wrongly. */
  readonly problem: string | null;
}

export type DecodeGroup = (job: GroupJob) => Promise<DecodedGroup>;

/** What is sent of a manifest is what its row group needs. */
export function groupJob(
  manifest: Manifest,
  group: RowGroupLayout,
  rest: Pick<GroupJob, "index" | "bytes" | "wantsRows">,
): GroupJob {
  const chunks = manifest.chunks.slice(group.chunkFrom, group.chunkTo);
  return {
    manifest: { ...manifest, chunks, rowGroups: [chunks.length] },
    group: { ...group, chunkFrom: 0, chunkTo: chunks.length },
    ...rest,
  };
}

/** Throws `E_FORMAT` where the pages cannot be decoded. */
export async function decodeGroup(newHash: NewSha256, job: GroupJob): Promise<DecodedGroup> {
  const { manifest, group, index, bytes, wantsRows } = job;
  const layout = { rowGroups: [group] };
  const { chunks, problem } =
    index === null
      ? { chunks: await decodeRowGroup(manifest, layout, group, bytes), problem: null }
      : await proveRowGroup(manifest, layout, { rowGroups: [index] }, 0, bytes);
  return {
    chunks: chunks.map((rows, at) => ({
      rows: rows.rows,
      digests: chunkDigests(newHash, manifest.chunks[at]?.salts ?? [], rows.columns),
      columns: wantsRows ? rows.columns : [],
    })),
    problem,
  };
}
