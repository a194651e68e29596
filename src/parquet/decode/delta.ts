/**
 * DELTA_BINARY_PACKED: blocks of differences, each bit-packed above the smallest one of its block.
 * Source: https://github.com/apache/parquet-format/blob/master/Encodings.md#DELTAENC
 *
 * All sums wrap at 64 bits, as the format wants it. The two halves are kept apart: a bigint a value costs ten times as much.
 */

const BLOCK_VALUES_MAX = 65_536;

/** Half `low[i]` and half `high[i]` make up the 64 bits of value i. */
export interface Int64Halves {
  readonly low: Int32Array;
  readonly high: Int32Array;
}

export interface DeltaValues extends Int64Halves {
  /** Where the bytes go on behind the values. */
  readonly end: number;
}

/** Reads unsigned and zigzag numbers of up to 64 bits, as two halves. */
class VarintReader {
  readonly bytes: Uint8Array;
  at = 0;
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  unsigned(): void {
    let [low, high] = [0, 0];
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[this.at];
      if (byte === undefined || shift > 63) throw new Error("a number without an end");
      this.at += 1;
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high |= part >>> 4;
      } else high |= part << (shift - 32);
      if (byte < 0x80) break;
    }
    this.low = low;
    this.high = high;
  }

  zigzag(): void {
    this.unsigned();
    const sign = -(this.low & 1);
    this.low = ((this.low >>> 1) | (this.high << 31)) ^ sign;
    this.high = (this.high >>> 1) ^ sign;
  }

  /** A number that counts something. */
  count(max: number, what: string): number {
    this.unsigned();
    const value = this.low >>> 0;
    if (this.high !== 0 || value > max) throw new Error(`${what} of ${this.high * 2 ** 32 + value}`);
    return value;
  }
}

/** The first `count` values of `bytes`, which must hold just as many. */
export function readDeltas(bytes: Uint8Array, count: number): DeltaValues {
  const reader = new VarintReader(bytes);
  const blockValues = reader.count(BLOCK_VALUES_MAX, "a block");
  const miniblocks = reader.count(512, "a number of miniblocks");
  const miniblockValues = blockValues / miniblocks;
  if (!(blockValues > 0 && miniblockValues % 8 === 0))
    throw new Error(`blocks of ${blockValues} values in ${miniblocks} miniblocks`);
  const total = reader.count(2 ** 31, "a number of values");
  if (total !== count) throw new Error(`${total} values where there should be ${count}`);
  reader.zigzag();
  const low = new Int32Array(count);
  const high = new Int32Array(count);
  if (count > 0) {
    low[0] = reader.low;
    high[0] = reader.high;
  }
  for (let done = 1; done < count;) {
    reader.zigzag();
    const [minLow, minHigh] = [reader.low, reader.high];
    const widths = reader.at;
    let at = widths + miniblocks;
    for (let index = 0; index < miniblocks && done < count; index += 1) {
      const bits = bytes[widths + index];
      if (bits === undefined || bits > 64) throw new Error(`differences of ${bits} bits`);
      const end = at + (miniblockValues / 8) * bits;
      if (end > bytes.length) throw new Error("differences that are cut");
      const to = Math.min(done + miniblockValues, count);
      if (bits <= 24) addNarrow(bytes, at, bits, low, high, done, to, minLow, minHigh);
      else addWide(bytes, at, bits, low, high, done, to, minLow, minHigh);
      done = to;
      at = end;
    }
    reader.at = at;
  }
  return { low, high, end: reader.at };
}

function addNarrow(
  bytes: Uint8Array,
  from: number,
  bits: number,
  low: Int32Array,
  high: Int32Array,
  first: number,
  to: number,
  minLow: number,
  minHigh: number,
): void {
  const mask = 2 ** bits - 1;
  let at = from;
  let held = 0;
  let heldBits = 0;
  let sumLow = low[first - 1] as number;
  let sumHigh = high[first - 1] as number;
  for (let index = first; index < to; index += 1) {
    while (heldBits < bits) {
      held |= (bytes[at] as number) << heldBits;
      heldBits += 8;
      at += 1;
    }
    // The three are below 2^32, 2^32 and 2^24: their sum is exact, and tells what to carry.
    const sum = (sumLow >>> 0) + (minLow >>> 0) + (held & mask);
    sumHigh = (sumHigh + minHigh + Math.floor(sum / 2 ** 32)) | 0;
    sumLow = sum | 0;
    held >>>= bits;
    heldBits -= bits;
    low[index] = sumLow;
    high[index] = sumHigh;
  }
}

/** Bit by byte, for differences that are rare: up to 64 bits wide. */
function addWide(
  bytes: Uint8Array,
  from: number,
  bits: number,
  low: Int32Array,
  high: Int32Array,
  first: number,
  to: number,
  minLow: number,
  minHigh: number,
): void {
  let sumLow = low[first - 1] as number;
  let sumHigh = high[first - 1] as number;
  let bit = from * 8;
  for (let index = first; index < to; index += 1) {
    const deltaLow = bitsAt(bytes, bit, Math.min(32, bits));
    const deltaHigh = bits > 32 ? bitsAt(bytes, bit + 32, bits - 32) : 0;
    bit += bits;
    const sum = (sumLow >>> 0) + (minLow >>> 0) + deltaLow;
    sumHigh = (sumHigh + minHigh + deltaHigh + Math.floor(sum / 2 ** 32)) | 0;
    sumLow = sum | 0;
    low[index] = sumLow;
    high[index] = sumHigh;
  }
}

/** An unsigned number of 1 to 32 bits; the last byte that it touches is there. */
function bitsAt(bytes: Uint8Array, bit: number, count: number): number {
  const at = Math.floor(bit / 8);
  const skipped = bit % 8;
  let value = 0;
  for (let index = 0; index * 8 < skipped + count; index += 1) {
    value += (bytes[at + index] as number) * 2 ** (index * 8);
  }
  return Math.floor(value / 2 ** skipped) % 2 ** count;
}
