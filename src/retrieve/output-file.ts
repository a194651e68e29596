/** The answer's file: written under a temporary name, hashed on the way, and renamed only when it is complete. */
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { FirnlineError } from "../errors.ts";
import { toHex } from "../rows/hex.ts";
import type { NewSha256, Sha256 } from "../segment/digest.ts";

const BUFFER_CHARACTERS = 256 * 1024;

export class OutputFile implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  readonly #encoder = new TextEncoder();
  #hash: Sha256;
  #buffer = "";
  #open = true;
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
    try {
      return new OutputFile(path, temporary, await open(temporary, "wx", 0o600), newHash);
    } catch (cause) {
      throw new FirnlineError({
        code: "E_INPUT",
        subject: `--out ${path}`,
        problem: `it cannot be written (${(cause as Error).message})`,
        hint: "Name a file in a folder that exists and that you may write to",
        cause,
      });
    }
  }

  async write(text: string): Promise<void> {
    this.#buffer += text;
    if (this.#buffer.length >= BUFFER_CHARACTERS) await this.#flush();
  }

  /** Makes it durable and gives it its name. Returns the SHA-256 of its bytes. */
  async complete(): Promise<string> {
    await this.#flush();
    await this.#file.sync();
    await this.#file.close();
    this.#open = false;
    await rename(this.#temporary, this.#path);
    const folder = await open(dirname(this.#path), "r");
    await folder.sync().finally(async () => await folder.close());
    return toHex(this.#hash.digest());
  }

  /** Without `complete`, nothing is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
    await rm(this.#temporary, { force: true });
  }

  async #flush(): Promise<void> {
    const piece = this.#encoder.encode(this.#buffer);
    this.#buffer = "";
    this.#hash = this.#hash.update(piece);
    this.bytes += BigInt(piece.length);
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
