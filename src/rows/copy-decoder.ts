/**
 * PostgreSQL's COPY BINARY stream, decoded into columns of raw fields and nothing else: no value is interpreted here, but that
 * an inet becomes its text, which is what is archived of it.
 * Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a signature of 11 bytes, flags,
 * an extension, then tuples (int16 count; for each field int32 length, -1 for NULL, and the bytes), then int16 -1.
 */
import type { Selection } from "./column.ts";
import { malformed, type RawColumns } from "./copy-binary.ts";
import { INET_FIELD_BYTES_MAX, writeInetText } from "./inet-text.ts";

const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00);
const HEADER_BYTES = SIGNATURE.length + 8;
const INITIAL_BYTES = 64 * 1024;
const int32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 24) |
  ((bytes[at + 1] as number) << 16) |
  ((bytes[at + 2] as number) << 8) |
  (bytes[at + 3] as number);

/**
 * Takes the stream in pieces of any size and appends whole rows to a `RawColumns`. Memory is bounded by the longest
 * row. `onRow` is called after each row, so that the caller can cut a chunk there.
 */
export class CopyBinaryDecoder {
  readonly #into: RawColumns;
  readonly #onRow: () => void;
  /** Whether a column's fields are inets, to be kept as texts. */
  readonly #isInet: readonly boolean[];
  readonly #text = new Uint8Array(INET_FIELD_BYTES_MAX);
  /** What of the last pieces is no whole row yet: `#rest[0, #restBytes)`. */
  #rest = new Uint8Array(INITIAL_BYTES);
  #restBytes = 0;
  /** Bytes that must be there before it pays to look at the rest again. */
  #needed = HEADER_BYTES;
  #state: "header" | "rows" | "done" = "header";

  /** `selections`: of each column; where there are none, all fields are taken as they are. */
  constructor(into: RawColumns, onRow: () => void, selections: readonly Selection[] = []) {
    this.#into = into;
    this.#onRow = onRow;
    this.#isInet = Array.from({ length: into.columnCount }, (_, index) => selections[index] === "inet");
  }

  /** True once the end marker was seen; a stream that stops without it is incomplete. */
  get done(): boolean {
    return this.#state === "done";
  }

  /** Takes `piece[start, end)`, which is the caller's again afterwards. */
  push(piece: Uint8Array, start = 0, end = piece.length): void {
    let at = start;
    // Rows that lie in the piece as a whole are taken from there.
    if (this.#restBytes === 0) at = this.#consume(piece, start, end);
    if (at === end) return;
    this.#keep(piece, at, end);
    if (this.#restBytes < this.#needed) return;
    const consumed = this.#consume(this.#rest, 0, this.#restBytes);
    this.#rest.copyWithin(0, consumed, this.#restBytes);
    this.#restBytes -= consumed;
  }

  /** Throws unless the stream ended where it should. */
  finish(): void {
    if (this.#state !== "done" || this.#restBytes > 0) throw malformed("the stream ended in the middle");
  }

  #keep(piece: Uint8Array, start: number, end: number): void {
    const bytes = this.#restBytes + end - start;
    if (bytes > this.#rest.length) {
      const grown = new Uint8Array(Math.max(this.#rest.length * 2, bytes));
      grown.set(this.#rest.subarray(0, this.#restBytes));
      this.#rest = grown;
    }
    this.#rest.set(piece.subarray(start, end), this.#restBytes);
    this.#restBytes = bytes;
  }

  /** Consumes the header, whole rows and the end marker; returns where what is left begins. */
  #consume(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    if (this.#state === "header") {
      if (end - at < HEADER_BYTES) return at;
      this.#header(bytes, at);
      at += HEADER_BYTES;
    }
    while (this.#state === "rows") {
      const next = this.#row(bytes, at, end);
      if (next < 0) {
        this.#needed = -next;
        return at;
      }
      at = next;
    }
    if (at < end) throw malformed("bytes follow the end marker");
    return at;
  }

  #header(bytes: Uint8Array, at: number): void {
    for (let index = 0; index < SIGNATURE.length; index += 1) {
      if (bytes[at + index] !== SIGNATURE[index]) throw malformed("the signature is wrong");
    }
    // The upper half says that a reader must know the flag; one of old stood for an OID in front of each row.
    const flags = int32At(bytes, at + SIGNATURE.length) >>> 0;
    if (flags > 0xffff) throw malformed(`unknown header flags 0x${flags.toString(16)}`);
    const extension = int32At(bytes, at + SIGNATURE.length + 4);
    if (extension !== 0) throw malformed(`an unknown header extension of ${extension} bytes`);
    this.#state = "rows";
  }

  /** Where the next row begins; negative: so many bytes from `start` on are needed at least. */
  #row(bytes: Uint8Array, start: number, end: number): number {
    if (start + 2 > end) return -2;
    const count = ((bytes[start] as number) << 8) | (bytes[start + 1] as number);
    if (count === 0xffff) {
      this.#state = "done";
      return start + 2;
    }
    const into = this.#into;
    const columnCount = into.columnCount;
    if (count !== columnCount)
      throw malformed(`a row has ${(count << 16) >> 16} fields, ${columnCount} were asked for`);
    let at = start + 2;
    for (let column = 0; column < columnCount; column += 1) {
      if (at + 4 > end) return start - (at + 4);
      const length = int32At(bytes, at);
      if (length < -1) throw malformed(`a field has length ${length}`);
      at += 4 + (length > 0 ? length : 0);
      if (at > end) return start - at;
    }
    // The row is here as a whole: copy its fields.
    const [isInet, text] = [this.#isInet, this.#text];
    at = start + 2;
    for (let column = 0; column < columnCount; column += 1) {
      const length = int32At(bytes, at);
      const next = at + 4 + (length > 0 ? length : 0);
      if (isInet[column] === true && length >= 0) {
        into.append(column, text, 0, writeInetText(bytes, at + 4, next, text));
      } else into.append(column, bytes, at, next);
      at = next;
    }
    into.rows += 1;
    this.#onRow();
    return at;
  }
}
