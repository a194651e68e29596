/**
 * An archive whose adapter is loaded with the first call. The SDK of AWS takes a quarter of a command's start, and a
 * command that works in a folder, or fails before it comes to the archive, never needs it.
 */
import { invariant } from "../errors.ts";
import type { EpochMs } from "../rows/day.ts";
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
  RestoreTier,
  Retention,
  Swept,
} from "./port.ts";

/** `url` is what the opened archive's will be. It is opened once. */
export function openLateArchive(url: string, open: () => Promise<Archive>): Archive {
  return new LateArchive(url, open);
}

class LateArchive implements Archive {
  readonly url: string;
  readonly #open: () => Promise<Archive>;
  #opened: Promise<Archive> | undefined;
  #isClosed = false;

  constructor(url: string, open: () => Promise<Archive>) {
    this.url = url;
    this.#open = open;
  }

  async examine(): Promise<ArchiveExamination> {
    return await (await this.#archive()).examine();
  }

  async traits(): Promise<ArchiveTraits> {
    return await (await this.#archive()).traits();
  }

  async create(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: CreateOptions,
  ): Promise<CreateResult> {
    return await (await this.#archive()).create(key, body, options);
  }

  async head(object: Locator): Promise<ObjectHead | null> {
    return await (await this.#archive()).head(object);
  }

  async *read(object: Locator, range?: ByteRange, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    yield* (await this.#archive()).read(object, range, signal);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    yield* (await this.#archive()).list(prefix);
  }

  async *listVersions(prefix: string): AsyncGenerator<ListedVersion> {
    yield* (await this.#archive()).listVersions(prefix);
  }

  async tag(object: Locator, tags: Readonly<Record<string, string>>): Promise<void> {
    await (await this.#archive()).tag(object, tags);
  }

  async setClass(object: Locator & { readonly sha256?: string }, storageClass: string): Promise<Locator> {
    return await (await this.#archive()).setClass(object, storageClass);
  }

  async restore(
    object: Locator,
    request: { readonly days: number; readonly tier: RestoreTier },
  ): Promise<Access> {
    return await (await this.#archive()).restore(object, request);
  }

  async retain(object: Locator, retention: Retention): Promise<void> {
    await (await this.#archive()).retain(object, retention);
  }

  async hold(object: Locator, isHeld: boolean): Promise<void> {
    await (await this.#archive()).hold(object, isHeld);
  }

  async deleteVersion(object: Locator): Promise<void> {
    await (await this.#archive()).deleteVersion(object);
  }

  async abortUploads(key: string): Promise<number> {
    return await (await this.#archive()).abortUploads(key);
  }

  async sweepTemporary(olderThan: EpochMs): Promise<Swept> {
    return await (await this.#archive()).sweepTemporary(olderThan);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    // One that could not be opened has told so to whoever asked it.
    await (await this.#opened?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }

  async #archive(): Promise<Archive> {
    invariant(!this.#isClosed || this.#opened !== undefined, this.url, "the archive is closed");
    return await (this.#opened ??= this.#open());
  }
}
