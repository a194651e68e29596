/**
 * The rows of one archived segment. Every column chunk that is used is verified against the manifest before its rows
 * are given out; the manifest itself against the catalog.
 */
import type { Archive } from "../archive/port.ts";
import type { ReadableSegment } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import { decodeRowGroup, readLayout } from "../parquet/read-segment.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { fromHex, toHex } from "../rows/hex.ts";
import { columnDigest, type NewSha256 } from "../segment/digest.ts";
import { decodeManifest, type Manifest } from "../segment/manifest.ts";
import { firstDifference } from "../segment/seal-verdict.ts";
import { manifestLocator, objectLocator } from "../archive/locators.ts";
import { differs, readBytes, readVerified } from "../archive/read-object.ts";

export interface ArchivedOptions {
  readonly archive: Archive;
  readonly newHash: NewSha256;
  readonly pipeline: string;
  readonly source: SourceTable;
  readonly signal: AbortSignal;
}

export async function readManifest(options: ArchivedOptions, segment: ReadableSegment): Promise<Manifest> {
  const { archive, newHash, pipeline, signal } = options;
  const { record } = segment;
  const locator = manifestLocator(pipeline, record);
  if (record.manifest === null) throw differs(locator.key, `segment ${record.segment} has no manifest`);
  const bytes = await readVerified(archive, newHash, locator, record.manifest, signal);
  const manifest = decodeManifest(newHash, bytes, locator.key);
  requireSameColumns(options.source, manifest);
  return manifest;
}

/** Rows of the segment's pruned chunks, in order. The others are still hot and are read from there. */
export async function* readArchived(
  options: ArchivedOptions,
  segment: ReadableSegment,
): AsyncGenerator<RawRows, void, undefined> {
  const { archive, newHash, pipeline, signal } = options;
  const manifest = await readManifest(options, segment);
  const object = objectLocator(pipeline, segment.record);
  const pruned = segment.prunedChunks === null ? null : new Set(segment.prunedChunks);
  const layout = await readLayout(manifest, async (range) => await readBytes(archive, object, range, signal));
  for (const group of layout.rowGroups) {
    const wanted = (chunk: number): boolean => pruned === null || pruned.has(chunk);
    const indexes = Array.from({ length: group.chunkTo - group.chunkFrom }, (_, at) => group.chunkFrom + at);
    if (!indexes.some(wanted)) continue;
    const bytes = await readBytes(archive, object, group, signal);
    const chunks = await decodeRowGroup(manifest, layout, group, bytes);
    for (const [at, rows] of chunks.entries()) {
      const index = group.chunkFrom + at;
      if (!wanted(index)) continue;
      verifyChunk(newHash, manifest, index, rows);
      yield rows;
    }
  }
}

function verifyChunk(newHash: NewSha256, manifest: Manifest, index: number, rows: RawRows): void {
  const chunk = manifest.chunks[index] as Manifest["chunks"][number];
  const digests = rows.columns.map((column, at) =>
    toHex(columnDigest(newHash, fromHex(chunk.salts[at] as string), column)),
  );
  const column = firstDifference(chunk, digests);
  if (column === null) return;
  throw differs(
    manifest.object.key,
    `chunk ${index}, column ${manifest.columns[column]?.name}: its digest is not the manifest's`,
  );
}

/** Columns of different years are united by a later version; until then an answer with changed columns is refused. */
function requireSameColumns(source: SourceTable, manifest: Manifest): void {
  const describe = (
    columns: readonly { name: string; type: string; kind: string; select: string }[],
  ): string => JSON.stringify(columns.map(({ name, type, kind, select }) => [name, type, kind, select]));
  if (describe(source.columns) === describe(manifest.columns)) return;
  const names = (columns: readonly { name: string; type: string }[]): string =>
    columns.map(({ name, type }) => `${name} ${type}`).join(", ");
  throw new FirnlineError({
    code: "E_SCHEMA",
    subject: `segment ${manifest.segment}`,
    problem: `its columns are (${names(manifest.columns)}), the table's are (${names(source.columns)})`,
    hint: "Retrieve the days before and after the change of the table one by one, from the Parquet files",
  });
}
