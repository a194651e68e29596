/**
 * An archive in memory, for tests: the contract of the port, the clock and the random bytes passed in,
 * nothing else. Unversioned it behaves like `file/`; with `versioned: true` like a bucket with versions,
 * where `setClass` makes a new version (CopyObject in place) and a deleted version uncovers the one before.
 */
import { createHash } from "node:crypto";

import { FirnlineError, invariant } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import { bodyChunks } from "../body.ts";
import { assertRemovable, lengthened, noLocks, UNLOCKED } from "../locks.ts";
import { assertKeyPrefix, assertObjectKey } from "../object-key.ts";
import {
  accessOf,
  assertReadable,
  newState,
  type RestoreDelays,
  type RestoreRequest,
  withClass,
  withRestore,
  withTags,
} from "../object-state.ts";
import type {
  Access,
  Archive,
  ArchiveExamination,
  ArchiveTraits,
  ByteRange,
  CreateOptions,
  CreateResult,
  ListedObject,
  ListedVersion,
  Locator,
  ObjectHead,
  Retention,
  Swept,
} from "../port.ts";
import { assertUnversioned, checkedRange, folderConflict, throwIfAborted, type Where } from "../refusals.ts";
import { type StoredVersion, StoredVersions } from "./stored-versions.ts";

const CHUNK_BYTES_MAX = 1 << 18;

export interface MemoryArchiveOptions extends RestoreDelays {
  readonly now: () => EpochMs;
  /** Random bytes for version ids. */
  readonly random: (bytes: number) => Uint8Array;
  readonly versioned?: boolean;
  /** Whether it can lock objects; needs `versioned`. */
  readonly locks?: boolean;
  /** For messages; `memory://archive` by default. */
  readonly url?: string;
}

export interface MemoryArchive extends Archive {
  /** Copies of the current objects' bytes, in order of their keys. */
  snapshot(): Map<string, Uint8Array>;
  /** The versions of a key, oldest first; the last one is current. */
  versions(key: string): Locator[];
  /** Replaces the bytes of a key's current version, as a failing disk would: nothing else is told. */
  corrupt(key: string, change: (bytes: Uint8Array) => Uint8Array): void;
}

export function openMemoryArchive(options: MemoryArchiveOptions): MemoryArchive {
  return new HeldArchive(options);
}

class HeldArchive implements MemoryArchive {
  readonly url: string;
  readonly #options: MemoryArchiveOptions;
  readonly #objects: StoredVersions;
  #open = true;

  constructor(options: MemoryArchiveOptions) {
    this.#options = options;
    this.url = options.url ?? "memory://archive";
    const isVersioned = options.versioned === true;
    this.#objects = new StoredVersions(() =>
      isVersioned ? Buffer.from(options.random(16)).toString("hex") : null,
    );
    invariant(options.locks !== true || isVersioned, this.url, "locks need versions");
  }

  async examine(): Promise<ArchiveExamination> {
    this.#assertOpen("archive.examine");
    return { findings: [], advice: [], bytesFree: null };
  }

  async traits(): Promise<ArchiveTraits> {
    const { versioned = false, locks = false } = this.#options;
    return { versions: versioned, namesVersions: versioned, locks };
  }

  async create(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: CreateOptions = {},
  ): Promise<CreateResult> {
    const where = this.#about("archive.create", { key, versionId: null });
    const state = newState(options.storageClass);
    const { retention = null } = options;
    if (retention !== null) this.#assertLocks(where);
    const chunks: Uint8Array[] = [];
    for await (const chunk of bodyChunks(where, body, options.signal)) chunks.push(chunk.slice());
    throwIfAborted(where, options.signal);
    const bytes = new Uint8Array(Buffer.concat(chunks));

    // From here on nothing waits: the check and the commit are one step.
    const conflict = this.#objects.conflict(key);
    if (conflict !== null) throw folderConflict(where, conflict);
    if (this.#objects.of(key).length > 0) return { outcome: "exists" };
    const lock = { ...UNLOCKED, retention };
    const modifiedAt = this.#options.now();
    const { versionId, etag } = this.#objects.append(key, { bytes, state, lock, modifiedAt });
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { outcome: "created", pin: { key, versionId, etag, sha256, bytes: BigInt(bytes.byteLength) } };
  }

  async head(object: Locator): Promise<ObjectHead | null> {
    const where = this.#about("archive.head", object);
    const found = this.#objects.find(object);
    if (found === null) return null;
    const { versionId, etag, state } = found;
    const { storageClass, tags } = state;
    const access = accessOf(state, this.#options.now());
    return {
      key: where.key,
      versionId,
      etag,
      bytes: BigInt(found.bytes.byteLength),
      storageClass,
      access,
      tags,
      ...found.lock,
    };
  }

  async *read(
    object: Locator,
    range?: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const where = this.#about("archive.read", object);
    throwIfAborted(where, signal);
    const found = this.#objects.get(where, object);
    assertReadable(where.op, where.key, found.state, this.#options.now());
    const { bytes } = found; // what was current when the read began
    const { start, end } = checkedRange(where, range, bytes.byteLength);
    for (let position = start; position < end; position += CHUNK_BYTES_MAX) {
      throwIfAborted(where, signal);
      yield bytes.slice(position, Math.min(end, position + CHUNK_BYTES_MAX));
    }
    throwIfAborted(where, signal);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    this.#assertOpen("archive.list");
    assertKeyPrefix(prefix);
    for (const key of this.#keysOf(prefix)) {
      const found = this.#objects.find({ key, versionId: null });
      if (found === null) continue; // deleted since the listing began
      const { versionId, bytes, modifiedAt } = found;
      yield { key, versionId, bytes: BigInt(bytes.byteLength), modifiedAt };
    }
  }

  async *listVersions(prefix: string): AsyncGenerator<ListedVersion, void, undefined> {
    this.#assertOpen("archive.listVersions");
    assertKeyPrefix(prefix);
    for (const key of this.#keysOf(prefix)) {
      for (const [index, { versionId, bytes, modifiedAt }] of this.#objects.of(key).toReversed().entries()) {
        const size = BigInt(bytes.byteLength);
        yield { key, versionId, bytes: size, modifiedAt, isCurrent: index === 0, isDeleteMarker: false };
      }
    }
  }

  async tag(object: Locator, tags: Readonly<Record<string, string>>): Promise<void> {
    const found = this.#objects.get(this.#about("archive.tag", object), object);
    found.state = withTags(object.key, found.state, tags);
  }

  async setClass(object: Locator, storageClass: string): Promise<Locator> {
    const { key } = object;
    const found = this.#objects.get(this.#about("archive.setClass", object), object);
    const state = withClass(key, found.state, storageClass, this.#options.now());
    if (state === found.state) return { key, versionId: found.versionId };
    if (this.#options.versioned) {
      // A copy has no lock of its own until one is put on it, as in S3.
      const added = { bytes: found.bytes, state, lock: UNLOCKED, modifiedAt: this.#options.now() };
      return { key, versionId: this.#objects.append(key, added).versionId };
    }
    found.state = state;
    return { key, versionId: null };
  }

  async restore(object: Locator, request: RestoreRequest): Promise<Access> {
    const found = this.#objects.get(this.#about("archive.restore", object), object);
    const now = this.#options.now();
    found.state = withRestore(object.key, found.state, request, now, this.#options);
    return accessOf(found.state, now);
  }

  /** An upload that is under way is no one's but its own call's. */
  async sweepTemporary(): Promise<Swept> {
    this.#assertOpen("archive.sweepTemporary");
    return { files: 0, bytes: 0n };
  }

  async retain(object: Locator, retention: Retention): Promise<void> {
    const where = this.#about("archive.retain", object);
    this.#assertLocks(where);
    const found = this.#objects.get(where, object);
    found.lock = { ...found.lock, retention: lengthened(found.lock.retention, retention) };
  }

  async hold(object: Locator, isHeld: boolean): Promise<void> {
    const where = this.#about("archive.hold", object);
    this.#assertLocks(where);
    const found = this.#objects.get(where, object);
    found.lock = { ...found.lock, isHeld };
  }

  async abortUploads(key: string): Promise<number> {
    this.#about("archive.abortUploads", { key, versionId: null });
    return 0;
  }

  async deleteVersion(object: Locator): Promise<void> {
    const { op, key } = this.#about("archive.deleteVersion", object);
    if (this.#options.versioned && object.versionId === null) {
      throw new FirnlineError({
        code: "E_ARCHIVE",
        subject: key,
        problem: "this archive keeps versions, and none was named to be deleted",
        hint: "Delete by the pin that `create` or `head` gave",
        op,
        key,
      });
    }
    const found = this.#objects.find(object);
    if (found === null) return;
    assertRemovable({ op, key }, found.lock, this.#options.now());
    this.#objects.remove(object);
  }

  snapshot(): Map<string, Uint8Array> {
    return new Map(this.#objects.keys().map((key) => [key, this.#current(key).bytes.slice()]));
  }

  versions(key: string): Locator[] {
    return this.#objects.of(key).map(({ versionId }) => ({ key, versionId }));
  }

  corrupt(key: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const current = this.#current(key);
    current.bytes = change(current.bytes.slice()).slice();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
  }

  #keysOf(prefix: string): string[] {
    return this.#objects.keys().filter((key) => key.startsWith(prefix));
  }

  #current(key: string): StoredVersion {
    return this.#objects.get({ op: "archive.snapshot", key }, { key, versionId: null });
  }

  #about(op: string, object: Locator): Where {
    this.#assertOpen(op);
    assertObjectKey(object.key);
    if (!this.#options.versioned) assertUnversioned(op, object);
    return { op, key: object.key };
  }

  #assertLocks(where: Where): void {
    if (this.#options.locks !== true) throw noLocks(where);
  }

  #assertOpen(op: string): void {
    invariant(this.#open, this.url, `${op} was called on an archive that is closed`);
  }
}
