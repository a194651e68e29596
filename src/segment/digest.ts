/**
 * Content digests: what ties rows in Postgres to bytes in the archive. `schemas/FORMAT.md` documents them; they are
 * permanent.
 *
 * - column digest = SHA-256(salt of 16 bytes, then the chunk's fields of that column in COPY layout, in row order)
 * - leaf = SHA-256(0x00, uint32 length of the header, the header as RFC 8785 JSON, the column digests in order)
 * - root = the RFC 6962 tree over the leaves: node = SHA-256(0x01, left, right)
 *
 * The header binds archive, pipeline, segment, rule, day, table, range, row count and column types to the content, so
 * that no chunk can stand in for another. Hashing is passed in: this room does no I/O and knows no platform.
 */
import { invariant } from "../errors.ts";
import type { RawColumn } from "../rows/copy-binary.ts";
import { fromHex, toHex } from "../rows/hex.ts";
import { canonicalBytes, type Json } from "./canonical-json.ts";

export interface Sha256 {
  update(bytes: Uint8Array): Sha256;
  digest(): Uint8Array;
}
export type NewSha256 = () => Sha256;

export const SALT_BYTES = 16;
export const DIGEST_BYTES = 32;

const LEAF = Uint8Array.of(0x00);
const NODE = Uint8Array.of(0x01);

export function columnDigest(newHash: NewSha256, salt: Uint8Array, fields: RawColumn): Uint8Array {
  invariant(salt.length === SALT_BYTES, "digest", `a salt has ${salt.length} bytes`);
  return newHash().update(salt).update(fields).digest();
}

/** Of each column of a chunk, with the manifest's salts: lower-case hex, as the manifest has them. */
export function chunkDigests(
  newHash: NewSha256,
  salts: readonly string[],
  columns: readonly RawColumn[],
): string[] {
  return columns.map((column, at) => toHex(columnDigest(newHash, fromHex(salts[at] as string), column)));
}

export function leafDigest(newHash: NewSha256, header: Json, columns: readonly Uint8Array[]): Uint8Array {
  const headerBytes = canonicalBytes(header);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, headerBytes.length);
  let hash = newHash().update(LEAF).update(length).update(headerBytes);
  for (const digest of columns) {
    invariant(digest.length === DIGEST_BYTES, "digest", `a column digest has ${digest.length} bytes`);
    hash = hash.update(digest);
  }
  return hash.digest();
}

/** The Merkle tree hash of RFC 6962, section 2.1, over leaves that are already hashed. At least one leaf. */
export function merkleRoot(newHash: NewSha256, leaves: readonly Uint8Array[]): Uint8Array {
  invariant(leaves.length > 0, "digest", "a tree without leaves has no root");
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  // The left subtree holds the largest power of two that is smaller than the number of leaves.
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return newHash()
    .update(NODE)
    .update(merkleRoot(newHash, leaves.slice(0, split)))
    .update(merkleRoot(newHash, leaves.slice(split)))
    .digest();
}
