/** The answer's file: written under a temporary name, hashed on the way, and renamed only when it is complete. */
import { type FileHandle, lstat, open, rename, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { FirnlineError } from "../errors.ts";
import { toHex } from "../rows/hex.ts";
import type { NewSha256, Sha256 } from "../segment/digest.ts";

const BUFFER_CHARACTERS = 256 * 1024;

export const evidencePath = (answer: string): string => `${answer}.evidence.json`;

/** An answer takes the place of an earlier one, or of an empty file. What has no evidence beside it is somebody else's. */
export async function requireReplaceable(answer: string): Promise<void> {
  const found = await lstat(answer).catch(() => null);
  if (found === null || !found.isFile() || found.size === 0) return;
  if ((await lstat(evidencePath(answer)).catch(() => null)) !== null) return;
  throw new FirnlineError({
    code: "E_INPUT",
    subject: `--out ${answer}`,
    problem: `there is a file of that name, and it is no earlier answer (no ${basename(evidencePath(answer))} is beside it)`,
    hint: "Name another file, or move that one away",
  });
}

export class OutputFile implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  readonly #encoder = new TextEncoder();
  #hash: Sha256;
  #buffer = "";
  /** The piece that is on its way to the disk; the next one is made meanwhile. */
  #writing: Promise<void> = Promise.resolve();
  #open = true;
  #published = false;
  bytes = 0n;

  private constructor(path: string, temporary: string, file: FileHandle, newHash: NewSha256) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
    this.#hash = newHash();
  }

  /** `unique` makes the temporary name this retrieval's own. The file is private: 0600. */
  static async open(path: string, unique: string, newHash: NewSha256): Promise<OutputFile> {
    const temporary = `${path}.${unique}.partial`;
    const fail = (problem: string, cause?: unknown): FirnlineError =>
      new FirnlineError({
        code: "E_INPUT",
        subject: `--out ${path}`,
        problem,
        hint: "Name a file in a folder that exists and that you may write to",
        cause,
      });
    const found = await lstat(path).catch(() => null);
    // The name is taken by a rename, which would replace a pipe, a device or a link instead of writing into it.
    if (found !== null && !found.isFile())
      throw fail("there is something else than a regular file of that name");
    try {
      return new OutputFile(path, temporary, await open(temporary, "wx", 0o600), newHash);
    } catch (cause) {
      throw fail(`it cannot be written (${(cause as Error).message})`, cause);
    }
  }

  /**
   * A text goes out as UTF-8, and with others in one piece. Resolves when bytes are on their way and those before are
   * written, so that a writer needs two buffers.
   */
  async write(piece: string | Uint8Array): Promise<void> {
    if (typeof piece === "string") {
      this.#buffer += piece;
      if (this.#buffer.length >= BUFFER_CHARACTERS) await this.#flush();
    } else if (piece.length > 0) {
      await this.#flush();
      await this.#put(piece);
    }
  }

  /** Makes its bytes durable, still under the temporary name. Returns their SHA-256. */
  async finish(): Promise<string> {
    await this.#flush();
    await this.#writing;
    await this.#file.sync();
    await this.#close();
    return toHex(this.#hash.digest());
  }

  /** Gives the finished file its name. */
  async publish(): Promise<void> {
    await rename(this.#temporary, this.#path);
    this.#published = true;
    const folder = await open(dirname(this.#path), "r");
    await folder.sync().finally(async () => await folder.close());
  }

  /** Without `publish`, nothing is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    if (!this.#published) await rm(this.#temporary, { force: true });
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#writing.catch(() => {});
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    if (this.#buffer === "") return;
    const piece = this.#encoder.encode(this.#buffer);
    this.#buffer = "";
    await this.#put(piece);
  }

  async #put(piece: Uint8Array): Promise<void> {
    await this.#writing;
    this.#writing = this.#append(piece);
    // Whoever waits for it is told; until then nobody may be.
    this.#writing.catch(() => {});
    this.#hash = this.#hash.update(piece);
    this.bytes += BigInt(piece.length);
  }

  async #append(piece: Uint8Array): Promise<void> {
    try {
      await this.#file.writeFile(piece);
    } catch (cause) {
      throw new FirnlineError({
        code: "E_CAPACITY",
        subject: this.#temporary,
        problem: `the answer cannot be written (${(cause as Error).message})`,
        hint: "Free space, then retrieve again",
        cause,
      });
    }
  }
}
