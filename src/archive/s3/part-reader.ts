/** Cuts the body of a new object into parts, and hashes it on the way. */
import { createHash } from "node:crypto";
import { OBJECT_BYTES_MAX, partBytes, PARTS_MAX } from "./part-sizes.ts";
import { FirnlineError } from "../../errors.ts";
import type { Where } from "../refusals.ts";

export interface Part {
  /** From 0. */
  readonly index: number;
  /** A view into a buffer that is the part's until it is given back. */
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

export class PartReader {
  readonly #where: Where;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #firstBytes: number;
  readonly #hash = createHash("sha256");
  /** Buffers of parts that are stored; all of one size. */
  readonly #free: Uint8Array[] = [];
  /** What of the last chunk is in no part yet. Nothing more is pulled until it is: its buffer may be used again. */
  #rest: Uint8Array = new Uint8Array(0);
  #ended = false;
  #index = 0;
  #bytes = 0n;

  constructor(where: Where, chunks: AsyncIterable<Uint8Array>, firstBytes: number) {
    this.#where = where;
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#firstBytes = firstBytes;
  }

  /** Bytes of all parts that were read. */
  get bytes(): bigint {
    return this.#bytes;
  }

  /** Lower-case hex. To be asked once, after the last part. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  /** The next part, which is empty only if the whole object is; null after the last one. */
  async next(): Promise<Part | null> {
    if (this.#ended) return null;
    const size = partBytes(this.#firstBytes, this.#index);
    const buffer = this.#buffer(size);
    let filled = 0;
    while (filled < size && (await this.#pull())) {
      const piece = this.#rest.subarray(0, size - filled);
      buffer.set(piece, filled);
      filled += piece.byteLength;
      this.#rest = this.#rest.subarray(piece.byteLength);
    }
    const isLast = !(await this.#pull());
    this.#ended = isLast;
    this.#bytes += BigInt(filled);
    this.#assertFits(isLast);
    const bytes = buffer.subarray(0, filled);
    this.#hash.update(bytes);
    return { index: this.#index++, bytes, isLast };
  }

  /** The part is stored. */
  giveBack(part: Part): void {
    this.#free.push(new Uint8Array(part.bytes.buffer));
  }

  /** Ends the body, if it did not end by itself. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  #buffer(size: number): Uint8Array {
    const used = this.#free.pop();
    if (used !== undefined && used.byteLength >= size) return used.subarray(0, size);
    this.#free.length = 0; // of the size of before
    return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  }

  /** False at the end of the body. */
  async #pull(): Promise<boolean> {
    while (this.#rest.byteLength === 0) {
      const next = await this.#chunks.next();
      if (next.done) return false;
      this.#rest = next.value;
    }
    return true;
  }

  #assertFits(isLast: boolean): void {
    if (this.#bytes <= OBJECT_BYTES_MAX && (isLast || this.#index + 1 < PARTS_MAX)) return;
    const { op, key } = this.#where;
    throw new FirnlineError({
      code: "E_CAPACITY",
      subject: key,
      problem: `the object is larger than the store takes (${this.#bytes} bytes in ${this.#index + 1} parts so far)`,
      hint: "Lower FIRNLINE_SEGMENT_MIB, or raise FIRNLINE_S3_PART_MIB",
      op,
      key,
    });
  }
}
