/** Lower-case hexadecimal, the only notation for digests, salts and raw bytes in manifests and the journal. */
import { FirnlineError } from "../errors.ts";

const DIGITS = Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
/** More at once would not fit on the stack as arguments. */
const PIECE_BYTES = 4_096;

/**
 * A flat string: of one that is put together by `+=` V8 keeps each step for as long as it lives, 900 bytes for a digest of
 * 64 digits, and a manifest has thousands.
 */
export function toHex(bytes: Uint8Array): string {
  if (bytes.length > PIECE_BYTES) {
    const pieces: string[] = [];
    for (let at = 0; at < bytes.length; at += PIECE_BYTES)
      pieces.push(toHex(bytes.subarray(at, at + PIECE_BYTES)));
    return pieces.join("");
  }
  const codes: number[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    codes.push(DIGITS[byte >> 4] as number, DIGITS[byte & 0x0f] as number);
  }
  return String.fromCharCode(...codes);
}

/** Throws `E_FORMAT` when `text` is not an even number of hexadecimal digits. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new FirnlineError({
      code: "E_FORMAT",
      subject: "hexadecimal",
      problem: `"${text.slice(0, 40)}" is not hexadecimal`,
      hint: "The file was damaged or written by something else",
    });
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}

export function bytesEqual(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}
