/**
 * Uploads an object of the bucket to the vault, as one archive. The bytes are read once; the vault's tree hash must be
 * ours, and our SHA-256 the one that was sealed, before anybody hears of the archive: the object in the bucket will be
 * removed for it.
 */
import { createHash } from "node:crypto";
import { FirnlineError } from "../../errors.ts";
import type { Archive, Locator } from "../port.ts";
import { endsEarly, type Where } from "../refusals.ts";
import { LEAF_BYTES, TreeHash, treeHashOf } from "./tree-hash.ts";
import type { UnfinishedUpload, Vault } from "./vault.ts";

export interface UploadSizes {
  /** Archives above this go up in parts. */
  readonly wholeBytesMax: number;
  /** Smallest size of a part; a power of two MiB. */
  readonly partBytesMin: number;
}

interface Uploading {
  readonly inner: Archive;
  readonly vault: Vault;
  readonly where: Where;
  readonly sizes?: UploadSizes;
}

interface Source {
  readonly object: Locator;
  readonly bytes: bigint;
  /** As it was sealed; null where the caller does not know. */
  readonly sha256: string | null;
}

/** S3 Glacier advises parts from 100 MB on, and takes 4 GiB at once. */
const SIZES: UploadSizes = { wholeBytesMax: 100 * LEAF_BYTES, partBytesMin: 16 * LEAF_BYTES };
const PARTS_MAX = 10_000;

/** Returns the id of the archive. `E_VERIFY` where its bytes are not what was sealed. */
export async function uploadObject(uploading: Uploading, source: Source): Promise<string> {
  const { sizes = SIZES, vault, where } = uploading;
  const bytes = Number(source.bytes);
  const { archiveId, treeHash, expected } =
    bytes <= sizes.wholeBytesMax
      ? await uploadWhole(uploading, source)
      : await uploadParts(uploading, source, partBytesOf(bytes, sizes.partBytesMin));
  if (treeHash === expected) return archiveId;
  await vault.remove(where, archiveId);
  throw differs(where, `the vault's tree hash of it is ${treeHash}, ours is ${expected}`);
}

/** A power of two MiB, so that the archive has 10,000 parts at most. */
export function partBytesOf(bytes: number, partBytesMin: number): number {
  let partBytes = partBytesMin;
  while (bytes > partBytes * PARTS_MAX) partBytes *= 2;
  return partBytes;
}

/** Ends uploads in parts; returns how many. */
export async function abortUploads(
  vault: Vault,
  where: Where,
  isOver: (upload: UnfinishedUpload) => boolean,
): Promise<number> {
  let count = 0;
  for await (const upload of vault.uploads(where)) {
    if (!isOver(upload)) continue;
    await vault.abortUpload(where, upload.uploadId);
    count += 1;
  }
  return count;
}

interface Uploaded {
  readonly archiveId: string;
  readonly treeHash: string;
  readonly expected: string;
}

async function uploadWhole({ inner, vault, where }: Uploading, source: Source): Promise<Uploaded> {
  let whole = new Uint8Array();
  for await (const part of partsOf(inner, where, source, Number(source.bytes))) whole = part;
  requireSealed(where, source, createHash("sha256").update(whole).digest("hex"));
  const expected = treeHashOf(whole);
  const stored = await vault.upload(where, { description: where.key, bytes: whole, treeHash: expected });
  return { ...stored, expected };
}

async function uploadParts(
  { inner, vault, where }: Uploading,
  source: Source,
  partBytes: number,
): Promise<Uploaded> {
  // Of a process that was killed: its parts are no use, and kept for a day otherwise.
  await abortUploads(vault, where, ({ description }) => description === where.key);
  const uploadId = await vault.beginUpload(where, where.key, partBytes);
  try {
    const sha256 = createHash("sha256");
    const whole = new TreeHash();
    let start = 0;
    for await (const bytes of partsOf(inner, where, source, partBytes)) {
      sha256.update(bytes);
      whole.update(bytes);
      await vault.uploadPart(where, { uploadId, start, bytes, treeHash: treeHashOf(bytes) });
      start += bytes.byteLength;
    }
    requireSealed(where, source, sha256.digest("hex"));
    const expected = whole.digest();
    const upload = { uploadId, bytes: source.bytes, treeHash: expected };
    return { ...(await vault.completeUpload(where, upload)), expected };
  } catch (error) {
    // The failure itself matters more; what is left over, the next try or `collect` ends.
    await vault.abortUpload(where, uploadId).catch(() => {});
    throw error;
  }
}

/** The object's bytes in pieces of exactly `partBytes`, but for the last one. */
async function* partsOf(
  inner: Archive,
  where: Where,
  { object, bytes }: Source,
  partBytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const total = Number(bytes);
  let part = new Uint8Array(Math.min(partBytes, total));
  let filled = 0;
  let read = 0;
  for await (const piece of inner.read(object, { start: 0, end: total })) {
    for (let at = 0; at < piece.byteLength;) {
      const taken = Math.min(piece.byteLength - at, part.byteLength - filled);
      part.set(piece.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      read += taken;
      if (filled < part.byteLength) continue;
      yield part;
      part = new Uint8Array(Math.min(partBytes, total - read));
      filled = 0;
    }
  }
  if (read !== total) throw endsEarly(where, `${read} of ${total} bytes came`);
}

function requireSealed(where: Where, { sha256 }: Source, found: string): void {
  if (sha256 === null || sha256 === found) return;
  throw differs(where, `its SHA-256 is ${found}, ${sha256} was sealed`);
}

function differs({ op, key }: Where, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_VERIFY",
    subject: key,
    problem: `what was uploaded to the vault is not the object: ${problem}`,
    hint: "The object is still in the bucket and counts; the next run tries again",
    op,
    key,
  });
}
