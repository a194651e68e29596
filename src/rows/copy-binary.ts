/**
 * Rows as columns of raw fields. A raw column is the concatenation of its fields as COPY BINARY has them (int32 length, -1
 * for NULL, then the bytes): no value is interpreted here. It is what the digests are taken over and what the Parquet
 * encoder reads, so a row's bytes are copied exactly once on their way.
 */
import { FirnlineError } from "../errors.ts";
import { SpareBuffers } from "./spare-buffers.ts";

/** The fields of one column in COPY layout, in row order. */
export type RawColumn = Uint8Array;

/** Rows as columns of raw fields. */
export interface RawRows {
  readonly rows: number;
  readonly columns: readonly RawColumn[];
}

/** Below this length a loop beats the call of `set` with a new view. */
const SHORT_FIELD_BYTES = 40;
const BUFFER_BYTES_MIN = 4096;
const NO_BYTES = new Uint8Array();

/** A growing buffer for each column. `take` hands the bytes over and starts anew. */
export class RawColumns {
  rows = 0;
  bytes = 0;
  readonly #spare: SpareBuffers;
  readonly #buffers: Uint8Array[];
  readonly #lengths: number[];
  /** What each column's next buffer should hold. It is made when a field comes: the last chunk has no next one. */
  readonly #expected: number[];

  constructor(columnCount: number, spare = new SpareBuffers()) {
    this.#spare = spare;
    this.#buffers = Array.from({ length: columnCount }, () => NO_BYTES);
    this.#lengths = Array.from({ length: columnCount }, () => 0);
    this.#expected = Array.from({ length: columnCount }, () => BUFFER_BYTES_MIN);
  }

  get columnCount(): number {
    return this.#buffers.length;
  }

  /** Appends one field, its length word included, from `source[start, end)`. */
  append(column: number, source: Uint8Array, start: number, end: number): void {
    const size = end - start;
    const at = this.#lengths[column] as number;
    let buffer = this.#buffers[column] as Uint8Array;
    if (at + size > buffer.length) buffer = this.#grow(column, at + size);
    if (size <= SHORT_FIELD_BYTES) {
      for (let from = start, to = at; from < end; from += 1, to += 1) buffer[to] = source[from] as number;
    } else {
      buffer.set(source.subarray(start, end), at);
    }
    this.#lengths[column] = at + size;
    this.bytes += size;
  }

  take(): RawRows {
    const columns = this.#buffers.map((buffer, index) => buffer.subarray(0, this.#lengths[index]));
    const taken = { rows: this.rows, columns };
    for (const [column, { length }] of columns.entries()) {
      // The next chunk is likely to be as large as this one.
      this.#expected[column] = Math.max(BUFFER_BYTES_MIN, length + (length >> 3));
      this.#buffers[column] = NO_BYTES;
      this.#lengths[column] = 0;
    }
    this.rows = 0;
    this.bytes = 0;
    return taken;
  }

  #grow(column: number, bytes: number): Uint8Array {
    const buffer = this.#buffers[column] as Uint8Array;
    const wanted = buffer === NO_BYTES ? (this.#expected[column] as number) : buffer.length * 2;
    const grown = this.#spare.take(column, bytes) ?? new Uint8Array(Math.max(wanted, bytes));
    grown.set(buffer.subarray(0, this.#lengths[column]));
    this.#buffers[column] = grown;
    return grown;
  }
}

/** What is wrong with bytes that Postgres sent, or that were made of them. */
export function malformed(problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_DATABASE",
    subject: "COPY stream",
    problem,
    hint: "Nothing was deleted; run again, and report it if it comes back",
    op: "copy.decode",
  });
}

/** Where each field of a raw column lies. `lengths[i]` is -1 for NULL. */
export interface FieldIndex {
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

export function indexFields(column: RawColumn, rows: number): FieldIndex {
  const starts = new Int32Array(rows);
  const lengths = new Int32Array(rows);
  const view = new DataView(column.buffer, column.byteOffset, column.byteLength);
  let at = 0;
  for (let row = 0; row < rows; row += 1) {
    const length = at + 4 <= column.length ? view.getInt32(at) : Number.NEGATIVE_INFINITY;
    if (length < -1) throw malformed(`a raw column of ${rows} rows is broken at row ${row}`);
    starts[row] = at + 4;
    lengths[row] = length;
    at += 4 + (length > 0 ? length : 0);
  }
  if (at !== column.length)
    throw malformed(`a raw column of ${rows} rows has ${column.length} bytes, expected ${at}`);
  return { starts, lengths };
}

/** Writes fields in COPY layout; the reading side of the archive builds its columns with it. */
export class RawColumnWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(bytesExpected = 4096) {
    this.#bytes = new Uint8Array(Math.max(16, bytesExpected));
    this.#view = new DataView(this.#bytes.buffer);
  }

  null(): void {
    // Two statements: the view must be looked up after the buffer may have grown.
    const at = this.#room(4);
    this.#view.setInt32(at, -1);
  }

  field(payload: Uint8Array): void {
    const at = this.#room(4 + payload.length);
    this.#view.setInt32(at, payload.length);
    this.#bytes.set(payload, at + 4);
  }

  /** Appends fields that are in COPY layout already, length words included. */
  raw(fields: RawColumn): void {
    const at = this.#room(fields.length);
    this.#bytes.set(fields, at);
  }

  /** Reserves a field of `length` bytes and gives the place to fill in. */
  reserve(length: number): { view: DataView; bytes: Uint8Array; at: number } {
    const at = this.#room(4 + length);
    this.#view.setInt32(at, length);
    return { view: this.#view, bytes: this.#bytes, at: at + 4 };
  }

  take(): RawColumn {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(size: number): number {
    const at = this.#length;
    if (at + size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, at + size));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = at + size;
    return at;
  }
}
