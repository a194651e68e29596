/**
 * An archive in memory, for tests: the contract of the port, the clock and the random bytes passed in,
 * nothing else. Unversioned it behaves like `file/`; with `versioned: true` like a bucket with versions,
 * where `setClass` makes a new version (CopyObject in place) and a deleted version uncovers the one before.
 */
import { createHash } from "node:crypto";

import { FirnlineError, invariant } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import { bodyChunks } from "../body.ts";
import { assertKeyPrefix, assertObjectKey } from "../object-key.ts";
import {
  accessOf,
  assertReadable,
  newState,
  type ObjectState,
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
  ByteRange,
  CreateOptions,
  CreateResult,
  ListedObject,
  Locator,
  ObjectHead,
  Swept,
} from "../port.ts";
import {
  assertUnversioned,
  checkedRange,
  folderConflict,
  missingObject,
  throwIfAborted,
  type Where,
} from "../refusals.ts";

const CHUNK_BYTES_MAX = 1 << 18;

export interface MemoryArchiveOptions extends RestoreDelays {
  readonly now: () => EpochMs;
  /** Random bytes for version ids. */
  readonly random: (bytes: number) => Uint8Array;
  readonly versioned?: boolean;
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

interface StoredVersion {
  readonly versionId: string | null;
  readonly etag: string | null;
  readonly modifiedAt: EpochMs;
  bytes: Uint8Array;
  state: ObjectState;
}

export function openMemoryArchive(options: MemoryArchiveOptions): MemoryArchive {
  return new HeldArchive(options);
}

class HeldArchive implements MemoryArchive {
  readonly url: string;
  readonly #options: MemoryArchiveOptions;
  readonly #objects = new Map<string, StoredVersion[]>();
  /** Every folder that any key has ever had: as on a disk, they outlive their objects. */
  readonly #folders = new Set<string>();
  #open = true;

  constructor(options: MemoryArchiveOptions) {
    this.#options = options;
    this.url = options.url ?? "memory://archive";
  }

  async examine(): Promise<ArchiveExamination> {
    this.#assertOpen("archive.examine");
    return { findings: [], bytesFree: null };
  }

  async create(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: CreateOptions = {},
  ): Promise<CreateResult> {
    const where = this.#about("archive.create", { key, versionId: null });
    const state = newState(options.storageClass);
    const chunks: Uint8Array[] = [];
    for await (const chunk of bodyChunks(where, body, options.signal)) chunks.push(chunk.slice());
    throwIfAborted(where, options.signal);
    const bytes = new Uint8Array(Buffer.concat(chunks));

    // From here on nothing waits: the check and the commit are one step.
    for (const folder of foldersOf(key)) {
      if (this.#objects.has(folder)) throw folderConflict(where, folder);
    }
    if (this.#folders.has(key)) throw folderConflict(where, key);
    if (this.#objects.has(key)) return { outcome: "exists" };
    const { versionId, etag } = this.#append(key, bytes, state);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { outcome: "created", pin: { key, versionId, etag, sha256, bytes: BigInt(bytes.byteLength) } };
  }

  async head(object: Locator): Promise<ObjectHead | null> {
    const where = this.#about("archive.head", object);
    const found = this.#find(object);
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
    };
  }

  async *read(
    object: Locator,
    range?: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const where = this.#about("archive.read", object);
    throwIfAborted(where, signal);
    const found = this.#get(where, object);
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
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    for (const key of keys) {
      const found = this.#find({ key, versionId: null });
      if (found === null) continue; // deleted since the listing began
      const { versionId, bytes, modifiedAt } = found;
      yield { key, versionId, bytes: BigInt(bytes.byteLength), modifiedAt };
    }
  }

  async tag(object: Locator, tags: Readonly<Record<string, string>>): Promise<void> {
    const found = this.#get(this.#about("archive.tag", object), object);
    found.state = withTags(object.key, found.state, tags);
  }

  async setClass(object: Locator, storageClass: string): Promise<Locator> {
    const { key } = object;
    const found = this.#get(this.#about("archive.setClass", object), object);
    const state = withClass(key, found.state, storageClass, this.#options.now());
    if (state === found.state) return { key, versionId: found.versionId };
    if (this.#options.versioned) return { key, versionId: this.#append(key, found.bytes, state).versionId };
    found.state = state;
    return { key, versionId: null };
  }

  async restore(object: Locator, request: RestoreRequest): Promise<Access> {
    const found = this.#get(this.#about("archive.restore", object), object);
    const now = this.#options.now();
    found.state = withRestore(object.key, found.state, request, now, this.#options);
    return accessOf(found.state, now);
  }

  /** An upload that is under way is no one's but its own call's. */
  async sweepTemporary(): Promise<Swept> {
    this.#assertOpen("archive.sweepTemporary");
    return { files: 0, bytes: 0n };
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
    const left = (this.#objects.get(key) ?? []).filter(({ versionId }) => versionId !== object.versionId);
    if (left.length === 0) this.#objects.delete(key);
    else this.#objects.set(key, left);
  }

  snapshot(): Map<string, Uint8Array> {
    const keys = [...this.#objects.keys()].sort();
    return new Map(keys.map((key) => [key, this.#current(key).bytes.slice()]));
  }

  versions(key: string): Locator[] {
    return (this.#objects.get(key) ?? []).map(({ versionId }) => ({ key, versionId }));
  }

  corrupt(key: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const current = this.#current(key);
    current.bytes = change(current.bytes.slice()).slice();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
  }

  #append(key: string, bytes: Uint8Array, state: ObjectState): StoredVersion {
    const versioned = this.#options.versioned === true;
    const id = versioned ? Buffer.from(this.#options.random(16)).toString("hex") : null;
    const versions = this.#objects.get(key) ?? [];
    invariant(
      id === null || versions.every(({ versionId }) => versionId !== id),
      key,
      `the version id ${id} came twice; random is not random`,
    );
    const etag = id === null ? null : `"${createHash("md5").update(bytes).digest("hex")}"`;
    const added = { versionId: id, etag, modifiedAt: this.#options.now(), bytes, state };
    this.#objects.set(key, [...versions, added]);
    for (const folder of foldersOf(key)) this.#folders.add(folder);
    return added;
  }

  #find({ key, versionId }: Locator): StoredVersion | null {
    const versions = this.#objects.get(key) ?? [];
    return (
      (versionId === null ? versions.at(-1) : versions.find((one) => one.versionId === versionId)) ?? null
    );
  }

  #get(where: Where, object: Locator): StoredVersion {
    const found = this.#find(object);
    if (found === null) throw missingObject(where);
    return found;
  }

  #current(key: string): StoredVersion {
    return this.#get({ op: "archive.snapshot", key }, { key, versionId: null });
  }

  #about(op: string, object: Locator): Where {
    this.#assertOpen(op);
    assertObjectKey(object.key);
    if (!this.#options.versioned) assertUnversioned(op, object);
    return { op, key: object.key };
  }

  #assertOpen(op: string): void {
    invariant(this.#open, this.url, `${op} was called on an archive that is closed`);
  }
}

/** `a/b/c` -> `a`, `a/b`. */
function foldersOf(key: string): string[] {
  const segments = key.split("/");
  return segments.slice(1).map((_, index) => segments.slice(0, index + 1).join("/"));
}
