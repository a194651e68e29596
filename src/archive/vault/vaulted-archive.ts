/**
 * An archive whose cold objects lie in a vault of S3 Glacier, and all others in a bucket. A wrapper around the bucket's
 * archive: what names an archive of the vault (`vault-locator.ts`) is answered here, everything else goes to the bucket.
 *
 *     setClass(object, GLACIER_VAULT)   upload, compared with our tree hash and SHA-256; the object stays, for the caller
 *     restore, head, read               a retrieval job, asked for once; its output for the day that it can be read
 *     deleteVersion                     removes the archive
 *
 * A vault has no names, no tags and no locks. What was uploaded is noted as tags on the bucket's object before anybody
 * relies on it, so a process that is killed before the journal says so leaves an archive that the next run takes. Only
 * between the vault's reply and the tags can one be left over: an inventory of the vault shows it, as its description is
 * the object's key and no journal entry has its id.
 *
 * A vault does not tell whether an archive is there: `head` believes the name, and a retrieval that fails says it.
 */
import { FirnlineError, invariant } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import { KeyLock } from "../key-lock.ts";
import { noLocks, UNLOCKED } from "../locks.ts";
import { checkRestore, type RestoreRequest } from "../object-state.ts";
import {
  type Access,
  type Archive,
  type ArchiveExamination,
  type ArchiveTraits,
  type ByteRange,
  type CreateOptions,
  type CreateResult,
  type ListedObject,
  type ListedVersion,
  type Locator,
  type ObjectHead,
  type Retention,
  type Swept,
  VAULT_CLASS,
} from "../port.ts";
import { segmentOfKey } from "../../segment/archive-keys.ts";
import { checkedRange, missingObject, type Where } from "../refusals.ts";
import { vaultArchiveOf, vaultVersion } from "../vault-locator.ts";
import { examineVault } from "./examine-vault.ts";
import { readOutput } from "./read-output.ts";
import { abortUploads, uploadObject, type UploadSizes } from "./upload-object.ts";
import { RetrievalJobs } from "./retrieval-jobs.ts";
import type { Vault } from "./vault.ts";

export interface VaultedArchiveOptions {
  readonly inner: Archive;
  /** Sends nothing before the first call. */
  readonly openVault: (name: string) => Vault;
  /** Where cold objects go; null where they go to a class of the bucket, and older ones may still be in vaults. */
  readonly target: string | null;
  readonly now: () => EpochMs;
  readonly sizes?: UploadSizes;
}

/** Tags of an object in the bucket that was uploaded: to which vault, as which archive. */
const VAULT_TAG = "firnline-vault";
const ARCHIVE_TAG = "firnline-vault-archive";
export function openVaultedArchive(options: VaultedArchiveOptions): Archive {
  return new VaultedArchive(options);
}

class VaultedArchive implements Archive {
  readonly url: string;
  readonly #inner: Archive;
  readonly #openVault: (name: string) => Vault;
  readonly #target: string | null;
  readonly #vaults = new Map<string, Vault>();
  readonly #sizes: UploadSizes | undefined;
  readonly #lock = new KeyLock();
  readonly #jobs: RetrievalJobs;

  constructor({ inner, openVault, target, now, sizes }: VaultedArchiveOptions) {
    this.url = inner.url;
    this.#inner = inner;
    this.#openVault = openVault;
    this.#target = target;
    this.#jobs = new RetrievalJobs((name) => this.#vault(name), now);
    this.#sizes = sizes;
  }

  async examine(): Promise<ArchiveExamination> {
    const found = await this.#inner.examine();
    if (this.#target === null) return found;
    const own = await examineVault(this.#vault(this.#target));
    return {
      ...found,
      findings: [...found.findings, ...own.findings],
      advice: [...found.advice, ...own.advice],
    };
  }

  async traits(): Promise<ArchiveTraits> {
    return await this.#inner.traits();
  }

  async create(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: CreateOptions,
  ): Promise<CreateResult> {
    return await this.#inner.create(key, body, options);
  }

  async head(object: Locator): Promise<ObjectHead | null> {
    const vaulted = vaultArchiveOf(object);
    if (vaulted === null) return await this.#inner.head(object);
    return {
      key: object.key,
      versionId: object.versionId,
      etag: null,
      bytes: vaulted.bytes,
      storageClass: VAULT_CLASS,
      access: await this.#jobs.access(about("archive.head", object), vaulted),
      tags: {},
      ...UNLOCKED,
    };
  }

  async *read(
    object: Locator,
    range?: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const vaulted = vaultArchiveOf(object);
    if (vaulted === null) {
      yield* this.#inner.read(object, range, signal);
      return;
    }
    const where = about("archive.read", object);
    const wanted = checkedRange(where, range, Number(vaulted.bytes));
    const jobId = await this.#jobs.readable(where, vaulted);
    yield* readOutput(
      this.#vault(vaulted.vault),
      where,
      jobId,
      { ...wanted, bytes: Number(vaulted.bytes) },
      signal,
    );
  }

  list(prefix: string): AsyncIterable<ListedObject> {
    return this.#inner.list(prefix);
  }

  listVersions(prefix: string): AsyncIterable<ListedVersion> {
    return this.#inner.listVersions(prefix);
  }

  async tag(object: Locator, tags: Readonly<Record<string, string>>): Promise<void> {
    if (vaultArchiveOf(object) === null) return await this.#inner.tag(object, tags);
    throw unable(about("archive.tag", object), "has no tags");
  }

  async setClass(object: Locator & { readonly sha256?: string }, storageClass: string): Promise<Locator> {
    const where = about("archive.setClass", object);
    if (vaultArchiveOf(object) !== null) {
      if (storageClass === VAULT_CLASS) return { key: object.key, versionId: object.versionId };
      throw unable(where, `cannot be moved to ${storageClass}`);
    }
    if (storageClass !== VAULT_CLASS) return await this.#inner.setClass(object, storageClass);
    return await this.#lock.run(object.key, async () => await this.#moveToVault(where, object));
  }

  async restore(object: Locator, request: RestoreRequest): Promise<Access> {
    const vaulted = vaultArchiveOf(object);
    if (vaulted === null) return await this.#inner.restore(object, request);
    const where = about("archive.restore", object);
    checkRestore(where.key, VAULT_CLASS, request);
    return await this.#jobs.restore(where, vaulted, request.tier);
  }

  async retain(object: Locator, retention: Retention): Promise<void> {
    if (vaultArchiveOf(object) === null) return await this.#inner.retain(object, retention);
    throw noLocks(about("archive.retain", object));
  }

  async hold(object: Locator, isHeld: boolean): Promise<void> {
    if (vaultArchiveOf(object) === null) return await this.#inner.hold(object, isHeld);
    throw noLocks(about("archive.hold", object));
  }

  async deleteVersion(object: Locator): Promise<void> {
    const vaulted = vaultArchiveOf(object);
    if (vaulted === null) return await this.#inner.deleteVersion(object);
    await this.#vault(vaulted.vault).remove(about("archive.deleteVersion", object), vaulted.archiveId);
  }

  async abortUploads(key: string): Promise<number> {
    return await this.#inner.abortUploads(key);
  }

  async sweepTemporary(olderThan: EpochMs): Promise<Swept> {
    const swept = await this.#inner.sweepTemporary(olderThan);
    if (this.#target === null) return swept;
    const where: Where = { op: "archive.sweepTemporary", key: this.#target };
    const files = await abortUploads(
      this.#vault(this.#target),
      where,
      // Others have uploads in their vault too; of ours the description is a segment's key.
      ({ createdAt, description }) => createdAt < olderThan && segmentOfKey(description) !== null,
    );
    return { files: swept.files + files, bytes: swept.bytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const vault of this.#vaults.values()) await vault[Symbol.asyncDispose]();
    await this.#inner[Symbol.asyncDispose]();
  }

  async #moveToVault(where: Where, object: Locator & { readonly sha256?: string }): Promise<Locator> {
    const head = await this.#inner.head(object);
    if (head === null) throw missingObject(where);
    if (this.#target === null) throw noTarget(where);
    const vault = this.#vault(this.#target);
    const { key, bytes, tags, versionId } = head;
    const inBucket: Locator = { key, versionId };
    const earlier = tags[ARCHIVE_TAG];
    // An earlier run uploaded it, and was stopped before the journal said so.
    if (earlier !== undefined && tags[VAULT_TAG] === vault.name) {
      return { key, versionId: vaultVersion({ vault: vault.name, archiveId: earlier, bytes }) };
    }
    const archiveId = await uploadObject(
      { inner: this.#inner, vault, where, ...(this.#sizes && { sizes: this.#sizes }) },
      { object: inBucket, bytes, sha256: object.sha256 ?? null },
    );
    const moved: Locator = { key, versionId: vaultVersion({ vault: vault.name, archiveId, bytes }) };
    invariant(vaultArchiveOf(moved) !== null, key, `the vault's id ${archiveId} is no id`);
    await this.#inner.tag(inBucket, { [VAULT_TAG]: vault.name, [ARCHIVE_TAG]: archiveId });
    return moved;
  }

  #vault(name: string): Vault {
    const vault = this.#vaults.get(name) ?? this.#openVault(name);
    this.#vaults.set(name, vault);
    return vault;
  }
}

const about = (op: string, { key }: Locator): Where => ({ op, key });

function noTarget({ op, key }: Where): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: "no vault is named that it could go to",
    hint: "Name it in tiers.cold.vault",
    op,
    key,
  });
}

function unable({ op, key }: Where, what: string): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `an archive in a vault ${what}`,
    hint: "Nothing was changed; retrieve its rows where they are needed elsewhere",
    op,
    key,
  });
}
