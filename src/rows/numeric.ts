/**
 * `numeric` on the wire and as digits. Wire form (numeric.c, numeric_send): uint16 ndigits, weight, sign, dscale, then
 * ndigits base-10000 digits; the value is the sum of digit[i] * 10000^(weight - i). Postgres strips leading and
 * trailing zero digits, so a value of a given dscale has exactly one wire form; that makes the way back exact.
 */
const SIGN_POSITIVE = 0x0000;
const SIGN_NEGATIVE = 0x4000;
const SIGN_NAN = 0xc000;
const SIGN_INFINITY = 0xd000;
const SIGN_NEGATIVE_INFINITY = 0xf000;

export interface NumericParts {
  /** Value times 10^scale, or the name of a special value. */
  readonly unscaled: bigint | "NaN" | "Infinity" | "-Infinity";
  readonly scale: number;
}

/** Null when the bytes are not a well-formed numeric. */
export function decodeNumeric(bytes: Uint8Array, start: number, length: number): NumericParts | null {
  if (length < 8) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, length);
  const digitCount = view.getUint16(0);
  const weight = view.getInt16(2);
  const sign = view.getUint16(4);
  const scale = view.getUint16(6);
  if (length !== 8 + digitCount * 2) return null;
  if (sign === SIGN_NAN) return { unscaled: "NaN", scale };
  if (sign === SIGN_INFINITY) return { unscaled: "Infinity", scale };
  if (sign === SIGN_NEGATIVE_INFINITY) return { unscaled: "-Infinity", scale };
  if (sign !== SIGN_POSITIVE && sign !== SIGN_NEGATIVE) return null;
  let digits = "";
  for (let index = 0; index < digitCount; index += 1) {
    const digit = view.getUint16(8 + index * 2);
    if (digit > 9999) return null;
    digits += String(digit).padStart(4, "0");
  }
  if (digits === "") return { unscaled: 0n, scale };
  // The last base-10000 digit stands for 10000^(weight - digitCount + 1).
  const shift = (weight - digitCount + 1) * 4 + scale;
  if (shift >= 0) digits += "0".repeat(shift);
  else if (/^0*$/.test(digits.slice(shift))) digits = digits.slice(0, shift);
  else return null;
  const unscaled = BigInt(digits === "" ? "0" : digits);
  return { unscaled: sign === SIGN_NEGATIVE ? -unscaled : unscaled, scale };
}

export function encodeNumeric({ unscaled, scale }: NumericParts): Uint8Array {
  if (typeof unscaled === "string") {
    const sign =
      unscaled === "NaN" ? SIGN_NAN : unscaled === "Infinity" ? SIGN_INFINITY : SIGN_NEGATIVE_INFINITY;
    return wire([], 0, sign, scale);
  }
  if (unscaled === 0n) return wire([], 0, SIGN_POSITIVE, scale);
  const negative = unscaled < 0n;
  let text = (negative ? -unscaled : unscaled).toString();
  // Align the decimal point to a boundary of four digits, then cut into base-10000 digits.
  const fractionPadding = (4 - (scale % 4)) % 4;
  text += "0".repeat(fractionPadding);
  const fractionGroups = (scale + fractionPadding) / 4;
  text = text.padStart(Math.ceil(text.length / 4) * 4, "0");
  const groups: number[] = [];
  for (let at = 0; at < text.length; at += 4) groups.push(Number(text.slice(at, at + 4)));
  let weight = groups.length - fractionGroups - 1;
  let first = 0;
  while (groups[first] === 0) {
    first += 1;
    weight -= 1;
  }
  let last = groups.length;
  while (groups[last - 1] === 0) last -= 1;
  return wire(groups.slice(first, last), weight, negative ? SIGN_NEGATIVE : SIGN_POSITIVE, scale);
}

function wire(digits: readonly number[], weight: number, sign: number, scale: number): Uint8Array {
  const bytes = new Uint8Array(8 + digits.length * 2);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, digits.length);
  view.setInt16(2, weight);
  view.setUint16(4, sign);
  view.setUint16(6, scale);
  digits.forEach((digit, index) => view.setUint16(8 + index * 2, digit));
  return bytes;
}

/** As `numeric_out` prints it: all digits of the scale, no exponent. */
export function numericToText({ unscaled, scale }: NumericParts): string {
  if (typeof unscaled === "string") return unscaled;
  const negative = unscaled < 0n;
  const digits = (negative ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  const point = digits.length - scale;
  return `${negative ? "-" : ""}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ""}`;
}

/** The way back from `numericToText`; null when the text is of another form. */
export function numericFromText(text: string): NumericParts | null {
  if (text === "NaN" || text === "Infinity" || text === "-Infinity") return { unscaled: text, scale: 0 };
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (!match) return null;
  const fraction = match[3] ?? "";
  const magnitude = BigInt(`${match[2]}${fraction}`);
  return { unscaled: match[1] === "-" ? -magnitude : magnitude, scale: fraction.length };
}
