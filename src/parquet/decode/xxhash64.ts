/**
 * xxHash64 with seed 0, on halves of 32 bits: a bigint would take as long as the rest of the seal together.
 * Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */

/** 64 bits; both halves are signed, as that is what integers are at their fastest. */
class Word64 {
  low = 0;
  high = 0;

  set(low: number, high: number): void {
    this.low = low;
    this.high = high;
  }

  add(low: number, high: number): void {
    const sum = (this.low + low) | 0;
    this.high = (this.high + high + (sum >>> 0 < low >>> 0 ? 1 : 0)) | 0;
    this.low = sum;
  }

  multiply(low: number, high: number): void {
    const a0 = this.low & 0xffff;
    const a1 = this.low >>> 16;
    const b0 = low & 0xffff;
    const b1 = low >>> 16;
    // The upper half of low times low, by halves of 16 bits; no sum is above 2^32.
    const middle = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) | 0;
    const lower = ((middle & 0xffff) + Math.imul(a0, b1)) | 0;
    const upper = (Math.imul(a1, b1) + (middle >>> 16) + (lower >>> 16)) | 0;
    this.high = (upper + Math.imul(this.low, high) + Math.imul(this.high, low)) | 0;
    this.low = Math.imul(this.low, low);
  }

  /** To the left, by 1 to 31 bits. */
  rotate(bits: number): void {
    const { low, high } = this;
    this.low = (low << bits) | (high >>> (32 - bits));
    this.high = (high << bits) | (low >>> (32 - bits));
  }

  /** Itself, exclusive or shifted to the right by 29 to 33 bits. */
  fold(bits: number): void {
    const { low, high } = this;
    if (bits < 32) {
      this.low = low ^ ((low >>> bits) | (high << (32 - bits)));
      this.high = high ^ (high >>> bits);
    } else {
      this.low = low ^ (high >>> (bits - 32));
    }
  }
}

const [P1_LOW, P1_HIGH] = [0x85ebca87 | 0, 0x9e3779b1 | 0];
const [P2_LOW, P2_HIGH] = [0x27d4eb4f, 0xc2b2ae3d | 0];
const [P3_LOW, P3_HIGH] = [0x9e3779f9 | 0, 0x165667b1];
const [P4_LOW, P4_HIGH] = [0xc2b2ae63 | 0, 0x85ebca77 | 0];
const [P5_LOW, P5_HIGH] = [0x165667c5, 0x27d4eb2f];

const STRIPE_BYTES = 32;

/** Hashes byte ranges one after the other; `low` and `high` are the last one's, as unsigned halves. */
export class XxHash64 {
  low = 0;
  high = 0;
  readonly #sum = new Word64();
  readonly #lane = new Word64();
  readonly #lanes = [new Word64(), new Word64(), new Word64(), new Word64()];

  hash(bytes: Uint8Array, start: number, end: number): void {
    const sum = this.#sum;
    let at = start;
    if (end - start >= STRIPE_BYTES) at = this.#stripes(bytes, start, end);
    else sum.set(P5_LOW, P5_HIGH);
    sum.add(end - start, 0);
    for (; at + 8 <= end; at += 8) {
      this.#mix(word(bytes, at), word(bytes, at + 4));
      sum.rotate(27);
      sum.multiply(P1_LOW, P1_HIGH);
      sum.add(P4_LOW, P4_HIGH);
    }
    if (at + 4 <= end) {
      const lane = this.#lane;
      lane.set(word(bytes, at), 0);
      lane.multiply(P1_LOW, P1_HIGH);
      sum.set(sum.low ^ lane.low, sum.high ^ lane.high);
      sum.rotate(23);
      sum.multiply(P2_LOW, P2_HIGH);
      sum.add(P3_LOW, P3_HIGH);
      at += 4;
    }
    for (; at < end; at += 1) {
      const lane = this.#lane;
      lane.set(bytes[at] as number, 0);
      lane.multiply(P5_LOW, P5_HIGH);
      sum.set(sum.low ^ lane.low, sum.high ^ lane.high);
      sum.rotate(11);
      sum.multiply(P1_LOW, P1_HIGH);
    }
    sum.fold(33);
    sum.multiply(P2_LOW, P2_HIGH);
    sum.fold(29);
    sum.multiply(P3_LOW, P3_HIGH);
    sum.fold(32);
    this.low = sum.low >>> 0;
    this.high = sum.high >>> 0;
  }

  /** Whole stripes of 32 bytes, four lanes side by side; where the rest begins. */
  #stripes(bytes: Uint8Array, start: number, end: number): number {
    const one = this.#lanes[0] as Word64;
    const two = this.#lanes[1] as Word64;
    const three = this.#lanes[2] as Word64;
    const four = this.#lanes[3] as Word64;
    one.set(P1_LOW, P1_HIGH);
    one.add(P2_LOW, P2_HIGH);
    two.set(P2_LOW, P2_HIGH);
    three.set(0, 0);
    // 0 - P1.
    four.set(~P1_LOW, ~P1_HIGH);
    four.add(1, 0);
    let at = start;
    for (; at + STRIPE_BYTES <= end; at += STRIPE_BYTES) {
      this.#round(one, word(bytes, at), word(bytes, at + 4));
      this.#round(two, word(bytes, at + 8), word(bytes, at + 12));
      this.#round(three, word(bytes, at + 16), word(bytes, at + 20));
      this.#round(four, word(bytes, at + 24), word(bytes, at + 28));
    }
    const lanes = this.#lanes;
    this.#sum.set(0, 0);
    this.#addTurned(one, 1);
    this.#addTurned(two, 7);
    this.#addTurned(three, 12);
    this.#addTurned(four, 18);
    for (let index = 0; index < 4; index += 1) {
      const { low, high } = lanes[index] as Word64;
      this.#mix(low, high);
      this.#sum.multiply(P1_LOW, P1_HIGH);
      this.#sum.add(P4_LOW, P4_HIGH);
    }
    return at;
  }

  #addTurned({ low, high }: Word64, bits: number): void {
    this.#lane.set(low, high);
    this.#lane.rotate(bits);
    this.#sum.add(this.#lane.low, this.#lane.high);
  }

  /** The sum, exclusive or a round of zero with this word. */
  #mix(low: number, high: number): void {
    const lane = this.#lane;
    lane.set(low, high);
    lane.multiply(P2_LOW, P2_HIGH);
    lane.rotate(31);
    lane.multiply(P1_LOW, P1_HIGH);
    this.#sum.set(this.#sum.low ^ lane.low, this.#sum.high ^ lane.high);
  }

  #round(into: Word64, low: number, high: number): void {
    const lane = this.#lane;
    lane.set(low, high);
    lane.multiply(P2_LOW, P2_HIGH);
    into.add(lane.low, lane.high);
    into.rotate(31);
    into.multiply(P1_LOW, P1_HIGH);
  }
}

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);
