/**
 * Readable copies of a vault's archives: the outputs of retrieval jobs. A job takes minutes to hours, and its output can
 * be read for a day; the vault tells of both in one listing.
 */
import { FirnlineError } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import { KeyLock } from "../key-lock.ts";
import type { Access, RestoreTier } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { VaultArchive } from "../vault-locator.ts";
import type { RetrievalJob, Vault } from "./vault.ts";

/** An output can be read for at least so long after its job is done. */
const OUTPUT_MS = 24 * 3_600_000;
/** A thousand objects are looked at together; one listing does for all. */
const LISTING_MS_MAX = 1_000;

interface Listing {
  readonly at: EpochMs;
  readonly jobs: Promise<RetrievalJob[]>;
}

export class RetrievalJobs {
  readonly #vaultOf: (name: string) => Vault;
  readonly #now: () => EpochMs;
  readonly #lock = new KeyLock();
  /** By vault. */
  readonly #listings = new Map<string, Listing>();

  constructor(vaultOf: (name: string) => Vault, now: () => EpochMs) {
    this.#vaultOf = vaultOf;
    this.#now = now;
  }

  async access(where: Where, archive: VaultArchive): Promise<Access> {
    return this.#accessOf(await this.#jobOf(where, archive));
  }

  /** The id of a job whose output can be read; else `E_COLD`. */
  async readable(where: Where, archive: VaultArchive): Promise<string> {
    const job = await this.#jobOf(where, archive);
    const access = this.#accessOf(job);
    if (job === null || access.state !== "readable") throw cold(where, access);
    return job.jobId;
  }

  /** Begins a job unless one is under way, or its output can be read. */
  async restore(where: Where, archive: VaultArchive, tier: RestoreTier): Promise<Access> {
    const { archiveId, vault } = archive;
    const look = async (): Promise<Access> => {
      this.#listings.delete(vault);
      return await this.access(where, archive);
    };
    // One at a time here, or two would both find no job, and both be paid for.
    return await this.#lock.run(archiveId, async () => {
      const before = await look();
      if (before.state !== "archived") return before;
      try {
        await this.#vaultOf(vault).retrieve(where, archiveId, tier);
      } catch (error) {
        // The reply may have been lost: the vault says whether it has the job.
        const after = await look();
        if (after.state === "archived") throw error;
        return after;
      }
      const after = await look();
      // A listing may be that of before.
      return after.state === "archived" ? { state: "restoring", readyAt: null } : after;
    });
  }

  /** The job that counts: one whose output can be read, else one that is under way; null for none. */
  async #jobOf(where: Where, { archiveId, vault }: VaultArchive): Promise<RetrievalJob | null> {
    const now = this.#now();
    let listing = this.#listings.get(vault);
    if (listing === undefined || now - listing.at > LISTING_MS_MAX || now < listing.at) {
      listing = { at: now, jobs: this.#vaultOf(vault).jobs(where) };
      this.#listings.set(vault, listing);
      listing.jobs.catch(() => this.#listings.delete(vault));
    }
    const mine = (await listing.jobs).filter((job) => job.archiveId === archiveId);
    const readable = mine.filter((job) => this.#accessOf(job).state === "readable");
    const latest = readable.toSorted((left, right) => (right.completedAt ?? 0) - (left.completedAt ?? 0));
    return latest[0] ?? mine.find(({ status }) => status === "InProgress") ?? null;
  }

  #accessOf(job: RetrievalJob | null): Access {
    if (job === null || job.status === "Failed") return { state: "archived" };
    if (job.status === "InProgress") return { state: "restoring", readyAt: null };
    const until = ((job.completedAt ?? this.#now()) + OUTPUT_MS) as EpochMs;
    return until > this.#now() ? { state: "readable", until } : { state: "archived" };
  }
}

function cold({ op, key }: Where, access: Access): FirnlineError {
  const isRestoring = access.state === "restoring";
  return new FirnlineError({
    code: "E_COLD",
    subject: key,
    problem: isRestoring
      ? "the object is in a vault, and the job that retrieves it is not done"
      : "the object is in a vault and must be restored before it can be read",
    hint: isRestoring
      ? "Wait for the copy (`firnline restores` shows when it is ready), then do the same again"
      : "Ask for a restored copy first (`firnline retrieve` shows cost and time), then do the same again",
    op,
    key,
    retryable: isRestoring,
  });
}
