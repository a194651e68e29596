/** Fields that are a byte string of the file as it is; a `jsonb` has its version byte in front. */
import type { ByteCells } from "./cells.ts";
import type { FieldSink, FieldSource } from "./field-sink.ts";

/** Up to this length a loop over words beats the call of `copyWithin`, which beats that of `set` by far. */
const SHORT_BYTES = 16;

export class ByteFields implements FieldSource {
  readonly #cells: ByteCells;
  /** 1 for a `jsonb`, whose field begins with a version byte of 1. */
  readonly #versionBytes: 0 | 1;

  constructor(cells: ByteCells, isVersioned: boolean) {
    this.#cells = cells;
    this.#versionBytes = isVersioned ? 1 : 0;
  }

  /** Exact. */
  bytesMax(from: number, count: number): number {
    const { lengths } = this.#cells;
    let sum = count * (4 + this.#versionBytes);
    for (let index = from; index < from + count; index += 1) sum += lengths[index] as number;
    return sum;
  }

  /**
   * The bytes of all the values are copied at once, to the end of their place. Then each moves to the front, behind its
   * length, in order: no value moves beyond where it was, so none is overwritten before its turn.
   */
  write(sink: FieldSink, from: number, count: number): void {
    if (count === 0) return;
    const { bytes: source, starts, lengths } = this.#cells;
    const { bytes, view } = sink;
    const extra = this.#versionBytes;
    const last = from + count - 1;
    const first = starts[from] as number;
    const block = source.subarray(first, (starts[last] as number) + (lengths[last] as number));
    const moved = sink.length + this.bytesMax(from, count) - block.length - first;
    bytes.set(block, moved + first);
    let at = sink.length;
    for (let index = from; index <= last; index += 1) {
      const length = lengths[index] as number;
      const start = (starts[index] as number) + moved;
      view.setInt32(at, length + extra);
      at += 4;
      if (extra === 1) {
        bytes[at] = 1;
        at += 1;
      }
      if (length > SHORT_BYTES) {
        if (start !== at) bytes.copyWithin(at, start, start + length);
      } else {
        let offset = 0;
        for (; offset + 4 <= length; offset += 4) view.setUint32(at + offset, view.getUint32(start + offset));
        for (; offset < length; offset += 1) bytes[at + offset] = bytes[start + offset] as number;
      }
      at += length;
    }
    sink.length = at;
  }
}
