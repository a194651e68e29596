/** Reading the journal's objects: one entry, and whether the archive has the last one that a catalog knows of. */
import { toHex } from "../rows/hex.ts";
import { journalKey } from "../segment/archive-keys.ts";
import type { NewSha256 } from "../segment/digest.ts";
import type { JournalHead } from "../segment/journal.ts";
import type { Archive } from "./port.ts";
import { readBytes } from "./read-object.ts";

/** The bytes of an entry; null where there is none. */
export async function readJournalEntry(archive: Archive, key: string): Promise<Uint8Array | null> {
  const object = { key, versionId: null };
  const head = await archive.head(object);
  if (head === null) return null;
  return await readBytes(archive, object, { start: 0, end: Number(head.bytes) });
}

/** What keeps the catalog's last entry from being the archive's; null when they are the same, or there is none yet. */
export async function lastEntryProblem(
  archive: Archive,
  newHash: NewSha256,
  pipeline: string,
  head: JournalHead,
): Promise<{ readonly key: string; readonly problem: string } | null> {
  if (head.n === 0n) return null;
  const key = journalKey(pipeline, head.n);
  const bytes = await readJournalEntry(archive, key);
  if (bytes === null) return { key, problem: "the catalog's last entry is not in the archive" };
  if (toHex(newHash().update(bytes).digest()) === head.sha256) return null;
  return { key, problem: "the archive's entry is not the catalog's" };
}
