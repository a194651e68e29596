/**
 * Publishing to the journal. An entry is decided in the catalog first (the outbox), then created in the archive under
 * the next number, then applied to the catalog. The exclusive creation is the commit point and the fence: of two
 * writers, one gets the number and the other stops with `E_OWNER`. A crash at any place leaves an outbox row, and the
 * next run publishes it again with the same result.
 *
 * Entries of deletions grow, and what has a number must not: each is closed before it is read to be published. A
 * deletion checks the lease before it adds to its entry, and closing waits for all that have checked it. So of a COMMIT
 * that outlives its client (a lost connection, a standby that does not answer):
 *
 * - before the entry is closed: the entry is published with what the COMMIT added to it;
 * - still to come: closing waits, or fails after the lock timeout, and nothing was created in the archive;
 * - begun after the entry was closed: it begins another entry, be it in this run or in the next one;
 * - of a run that was taken over: its check of the lease fails, and the deletion with it (I6); if the check came first, the
 *   lease could not be taken over until it was through.
 *
 * A crash between closing and publishing leaves a closed entry, which is published as it is.
 */
import { lastEntryProblem, readJournalEntry } from "../archive/journal-log.ts";
import type { Archive } from "../archive/port.ts";
import type { PendingEntry } from "../catalog/pending-entry.ts";
import type { Catalog, Lease } from "../catalog/port.ts";
import { FirnlineError, invariant } from "../errors.ts";
import { toHex } from "../rows/hex.ts";
import { journalKey } from "../segment/archive-keys.ts";
import { canonicalJson, type Json } from "../segment/canonical-json.ts";
import type { NewSha256 } from "../segment/digest.ts";
import {
  decodeEntry,
  encodeEntry,
  type JournalEvent,
  type JournalHead,
  nextEntry,
} from "../segment/journal.ts";
import { type Clock, timestamp } from "../environment.ts";
import type { Failpoint } from "../failpoint.ts";
import type { Policy } from "../policy/policy.ts";
import { entryLock } from "./lock.ts";
import { Gate } from "./overlap.ts";

export interface JournalOptions<Tx> {
  readonly archive: Archive;
  readonly catalog: Catalog<Tx>;
  readonly newHash: NewSha256;
  readonly clock: Clock;
  readonly failpoint: Failpoint;
  readonly lease: Lease;
  readonly head: JournalHead;
  /** Entries are locked from their first moment on where the policy locks objects. */
  readonly policy: Pick<Policy, "archive">;
}

export class Journal<Tx> {
  readonly #options: JournalOptions<Tx>;
  #head: JournalHead;
  /** False once the catalog's answer was lost: it may have followed the archive or not, and is asked. */
  #isHeadKnown = true;
  /** Stages overlap, and numbers come one after the other (I5). */
  readonly #gate = new Gate();
  /** By their keys, entries that are decided bit by bit just now. */
  readonly #growing = new Set<string>();

  constructor(options: JournalOptions<Tx>) {
    this.#options = options;
    this.#head = options.head;
  }

  get head(): JournalHead {
    return this.#head;
  }

  /** Decides and publishes one entry; when it resolves, the archive holds it and the catalog follows it. */
  async append(event: JournalEvent): Promise<void> {
    const { catalog, clock, failpoint, lease } = this.#options;
    await catalog.enqueue(lease, event, timestamp(clock));
    failpoint("journal.enqueued");
    await this.publish();
  }

  /** Publishes everything that is decided, in order, and does not grow just now. */
  async publish(): Promise<void> {
    await this.#gate.pass(async () => await this.#publish());
  }

  /**
   * Each batch that `work` deletes adds to one entry, found by `growthKey`, in the batch's own transaction. It is neither
   * closed nor published meanwhile: one entry a batch would be the largest part of the archive's objects.
   */
  async whileGrowing<T>(entry: string, work: () => Promise<T>): Promise<T> {
    // Through the gate: not while somebody is publishing what was read before.
    await this.#gate.pass(async () => void this.#growing.add(entry));
    try {
      return await work();
    } finally {
      await this.#gate.pass(async () => void this.#growing.delete(entry));
    }
  }

  /** What is decided and stays as it is. What grows is none of it: it would be in no journal (I2). */
  async #pending(): Promise<PendingEntry[]> {
    const { catalog, lease } = this.#options;
    const pending = await catalog.pending(lease.pipeline);
    const isOpen = ({ growsBy }: PendingEntry): boolean => growsBy !== null && !this.#growing.has(growsBy);
    const settled = pending.some(isOpen) ? await catalog.closeEntries(lease, [...this.#growing]) : pending;
    return settled.filter(({ growsBy }) => growsBy === null);
  }

  async #publish(): Promise<void> {
    const { catalog, failpoint, lease } = this.#options;
    if (!this.#isHeadKnown) {
      // Its COMMIT may be still to come, and this waits for it.
      await catalog.closeEntries(lease, [...this.#growing]);
      this.#head = await this.#askHead();
    }
    this.#isHeadKnown = true;
    let pending = await this.#pending();
    while (pending[0] !== undefined) {
      const { entry, head } = await this.#create(pending[0], pending);
      failpoint("journal.created");
      this.#isHeadKnown = false;
      await catalog.published(lease, entry, head);
      this.#head = head;
      this.#isHeadKnown = true;
      failpoint("journal.published");
      const rest = pending.filter(({ id }) => id !== entry.id);
      pending = rest.length > 0 ? rest : await this.#pending();
    }
  }

  /**
   * The archive must end exactly where the catalog says. Anything else means that the two have different histories:
   * a catalog restored from a backup, a clone that went on, or another writer.
   */
  async checkHead(): Promise<void> {
    const { archive, lease, newHash } = this.#options;
    const found = await lastEntryProblem(archive, newHash, lease.pipeline, this.#head);
    if (found !== null) throw this.#foreign(found.key, found.problem, found.hint);
    const next = journalKey(lease.pipeline, this.#head.n + 1n);
    if ((await archive.head({ key: next, versionId: null })) !== null) {
      throw this.#foreign(next, "the archive has an entry that this catalog does not know");
    }
  }

  /**
   * Takes the next number for `first`. If the archive holds that number already, with one of our own decisions, then the
   * reply or the process was lost after the archive took it; that one is published first. It need not be `first`: a
   * retrieval's entry may have been decided earlier and committed later.
   */
  async #create(
    first: PendingEntry,
    pending: readonly PendingEntry[],
  ): Promise<{ entry: PendingEntry; head: JournalHead }> {
    const { archive, lease } = this.#options;
    const { id: _, growsBy: __, ...decided } = first;
    // Entries count under the epoch that publishes them: a taken-over run's last decisions are still decisions.
    const entry = nextEntry(this.#head, { ...decided, epoch: lease.epoch.toString() });
    const key = journalKey(lease.pipeline, BigInt(entry.n));
    const n = BigInt(entry.n);
    const bytes = encodeEntry(entry);
    const retention = entryLock(this.#options);
    const created = await archive.create(key, bytes, retention === null ? {} : { retention });
    if (created.outcome === "created") return { entry: first, head: { n, sha256: this.#hash(bytes) } };
    const found = (await readJournalEntry(archive, key)) ?? new Uint8Array();
    const theirs = decodeEntry(found, key);
    const ours = pending.find(({ entryId }) => entryId === theirs.entryId);
    if (ours === undefined || theirs.prev !== entry.prev)
      throw this.#foreign(key, "another writer took this number");
    if (canonicalJson(ours.event as unknown as Json) !== canonicalJson(theirs.event as unknown as Json)) {
      throw this.#foreign(key, "it holds an earlier form of a decision that went on here");
    }
    return { entry: ours, head: { n, sha256: this.#hash(found) } };
  }

  async #askHead(): Promise<JournalHead> {
    const { catalog, lease } = this.#options;
    const record = await catalog.pipeline(lease.pipeline);
    invariant(record !== null, lease.pipeline, "its row is gone");
    if (record.lease.epoch === lease.epoch) return record.journal;
    // I6: the head is another run's by now, and so are the decisions that wait.
    throw new FirnlineError({
      code: "E_STALE",
      subject: `run ${lease.run}`,
      problem: `its lease on ${lease.pipeline} (epoch ${lease.epoch}) was taken over by another run`,
      hint: "Nothing more was changed by this run; the other one goes on",
    });
  }

  #hash(bytes: Uint8Array): string {
    return toHex(this.#options.newHash().update(bytes).digest());
  }

  #foreign(key: string, problem: string, hint: string | null = null): FirnlineError {
    return new FirnlineError({
      code: "E_OWNER",
      subject: key,
      problem,
      hint:
        hint ??
        "Nothing was deleted. `firnline verify` says how the two differ. Was this database, or its control schema, " +
          "restored from a backup? `firnline catalog rebuild`. Is it a copy that is to go on? `firnline adopt`",
      op: "journal",
      key,
    });
  }
}
