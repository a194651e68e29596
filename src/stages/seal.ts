/**
 * seal: the object is read back from the archive, decoded to physical values by a reader that shares no code with the
 * writer, and every column digest is taken again. Only then come the manifest and the journal entry `sealed`, which is
 * the archive's commit point; the catalog follows.
 */
import type { SegmentRecord } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import { decodeRowGroup, readLayout } from "../parquet/read-segment.ts";
import { fromHex, toHex } from "../rows/hex.ts";
import { manifestKey } from "../segment/archive-keys.ts";
import { columnDigest } from "../segment/digest.ts";
import { decodeManifest, type Manifest } from "../segment/manifest.ts";
import { type ReadBack, type SealVerdict, sealVerdict } from "../segment/seal-verdict.ts";
import type { Archive, Locator } from "../archive/port.ts";
import { objectLocator } from "../archive/locators.ts";
import { checkpoint } from "../environment.ts";
import type { StageContext } from "./context.ts";
import { hashObject, readBytes } from "../archive/read-object.ts";

export async function sealSegment<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
): Promise<SegmentRecord> {
  const { archive, catalog, failpoint, journal, lease, newHash, policy } = context;
  const { pipeline } = policy;
  const draft = await catalog.draft(pipeline, record.segment);
  const manifest = decodeManifest(newHash, draft, manifestKey(pipeline, record.segment));
  const verdict = await verify(context, record, manifest);
  failpoint("seal.read");
  if (verdict.verdict === "differs") {
    // Nothing refers to the object and its rows are still hot: give it up, the next run exports them anew.
    await catalog.abandon(lease, record.segment);
    throw new FirnlineError({
      code: "E_VERIFY",
      subject: manifest.object.key,
      problem: `what was read back is not what was exported: ${verdict.reason}`,
      hint: "Its rows stay in Postgres and are exported again by the next run; check the store if it comes back",
      key: manifest.object.key,
    });
  }
  const key = manifestKey(pipeline, record.segment);
  const created = await archive.create(key, draft);
  if (created.outcome === "exists") await requireSame(archive, { key, versionId: null }, draft);
  const manifestPin =
    created.outcome === "created"
      ? created.pin
      : {
          key,
          versionId: null,
          etag: null,
          sha256: toHex(newHash().update(draft).digest()),
          bytes: BigInt(draft.length),
        };
  failpoint("seal.manifest");
  await journal.append({
    type: "sealed",
    segment: record.segment,
    rule: record.rule,
    dayFrom: manifest.dayFrom,
    dayTo: manifest.dayTo,
    rows: manifest.rows,
    object: manifest.object,
    manifest: { ...manifestPin, bytes: manifestPin.bytes.toString() },
    root: manifest.root,
    storageClass: record.storageClass,
    supersedes: [],
  });
  failpoint("seal.sealed");
  return await catalog.segment(pipeline, record.segment);
}

/**
 * Damaged bytes may not even decode. That is a verdict like any other, or the segment would be taken up, and fail, for
 * ever. Bytes that are intact and do not decode are a fault of ours, and thrown.
 */
async function verify<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
  manifest: Manifest,
): Promise<SealVerdict> {
  const { archive, newHash, policy, signal } = context;
  try {
    return sealVerdict(manifest, await readBack(context, record, manifest));
  } catch (error) {
    // The store failed, or somebody asked to stop: nothing is known about the bytes.
    if (signal.aborted || (error instanceof FirnlineError && error.code !== "E_FORMAT")) throw error;
    const sha256 = await hashObject(archive, newHash, objectLocator(policy.pipeline, record), signal);
    if (sha256 === manifest.object.sha256) throw error;
    return { verdict: "differs", reason: error instanceof FirnlineError ? error.problem : String(error) };
  }
}

/** Reads the object once from front to back, hashing every byte and decoding each row group on the way. */
async function readBack<Tx>(
  context: StageContext<Tx>,
  record: SegmentRecord,
  manifest: Manifest,
): Promise<ReadBack> {
  const { archive, newHash, report, signal } = context;
  const object = objectLocator(context.policy.pipeline, record);
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
    checkpoint(signal);
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
    }
    report({ stage: "seal", subject: record.segment, rows, bytes: BigInt(at) });
  }
  await hashUpTo(Number(bytes));
  return { bytes, sha256: toHex(hash.digest()), chunks };
}

/** A manifest that is there already must be the very same: a crash came between its upload and its journal entry. */
async function requireSame(archive: Archive, object: Locator, expected: Uint8Array): Promise<void> {
  const found = await readBytes(archive, object, { start: 0, end: expected.length });
  if (toHex(found) === toHex(expected)) return;
  throw new FirnlineError({
    code: "E_OWNER",
    subject: object.key,
    problem: "another manifest of this segment is there already",
    hint: "Another database writes to this archive; find out which, nothing was deleted",
    key: object.key,
  });
}
