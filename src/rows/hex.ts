/** Lower-case hexadecimal, the only notation for digests, salts and raw bytes in manifests and the journal. */
import { FirnlineError } from "../errors.ts";

const DIGITS = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
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
