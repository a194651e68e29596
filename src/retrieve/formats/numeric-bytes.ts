/** A numeric's digits, written from its wire form (`rows/numeric.ts`) without a bigint or a string. */
import type { IndexedColumn } from "../indexed-rows.ts";
import type { AnswerBytes } from "./answer-bytes.ts";

const HEADER_BYTES = 8;
const [ZERO, MINUS, POINT] = [0x30, 0x2d, 0x2e];
const [SIGN_POSITIVE, SIGN_NEGATIVE] = [0x0000, 0x4000];
/** Larger ones are left to the slow way: four digits a group before the point, and so many after it. */
const [WEIGHT_MAX, SCALE_MAX] = [31, 127];
const BYTES_MAX = 1 + (WEIGHT_MAX + 1) * 4 + 1 + SCALE_MAX + 4;

/**
 * Appends the field's text and gives true, or gives false for what is out of the ordinary: zero, what is no number, and
 * what is not as Postgres writes it.
 */
export function putNumeric(
  into: AnswerBytes,
  { view }: IndexedColumn,
  start: number,
  length: number,
): boolean {
  if (length < HEADER_BYTES + 2) return false;
  const groups = view.getUint16(start);
  const weight = view.getInt16(start + 2);
  const sign = view.getUint16(start + 4);
  const scale = view.getUint16(start + 6);
  if (length !== HEADER_BYTES + groups * 2 || (sign !== SIGN_POSITIVE && sign !== SIGN_NEGATIVE))
    return false;
  if (weight > WEIGHT_MAX || weight < -WEIGHT_MAX || scale > SCALE_MAX) return false;
  const digits = start + HEADER_BYTES;
  for (let group = 0; group < groups; group += 1) {
    if (view.getUint16(digits + group * 2) > 9999) return false;
  }
  if (view.getUint16(digits) === 0) return false;
  // Digits of the last group that the scale cuts off must be zeros; whole groups of them are not written.
  const cut = (groups - 1 - weight) * 4 - scale;
  if (cut >= 4 || (cut > 0 && view.getUint16(digits + (groups - 1) * 2) % 10 ** cut !== 0)) return false;
  const to = into.bytes.length - into.at >= BYTES_MAX ? into.bytes : roomIn(into);
  let at = into.at;
  if (sign === SIGN_NEGATIVE) to[at++] = MINUS;
  if (weight < 0) to[at++] = ZERO;
  for (let group = 0; group <= weight; group += 1) {
    const value = group < groups ? view.getUint16(digits + group * 2) : 0;
    at = putGroup(to, at, value, group === 0 ? digitsOf(value) : 4);
  }
  if (scale > 0) {
    to[at++] = POINT;
    const end = at + scale;
    for (let group = weight + 1; at < end; group += 1) {
      at = putGroup(to, at, group >= 0 && group < groups ? view.getUint16(digits + group * 2) : 0, 4);
    }
    at = end;
  }
  into.at = at;
  return true;
}

function roomIn(into: AnswerBytes): Uint8Array {
  into.room(BYTES_MAX);
  return into.bytes;
}

const digitsOf = (value: number): number => (value < 10 ? 1 : value < 100 ? 2 : value < 1000 ? 3 : 4);

function putGroup(to: Uint8Array, start: number, value: number, digits: number): number {
  let rest = value;
  for (let at = start + digits - 1; at >= start; at -= 1) {
    const tenth = (rest / 10) | 0;
    to[at] = ZERO + (rest - tenth * 10);
    rest = tenth;
  }
  return start + digits;
}
