/**
 * The journal from its first entry to its last, with its chain checked on the way (I5). A gap, an entry that is not the
 * one that the next names, or bytes that are no entry are told where they are: `verify` reports them, and everything else
 * refuses a journal that has one.
 *
 * A listing may be behind the store (fault 32). What it leaves out is asked for by number before it counts as missing,
 * and so is what comes after its last entry.
 */
import type { Archive } from "../archive/port.ts";
import { entryRange, readJournalEntry } from "../archive/journal-log.ts";
import { differs, readBytes } from "../archive/read-object.ts";
import { isFirnlineError } from "../errors.ts";
import { toHex } from "../rows/hex.ts";
import { journalFolder, journalKey, journalNumber } from "../segment/archive-keys.ts";
import type { NewSha256 } from "../segment/digest.ts";
import { emptyHistory, type History, replay } from "../segment/history.ts";
import {
  decodeEntry,
  EMPTY_JOURNAL,
  encodeEntry,
  type JournalEntry,
  type JournalHead,
} from "../segment/journal.ts";

export interface JournalReader {
  readonly archive: Archive;
  readonly newHash: NewSha256;
  readonly pipeline: string;
  readonly signal: AbortSignal;
}

export interface WalkedEntry {
  readonly n: bigint;
  readonly key: string;
  /** Null where there is none, or none that can be read. */
  readonly entry: JournalEntry | null;
  /** The journal's head, if it ended here. */
  readonly head: JournalHead;
  /** What is wrong with it or with its place in the chain; null for nothing. */
  readonly problem: string | null;
}

/** Entries that are asked for at once. */
const READ_AHEAD = 8;
/** Numbers in a row that are missing one by one; more are told as one gap. */
const GAP_MAX = 100n;

type Found = Promise<Uint8Array | null>;

export async function* walkJournal(reader: JournalReader): AsyncGenerator<WalkedEntry, void, undefined> {
  let head = EMPTY_JOURNAL;
  let isChainKnown = true;
  for await (const { n, bytes } of inOrder(reader)) {
    const key = journalKey(reader.pipeline, n);
    if (bytes === null) {
      const from = head.n + 1n;
      const problem = from === n ? "this entry is missing" : `this entry is missing, and all from ${from} on`;
      head = { n, sha256: "" };
      isChainKnown = false;
      yield { n, key, entry: null, head, problem };
      continue;
    }
    const before = isChainKnown ? head.sha256 : null;
    const { entry, problem } = readEntry(n, key, bytes, before);
    head = { n, sha256: toHex(reader.newHash().update(bytes).digest()) };
    isChainKnown = true;
    yield { n, key, entry, head, problem };
  }
}

/** What the whole journal says. `E_VERIFY` or `E_FORMAT` for the first entry that is not as it should be. */
export async function readHistory(
  reader: JournalReader,
  onEntry: (walked: WalkedEntry) => void = () => {},
): Promise<{ readonly history: History; readonly head: JournalHead }> {
  const history = emptyHistory();
  let head = EMPTY_JOURNAL;
  for await (const walked of walkJournal(reader)) {
    const problem = walked.problem ?? (walked.entry === null ? null : replay(history, walked.entry));
    if (problem !== null) throw differs(walked.key, problem);
    head = walked.head;
    onEntry(walked);
  }
  return { history, head };
}

function readEntry(
  n: bigint,
  key: string,
  bytes: Uint8Array,
  before: string | null,
): { entry: JournalEntry | null; problem: string | null } {
  let entry: JournalEntry;
  try {
    entry = decodeEntry(bytes, key);
  } catch (error) {
    if (!isFirnlineError(error, "E_FORMAT")) throw error;
    return { entry: null, problem: error.problem };
  }
  const problem =
    entry.n !== n.toString()
      ? `it says that it is entry ${entry.n}`
      : before !== null && entry.prev !== before
        ? `it follows another entry than ${n - 1n}: one of the two was changed`
        : isCanonical(entry, bytes)
          ? null
          : "it is not in canonical form";
  return { entry, problem };
}

function isCanonical(entry: JournalEntry, bytes: Uint8Array): boolean {
  const canonical = encodeEntry(entry);
  return canonical.length === bytes.length && canonical.every((byte, at) => byte === bytes[at]);
}

/** Every number from 1 on, a few ahead; null for one that is missing while a higher one is there. */
async function* inOrder(
  reader: JournalReader,
): AsyncGenerator<{ n: bigint; bytes: Uint8Array | null }, void, undefined> {
  const { archive, pipeline, signal } = reader;
  const ahead: { readonly n: bigint; readonly found: Found }[] = [];
  let next = 1n;
  const ask = (n: bigint, found: Found): void => {
    // Told where it is awaited.
    found.catch(() => {});
    ahead.push({ n, found });
    next = n + 1n;
  };
  const take = async (): Promise<{ n: bigint; bytes: Uint8Array | null }> => {
    const { n, found } = ahead.shift() as (typeof ahead)[number];
    return { n, bytes: await found };
  };
  for await (const { key, versionId, bytes } of archive.list(journalFolder(pipeline))) {
    const n = journalNumber(pipeline, key);
    if (n === null || n < next) continue;
    // Not listed is not yet missing. A gap of a forged number must not be walked one by one.
    const from = n - next > GAP_MAX ? n - 1n : next;
    for (let missing = from; missing < n; missing += 1n) {
      ask(missing, readJournalEntry(archive, journalKey(pipeline, missing)));
      if (ahead.length >= READ_AHEAD) yield await take();
    }
    ask(n, readBytes(archive, { key, versionId }, entryRange(key, bytes), signal));
    if (ahead.length >= READ_AHEAD) yield await take();
  }
  while (ahead.length > 0) yield await take();
  for (;;) {
    const bytes = await readJournalEntry(archive, journalKey(pipeline, next));
    if (bytes === null) return;
    yield { n: next, bytes };
    next += 1n;
  }
}
