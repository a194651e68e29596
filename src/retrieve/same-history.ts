/**
 * Whether the catalog that an answer is made from is the one that the archive followed. After a restore of the control
 * schema, or of the whole database, it may believe that rows are hot which were archived and deleted since (hazards 3
 * and 17d): then every answer would lack them, and is refused (I8).
 */
import { lastEntryProblem, readJournalEntry } from "../archive/journal-log.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import { journalKey } from "../segment/archive-keys.ts";
import { decodeEntry, type JournalHead } from "../segment/journal.ts";

/** `head` is the journal's head in the snapshot that the answer is made from. */
export async function requireSameHistory<Tx>(environment: Environment<Tx>, head: JournalHead): Promise<void> {
  const { archive, catalog, newHash, policy } = environment;
  const { pipeline } = policy;
  const found = await lastEntryProblem(archive, newHash, pipeline, head);
  if (found !== null) throw foreign(found.key, found.problem, found.hint);
  const next = journalKey(pipeline, head.n + 1n);
  const bytes = await readJournalEntry(archive, next);
  if (bytes === null) return;
  // A run may be at work: then the entry is one that this catalog decided, or has applied since.
  const { entryId } = decodeEntry(bytes, next);
  if ((await catalog.pending(pipeline)).some((entry) => entry.entryId === entryId)) return;
  const now = await catalog.pipeline(pipeline);
  if (now !== null && now.journal.n > head.n) return;
  throw foreign(next, "the archive has an entry that this catalog does not know");
}

function foreign(key: string, problem: string, hint: string | null = null): FirnlineError {
  return new FirnlineError({
    code: "E_OWNER",
    subject: key,
    problem,
    hint:
      hint ??
      "An answer from here could lack rows. Was this database or its control schema restored from a backup? " +
        "`firnline catalog rebuild` brings it up to the archive",
    op: "retrieve",
    key,
  });
}
