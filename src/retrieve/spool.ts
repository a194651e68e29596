/**
 * Hot rows on their way to the merge: spooled to a private file while the snapshot is open, read back after the COMMIT,
 * so that a slow consumer never holds back vacuum (hazard 24). The file's digest is checked when it has been read.
 */
import { constants, type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { FirnlineError } from "../errors.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import { toHex } from "../rows/hex.ts";
import type { NewSha256 } from "../segment/digest.ts";

/** Of the names of all spools; `sweep-spools.ts` removes those that a killed process left. */
export const SPOOL_PREFIX = "firnline-spool-";

export class Spool implements AsyncDisposable {
  readonly #directory: string;
  readonly #file: FileHandle;
  readonly #newHash: NewSha256;
  readonly #columns: number;
  #digest = "";
  rows = 0n;
  bytes = 0;

  private constructor(directory: string, file: FileHandle, newHash: NewSha256, columns: number) {
    this.#directory = directory;
    this.#file = file;
    this.#newHash = newHash;
    this.#columns = columns;
  }

  static async open(temporary: string, newHash: NewSha256, columns: number): Promise<Spool> {
    // mkdtemp makes it 0700: rows of an audit log are nobody else's business.
    const directory = await mkdtemp(join(temporary, SPOOL_PREFIX)).catch((cause: Error) => {
      throw new FirnlineError({
        code: "E_INPUT",
        subject: temporary,
        problem: `the spool for hot rows cannot be made there (${cause.message})`,
        hint: "Name a folder that you may write to in FIRNLINE_TMPDIR",
        cause,
      });
    });
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    return new Spool(directory, await open(join(directory, "hot-rows"), flags, 0o600), newHash, columns);
  }

  async write(chunks: AsyncIterable<RawRows>): Promise<void> {
    const hash = this.#newHash();
    for await (const { rows, columns } of chunks) {
      const header = new Uint8Array(4 * (1 + this.#columns));
      const view = new DataView(header.buffer);
      view.setUint32(0, rows);
      columns.forEach((column, index) => view.setUint32(4 * (index + 1), column.length));
      for (const piece of [header, ...columns]) {
        hash.update(piece);
        await this.#write(piece);
      }
      this.rows += BigInt(rows);
    }
    this.#digest = toHex(hash.digest());
  }

  /** Forgets what was written, for another snapshot. */
  reset(): void {
    this.rows = 0n;
    this.bytes = 0;
  }

  async *read(): AsyncGenerator<RawRows, void, undefined> {
    const hash = this.#newHash();
    let at = 0;
    const take = async (length: number): Promise<Uint8Array> => {
      const piece = new Uint8Array(length);
      for (let filled = 0; filled < length;) {
        const { bytesRead } = await this.#file.read(piece, filled, length - filled, at + filled);
        if (bytesRead === 0) throw this.#damaged("it ends early");
        filled += bytesRead;
      }
      at += length;
      hash.update(piece);
      return piece;
    };
    while (at < this.bytes) {
      const header = await take(4 * (1 + this.#columns));
      const view = new DataView(header.buffer);
      const columns: Uint8Array[] = [];
      for (let index = 1; index <= this.#columns; index += 1)
        columns.push(await take(view.getUint32(4 * index)));
      yield { rows: view.getUint32(0), columns };
    }
    if (toHex(hash.digest()) !== this.#digest)
      throw this.#damaged("its digest is not the one that was written");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #write(piece: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < piece.length;) {
        const { bytesWritten } = await this.#file.write(
          piece,
          written,
          piece.length - written,
          this.bytes + written,
        );
        written += bytesWritten;
      }
    } catch (cause) {
      throw new FirnlineError({
        code: "E_CAPACITY",
        subject: this.#directory,
        problem: `the spool for hot rows cannot be written (${(cause as Error).message})`,
        hint: "Free space there, or name another folder in FIRNLINE_TMPDIR",
        cause,
      });
    }
    this.bytes += piece.length;
  }

  #damaged(problem: string): FirnlineError {
    return new FirnlineError({
      code: "E_VERIFY",
      subject: this.#directory,
      problem: `the spool of hot rows is damaged: ${problem}`,
      hint: "Nothing was given out under the final name; check the disk, then run again",
    });
  }
}
