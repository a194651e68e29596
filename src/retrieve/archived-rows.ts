/** The rows of one archived segment, verified, in the columns of the answer. */
import { readChunkGroups, readManifest, type SegmentReader } from "../archived/read-chunks.ts";
import type { ReadableSegment } from "../catalog/port.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { intoUnited, type UnitedColumns } from "./united-columns.ts";

/**
 * Rows of the segment's pruned chunks, in order. The others are still hot and are read from there. Digests are of the
 * archived bytes, so a value is widened after they were verified.
 */
export async function* readArchived(
  reader: SegmentReader,
  { record, prunedChunks }: ReadableSegment,
  united: UnitedColumns,
): AsyncGenerator<RawRows, void, undefined> {
  const manifest = await readManifest(reader, record);
  const intoAnswer = intoUnited(manifest.columns, united);
  const pruned = prunedChunks === null ? null : new Set(prunedChunks);
  const isWanted = (chunk: number): boolean => pruned === null || pruned.has(chunk);
  for await (const chunks of readChunkGroups(reader, record, manifest, isWanted)) {
    for (const { rows } of chunks) yield intoAnswer(rows);
  }
}
