/**
 * Reading archived segments: the manifest as the catalog pins it, and chunks that hash to the manifest. What stages and
 * retrieval share.
 */
import { manifestLocator, objectLocator } from "../archive/locators.ts";
import { differs, type ObjectReader, readBytes, readVerified } from "../archive/read-object.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import { decodeRowGroup, readLayout } from "../parquet/read-segment.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { fromHex, toHex } from "../rows/hex.ts";
import { columnDigest, type NewSha256 } from "../segment/digest.ts";
import { decodeManifest, type Manifest, type ManifestChunk } from "../segment/manifest.ts";
import { firstDifference } from "../segment/seal-verdict.ts";

export interface SegmentReader {
  readonly archive: ObjectReader;
  readonly newHash: NewSha256;
  readonly pipeline: string;
  readonly signal: AbortSignal;
}

export interface ArchivedChunk {
  /** Its number in the manifest. */
  readonly chunk: number;
  readonly rows: RawRows;
}

/** Throws `E_VERIFY` unless it is the manifest that the catalog pins. */
export async function readManifest(reader: SegmentReader, record: SegmentRecord): Promise<Manifest> {
  const { archive, newHash, pipeline, signal } = reader;
  const locator = manifestLocator(pipeline, record);
  if (record.manifest === null) throw differs(locator.key, `segment ${record.segment} has no manifest`);
  const bytes = await readVerified(archive, newHash, locator, record.manifest, signal);
  return decodeManifest(newHash, bytes, locator.key);
}

/** The wanted chunks, a row group at a time; each was verified before it is given out, else `E_VERIFY`. */
export async function* readChunkGroups(
  reader: SegmentReader,
  record: SegmentRecord,
  manifest: Manifest,
  isWanted: (chunk: number) => boolean,
): AsyncGenerator<ArchivedChunk[], void, undefined> {
  const { archive, newHash, pipeline, signal } = reader;
  const object = objectLocator(pipeline, record);
  const layout = await readLayout(manifest, async (range) => await readBytes(archive, object, range, signal));
  for (const group of layout.rowGroups) {
    const count = group.chunkTo - group.chunkFrom;
    const wanted = Array.from({ length: count }, (_, at) => group.chunkFrom + at).filter(isWanted);
    if (wanted.length === 0) continue;
    const bytes = await readBytes(archive, object, group, signal);
    const decoded = await decodeRowGroup(manifest, layout, group, bytes);
    yield wanted.map((chunk) => {
      const rows = decoded[chunk - group.chunkFrom] as RawRows;
      verifyChunk(newHash, manifest, chunk, rows);
      return { chunk, rows };
    });
  }
}

function verifyChunk(newHash: NewSha256, manifest: Manifest, index: number, rows: RawRows): void {
  const chunk = manifest.chunks[index] as ManifestChunk;
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
