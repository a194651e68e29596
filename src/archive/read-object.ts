/** Whole objects and ranges of them as one piece of memory, with a bound. */
import type { Archive, ByteRange, Locator } from "./port.ts";
import { FirnlineError } from "../errors.ts";
import { toHex } from "../rows/hex.ts";
import type { NewSha256 } from "../segment/digest.ts";

/** All of an archive that reading takes. */
export type ObjectReader = Pick<Archive, "read">;

export async function readBytes(
  archive: ObjectReader,
  object: Locator,
  range: ByteRange,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(range.end - range.start);
  let at = 0;
  for await (const piece of archive.read(object, range, signal)) {
    if (at + piece.length > bytes.length) throw differs(object.key, "more bytes came than were asked for");
    bytes.set(piece, at);
    at += piece.length;
  }
  if (at !== bytes.length) throw differs(object.key, `${at} bytes came, ${bytes.length} were asked for`);
  return bytes;
}

/** The whole object, which must have exactly this size and SHA-256; else `E_VERIFY`. */
export async function readVerified(
  archive: ObjectReader,
  newHash: NewSha256,
  object: Locator,
  expected: { readonly sha256: string; readonly bytes: bigint },
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = await readBytes(archive, object, { start: 0, end: Number(expected.bytes) }, signal);
  const found = toHex(newHash().update(bytes).digest());
  if (found !== expected.sha256)
    throw differs(object.key, `its SHA-256 is ${found}, expected ${expected.sha256}`);
  return bytes;
}

/** SHA-256 of all bytes that are there, lower-case hex; read in pieces. */
export async function hashObject(
  archive: ObjectReader,
  newHash: NewSha256,
  object: Locator,
  signal: AbortSignal,
): Promise<string> {
  let hash = newHash();
  for await (const piece of archive.read(object, undefined, signal)) hash = hash.update(piece);
  return toHex(hash.digest());
}

export function differs(key: string, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_VERIFY",
    subject: key,
    problem,
    hint: "Nothing was deleted; compare the object with the journal and restore an earlier version of it",
    op: "archive.read",
    key,
  });
}
