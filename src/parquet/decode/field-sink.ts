/** Where fields in COPY layout are put together: a length word of four bytes, -1 for NULL, and the field's bytes. */
import type { RawColumn } from "../../rows/copy-binary.ts";

/** Places within a raw column are counted in 31 bits. */
const COLUMN_BYTES_MAX = 2 ** 31 - 1;

/** Fields that can be written to a sink, in order, as often as needed. */
export interface FieldSource {
  /** No fewer than the bytes, length words included, that the fields `[from, from + count)` take. */
  bytesMax(from: number, count: number): number;
  /** Writes the fields `[from, from + count)` to the end of a sink that has room for them. */
  write(sink: FieldSink, from: number, count: number): void;
}

export class FieldSink {
  /** `length` bytes of it are written. */
  bytes = new Uint8Array(0);
  view = new DataView(this.bytes.buffer);
  length = 0;

  /** Makes room for so many bytes more. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    if (needed > COLUMN_BYTES_MAX) throw new Error(`a chunk's column of ${needed} bytes`);
    // The first page of a chunk is mostly the last one too.
    const size = this.length === 0 ? needed : Math.min(Math.max(needed, this.length * 2), COLUMN_BYTES_MAX);
    // Zeroed bytes would be written twice; no more than `length` of them is ever given out.
    const grown = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer, 0, size);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** Appends `count` NULLs; there is room for them. */
  nulls(count: number): void {
    this.bytes.fill(0xff, this.length, this.length + count * 4);
    this.length += count * 4;
  }

  /** Hands over what was written and starts anew. */
  take(): RawColumn {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = new Uint8Array(0);
    this.view = new DataView(this.bytes.buffer);
    this.length = 0;
    return taken;
  }
}
