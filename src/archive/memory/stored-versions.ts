/** What a memory archive holds: versions by key, and the folders that their keys have had. */
import { createHash } from "node:crypto";
import { invariant } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import type { LockState } from "../locks.ts";
import type { ObjectState } from "../object-state.ts";
import type { Locator } from "../port.ts";
import { missingObject, type Where } from "../refusals.ts";

export interface StoredVersion {
  readonly versionId: string | null;
  readonly etag: string | null;
  readonly modifiedAt: EpochMs;
  bytes: Uint8Array;
  state: ObjectState;
  lock: LockState;
}

export class StoredVersions {
  readonly #versionId: () => string | null;
  readonly #objects = new Map<string, StoredVersion[]>();
  /** Every folder that any key has ever had: as on a disk, they outlive their objects. */
  readonly #folders = new Set<string>();

  /** `versionId` gives a fresh id, or null where no versions are kept. */
  constructor(versionId: () => string | null) {
    this.#versionId = versionId;
  }

  keys(): string[] {
    return [...this.#objects.keys()].sort();
  }

  /** Oldest first; the last one is current. */
  of(key: string): readonly StoredVersion[] {
    return this.#objects.get(key) ?? [];
  }

  /** The folder or object that stands in the way of a new object with this key. */
  conflict(key: string): string | null {
    return (
      foldersOf(key).find((folder) => this.#objects.has(folder)) ?? (this.#folders.has(key) ? key : null)
    );
  }

  append(key: string, added: Pick<StoredVersion, "bytes" | "state" | "lock" | "modifiedAt">): StoredVersion {
    const versionId = this.#versionId();
    const versions = this.of(key);
    invariant(
      versionId === null || versions.every((one) => one.versionId !== versionId),
      key,
      `the version id ${versionId} came twice; random is not random`,
    );
    const etag = versionId === null ? null : `"${createHash("md5").update(added.bytes).digest("hex")}"`;
    const version = { ...added, versionId, etag };
    this.#objects.set(key, [...versions, version]);
    for (const folder of foldersOf(key)) this.#folders.add(folder);
    return version;
  }

  find({ key, versionId }: Locator): StoredVersion | null {
    const versions = this.of(key);
    return (
      (versionId === null ? versions.at(-1) : versions.find((one) => one.versionId === versionId)) ?? null
    );
  }

  get(where: Where, object: Locator): StoredVersion {
    const found = this.find(object);
    if (found === null) throw missingObject(where);
    return found;
  }

  remove({ key, versionId }: Locator): void {
    const left = this.of(key).filter((one) => one.versionId !== versionId);
    if (left.length === 0) this.#objects.delete(key);
    else this.#objects.set(key, left);
  }
}

/** `a/b/c` -> `a`, `a/b`. */
function foldersOf(key: string): string[] {
  const segments = key.split("/");
  return segments.slice(1).map((_, index) => segments.slice(0, index + 1).join("/"));
}
