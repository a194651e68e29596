/**
 * An archive in a folder. An object is a read-only file (0444 less the umask) at `<root>/<key>`, so that
 * DuckDB and `sha256sum` work on it directly; class, tags and restored copy stand in a sidecar
 * (`sidecar.ts`). The cold classes cost nothing here, but they are honoured: they let a restore be rehearsed,
 * and slow disks stand in for Glacier.
 *
 * The commit point of `create` is the `link` of a complete, fsynced temporary file to the final name: it is
 * atomic and exclusive (I3). Before it nothing is visible and the temporary file is removed; a killed process
 * leaves that file in `.tmp` and nothing else. A failure after it (sidecar, fsync of a folder) rejects
 * although the object is visible, because taking it away again could take it from someone who has seen it:
 * the next attempt finds `exists`, and makes the folders durable before it says so.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, unlink } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { invariant } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import { bodyChunks } from "../body.ts";
import { noLocks, UNLOCKED } from "../locks.ts";
import { assertKeyPrefix, assertObjectKey } from "../object-key.ts";
import {
  accessOf,
  assertReadable,
  newState,
  type ObjectState,
  type RestoreDelays,
  type RestoreRequest,
  STORAGE_CLASS_DEFAULT,
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
  Swept,
} from "../port.ts";
import { assertUnversioned, checkedRange, missingObject, throwIfAborted, type Where } from "../refusals.ts";
import { ArchiveFolder, notPlain } from "./archive-folder.ts";
import { examineFolder } from "./examine-folder.ts";
import { guarded, unlessMissing } from "./io-failure.ts";
import { KeyLock } from "../key-lock.ts";
import { listObjects } from "./list-objects.ts";
import { readFileRange } from "./read-file-range.ts";
import { encodeSidecar, readSidecar, sidecarOf } from "./sidecar.ts";
import { type TemporaryFile, TemporaryFiles } from "./temporary-files.ts";

const OBJECT_MODE = 0o444;
const SIDECAR_MODE = 0o644;

export interface FileArchiveOptions extends RestoreDelays {
  /** Absolute path, from the `file://` URL. Made on the first create. */
  readonly root: string;
  readonly now: () => EpochMs;
  /** Random bytes for temporary names. */
  readonly random: (bytes: number) => Uint8Array;
}

/** Opens the archive in a folder; touches nothing yet. Throws `E_INTERNAL` on a relative path. */
export function openFileArchive(options: FileArchiveOptions): Archive {
  return new FolderArchive(options);
}

class FolderArchive implements Archive {
  readonly url: string;
  readonly #options: FileArchiveOptions;
  readonly #folder: ArchiveFolder;
  readonly #temporaries: TemporaryFiles;
  readonly #lock = new KeyLock();
  #open = true;

  constructor(options: FileArchiveOptions) {
    invariant(path.isAbsolute(options.root), options.root, "the archive's root is not an absolute path");
    const root = path.resolve(options.root);
    this.url = pathToFileURL(root).href;
    this.#options = options;
    this.#folder = new ArchiveFolder(root);
    this.#temporaries = new TemporaryFiles(this.#folder, options.random);
  }

  async examine(): Promise<ArchiveExamination> {
    this.#assertOpen("archive.examine");
    const where = { op: "archive.examine", key: this.url };
    return await examineFolder(where, this.#folder.root, this.#temporaries, this.#options.now());
  }

  async traits(): Promise<ArchiveTraits> {
    return { versions: false, namesVersions: false, locks: false };
  }

  async create(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: CreateOptions = {},
  ): Promise<CreateResult> {
    const where = this.#about("archive.create", { key, versionId: null });
    const state = newState(options.storageClass);
    if (options.retention !== undefined) throw noLocks(where);
    await using object = await guarded(where, () => this.#temporaries.create(where, OBJECT_MODE));
    const hash = createHash("sha256");
    for await (const chunk of bodyChunks(where, body, options.signal)) {
      hash.update(chunk);
      // Guarded one by one: the body's own errors come out as they are.
      await guarded(where, () => object.write(chunk));
    }
    return await guarded(where, async () => {
      await object.seal(this.#options.now());
      await using sidecar =
        state.storageClass === STORAGE_CLASS_DEFAULT ? null : await this.#sidecar(where, state);
      throwIfAborted(where, options.signal);
      const created = await this.#lock.run(key, () => this.#publish(where, object, sidecar));
      if (!created) return { outcome: "exists" };
      const pin = { key, versionId: null, etag: null, sha256: hash.digest("hex"), bytes: object.bytes };
      return { outcome: "created", pin };
    });
  }

  /**
   * Only the winner of the link touches the sidecar: it puts its own in place, or removes one that a delete
   * which was killed half-way has left behind.
   */
  async #publish(where: Where, object: TemporaryFile, sidecar: TemporaryFile | null): Promise<boolean> {
    const file = this.#folder.pathOf(where.key);
    await this.#folder.makeParents(where);
    const created = await object.linkTo(where, file);
    if (created && sidecar !== null) await sidecar.replace(where, sidecarOf(file));
    if (created && sidecar === null) await unlessMissing(unlink(sidecarOf(file)));
    // Also when another creator was quicker: whoever is told that the object exists may rely on it.
    await this.#folder.sync(where.key);
    return created;
  }

  async head(object: Locator): Promise<ObjectHead | null> {
    const where = this.#about("archive.head", object);
    return await guarded(where, async () => {
      const stats = await this.#folder.inspect(where);
      if (stats === null) return null;
      const state = await readSidecar(where, this.#folder.pathOf(where.key));
      const { storageClass, tags } = state;
      const access = accessOf(state, this.#options.now());
      const found = { key: where.key, versionId: null, etag: null, bytes: stats.size };
      return { ...found, storageClass, access, tags, ...UNLOCKED };
    });
  }

  async *read(
    object: Locator,
    range?: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const where = this.#about("archive.read", object);
    throwIfAborted(where, signal);
    const file = this.#folder.pathOf(where.key);
    const handle = await guarded(where, async () => {
      if ((await this.#folder.inspect(where)) === null) throw missingObject(where);
      assertReadable(where.op, where.key, await readSidecar(where, file), this.#options.now());
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      const opened = await unlessMissing(open(file, flags));
      if (opened === null) throw missingObject(where);
      return opened;
    });
    await using _closing = handle;
    const stats = await guarded(where, () => handle.stat());
    if (!stats.isFile()) throw notPlain(where, file); // put there since `inspect`
    yield* readFileRange(where, handle, checkedRange(where, range, stats.size), signal);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    this.#assertOpen("archive.list");
    assertKeyPrefix(prefix);
    yield* listObjects(this.#folder, prefix, "archive.list");
  }

  async *listVersions(prefix: string): AsyncGenerator<ListedVersion, void, undefined> {
    for await (const found of this.list(prefix)) yield { ...found, isCurrent: true, isDeleteMarker: false };
  }

  async tag(object: Locator, tags: Readonly<Record<string, string>>): Promise<void> {
    await this.#change("archive.tag", object, (state) => withTags(object.key, state, tags));
  }

  async setClass(object: Locator, storageClass: string): Promise<Locator> {
    await this.#change("archive.setClass", object, (state) =>
      withClass(object.key, state, storageClass, this.#options.now()),
    );
    return { key: object.key, versionId: null };
  }

  async restore(object: Locator, request: RestoreRequest): Promise<Access> {
    const now = this.#options.now();
    const state = await this.#change("archive.restore", object, (before) =>
      withRestore(object.key, before, request, now, this.#options),
    );
    return accessOf(state, now);
  }

  async retain(object: Locator): Promise<void> {
    throw noLocks(this.#about("archive.retain", object));
  }

  async hold(object: Locator): Promise<void> {
    throw noLocks(this.#about("archive.hold", object));
  }

  /** Temporary files have names of their own. */
  async abortUploads(key: string): Promise<number> {
    this.#about("archive.abortUploads", { key, versionId: null });
    return 0;
  }

  /**
   * The object goes first. Killed in between, a sidecar without an object is left: no method shows it, and
   * the next delete or create of the key clears it. The other way round a cold, tagged object would turn into
   * a readable, untagged one, a state that it never had.
   */
  async deleteVersion(object: Locator): Promise<void> {
    const where = this.#about("archive.deleteVersion", object);
    await this.#lock.run(where.key, () =>
      guarded(where, async () => {
        const file = this.#folder.pathOf(where.key);
        if (!(await this.#folder.isFolder(where, path.posix.dirname(where.key)))) return;
        if ((await this.#folder.inspect(where)) !== null) await unlessMissing(unlink(file));
        await unlessMissing(unlink(sidecarOf(file)));
        await this.#folder.sync(where.key);
      }),
    );
  }

  async sweepTemporary(olderThan: EpochMs): Promise<Swept> {
    this.#assertOpen("archive.sweepTemporary");
    const where: Where = { op: "archive.sweepTemporary", key: this.#temporaries.path };
    return await guarded(where, () => this.#temporaries.sweep(where, olderThan));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
  }

  /** Replaces the sidecar by what `next` makes of it; nothing is written where that is the same object. */
  async #change(
    op: string,
    object: Locator,
    next: (state: ObjectState) => ObjectState,
  ): Promise<ObjectState> {
    const where = this.#about(op, object);
    return await this.#lock.run(where.key, () =>
      guarded(where, async () => {
        if ((await this.#folder.inspect(where)) === null) throw missingObject(where);
        const file = this.#folder.pathOf(where.key);
        const before = await readSidecar(where, file);
        const after = next(before);
        if (after === before) return before;
        await using sidecar = await this.#sidecar(where, after);
        await sidecar.replace(where, sidecarOf(file));
        await this.#folder.sync(where.key);
        return after;
      }),
    );
  }

  async #sidecar(where: Where, state: ObjectState): Promise<TemporaryFile> {
    const sidecar = await this.#temporaries.create(where, SIDECAR_MODE);
    try {
      await sidecar.write(encodeSidecar(state));
      await sidecar.seal(this.#options.now());
      return sidecar;
    } catch (error) {
      await sidecar[Symbol.asyncDispose]();
      throw error;
    }
  }

  #about(op: string, object: Locator): Where {
    this.#assertOpen(op);
    assertObjectKey(object.key);
    assertUnversioned(op, object);
    return { op, key: object.key };
  }

  #assertOpen(op: string): void {
    invariant(this.#open, this.url, `${op} was called on an archive that is closed`);
  }
}
