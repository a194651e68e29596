/**
 * Which keys an archive object may have. Every adapter asks here before it touches its store, so that a key
 * means the same object on a file system, in a bucket and in memory, and so that no key can leave the
 * archive's root.
 *
 * A key is one or more segments joined by `/`. A segment has 1 to 240 bytes of `[A-Za-z0-9_=.-]` and does not
 * begin with a dot: names that do belong to the adapters (sidecars, temporary files), and `.` and `..` are
 * among them. 240 and not the 255 of most file systems, because the sidecar `.NAME.firnline.json` must fit as
 * well.
 */
import { createHash } from "node:crypto";

import { FirnlineError } from "../errors.ts";

/** S3's limit. An adapter that puts a prefix before the key has to take the prefix from it. */
export const OBJECT_KEY_BYTES_MAX = 1024;
export const KEY_SEGMENT_BYTES_MAX = 240;
/** No encoded identifier is longer; any Postgres identifier (63 bytes) is encoded in full. */
export const ENCODED_IDENTIFIER_BYTES_MAX = 200;

const SEGMENT = /^[A-Za-z0-9_=-][A-Za-z0-9_=.-]*$/;
const PLAIN_BYTE = /[a-z0-9_]/;

/** True for one legal segment of a key. */
export function isKeySegment(segment: string): boolean {
  return segment.length <= KEY_SEGMENT_BYTES_MAX && SEGMENT.test(segment);
}

/** True for a legal key. All legal characters are ASCII, so that its length is its length in bytes. */
export function isObjectKey(key: string): boolean {
  return problemOf(key) === null;
}

/** Throws `E_INTERNAL` unless `key` is legal. Reads nothing but its argument. */
export function assertObjectKey(key: string): void {
  refuse(key, problemOf(key));
}

/** Throws `E_INTERNAL` unless some legal key begins with `prefix`; the empty prefix is every key's. */
export function assertKeyPrefix(prefix: string): void {
  if (prefix === "" || isObjectKey(prefix)) return;
  refuse(prefix, problemOf(`${prefix}x`));
}

function problemOf(key: string): string | null {
  if (key === "") return "an object key must not be empty";
  if (key.length > OBJECT_KEY_BYTES_MAX) return `an object key has at most ${OBJECT_KEY_BYTES_MAX} bytes`;
  for (const segment of key.split("/")) {
    if (segment === "") return "an object key has no empty segment and neither begins nor ends with a slash";
    if (segment.startsWith(".")) return "a segment of an object key must not begin with a dot";
    if (segment.length > KEY_SEGMENT_BYTES_MAX) {
      return `a segment of an object key has at most ${KEY_SEGMENT_BYTES_MAX} bytes`;
    }
    if (!SEGMENT.test(segment)) return "an object key is made of A-Z a-z 0-9 _ = . - and slashes";
  }
  return null;
}

function refuse(key: string, problem: string | null): void {
  if (problem === null) return;
  const shown = JSON.stringify(key.length > 120 ? `${key.slice(0, 120)}...` : key);
  throw new FirnlineError({
    code: "E_INTERNAL",
    subject: `object key ${shown}`,
    problem,
    hint: "Build keys from validated names and encodeIdentifier; please report it with the output of --debug",
    key,
  });
}

/**
 * Writes any text as one segment of a key: `[a-z0-9_]` stay, every other byte of its UTF-8 form becomes `-`
 * and two lower-case hex digits. Different texts have different encodings, also where a file system folds
 * case (so capitals are encoded too). A leading `_` is encoded, because engines skip such names and
 * `_firnline` is taken; the empty text is `-`. What would be longer than 200 bytes is cut and ends with `--`
 * and the SHA-256 of the whole text.
 *
 * Rule and pipeline names need none: they are `[a-z][a-z0-9_]{0,62}` and encode to themselves.
 * Throws `E_INTERNAL` on a lone surrogate, which has no UTF-8 form.
 */
export function encodeIdentifier(text: string): string {
  if (!text.isWellFormed()) refuse(text, "the identifier is not well-formed Unicode");
  if (text === "") return "-";
  const units: string[] = [];
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte);
    const plain = PLAIN_BYTE.test(character) && !(units.length === 0 && character === "_");
    units.push(plain ? character : `-${byte.toString(16).padStart(2, "0")}`);
  }
  const whole = units.join("");
  if (whole.length <= ENCODED_IDENTIFIER_BYTES_MAX) return whole;

  const digest = createHash("sha256").update(text, "utf8").digest("hex");
  let head = "";
  for (const unit of units) {
    if (head.length + unit.length > ENCODED_IDENTIFIER_BYTES_MAX - 2 - digest.length) break;
    head += unit;
  }
  return `${head}--${digest}`;
}
