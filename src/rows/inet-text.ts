/**
 * The text of an inet, of its bytes on the wire: the address, without the mask of a single host, as people and `inet_out` write
 * it. Asking Postgres for the text (`abbrev`) costs its backend 0.25 microseconds a row, in which it could go on to the next one.
 *
 * Source: PostgreSQL, network.c (`network_send`) and inet_net_ntop.c (`pg_inet_net_ntop`).
 */
import { malformed } from "./copy-binary.ts";

/** Family, bits of the mask, whether it is a cidr, bytes of the address. */
const HEADER_BYTES = 4;
const FAMILY_V4 = 2;
const FAMILY_V6 = 3;
const BYTES_V4 = 4;
const BYTES_V6 = 16;
const WORDS_V6 = 8;
const LENGTH_BYTES = 4;

const DOT = 0x2e;
const SLASH = 0x2f;
const COLON = 0x3a;
const ZERO = 0x30;
/** What is added to ten to get an "a". */
const A_LESS_TEN = 0x57;

/** A field of COPY with the longest text: `ffff:`, seven times, an IPv4 address, `/128`. */
export const INET_FIELD_BYTES_MAX = 64;

/**
 * Writes the field with its length word to `out`, and returns its bytes. `bytes[start, end)` is what Postgres sent, without
 * a length word.
 */
export function writeInetText(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  const size = end - start - HEADER_BYTES;
  const [family, bits] = [bytes[start], bytes[start + 1] as number];
  const isV4 = family === FAMILY_V4 && size === BYTES_V4 && bits <= BYTES_V4 * 8;
  const isV6 = family === FAMILY_V6 && size === BYTES_V6 && bits <= BYTES_V6 * 8;
  if (!(isV4 || isV6) || bytes[start + 3] !== size) throw malformed("a field is no inet");
  const address = start + HEADER_BYTES;
  let at = isV4 ? writeV4(bytes, address, out, LENGTH_BYTES) : writeV6(bytes, address, out);
  if (bits !== size * 8) {
    out[at] = SLASH;
    at = writeDecimal(bits, out, at + 1);
  }
  out.fill(0, 0, LENGTH_BYTES - 1);
  out[LENGTH_BYTES - 1] = at - LENGTH_BYTES;
  return at;
}

function writeV4(bytes: Uint8Array, address: number, out: Uint8Array, start: number): number {
  let at = writeDecimal(bytes[address] as number, out, start);
  for (let index = 1; index < BYTES_V4; index += 1) {
    out[at] = DOT;
    at = writeDecimal(bytes[address + index] as number, out, at + 1);
  }
  return at;
}

/** The first of the longest runs of two zero words or more is `::`; an IPv4 address at the end is written as one. */
function writeV6(bytes: Uint8Array, address: number, out: Uint8Array): number {
  const word = (index: number): number =>
    ((bytes[address + index * 2] as number) << 8) | (bytes[address + index * 2 + 1] as number);
  let [run, runWords] = [-1, 1];
  for (let index = 0; index < WORDS_V6; index += 1) {
    let words = 0;
    while (index + words < WORDS_V6 && word(index + words) === 0) words += 1;
    if (words > runWords) [run, runWords] = [index, words];
    index += words;
  }
  const hasV4 = run === 0 && (runWords === 6 || (runWords === 5 && word(5) === 0xffff));
  let at = LENGTH_BYTES;
  for (let index = 0; index < WORDS_V6; index += 1) {
    if (run >= 0 && index >= run && index < run + runWords) {
      if (index === run) out[at++] = COLON;
      continue;
    }
    if (index > 0) out[at++] = COLON;
    if (index === 6 && hasV4) return writeV4(bytes, address + 12, out, at);
    at = writeHex(word(index), out, at);
  }
  if (run >= 0 && run + runWords === WORDS_V6) out[at++] = COLON;
  return at;
}

/** Up to 255. */
function writeDecimal(value: number, out: Uint8Array, start: number): number {
  let at = start;
  if (value >= 100) out[at++] = ZERO + Math.floor(value / 100);
  if (value >= 10) out[at++] = ZERO + (Math.floor(value / 10) % 10);
  out[at] = ZERO + (value % 10);
  return at + 1;
}

function writeHex(word: number, out: Uint8Array, start: number): number {
  let at = start;
  for (let shift = word >= 0x1000 ? 12 : word >= 0x100 ? 8 : word >= 0x10 ? 4 : 0; shift >= 0; shift -= 4) {
    const digit = (word >> shift) & 0xf;
    out[at++] = digit + (digit < 10 ? ZERO : A_LESS_TEN);
  }
  return at;
}
