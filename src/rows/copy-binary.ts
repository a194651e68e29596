/**
 * PostgreSQL's COPY BINARY stream, decoded into columns of raw fields and nothing else: no value is interpreted here.
 * Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a signature of 11 bytes, flags,
 * an extension, then tuples (int16 count; for each field int32 length, -1 for NULL, and the bytes), then int16 -1.
 *
 * A raw column is the concatenation of its fields in that same layout (length, bytes). It is what the digests are
 * taken over and what the Parquet encoder reads, so a row's bytes are copied exactly once on their way.
 */
import { FirnlineError } from "../errors.ts";

/** The fields of one column in COPY layout, in row order. */
export type RawColumn = Uint8Array;

/** Rows as columns of raw fields. */
export interface RawRows {
  readonly rows: number;
  readonly columns: readonly RawColumn[];
}

const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00);
const HEADER_BYTES = SIGNATURE.length + 8;
const INITIAL_BYTES = 64 * 1024;
/** Below this length a loop beats the call of `set` with a new view. */
const SHORT_FIELD_BYTES = 40;

/** A growing buffer for each column. `take` hands the bytes over and starts anew. */
export class RawColumns {
  rows = 0;
  bytes = 0;
  #buffers: Uint8Array[];
  #lengths: number[];

  constructor(columnCount: number) {
    this.#buffers = Array.from({ length: columnCount }, () => new Uint8Array(4096));
    this.#lengths = Array.from({ length: columnCount }, () => 0);
  }

  get columnCount(): number {
    return this.#buffers.length;
  }

  /** Appends one field, its length word included, from `source[start, end)`. */
  append(column: number, source: Uint8Array, start: number, end: number): void {
    const size = end - start;
    const at = this.#lengths[column] as number;
    let buffer = this.#buffers[column] as Uint8Array;
    if (at + size > buffer.length) {
      const grown = new Uint8Array(Math.max(buffer.length * 2, at + size));
      grown.set(buffer.subarray(0, at));
      this.#buffers[column] = buffer = grown;
    }
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
    // The next chunk is likely to be as large as this one.
    this.#buffers = columns.map(
      (column) => new Uint8Array(Math.max(4096, column.length + (column.length >> 3))),
    );
    this.#lengths = this.#lengths.map(() => 0);
    this.rows = 0;
    this.bytes = 0;
    return taken;
  }
}

function malformed(problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_DATABASE",
    subject: "COPY stream",
    problem,
    hint: "Nothing was deleted; run again, and report it if it comes back",
    op: "copy.decode",
  });
}

/**
 * Takes the stream in pieces of any size and appends whole rows to a `RawColumns`. Memory is bounded by the longest
 * row. `onRow` is called after each row, so that the caller can cut a chunk there.
 */
export class CopyBinaryDecoder {
  readonly #into: RawColumns;
  readonly #onRow: () => void;
  #buffer = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;
  /** Bytes that must be there, from `#start`, before it pays to look at the row again. */
  #needed = HEADER_BYTES;
  #state: "header" | "rows" | "done" = "header";

  constructor(into: RawColumns, onRow: () => void) {
    this.#into = into;
    this.#onRow = onRow;
  }

  /** True once the end marker was seen; a stream that stops without it is incomplete. */
  get done(): boolean {
    return this.#state === "done";
  }

  push(piece: Uint8Array): void {
    this.#reserve(piece.length);
    this.#buffer.set(piece, this.#end);
    this.#end += piece.length;
    while (this.#end - this.#start >= this.#needed && this.#step()) {
      // Each step consumes the header, one row or the end marker.
    }
  }

  /** Throws unless the stream ended where it should. */
  finish(): void {
    if (this.#state !== "done" || this.#end !== this.#start)
      throw malformed("the stream ended in the middle");
  }

  #reserve(more: number): void {
    if (this.#end + more <= this.#buffer.length) return;
    const used = this.#end - this.#start;
    let target = this.#buffer;
    if (used + more > target.length) target = new Uint8Array(Math.max(target.length * 2, used + more));
    if (target === this.#buffer) target.copyWithin(0, this.#start, this.#end);
    else target.set(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = target;
    this.#view = new DataView(target.buffer);
    this.#start = 0;
    this.#end = used;
  }

  #step(): boolean {
    if (this.#state === "rows") return this.#row();
    if (this.#state === "done") throw malformed("bytes follow the end marker");
    for (let index = 0; index < SIGNATURE.length; index += 1) {
      if (this.#buffer[this.#start + index] !== SIGNATURE[index]) throw malformed("the signature is wrong");
    }
    // The upper half says that a reader must know the flag; one of old stood for an OID in front of each row.
    const flags = this.#view.getUint32(this.#start + SIGNATURE.length);
    if (flags > 0xffff) throw malformed(`unknown header flags 0x${flags.toString(16)}`);
    const extension = this.#view.getInt32(this.#start + SIGNATURE.length + 4);
    if (extension !== 0) throw malformed(`an unknown header extension of ${extension} bytes`);
    this.#start += HEADER_BYTES;
    this.#needed = 2;
    this.#state = "rows";
    return true;
  }

  #row(): boolean {
    const view = this.#view;
    const count = view.getInt16(this.#start);
    if (count === -1) {
      this.#start += 2;
      this.#needed = 1;
      this.#state = "done";
      return this.#end > this.#start;
    }
    const columnCount = this.#into.columnCount;
    if (count !== columnCount) throw malformed(`a row has ${count} fields, ${columnCount} were asked for`);
    let at = this.#start + 2;
    for (let column = 0; column < columnCount; column += 1) {
      if (at + 4 > this.#end) return this.#wait(at + 4);
      const length = view.getInt32(at);
      if (length < -1) throw malformed(`a field has length ${length}`);
      at += 4 + (length > 0 ? length : 0);
      if (at > this.#end) return this.#wait(at);
    }
    // The row is here as a whole: copy its fields.
    at = this.#start + 2;
    for (let column = 0; column < columnCount; column += 1) {
      const length = view.getInt32(at);
      const end = at + 4 + (length > 0 ? length : 0);
      this.#into.append(column, this.#buffer, at, end);
      at = end;
    }
    this.#start = at;
    this.#needed = 2;
    this.#into.rows += 1;
    this.#onRow();
    return true;
  }

  #wait(position: number): false {
    this.#needed = position - this.#start;
    return false;
  }
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
