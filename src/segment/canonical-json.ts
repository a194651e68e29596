/**
 * RFC 8785 JSON: one text for one value, so that it can be hashed. Members are sorted by their UTF-16 code units and
 * numbers are printed as ECMAScript prints them, which is what the RFC asks for. Totals and keys are decimal strings.
 */
import { invariant } from "../errors.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export function canonicalJson(value: Json): string {
  if (value === null || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "string") return canonicalString(value);
  if (typeof value === "number") {
    invariant(Number.isFinite(value), "canonical JSON", `${value} is not a JSON number`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(",")}]`;
  invariant(typeof value === "object", "canonical JSON", `a ${typeof value} is not a JSON value`);
  const members = value as { readonly [name: string]: Json };
  const names = Object.keys(members).sort(); // by UTF-16 code units, as the RFC wants
  return `{${names.map((name) => `${canonicalString(name)}:${canonicalJson(members[name] as Json)}`).join(",")}}`;
}

function canonicalString(text: string): string {
  invariant(text.isWellFormed(), "canonical JSON", "half of a surrogate pair is no character");
  return JSON.stringify(text);
}

const encoder = new TextEncoder();
const BYTES_AT_FIRST = 2_048;
/** UTF-8 of a UTF-16 code unit, at most. */
const UTF8_BYTES_MAX = 3;

/**
 * The text in UTF-8, without ever having it as a string: of a manifest of megabytes each level of arrays and objects would
 * be a copy of all that is within.
 */
export function canonicalBytes(value: Json): Uint8Array {
  const text = new Utf8Text();
  write(text, value);
  return text.bytes();
}

function write(text: Utf8Text, value: Json): void {
  if (Array.isArray(value)) {
    let mark = "[";
    for (const item of value as readonly Json[]) {
      text.put(mark);
      write(text, item);
      mark = ",";
    }
    text.put(mark === "[" ? "[]" : "]");
  } else if (typeof value === "object" && value !== null) {
    const members = value as { readonly [name: string]: Json };
    let mark = "{";
    for (const name of Object.keys(members).sort()) {
      text.put(mark);
      text.put(canonicalString(name));
      text.put(":");
      write(text, members[name] as Json);
      mark = ",";
    }
    text.put(mark === "{" ? "{}" : "}");
  } else text.put(canonicalJson(value));
}

class Utf8Text {
  #bytes = new Uint8Array(BYTES_AT_FIRST);
  #length = 0;

  put(text: string): void {
    const bytesMax = text.length * UTF8_BYTES_MAX;
    if (this.#length + bytesMax > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2 + bytesMax);
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code >= 0x80) {
        this.#length += encoder.encodeInto(text.slice(at), this.#bytes.subarray(this.#length)).written;
        return;
      }
      this.#bytes[this.#length] = code;
      this.#length += 1;
    }
  }

  /** A copy of their own size. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}
