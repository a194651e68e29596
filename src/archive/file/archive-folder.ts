/**
 * The archive's folder on disk: where a key lies, that no symbolic link leads out of it, and that what was
 * put into it survives a power failure.
 *
 * The root itself may be a link; it is the owner's choice. Below it no link is followed. Node has no
 * `openat`, so a user who can write to the archive can still swap a folder for a link between the check and
 * the use; such a user could change the objects as well.
 */
import type { BigIntStats } from "node:fs";
import { constants } from "node:fs";
import { lstat, mkdir, open, stat } from "node:fs/promises";
import path from "node:path";

import { FirnlineError } from "../../errors.ts";
import { folderConflict, type Where } from "../refusals.ts";
import { errnoOf, unlessMissing } from "./io-failure.ts";

const SYNCED_FOLDERS_MAX = 4096;

/** A link, device or pipe in the archive: refused, never followed and never passed over in silence. */
export function notPlain(where: Where, found: string): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: where.key,
    problem: `${found} is neither a file nor a folder`,
    hint: "Firnline follows no links inside an archive: put the files themselves there, or mount the disk",
    op: where.op,
    key: where.key,
  });
}

export class ArchiveFolder {
  readonly root: string;
  /**
   * Folders whose entry in their parent this process has made durable. A cache: clearing it costs time only.
   */
  readonly #synced = new Set<string>();
  #rootReady: Promise<void> | null = null;

  constructor(root: string) {
    this.root = root;
  }

  /** The file of a legal key. */
  pathOf(key: string): string {
    return path.join(this.root, key);
  }

  /**
   * The object's own file; null where there is none. Throws `E_ARCHIVE` where a link or a device is in the
   * way.
   */
  async inspect(where: Where): Promise<BigIntStats | null> {
    if (!(await this.isFolder(where, path.posix.dirname(where.key)))) return null;
    const file = this.pathOf(where.key);
    const found = await unlessMissing(lstat(file, { bigint: true }));
    if (found === null || found.isDirectory()) return null;
    if (!found.isFile()) throw notPlain(where, file);
    return found;
  }

  /** Whether `folder` (`.` is the root) is there, reached through folders only. */
  async isFolder(where: Where, folder: string): Promise<boolean> {
    if ((await unlessMissing(stat(this.root))) === null) return false;
    for (const step of stepsTo(folder)) {
      const here = this.pathOf(step);
      const found = await unlessMissing(lstat(here));
      if (found === null || found.isFile()) return false;
      if (!found.isDirectory()) throw notPlain(where, here);
    }
    return true;
  }

  /** Makes the root and the folders above the key. Not durable before `sync`. */
  async makeParents(where: Where): Promise<void> {
    await this.makeRoot();
    for (const step of stepsTo(path.posix.dirname(where.key))) {
      const here = this.pathOf(step);
      let found = await unlessMissing(lstat(here));
      if (found === null) {
        await mkdir(here).catch(ignore("EEXIST")); // another creator may be quicker
        this.#synced.delete(here);
        found = await lstat(here);
      }
      if (found.isFile()) throw folderConflict(where, step);
      if (!found.isDirectory()) throw notPlain(where, here);
    }
  }

  /** Makes the root, durably, once: a root that goes away later was unmounted and must not be made anew. */
  async makeRoot(): Promise<void> {
    // One promise for all, so that no creator goes ahead of the fsync that another has begun.
    this.#rootReady ??= this.#makeRoot().catch((error: unknown) => {
      this.#rootReady = null;
      throw error;
    });
    await this.#rootReady;
  }

  async #makeRoot(): Promise<void> {
    const first = await mkdir(this.root, { recursive: true });
    if (first === undefined) return;
    const last = path.dirname(path.resolve(first));
    for (let folder = path.dirname(this.root); ; folder = path.dirname(folder)) {
      await syncFolder(folder);
      if (folder === last || folder === path.dirname(folder)) break;
    }
  }

  /**
   * Makes the entry of `key` durable: its folder, and each folder above as far as the root, since an entry in
   * a folder that is itself lost is lost. Folders of an earlier process count as not yet durable.
   */
  async sync(key: string): Promise<void> {
    const steps = stepsTo(path.posix.dirname(key)).map((step) => this.pathOf(step));
    await syncFolder(steps.at(-1) ?? this.root);
    for (const [index, folder] of [...steps.entries()].reverse()) {
      if (this.#synced.has(folder)) continue;
      await syncFolder(steps[index - 1] ?? this.root);
      if (this.#synced.size >= SYNCED_FOLDERS_MAX) this.#synced.clear();
      this.#synced.add(folder);
    }
  }
}

/** `a/b/c` -> `a`, `a/b`, `a/b/c`; `.` -> nothing. */
function stepsTo(folder: string): string[] {
  if (folder === ".") return [];
  const segments = folder.split("/");
  return segments.map((_, index) => segments.slice(0, index + 1).join("/"));
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  await handle.sync();
}

function ignore(errno: string): (error: unknown) => void {
  return (error) => {
    if (errnoOf(error) !== errno) throw error;
  };
}
