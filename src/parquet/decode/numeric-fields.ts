/**
 * Numerics in their wire form, from the integers or the text that the file holds. Wire form (numeric.c, numeric_send):
 * uint16 count of digits, int16 weight, uint16 sign, uint16 display scale, then digits of base 10000. Digits of 0 at
 * either end are left out, so a value of a given scale has one form only.
 */
import type { ByteCells, FixedCells } from "./cells.ts";
import type { FieldSink, FieldSource } from "./field-sink.ts";

const NEGATIVE = 0x4000;
const SPECIAL: Readonly<Record<string, number>> = { NaN: 0xc000, Infinity: 0xd000, "-Infinity": 0xf000 };
const HEAD_BYTES = 8;
/** The limits of the wire form, and of Postgres: the count of digits has no sign there, their weight has one. */
const SCALE_MAX = 0x3fff;
const COUNT_MAX = 0xffff;
const WEIGHT_MAX = 0x7fff;
/** More integers than these JavaScript's numbers do not tell apart. */
const EXACT_MAX = 2 ** 53;
const POWERS = [1, 10, 100, 1_000];
const [DIGIT_0, DIGIT_9, POINT, MINUS] = [0x30, 0x39, 0x2e, 0x2d];

/** Digits of base 10000, the lowest one first, with the point before digit `ceil(scale / 4)`. */
class WireDigits {
  #digits = new Uint16Array(64);
  #count = 0;

  /** The integer `value`, from 0 to 2^53, times 10^-scale. */
  ofNumber(value: number, scale: number): void {
    const odd = scale % 4;
    let rest = value;
    this.#count = 0;
    if (odd > 0) {
      const unit = POWERS[odd] as number;
      this.#push((rest % unit) * (POWERS[4 - odd] as number));
      rest = Math.floor(rest / unit);
    }
    for (; rest > 0; rest = Math.floor(rest / 10_000)) this.#push(rest % 10_000);
  }

  /** The decimal digits in `text[0, length)`, ASCII, times 10^-scale. */
  ofDigits(text: Uint8Array, length: number, scale: number): void {
    const odd = scale % 4;
    this.#count = 0;
    for (let end = length, size = odd === 0 ? 4 : odd; end > 0; end -= size, size = 4) {
      let digit = 0;
      for (let at = Math.max(0, end - size); at < end; at += 1)
        digit = digit * 10 + (text[at] as number) - DIGIT_0;
      this.#push(end === length && odd > 0 ? digit * (POWERS[4 - odd] as number) : digit);
    }
  }

  /** Writes the field, its length word included. */
  write(sink: FieldSink, isNegative: boolean, scale: number): void {
    const digits = this.#digits;
    let top = this.#count - 1;
    while (top >= 0 && digits[top] === 0) top -= 1;
    let bottom = 0;
    while (bottom < top && digits[bottom] === 0) bottom += 1;
    const count = top < 0 ? 0 : top - bottom + 1;
    const weight = top < 0 ? 0 : top - Math.ceil(scale / 4);
    if (count > COUNT_MAX || weight > WEIGHT_MAX) throw new Error("a numeric of too many digits");
    writeHead(sink, count, weight, isNegative && count > 0 ? NEGATIVE : 0, scale);
    const { view } = sink;
    let at = sink.length;
    for (let index = top; index > top - count; index -= 1, at += 2)
      view.setUint16(at, digits[index] as number);
    sink.length = at;
  }

  #push(digit: number): void {
    if (this.#count === this.#digits.length) {
      const grown = new Uint16Array(this.#count * 2);
      grown.set(this.#digits);
      this.#digits = grown;
    }
    this.#digits[this.#count] = digit;
    this.#count += 1;
  }
}

function writeHead(sink: FieldSink, count: number, weight: number, sign: number, scale: number): void {
  const { view, length: at } = sink;
  view.setInt32(at, HEAD_BYTES + count * 2);
  view.setUint16(at + 4, count);
  view.setInt16(at + 6, weight);
  view.setUint16(at + 8, sign);
  view.setUint16(at + 10, scale);
  sink.length = at + 4 + HEAD_BYTES;
}

/** A DECIMAL: an integer of 4 or 8 bytes, or of 16 with the highest byte first, times 10^-scale. */
export class DecimalFields implements FieldSource {
  readonly #view: DataView;
  readonly #width: number;
  readonly #scale: number;
  readonly #digits = new WireDigits();
  #text = new Uint8Array(40);

  constructor({ bytes, width }: FixedCells, scale: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#width = width;
    this.#scale = scale;
  }

  /** 39 decimal digits are 11 of base 10000, wherever the point is. */
  bytesMax(_from: number, count: number): number {
    return count * (4 + HEAD_BYTES + 22);
  }

  write(sink: FieldSink, from: number, count: number): void {
    const view = this.#view;
    const width = this.#width;
    for (let index = from; index < from + count; index += 1) {
      const at = index * width;
      if (width === 4) {
        this.#small(sink, view.getInt32(at, true));
      } else if (width === 8) {
        const value = view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
        if (Math.abs(value) < EXACT_MAX) this.#small(sink, value);
        else this.#large(sink, view.getBigInt64(at, true));
      } else {
        const [top, upper] = [view.getInt32(at), view.getInt32(at + 4)];
        const value = view.getInt32(at + 8) * 2 ** 32 + view.getUint32(at + 12);
        const isShort = top === upper && top === (view.getInt32(at + 8) < 0 ? -1 : 0);
        if (isShort && Math.abs(value) < EXACT_MAX) this.#small(sink, value);
        else this.#large(sink, (view.getBigInt64(at) << 64n) | view.getBigUint64(at + 8));
      }
    }
  }

  #small(sink: FieldSink, value: number): void {
    this.#digits.ofNumber(Math.abs(value), this.#scale);
    this.#digits.write(sink, value < 0, this.#scale);
  }

  #large(sink: FieldSink, value: bigint): void {
    const text = (value < 0n ? -value : value).toString();
    for (let at = 0; at < text.length; at += 1) this.#text[at] = text.charCodeAt(at);
    this.#digits.ofDigits(this.#text, text.length, this.#scale);
    this.#digits.write(sink, value < 0n, this.#scale);
  }
}

/** A numeric as Postgres prints it: a sign, digits, a point and all digits of its scale, or the name of a special value. */
export class NumericFields implements FieldSource {
  readonly #cells: ByteCells;
  readonly #digits = new WireDigits();
  #text = new Uint8Array(64);

  constructor(cells: ByteCells) {
    this.#cells = cells;
  }

  bytesMax(from: number, count: number): number {
    let sum = 0;
    for (let index = from; index < from + count; index += 1) {
      // A digit at either end of the text may stand alone in its group of four.
      sum += 4 + HEAD_BYTES + ((this.#cells.lengths[index] as number) >> 1) + 6;
    }
    return sum;
  }

  write(sink: FieldSink, from: number, count: number): void {
    const { starts, lengths } = this.#cells;
    for (let index = from; index < from + count; index += 1) {
      const start = starts[index] as number;
      this.#one(sink, start, start + (lengths[index] as number));
    }
  }

  #one(sink: FieldSink, start: number, end: number): void {
    const { bytes } = this.#cells;
    const isNegative = bytes[start] === MINUS && start < end;
    const first = isNegative ? start + 1 : start;
    if (end - first > this.#text.length) this.#text = new Uint8Array(end - first);
    let point = -1;
    let length = 0;
    for (let at = first; at < end; at += 1) {
      const byte = bytes[at] as number;
      if (byte >= DIGIT_0 && byte <= DIGIT_9) {
        this.#text[length] = byte;
        length += 1;
      } else if (byte === POINT && point < 0) {
        point = at;
      } else {
        this.#special(sink, bytes.subarray(start, end));
        return;
      }
    }
    const scale = point < 0 ? 0 : end - point - 1;
    // Digits stand on both sides of a point.
    if (length === scale || scale > SCALE_MAX || point === end - 1) throw notNumeric();
    this.#digits.ofDigits(this.#text, length, scale);
    this.#digits.write(sink, isNegative, scale);
  }

  #special(sink: FieldSink, bytes: Uint8Array): void {
    const sign = bytes.length > 9 ? undefined : SPECIAL[String.fromCharCode(...bytes)];
    if (sign === undefined) throw notNumeric();
    writeHead(sink, 0, 0, sign, 0);
  }
}

const notNumeric = (): Error => new Error("a value is not the text of a numeric");
