/** The journal's own chain, and its end against the catalog's. */
import { walkJournal } from "../archived/walk-journal.ts";
import type { CatalogContents } from "../catalog/upkeep.ts";
import { checkpoint, type Environment } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import { journalKey } from "../segment/archive-keys.ts";
import { emptyHistory, type History, replay } from "../segment/history.ts";
import { EMPTY_JOURNAL, type JournalEvent, type JournalHead } from "../segment/journal.ts";

export interface JournalReading {
  /** Up to the entry that the catalog ends with; all of it where there is no catalog. */
  readonly history: History;
  readonly head: JournalHead;
  /** Whether the catalog can be held against the history: nothing is damaged, and the catalog's end is on the way. */
  readonly isComparable: boolean;
  /** Keys of objects that later entries collected, and segments that later entries let expire. */
  readonly collectedLater: ReadonlySet<string>;
  readonly expiringLater: ReadonlySet<string>;
}

export async function verifyJournal<Tx>(
  environment: Environment<Tx>,
  contents: CatalogContents | null,
  found: (finding: FirnlineError) => void,
  signal: AbortSignal,
): Promise<JournalReading> {
  const { pipeline } = environment.policy;
  const known = contents?.record.journal ?? null;
  const history = emptyHistory();
  const collectedLater = new Set<string>();
  const expiringLater = new Set<string>();
  const unknown: { n: bigint; entryId: string }[] = [];
  let head = EMPTY_JOURNAL;
  let isComparable = known !== null;
  const damaged = (key: string, problem: string): void => {
    isComparable = false;
    found(journalDamage(key, problem));
  };
  for await (const { n, key, entry, head: end, problem } of walkJournal({
    ...environment,
    pipeline,
    signal,
  })) {
    checkpoint(signal);
    environment.report({ stage: "journal", subject: pipeline, rows: n, bytes: 0n });
    head = end;
    if (problem !== null) damaged(key, problem);
    if (known !== null && n === known.n && end.sha256 !== known.sha256) {
      isComparable = false;
      found(anotherHistory(key, "the archive's entry is not the catalog's"));
    }
    if (entry === null) continue;
    if (known === null || known.n === 0n || n <= known.n) {
      const contradiction = replay(history, entry);
      if (contradiction !== null) damaged(key, contradiction);
    } else {
      unknown.push({ n, entryId: entry.entryId });
      for (const one of collectedOf(entry.event)) collectedLater.add(one);
      if (entry.event.type === "expire-intent") expiringLater.add(entry.event.segment);
    }
  }
  if (known !== null && head.n < known.n) {
    isComparable = false;
    const missing = head.n + 1n === known.n ? `entry ${known.n}` : `entries ${head.n + 1n} to ${known.n}`;
    found(
      journalDamage(
        journalKey(pipeline, known.n),
        `the journal ends before ${missing}, which the catalog knows`,
      ),
    );
  }
  const problem = await unexplained(environment, unknown);
  if (problem !== null) found(problem);
  const isKnown = isComparable && known !== null && known.n > 0n;
  return { history, head, isComparable: isKnown, collectedLater, expiringLater };
}

const collectedOf = (event: JournalEvent): string[] =>
  event.type === "collected" ? event.objects.map(({ key }) => key) : [];

/** Entries beyond the catalog's last one are its own, if it decided them or has followed them since: a run may be at work. */
async function unexplained<Tx>(
  { catalog, policy }: Environment<Tx>,
  entries: readonly { readonly n: bigint; readonly entryId: string }[],
): Promise<FirnlineError | null> {
  if (entries.length === 0) return null;
  const { pipeline } = policy;
  const pending = new Set((await catalog.pending(pipeline)).map(({ entryId }) => entryId));
  const now = (await catalog.pipeline(pipeline))?.journal.n ?? 0n;
  const foreign = entries.filter(({ n, entryId }) => n > now && !pending.has(entryId));
  if (foreign[0] === undefined) return null;
  const count = `${foreign.length} ${foreign.length === 1 ? "entry" : "entries"}`;
  return anotherHistory(
    journalKey(pipeline, foreign[0].n),
    `the archive has ${count} from here on that this catalog does not know`,
  );
}

function journalDamage(key: string, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_VERIFY",
    subject: key,
    problem,
    hint: "Put back what was there, from a version or a backup of the archive. Until then nothing runs on it",
    key,
  });
}

function anotherHistory(key: string, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_OWNER",
    subject: key,
    problem,
    hint:
      "If this database was restored from a backup and owns the archive, `firnline catalog rebuild` brings the catalog up " +
      "to it; if another database writes to it, `firnline adopt` takes it from that one",
    key,
  });
}
