/** UTF-8 of an answer on its way into the file: one growing buffer, so that a value costs no string and no object. */

/** A piece is full from here on. */
export const PIECE_BYTES = 1024 * 1024;
/** What most rows stay under, so that the buffer grows for few. */
const SLACK_BYTES = 64 * 1024;
/** Most answers are small, and never fill a piece. */
const FIRST_BYTES = 32 * 1024;
/** A buffer that grew past this for one large row is let go. */
const KEPT_BYTES_MAX = 4 * PIECE_BYTES;

export class AnswerBytes {
  bytes = new Uint8Array(FIRST_BYTES);
  /** The piece before, which may still be on its way. */
  #other = new Uint8Array();
  /** Where the next byte goes. Whoever has asked for room may write there and move it. */
  at = 0;

  get isFull(): boolean {
    return this.at >= PIECE_BYTES;
  }

  /** Makes room for so many bytes more, and gives the place of the first. */
  room(size: number): number {
    if (this.at + size > this.bytes.length) this.#grow(this.at + size);
    return this.at;
  }

  /** Appends a few bytes. */
  put(bytes: Uint8Array): void {
    let at = this.room(bytes.length);
    const to = this.bytes;
    for (let index = 0; index < bytes.length; index += 1, at += 1) to[at] = bytes[index] as number;
    this.at = at;
  }

  /** Appends a text whose characters are all ASCII. */
  ascii(text: string): void {
    let at = this.room(text.length);
    const to = this.bytes;
    for (let index = 0; index < text.length; index += 1, at += 1) to[at] = text.charCodeAt(index);
    this.at = at;
  }

  /** Hands over what is there. Its buffer is written to again after the next piece was taken. */
  take(): Uint8Array {
    const taken = this.bytes.subarray(0, this.at);
    const least = this.isFull ? PIECE_BYTES : FIRST_BYTES;
    const isKept = this.#other.length >= least && this.#other.length <= KEPT_BYTES_MAX;
    const next = isKept ? this.#other : new Uint8Array(least + SLACK_BYTES);
    this.#other = this.bytes;
    this.bytes = next;
    this.at = 0;
    return taken;
  }

  #grow(size: number): void {
    const grown = new Uint8Array(Math.max(size, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
  }
}
