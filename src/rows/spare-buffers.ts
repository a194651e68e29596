/** Buffers of raw columns, to be filled again. */

/** Two row groups of the usual size; what comes back beyond that is left to the collector (I10). */
const BYTES_MAX = 96 * 1024 * 1024;

/**
 * The columns of chunks that are not needed any more. To allocate costs as much as to fill, and the collector of garbage
 * marks everything that lives after every 32 MiB or so of new buffers, however little of it there is.
 */
export class SpareBuffers {
  readonly #ofColumn: Uint8Array[][] = [];
  #bytes = 0;

  /** The columns must have come from a `RawColumns`, and are nobody's from here on. */
  give(columns: readonly Uint8Array[]): void {
    for (const [column, { buffer }] of columns.entries()) {
      if (this.#bytes + buffer.byteLength > BYTES_MAX) return;
      (this.#ofColumn[column] ??= []).push(new Uint8Array(buffer));
      this.#bytes += buffer.byteLength;
    }
  }

  /** One of at least so many bytes; null where there is none. Too small ones are let go: columns rarely shrink. */
  take(column: number, bytesMin: number): Uint8Array | null {
    const spares = this.#ofColumn[column] ?? [];
    for (let spare = spares.pop(); spare !== undefined; spare = spares.pop()) {
      this.#bytes -= spare.length;
      if (spare.length >= bytesMin) return spare;
    }
    return null;
  }
}
