/** Reading the journal's objects: one entry, and whether the archive has the last one that a catalog knows of. */
import { toHex } from "../rows/hex.ts";
import { journalKey } from "../segment/archive-keys.ts";
import type { NewSha256 } from "../segment/digest.ts";
import type { JournalHead } from "../segment/journal.ts";
import type { Archive, ByteRange } from "./port.ts";
import { differs, readBytes } from "./read-object.ts";

/** The longest entries name the chunks of a segment: some 3 MB for the largest one. */
const ENTRY_BYTES_MAX = 64n << 20n;

/** The bytes of an entry; null where there is none. */
export async function readJournalEntry(archive: Archive, key: string): Promise<Uint8Array | null> {
  const object = { key, versionId: null };
  const head = await archive.head(object);
  if (head === null) return null;
  return await readBytes(archive, object, entryRange(key, head.bytes));
}

/** All of an entry of this size; `E_VERIFY` where no entry is so large, before there is memory for it (I10). */
export function entryRange(key: string, bytes: bigint): ByteRange {
  if (bytes > ENTRY_BYTES_MAX) throw differs(key, `it has ${bytes} bytes, which no entry of a journal has`);
  return { start: 0, end: Number(bytes) };
}

export interface LastEntryProblem {
  readonly key: string;
  readonly problem: string;
  /** Null where it has to be found out what happened. */
  readonly hint: string | null;
}

/** What keeps the catalog's last entry from being the archive's; null when they are the same, or there is none yet. */
export async function lastEntryProblem(
  archive: Archive,
  newHash: NewSha256,
  pipeline: string,
  head: JournalHead,
): Promise<LastEntryProblem | null> {
  if (head.n === 0n) return null;
  const key = journalKey(pipeline, head.n);
  const bytes = await readJournalEntry(archive, key);
  if (bytes === null) {
    if ((await archive.head({ key: journalKey(pipeline, 1n), versionId: null })) === null)
      return elsewhere(archive.url, head);
    return { key, problem: "the catalog's last entry is not in the archive", hint: null };
  }
  if (toHex(newHash().update(bytes).digest()) === head.sha256) return null;
  return { key, problem: "the archive's entry is not the catalog's", hint: null };
}

/** Nothing at all is there: no history went another way, the place is another one. */
function elsewhere(url: string, { n }: JournalHead): LastEntryProblem {
  return {
    key: url,
    problem: `there is no journal of this pipeline, and the catalog knows one of ${n} entries`,
    hint: "Is archive.url right? Is its folder mounted, or its bucket the one that it was? Nothing was deleted",
  };
}
