/**
 * An archive in a bucket: AWS S3, or any store that speaks its API. An object is stored as `<prefix>/<key>`; its class,
 * tags, restored copy and lock are the store's own. Nothing is kept here but what was asked of the store once.
 *
 * Buckets with versions name every version; in a bucket that never had any, size and SHA-256 decide, and `setClass` is
 * refused, since a copy that is cut short could leave nothing to go back to.
 */
import { FirnlineError, invariant } from "../../errors.ts";
import type { Policy } from "../../policy/policy.ts";
import type { EpochMs } from "../../rows/day.ts";
import { KeyLock } from "../key-lock.ts";
import { assertKeyPrefix, assertObjectKey } from "../object-key.ts";
import type { RestoreRequest } from "../object-state.ts";
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
import { assertUnversioned, type Where } from "../refusals.ts";
import { Bucket, type S3BucketOptions } from "./bucket.ts";
import { moveObject } from "./copy-object.ts";
import { createObject } from "./create-object.ts";
import { examineBucket } from "./examine-bucket.ts";
import { headOrNull, objectHead, tagsOf } from "./head-object.ts";
import { assertLocks, holdObject, removeObject, retainObject, wholeSeconds } from "./lock-object.ts";
import { PROBE_FOLDER, sweepProbes } from "./probes.ts";
import { readRange } from "./read-range.ts";
import { restoreObject } from "./restore-object.ts";
import { tagObject } from "./tag-object.ts";
import { Traits } from "./traits.ts";
import { abortUploadsOf, sweepUploads } from "./uploads.ts";
import { listObjects, listVersions } from "./versions.ts";

export interface S3ArchiveOptions extends Pick<S3BucketOptions, "limits" | "now" | "random" | "sleep"> {
  /** Where the archive is, and what `examine` compares the bucket with. */
  readonly policy: Policy;
}

/** Nothing is sent before the first call. */
export function openS3Archive(options: S3ArchiveOptions): Archive {
  return new S3Archive(options);
}

class S3Archive implements Archive {
  readonly url: string;
  readonly #options: S3ArchiveOptions;
  readonly #bucket: Bucket;
  readonly #traits: Traits;
  readonly #lock = new KeyLock();
  #open = true;

  constructor(options: S3ArchiveOptions) {
    const { policy, ...how } = options;
    this.url = policy.archive.url;
    this.#options = options;
    this.#bucket = new Bucket({ ...policy.archive, ...how });
    this.#traits = new Traits(this.#bucket);
  }

  async examine(): Promise<ArchiveExamination> {
    this.#assertOpen("archive.examine");
    return await examineBucket(this.#bucket, this.#traits, this.#options.policy);
  }

  async traits(): Promise<ArchiveTraits> {
    this.#assertOpen("archive.traits");
    const versioning = await this.#traits.versioning();
    const locks = (await this.#traits.locking()).isOn;
    return { versions: versioning === "enabled", namesVersions: versioning !== "never", locks };
  }

  async create(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: CreateOptions = {},
  ): Promise<CreateResult> {
    const where = this.#about("archive.create", key);
    const { retention } = options;
    if (retention !== undefined) await assertLocks(this.#traits, where);
    const rounded = retention === undefined ? options : { ...options, retention: wholeSeconds(retention) };
    return await createObject(this.#bucket, this.#traits, where, body, rounded);
  }

  async head(object: Locator): Promise<ObjectHead | null> {
    const where = await this.#named("archive.head", object);
    const found = await headOrNull(this.#bucket, where, object.versionId);
    if (found === null) return null;
    return objectHead(where.key, found, await tagsOf(this.#bucket, where, found));
  }

  async *read(
    object: Locator,
    range?: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const where = await this.#named("archive.read", object);
    yield* readRange(this.#bucket, where, object, range, signal);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    const where = this.#within("archive.list", prefix);
    if ((await this.#traits.versioning()) === "never") {
      yield* listObjects(this.#bucket, where, prefix);
      return;
    }
    for await (const { isCurrent, isDeleteMarker, ...object } of listVersions(this.#bucket, where, prefix)) {
      if (isCurrent && !isDeleteMarker) yield object;
    }
  }

  async *listVersions(prefix: string): AsyncGenerator<ListedVersion, void, undefined> {
    const where = this.#within("archive.listVersions", prefix);
    if ((await this.#traits.versioning()) !== "never") {
      yield* listVersions(this.#bucket, where, prefix);
      return;
    }
    for await (const object of listObjects(this.#bucket, where, prefix)) {
      yield { ...object, isCurrent: true, isDeleteMarker: false };
    }
  }

  async tag(object: Locator, tags: Readonly<Record<string, string>>): Promise<void> {
    const where = await this.#named("archive.tag", object);
    await this.#lock.run(where.key, async () => await tagObject(this.#bucket, where, object, tags));
  }

  async setClass(object: Locator, storageClass: string): Promise<Locator> {
    const where = await this.#named("archive.setClass", object);
    return await this.#lock.run(where.key, async () => {
      const moving = async (): Promise<void> => await this.#assertVersions(where);
      return await moveObject(this.#bucket, where, object, storageClass, moving);
    });
  }

  async restore(object: Locator, request: RestoreRequest): Promise<Access> {
    const where = await this.#named("archive.restore", object);
    return await restoreObject(this.#bucket, where, object, request, this.#options.now());
  }

  async retain(object: Locator, retention: Retention): Promise<void> {
    const where = await this.#named("archive.retain", object);
    await assertLocks(this.#traits, where);
    await retainObject(this.#bucket, where, object, retention);
  }

  async hold(object: Locator, isHeld: boolean): Promise<void> {
    const where = await this.#named("archive.hold", object);
    await assertLocks(this.#traits, where);
    await holdObject(this.#bucket, where, object, isHeld);
  }

  async deleteVersion(object: Locator): Promise<void> {
    const where = await this.#named("archive.deleteVersion", object);
    const { op, key } = where;
    if (object.versionId === null && (await this.#traits.versioning()) !== "never") {
      throw new FirnlineError({
        code: "E_ARCHIVE",
        subject: key,
        problem: "this archive keeps versions, and none was named to be deleted",
        hint: "Delete by the pin that `create` or `head` gave",
        op,
        key,
      });
    }
    await removeObject(this.#bucket, where, object, this.#options.now());
  }

  async abortUploads(key: string): Promise<number> {
    return await abortUploadsOf(this.#bucket, this.#about("archive.abortUploads", key));
  }

  async sweepTemporary(olderThan: EpochMs): Promise<Swept> {
    const op = "archive.sweepTemporary";
    this.#assertOpen(op);
    const uploads = await sweepUploads(this.#bucket, op, olderThan);
    const probes = await sweepProbes(this.#bucket, op, this.listVersions(PROBE_FOLDER), olderThan);
    return { files: uploads.files + probes.files, bytes: uploads.bytes + probes.bytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    this.#bucket.destroy();
  }

  #about(op: string, key: string): Where {
    this.#assertOpen(op);
    assertObjectKey(key);
    return { op, key };
  }

  /** For what names an object: a version that this bucket cannot have is refused. */
  async #named(op: string, object: Locator): Promise<Where> {
    const where = this.#about(op, object.key);
    if (object.versionId !== null && (await this.#traits.versioning()) === "never")
      assertUnversioned(op, object);
    return where;
  }

  #within(op: string, prefix: string): Where {
    this.#assertOpen(op);
    assertKeyPrefix(prefix);
    return { op, key: prefix === "" ? this.url : prefix };
  }

  async #assertVersions({ op, key }: Where): Promise<void> {
    if (await this.#traits.keepsVersions()) return;
    throw new FirnlineError({
      code: "E_BUCKET",
      subject: key,
      problem: "the bucket keeps no versions, and moving an object means writing over it",
      hint: "Turn versioning on, or use tiers.cold.transition: lifecycle",
      op,
      key,
    });
  }

  #assertOpen(op: string): void {
    invariant(this.#open, this.url, `${op} was called on an archive that is closed`);
  }
}
