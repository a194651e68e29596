/** Manifests by what the journal says of them, several at a time. */
import type { Archive } from "../archive/port.ts";
import { differs, readVerified } from "../archive/read-object.ts";
import type { NewSha256 } from "../segment/digest.ts";
import type { SegmentHistory } from "../segment/history.ts";
import { decodeManifest, type Manifest } from "../segment/manifest.ts";
import { manifestProblem } from "../segment/standing.ts";

export interface ManifestReader {
  readonly archive: Archive;
  readonly newHash: NewSha256;
  readonly pipeline: string;
  readonly archiveId: string;
  readonly signal: AbortSignal;
}

/** Manifests that are read at the same time; one of a day of millions of rows has several megabytes (I10). */
const READERS = 4;

/** `E_VERIFY` or `E_FORMAT` unless it is the manifest that the journal pins, and agrees with it. */
export async function readJournaledManifest(
  reader: ManifestReader,
  history: SegmentHistory,
): Promise<Manifest> {
  const { archive, newHash, signal } = reader;
  const { key, versionId, sha256, bytes } = history.manifest;
  const head = await archive.head({ key, versionId });
  if (head === null) throw differs(key, "the manifest is gone");
  if (head.bytes !== BigInt(bytes)) throw differs(key, `it has ${head.bytes} bytes, ${bytes} were sealed`);
  const found = await readVerified(archive, newHash, head, { sha256, bytes: BigInt(bytes) }, signal);
  const manifest = decodeManifest(newHash, found, key);
  const problem = manifestProblem(manifest, reader, history);
  if (problem !== null) throw differs(key, problem);
  return manifest;
}

/** Calls `use` for each item, `countMax` of them at a time, in no particular order. Ends with the first error. */
export async function inParallel<T>(
  items: Iterable<T>,
  use: (item: T) => Promise<void>,
  countMax = READERS,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && !failed; next = iterator.next()) {
      await use(next.value).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  };
  // All of them have stopped before the first error is told: nobody works on behind the caller's back.
  for (const result of await Promise.allSettled(Array.from({ length: countMax }, worker))) {
    if (result.status === "rejected") throw result.reason;
  }
}
