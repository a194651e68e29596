/**
 * Texts on their way into an answer: copied byte by byte, with what a format has to escape. Fields of type text are UTF-8
 * by Postgres' word; where bytes are not, they are decoded as `value-text.ts` does it, with U+FFFD for what is broken.
 */
import { Buffer, isUtf8 } from "node:buffer";
import type { IndexedColumn } from "../indexed-rows.ts";
import type { PutValue } from "./value-bytes.ts";
import type { ValueText } from "./value-text.ts";

/** A long text is written in parts, since each byte may take six. */
const PART_BYTES = 16 * 1024;
const ESCAPED_BYTES_MAX = 6;
const [QUOTE, BACKSLASH, SPACE, LINE_FEED, RETURN, LOWER_U, ZERO] = [
  0x22, 0x5c, 0x20, 0x0a, 0x0d, 0x75, 0x30,
];

/** What JSON.stringify writes for each byte: 0 as it is, `u` by its number, any other letter after a backslash. */
const ESCAPES = new Uint8Array(256);
ESCAPES.fill(LOWER_U, 0, SPACE);
for (const [byte, letter] of [
  [0x08, "b"],
  [0x09, "t"],
  [LINE_FEED, "n"],
  [0x0c, "f"],
  [RETURN, "r"],
  [QUOTE, '"'],
  [BACKSLASH, "\\"],
] as const) {
  ESCAPES[byte] = letter.charCodeAt(0);
}
const HEX = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
const encoder = new TextEncoder();

/** Whether the bytes are UTF-8, given all of them OR-ed together. */
const isText = (all: number, { bytes }: IndexedColumn, start: number, end: number): boolean =>
  all < 0x80 || isUtf8(bytes.subarray(start, end));

/** Appends the text as a JSON string, as JSON.stringify does; `slowly` is that of a text that is no UTF-8. */
export function jsonString(slowly: ValueText): PutValue {
  return (into, column, start, length) => {
    const { bytes } = column;
    const before = into.at;
    const end = start + length;
    let all = 0;
    into.room(1);
    into.bytes[into.at++] = QUOTE;
    for (let part = start; part < end; part += PART_BYTES) {
      const partEnd = part + PART_BYTES < end ? part + PART_BYTES : end;
      let at = into.room((partEnd - part) * ESCAPED_BYTES_MAX);
      const to = into.bytes;
      for (let index = part; index < partEnd; index += 1) {
        const byte = bytes[index] as number;
        all |= byte;
        const escape = ESCAPES[byte] as number;
        if (escape === 0) to[at++] = byte;
        else {
          to[at] = BACKSLASH;
          to[at + 1] = escape;
          at += 2;
          if (escape === LOWER_U) {
            to[at] = ZERO;
            to[at + 1] = ZERO;
            to[at + 2] = HEX[byte >> 4] as number;
            to[at + 3] = HEX[byte & 15] as number;
            at += 4;
          }
        }
      }
      into.at = at;
    }
    into.room(1);
    into.bytes[into.at++] = QUOTE;
    if (isText(all, column, start, end)) return;
    into.at = before;
    into.put(encoder.encode(JSON.stringify(slowly(bytes.subarray(start, end)))));
  };
}

/**
 * Appends a JSON value as it is, from `skip` bytes on (a jsonb has its version in front). Valid JSON holds line breaks only
 * between its tokens; there they may be spaces. Whole values are checked and copied natively, at a fifth of what a loop
 * takes for the 400 bytes of an audit row's JSON.
 */
export function embeddedJson(skip: number, slowly: ValueText): PutValue {
  const breaks = new LineBreaks();
  return (into, column, fieldStart, length) => {
    const start = fieldStart + skip;
    const end = fieldStart + length;
    if (end <= start) return;
    const json = column.bytes.subarray(start, end);
    if (isUtf8(json) && !breaks.isIn(column, start, end)) {
      const at = into.room(json.length);
      into.bytes.set(json, at);
      into.at = at + json.length;
    } else {
      const text = slowly(column.bytes.subarray(fieldStart, end));
      into.put(encoder.encode(text.replace(/[\r\n]+/g, " ")));
    }
  };
}

/** The next line feed and carriage return of a column, at or after the last place that was asked for. */
interface Breaks {
  readonly bytes: Buffer;
  feed: number;
  return: number;
}

/**
 * Whether there is a line break in a field. Fields of a column are asked for in order, and a search goes on to the next one
 * found; where rows of several chunks take turns, each chunk goes on from its own place.
 */
class LineBreaks {
  readonly #known = new WeakMap<IndexedColumn, Breaks>();
  #last: IndexedColumn | null = null;
  #breaks: Breaks = { bytes: Buffer.alloc(0), feed: -1, return: -1 };

  isIn(column: IndexedColumn, start: number, end: number): boolean {
    if (column !== this.#last) this.#turnTo(column);
    const breaks = this.#breaks;
    if (breaks.feed < start) breaks.feed = next(breaks.bytes, LINE_FEED, start);
    if (breaks.return < start) breaks.return = next(breaks.bytes, RETURN, start);
    return breaks.feed < end || breaks.return < end;
  }

  #turnTo(column: IndexedColumn): void {
    const { bytes } = column;
    const known = this.#known.get(column);
    this.#breaks = known ?? {
      bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      feed: -1,
      return: -1,
    };
    if (known === undefined) this.#known.set(column, this.#breaks);
    this.#last = column;
  }
}

function next(bytes: Buffer, byte: number, from: number): number {
  const found = bytes.indexOf(byte, from);
  return found < 0 ? Number.POSITIVE_INFINITY : found;
}
