/**
 * Reading archived segments: the manifest as the catalog pins it, and chunks that hash to the manifest. What stages and
 * retrieval share.
 */
import { manifestLocator, objectLocator } from "../archive/locators.ts";
import type { Locator } from "../archive/port.ts";
import { differs, type ObjectReader, readBytes, readVerified } from "../archive/read-object.ts";
import type { SegmentRecord } from "../catalog/port.ts";
import type { FirnlineError } from "../errors.ts";
import { type DecodedChunk, type DecodeGroup, decodeGroup, groupJob } from "../parquet/decode-group.ts";
import { readLayout, type RowGroupLayout } from "../parquet/read-segment.ts";
import type { RawColumn, RawRows } from "../rows/copy-binary.ts";
import { fromHex, toHex } from "../rows/hex.ts";
import { columnDigest, type NewSha256 } from "../segment/digest.ts";
import { decodeManifest, type Manifest, type ManifestChunk } from "../segment/manifest.ts";
import { columnName, firstDifference } from "../segment/seal-verdict.ts";

export interface SegmentReader {
  readonly archive: ObjectReader;
  readonly newHash: NewSha256;
  /** Where row groups are decoded and hashed; here, if nothing else is said. */
  readonly decodeGroup?: DecodeGroup;
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
  const bytes = await readManifestBytes(reader, record);
  return decodeManifest(reader.newHash, bytes, manifestLocator(reader.pipeline, record).key);
}

/** The manifest's text, which hashes to what the catalog pins. */
export async function readManifestBytes(reader: SegmentReader, record: SegmentRecord): Promise<Uint8Array> {
  const { archive, newHash, pipeline, signal } = reader;
  const locator = manifestLocator(pipeline, record);
  if (record.manifest === null) throw differs(locator.key, `segment ${record.segment} has no manifest`);
  return await readVerified(archive, newHash, locator, record.manifest, signal);
}

/**
 * The wanted chunks, a row group at a time; each was verified before it is given out, else `E_VERIFY`. The next row group is
 * on its way while the caller works on one: two are in memory at most (I10).
 */
export async function* readChunkGroups(
  reader: SegmentReader,
  record: SegmentRecord,
  manifest: Manifest,
  isWanted: (chunk: number) => boolean,
): AsyncGenerator<ArchivedChunk[], void, undefined> {
  const { archive, pipeline, signal } = reader;
  const object = objectLocator(pipeline, record);
  const layout = await readLayout(manifest, async (range) => await readBytes(archive, object, range, signal));
  const wanted = layout.rowGroups
    .map((group) => ({ group, chunks: numbersOf(group).filter(isWanted) }))
    .filter(({ chunks }) => chunks.length > 0);
  let next = 0;
  const start = (): Promise<ArchivedChunk[]> | null => {
    const one = wanted[next];
    next += 1;
    if (one === undefined) return null;
    const reading = readGroup(reader, object, manifest, one.group, one.chunks);
    // Whoever takes it is told why it failed; until then nobody may be waiting.
    reading.catch(() => {});
    return reading;
  };
  let ahead = start();
  try {
    while (ahead !== null) {
      const chunks = await ahead;
      ahead = start();
      yield chunks;
    }
  } finally {
    // Nobody reads on behind the back of a caller who has stopped early.
    await ahead?.catch(() => {});
  }
}

async function readGroup(
  reader: SegmentReader,
  object: Locator,
  manifest: Manifest,
  group: RowGroupLayout,
  wanted: readonly number[],
): Promise<ArchivedChunk[]> {
  const bytes = await readBytes(reader.archive, object, group, reader.signal);
  const job = groupJob(manifest, group, { index: null, bytes, wantsRows: true });
  // The manifest's digests are compared here, wherever the others were taken.
  const { chunks } = await (reader.decodeGroup?.(job) ?? decodeGroup(reader.newHash, job));
  return wanted.map((chunk) => {
    const { rows, columns, digests } = chunks[chunk - group.chunkFrom] as DecodedChunk;
    const differing = firstDifference(manifest.chunks[chunk] as ManifestChunk, digests);
    if (differing !== null) throw differsIn(manifest, chunk, differing);
    return { chunk, rows: { rows, columns } };
  });
}

const numbersOf = ({ chunkFrom, chunkTo }: RowGroupLayout): number[] =>
  Array.from({ length: chunkTo - chunkFrom }, (_, at) => chunkFrom + at);

/**
 * Throws `E_VERIFY` unless these columns of a chunk hash to the manifest: before a row of them is given out, and before
 * anything is concluded from them (I8). One that is missing differs (hazard 8).
 */
export function verifyColumns(
  newHash: NewSha256,
  manifest: Manifest,
  chunk: number,
  columns: readonly (RawColumn | null)[],
  which: Iterable<number>,
): void {
  const { salts, digests } = manifest.chunks[chunk] as ManifestChunk;
  for (const at of which) {
    const column = columns[at] ?? null;
    const salt = fromHex(salts[at] as string);
    if (column !== null && toHex(columnDigest(newHash, salt, column)) === digests[at]) continue;
    throw differsIn(manifest, chunk, at);
  }
}

function differsIn(manifest: Manifest, chunk: number, column: number): FirnlineError {
  return differs(
    manifest.object.key,
    `chunk ${chunk}, column ${columnName(manifest, column)}: its digest is not the manifest's`,
  );
}
