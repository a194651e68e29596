/**
 * The archive port: a store of immutable objects. Its adapters are `file/`, `memory/` and `s3/`, and `vault/` around one
 * of them; one conformance suite, `test/conformance/archive.ts`, runs on all.
 *
 * The contract:
 * - Keys are those of `object-key.ts`; any other is `E_INTERNAL` before the store is touched. A key that is
 *   also a folder of other keys may be refused (`E_ARCHIVE`): a bucket can hold both, a file system cannot.
 * - `create` is exclusive and atomic. Of two creators of one key exactly one gets `created`; a reader sees
 *   the whole object or none. When it resolves, with either outcome, the object is durable (I3: nothing is
 *   ever overwritten). When it rejects, the outcome of the commit itself may be unknown (a lost reply): ask
 *   again. `exists` does not say whose bytes they are; the caller compares.
 * - Objects are named by a `Locator`. Stores without versions have `versionId: null`; then size and SHA-256
 *   decide whether it is still the object that was written; a locator with a version is refused there. In a
 *   store with versions `versionId: null` means the current one, except in `deleteVersion`, which wants to
 *   know exactly.
 * - `read` of an object in a class that needs a restore fails with `E_COLD` until a restored copy is ready.
 *   It never yields fewer bytes than asked for without an error; to notice a truncated object, ask for the
 *   pin's `0..bytes`.
 * - Every method rejects with a `FirnlineError` (`E_ARCHIVE`, `E_COLD`, `E_CAPACITY`, `E_INTERNAL`; of buckets also
 *   `E_BUCKET`, `E_CLOCK`, and `E_VERIFY` where a copy is not what was copied);
 *   `retryable` is set by the adapter. An aborted call rejects with the signal's reason if that is a
 *   FirnlineError, else with `E_INTERRUPTED`. What a body throws comes out of `create` unchanged. A missing
 *   object is `null` from `head`, nothing to `deleteVersion`, and `E_ARCHIVE` from everything else.
 */
import type { FirnlineError } from "../errors.ts";
import type { Advice } from "../plan/advice.ts";
import type { EpochMs } from "../rows/day.ts";

export interface Locator {
  readonly key: string;
  readonly versionId: string | null;
}

export interface Pin extends Locator {
  readonly etag: string | null;
  /** Lower-case hex of the SHA-256 of the whole object. */
  readonly sha256: string;
  readonly bytes: bigint;
}

export type CreateResult =
  | { readonly outcome: "created"; readonly pin: Pin }
  | { readonly outcome: "exists" };

/** Whether the bytes can be read now. Classes with instant access are always `readable`, `until: null`. */
export type Access =
  | { readonly state: "readable"; /** When a restored copy goes away. */ readonly until: EpochMs | null }
  | { readonly state: "restoring"; readonly readyAt: EpochMs | null }
  | { readonly state: "archived" };

export type LockMode = "GOVERNANCE" | "COMPLIANCE";

/** An Object Lock: until then nobody removes this version (COMPLIANCE), or only who may bypass it (GOVERNANCE). */
export interface Retention {
  readonly mode: LockMode;
  readonly until: EpochMs;
}

export interface ObjectHead extends Locator {
  readonly etag: string | null;
  readonly bytes: bigint;
  readonly storageClass: string;
  readonly access: Access;
  readonly tags: Readonly<Record<string, string>>;
  /** Null where there is none, or the store has no locks. An end that has passed may still be told. */
  readonly retention: Retention | null;
  /** Whether a legal hold is on it. */
  readonly isHeld: boolean;
}

export interface ListedObject extends Locator {
  readonly bytes: bigint;
  readonly modifiedAt: EpochMs;
}

export interface ListedVersion extends ListedObject {
  readonly isCurrent: boolean;
  /** A marker has no bytes: it says that the object looks deleted, while its older versions are there. */
  readonly isDeleteMarker: boolean;
}

/** What a store can do. */
export interface ArchiveTraits {
  readonly versions: boolean;
  /** Versions are kept, or were once: what is deleted must be named by one, as `listVersions` shows it. */
  readonly namesVersions: boolean;
  /** Object Lock: `retain`, `hold` and `CreateOptions.retention`. */
  readonly locks: boolean;
}

/** What a sweep has removed. */
export interface Swept {
  readonly files: number;
  readonly bytes: bigint;
}

/** Half-open range of bytes. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export type RestoreTier = "Expedited" | "Standard" | "Bulk";

export interface CreateOptions {
  readonly storageClass?: string;
  /** Locked from its first moment on; `E_ARCHIVE` where the store has no locks. */
  readonly retention?: Retention;
  readonly signal?: AbortSignal;
}

/** What `doctor` found of the store. */
export interface ArchiveExamination {
  /** Why `create` would fail, or would not be safe. */
  readonly findings: readonly FirnlineError[];
  /** What works, and could be better. */
  readonly advice: readonly Advice[];
  /** What still fits in; null where nobody knows, or nothing limits it. */
  readonly bytesFree: bigint | null;
}

export interface Archive {
  /** The archive's URL without secrets, for messages and for the journal. */
  readonly url: string;
  /** Tries the store out, and tells instead of throwing. Leaves no object behind. */
  examine(): Promise<ArchiveExamination>;
  /** Asked once and remembered. */
  traits(): Promise<ArchiveTraits>;
  /** Stores `body`, read once and never more than a few chunks ahead (S3 parts), under a key that is free. */
  create(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: CreateOptions,
  ): Promise<CreateResult>;
  head(object: Locator): Promise<ObjectHead | null>;
  /**
   * Yields the bytes of `range`, or of the whole object, in order; `E_ARCHIVE` where the range ends beyond
   * the object. Each chunk is a buffer of its own. Leaving the loop early, or an abort, frees the handle.
   */
  read(object: Locator, range?: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * Keys that begin with `prefix`, in ascending order of their UTF-8 bytes, each with its current version. An
   * object that is there all the while is listed once; what comes or goes meanwhile may be listed or not.
   */
  list(prefix: string): AsyncIterable<ListedObject>;
  /** The same with every version, those of a key together and newest first; without versions what `list` yields. */
  listVersions(prefix: string): AsyncIterable<ListedVersion>;
  /** Adds or replaces tags; the others stay. At most 10, in S3's alphabet, else `E_ARCHIVE`. */
  tag(object: Locator, tags: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Moves the object to a storage class; tags stay, a restored copy does not. The result may name a new
   * version with the same bytes; the old version is then still there. `E_COLD` where the object must be
   * restored to be moved; an object that is in the class already stays as it is. Where the bytes pass through here, as on
   * their way to a vault, they are compared with `sha256`, that of what was sealed.
   */
  setClass(object: Locator & { readonly sha256?: string }, storageClass: string): Promise<Locator>;
  /**
   * Asks for a copy that is readable for whole days, to a midnight UTC. Changes nothing while one is under
   * way; can lengthen, never shorten, the stay of one that is ready; `readable, until: null` for classes with
   * instant access.
   */
  restore(object: Locator, request: { readonly days: number; readonly tier: RestoreTier }): Promise<Access>;
  /**
   * Locks this version, or lengthens its lock; one that is long enough already stays, and a COMPLIANCE lock stays one.
   * `E_ARCHIVE` where the store has no locks.
   */
  retain(object: Locator, retention: Retention): Promise<void>;
  /** Puts a legal hold on this version, or takes it off. Idempotent. `E_ARCHIVE` where the store has no locks. */
  hold(object: Locator, isHeld: boolean): Promise<void>;
  /** Removes exactly this version, durably. Idempotent. `E_ARCHIVE` where a lock or a legal hold is on it. */
  deleteVersion(object: Locator): Promise<void>;
  /**
   * Ends unfinished uploads of exactly this key, whose process is known to be gone; returns how many. Where uploads have
   * no place under their key there are none to end: `sweepTemporary` finds them.
   */
  abortUploads(key: string): Promise<number>;
  /**
   * Removes what killed processes left of their uploads, and nobody has written to since `olderThan`: temporary files,
   * unfinished multipart uploads, objects that a store was tried out with. A process that still owns one would see its
   * create fail, so leave a day at least.
   */
  sweepTemporary(olderThan: EpochMs): Promise<Swept>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The class of what lies in a vault of S3 Glacier, which is no class of a bucket: see `vault/`. */
export const VAULT_CLASS = "GLACIER_VAULT";

/**
 * Classes whose objects must be restored before they can be read. Source: S3 user guide, "Storage classes".
 */
export const CLASSES_THAT_NEED_RESTORE: ReadonlySet<string> = new Set([
  "GLACIER",
  "DEEP_ARCHIVE",
  VAULT_CLASS,
]);
