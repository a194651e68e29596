/** Many small byte strings one after the other: a typed array of its own would take some 200 bytes for each of them. */
const BLOCK_BYTES = 64 * 1024;

export class ByteLog {
  /** Full, but for the last one. */
  readonly #blocks: Uint8Array[] = [];
  #inLast = 0;
  length = 0;

  append(bytes: Uint8Array): void {
    const last = this.#blocks.at(-1);
    const fits = last === undefined ? 0 : Math.min(last.length - this.#inLast, bytes.length);
    last?.set(bytes.subarray(0, fits), this.#inLast);
    this.#inLast += fits;
    this.length += bytes.length;
    if (fits === bytes.length) return;
    const rest = bytes.subarray(fits);
    const block = new Uint8Array(Math.max(BLOCK_BYTES, rest.length));
    block.set(rest);
    this.#blocks.push(block);
    this.#inLast = rest.length;
  }

  /** All that was appended, in pieces that are no copies. */
  pieces(): Uint8Array[] {
    return this.#blocks.map((block, at) =>
      at === this.#blocks.length - 1 ? block.subarray(0, this.#inLast) : block,
    );
  }
}
