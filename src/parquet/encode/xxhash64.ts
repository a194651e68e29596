/**
 * xxHash64 with seed 0, as Parquet's bloom filters want it, in 32-bit arithmetic: a BigInt a step would cost more than
 * the rest of the encoder.
 * Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
/** A 64-bit number that is added, rotated and multiplied in place. */
class Word64 {
  low = 0;
  high = 0;

  set(high: number, low: number): void {
    this.high = high | 0;
    this.low = low | 0;
  }

  add(high: number, low: number): void {
    const sum = (this.low >>> 0) + (low >>> 0);
    this.high = (this.high + high + (sum > 0xffff_ffff ? 1 : 0)) | 0;
    this.low = sum | 0;
  }

  xor(high: number, low: number): void {
    this.high ^= high;
    this.low ^= low;
  }

  /** Rotates left by 1 to 31 bits. */
  rotate(bits: number): void {
    const { high, low } = this;
    this.high = (high << bits) | (low >>> (32 - bits));
    this.low = (low << bits) | (high >>> (32 - bits));
  }

  /** Exclusive or with itself, shifted right by 1 to 63 bits. */
  fold(bits: number): void {
    const { high, low } = this;
    if (bits >= 32) {
      this.low ^= high >>> (bits - 32);
    } else {
      this.high ^= high >>> bits;
      this.low ^= (low >>> bits) | (high << (32 - bits));
    }
  }

  multiply(high: number, low: number): void {
    const left = this.low >>> 0;
    const right = low >>> 0;
    const leftLow = left & 0xffff;
    const leftHigh = left >>> 16;
    const rightLow = right & 0xffff;
    const rightHigh = right >>> 16;
    // The upper half of the product of the lower words, from four products of 16 bits.
    const first = leftHigh * rightLow + ((leftLow * rightLow) >>> 16);
    const second = leftLow * rightHigh + (first & 0xffff);
    const carried = leftHigh * rightHigh + Math.floor(first / 0x1_0000) + Math.floor(second / 0x1_0000);
    this.high = (carried + Math.imul(this.low, high) + Math.imul(this.high, low)) | 0;
    this.low = Math.imul(this.low, low);
  }
}

const [P1H, P1L] = [0x9e37_79b1, 0x85eb_ca87];
const [P2H, P2L] = [0xc2b2_ae3d, 0x27d4_eb4f];
const [P3H, P3L] = [0x1656_67b1, 0x9e37_79f9];
const [P4H, P4L] = [0x85eb_ca77, 0xc2b2_ae63];
const [P5H, P5L] = [0x27d4_eb2f, 0x1656_67c5];

/** How far the four lanes are rotated when they are added up. */
const ROTATIONS = [1, 7, 12, 18];

// One at a time: there is one thread here, and nothing waits in the middle of a hash.
const hash = new Word64();
const lane = new Word64();
const lanes = [new Word64(), new Word64(), new Word64(), new Word64()] as const;

/** `accumulator` after 8 bytes of input. */
function round(accumulator: Word64, high: number, low: number): void {
  lane.set(high, low);
  lane.multiply(P2H, P2L);
  accumulator.add(lane.high, lane.low);
  accumulator.rotate(31);
  accumulator.multiply(P1H, P1L);
}

/** Takes 64 bits into the hash. */
function mergeIn(high: number, low: number): void {
  lane.set(high, low);
  lane.multiply(P2H, P2L);
  lane.rotate(31);
  lane.multiply(P1H, P1L);
  hash.xor(lane.high, lane.low);
}

/** All whole stripes of 32 bytes; returns where they end. */
function hashStripes(view: DataView, start: number, end: number): number {
  const [one, two, three, four] = lanes;
  one.set(P1H, P1L);
  one.add(P2H, P2L);
  two.set(P2H, P2L);
  three.set(0, 0);
  four.set(~P1H, ~P1L);
  four.add(0, 1); // minus the first prime
  let next = start;
  for (; next + 32 <= end; next += 32) {
    for (let index = 0; index < 4; index += 1) {
      const from = next + index * 8;
      round(lanes[index] as Word64, view.getInt32(from + 4, true), view.getInt32(from, true));
    }
  }
  hash.set(0, 0);
  for (let index = 0; index < 4; index += 1) {
    const { high, low } = lanes[index] as Word64;
    const bits = ROTATIONS[index] as number;
    hash.add((high << bits) | (low >>> (32 - bits)), (low << bits) | (high >>> (32 - bits)));
  }
  for (let index = 0; index < 4; index += 1) {
    const { high, low } = lanes[index] as Word64;
    mergeIn(high, low);
    hash.multiply(P1H, P1L);
    hash.add(P4H, P4L);
  }
  return next;
}

/** Hashes `length` bytes of `view` from `start` into `hashes[at]` (low word) and `hashes[at + 1]` (high word). */
export function xxHash64(
  view: DataView,
  start: number,
  length: number,
  hashes: Int32Array,
  at: number,
): void {
  const end = start + length;
  let next = start;
  if (length >= 32) next = hashStripes(view, start, end);
  else hash.set(P5H, P5L);
  hash.add(0, length);
  for (; next + 8 <= end; next += 8) {
    mergeIn(view.getInt32(next + 4, true), view.getInt32(next, true));
    hash.rotate(27);
    hash.multiply(P1H, P1L);
    hash.add(P4H, P4L);
  }
  if (next + 4 <= end) {
    lane.set(0, view.getInt32(next, true));
    lane.multiply(P1H, P1L);
    hash.xor(lane.high, lane.low);
    hash.rotate(23);
    hash.multiply(P2H, P2L);
    hash.add(P3H, P3L);
    next += 4;
  }
  for (; next < end; next += 1) {
    lane.set(0, view.getUint8(next));
    lane.multiply(P5H, P5L);
    hash.xor(lane.high, lane.low);
    hash.rotate(11);
    hash.multiply(P1H, P1L);
  }
  hash.fold(33);
  hash.multiply(P2H, P2L);
  hash.fold(29);
  hash.multiply(P3H, P3L);
  hash.fold(32);
  hashes[at] = hash.low;
  hashes[at + 1] = hash.high;
}
