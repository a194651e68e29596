/** UTF-8 of an answer on its way into the file: one growing buffer, so that a value costs no string and no object. */

/** A piece is full from here on. */
export const PIECE_BYTES = 1024 * 1024;
/** What most rows stay under, so that the buffer grows for few. */
const SLACK_BYTES = 64 * 1024;
/** A buffer that grew past this for one large row is let go. */
const KEPT_BYTES_MAX = 4 * PIECE_BYTES;

const newBuffer = (): Uint8Array => new Uint8Array(PIECE_BYTES + SLACK_BYTES);

export class AnswerBytes {
  bytes = newBuffer();
  /** The piece before, which may still be on its way. */
  #other = newBuffer();
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
    const next = this.#other.length > KEPT_BYTES_MAX ? newBuffer() : this.#other;
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
