/**
 * Temporary files, in `<root>/.tmp`: on the file system of the archive, so that `link` and `rename` can
 * publish them, and out of the way of everything that lists objects. A killed process leaves its files
 * behind; they are swept by age, never on opening, since another process may be writing them.
 */
import { constants } from "node:fs";
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, unlink } from "node:fs/promises";
import path from "node:path";

import { invariant } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import type { Swept } from "../port.ts";
import { folderConflict, type Where } from "../refusals.ts";
import { type ArchiveFolder, notPlain } from "./archive-folder.ts";
import { errnoOf, linkFailure, unlessMissing } from "./io-failure.ts";

const FOLDER = ".tmp";
const NAME_ATTEMPTS_MAX = 8;
const LINK_ATTEMPTS_MAX = 8;
/**
 * So much is written to disk at a time. A whole object at once, at its end, keeps every commit of a database on the same disk
 * waiting behind it: the 99th percentile of pgbench went from 3 to 7 ms by one file of 30 MB every three seconds, and stayed
 * where it was by pieces of 1 MiB.
 */
const SYNC_BYTES = 1024 * 1024;

export class TemporaryFiles {
  readonly #folder: ArchiveFolder;
  readonly #random: (bytes: number) => Uint8Array;

  constructor(folder: ArchiveFolder, random: (bytes: number) => Uint8Array) {
    this.#folder = folder;
    this.#random = random;
  }

  get path(): string {
    return path.join(this.#folder.root, FOLDER);
  }

  /** An empty file of a fresh name, open for writing. `mode` is what it is for others; the umask applies. */
  async create(where: Where, mode: number): Promise<TemporaryFile> {
    await this.#folder.makeRoot();
    await mkdir(this.path, { mode: 0o700 }).catch((error: unknown) => {
      if (errnoOf(error) !== "EEXIST") throw error;
    });
    if (!(await lstat(this.path)).isDirectory()) throw notPlain(where, this.path);
    for (let attempt = 0; attempt < NAME_ATTEMPTS_MAX; attempt++) {
      const name = `${process.pid}-${Buffer.from(this.#random(12)).toString("hex")}`;
      const file = path.join(this.path, name);
      try {
        // O_EXCL follows no link. A mode without write permission holds for others, not for this handle.
        const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
        return new TemporaryFile(file, await open(file, flags, mode));
      } catch (error) {
        if (errnoOf(error) !== "EEXIST") throw error;
      }
    }
    invariant(
      false,
      where.key,
      `no free temporary name in ${NAME_ATTEMPTS_MAX} attempts; random is not random`,
    );
  }

  /** Removes temporary files that were last written before `olderThan`. */
  async sweep(where: Where, olderThan: EpochMs): Promise<Swept> {
    const found = await unlessMissing(lstat(this.path));
    if (found !== null && !found.isDirectory()) throw notPlain(where, this.path);
    const names = (await unlessMissing(readdir(this.path))) ?? [];
    let files = 0;
    let bytes = 0n;
    for (const name of names.sort()) {
      const file = path.join(this.path, name);
      const stats = await unlessMissing(lstat(file, { bigint: true }));
      if (stats === null || !stats.isFile() || stats.mtimeMs >= BigInt(olderThan)) continue;
      if ((await unlessMissing(unlink(file).then(() => true))) === null) continue; // swept by another process
      files += 1;
      // A second link is the published object, and frees nothing.
      if (stats.nlink === 1n) bytes += stats.size;
    }
    return { files, bytes };
  }
}

/**
 * One temporary file. Disposing of it removes its name, whatever happened before; a published object stays.
 */
export class TemporaryFile implements AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  #identity: { readonly dev: bigint; readonly ino: bigint } | null = null;
  #bytes = 0n;
  /** Of the bytes written, those that may not be on disk. */
  #unsynced = 0;

  constructor(file: string, handle: FileHandle) {
    this.#path = file;
    this.#handle = handle;
  }

  get bytes(): bigint {
    return this.#bytes;
  }

  get path(): string {
    return this.#path;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#bytes += BigInt(chunk.byteLength); // what was meant to be written; `seal` compares
    for (let offset = 0; offset < chunk.byteLength;) {
      const length = Math.min(chunk.byteLength - offset, SYNC_BYTES);
      const { bytesWritten } = await this.#handle.write(chunk, offset, length, null);
      invariant(bytesWritten > 0, this.#path, "the operating system wrote nothing and gave no error");
      offset += bytesWritten;
      this.#unsynced += bytesWritten;
      if (this.#unsynced < SYNC_BYTES) continue;
      await this.#handle.datasync();
      this.#unsynced = 0;
    }
  }

  /**
   * Makes the content durable and closes the file. `modifiedAt` is the archive's clock, which listings show.
   */
  async seal(modifiedAt: EpochMs): Promise<void> {
    await this.#handle.utimes(modifiedAt / 1000, modifiedAt / 1000);
    await this.#handle.sync();
    const { dev, ino, size } = await this.#handle.stat({ bigint: true });
    invariant(size === this.#bytes, this.#path, `${this.#bytes} bytes were given, the file has ${size}`);
    this.#identity = { dev, ino };
    await this.#handle.close(); // NFS reports a full disk here
  }

  /**
   * Publishes the sealed file under a new name, atomically; false where an object has that name already.
   * `link` and not `rename`, which would overwrite (I3). There is no fall-back for file systems without hard
   * links: an exclusive open of the final name would show half an object.
   */
  async linkTo(where: Where, target: string): Promise<boolean> {
    const identity = this.#identity;
    invariant(identity !== null, where.key, "the temporary file is not sealed");
    for (let attempt = 0; attempt < LINK_ATTEMPTS_MAX; attempt++) {
      try {
        await link(this.#path, target);
        return true;
      } catch (error) {
        // Over NFS the reply to a link that was made can be lost; the file behind the name decides.
        const found = await unlessMissing(lstat(target, { bigint: true }));
        if (found?.dev === identity.dev && found.ino === identity.ino) return true;
        if (errnoOf(error) !== "EEXIST") throw linkFailure(where, error);
        if (found?.isFile()) return false;
        if (found?.isDirectory()) throw folderConflict(where, where.key);
        if (found !== null) throw notPlain(where, target);
        // Deleted in between: the name is free again.
      }
    }
    invariant(false, where.key, `the key was taken and freed ${LINK_ATTEMPTS_MAX} times during one create`);
  }

  /**
   * Puts the sealed file in the place of `target`, atomically. For sidecars only: objects are never replaced.
   */
  async replace(where: Where, target: string): Promise<void> {
    invariant(this.#identity !== null, where.key, "the temporary file is not sealed");
    await rename(this.#path, target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Handled by the sweep: what cannot be removed now is an old temporary file later, and the first error
    // counts.
    await this.#handle.close().catch(() => {});
    await unlink(this.#path).catch(() => {});
  }
}
