/**
 * DELTA_BINARY_PACKED: a first value, then blocks of 128 differences, packed in four miniblocks that each have a bit
 * width of their own. 64-bit numbers are two 32-bit words, low word first; no BigInt is made.
 *
 * Differences that would wrap around, or are so wide that packing gains nothing, are refused: readers disagree about
 * arithmetic beyond the type.
 * Source: https://github.com/apache/parquet-format/blob/master/Encodings.md, "Delta Encoding"
 */
const BLOCK = 128;
const MINIBLOCKS = 4;
const MINIBLOCK = BLOCK / MINIBLOCKS;
/** Differences are below 2^30 (of 32-bit numbers) and 2^62 (the high word of 64-bit ones). */
const DIFFERENCE_MAX = 0x4000_0000;
const REFUSED = -1;

const lows = new Int32Array(BLOCK);
const highs = new Int32Array(BLOCK);

/** More than `count` numbers of `words` words can need. */
export function deltaBytesMax(count: number, words: 1 | 2): number {
  const blocks = Math.ceil(count / BLOCK) + 1;
  return 32 + blocks * (10 + MINIBLOCKS + BLOCK * 4 * words);
}

function writeVarint(out: Uint8Array, at: number, low: number, high: number): number {
  let to = at;
  let lowRest = low >>> 0;
  let highRest = high >>> 0;
  while (highRest > 0 || lowRest >= 0x80) {
    out[to] = (lowRest & 0x7f) | 0x80;
    to += 1;
    lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
    highRest >>>= 7;
  }
  out[to] = lowRest;
  return to + 1;
}

function writeZigzag(out: Uint8Array, at: number, low: number, high: number): number {
  const sign = high >> 31;
  return writeVarint(out, at, (low << 1) ^ sign, ((high << 1) | (low >>> 31)) ^ sign);
}

function writeHeader(out: Uint8Array, at: number, count: number): number {
  let end = writeVarint(out, at, BLOCK, 0);
  end = writeVarint(out, end, MINIBLOCKS, 0);
  return writeVarint(out, end, count, 0);
}

/** Packs the lowest `bits` (1 to 32) of the words of a miniblock. */
function packWords(words: Int32Array, from: number, bits: number, view: DataView, at: number): number {
  let end = at;
  let held = 0;
  let heldBits = 0;
  for (let index = from; index < from + MINIBLOCK; index += 1) {
    const word = words[index] as number;
    held |= word << heldBits;
    heldBits += bits;
    if (heldBits >= 32) {
      view.setInt32(end, held, true);
      end += 4;
      heldBits -= 32;
      // A shift by 32 would be one by 0.
      held = heldBits === 0 ? 0 : word >>> (bits - heldBits);
    }
  }
  return end;
}

/** The same for 33 to 64 bits: each number is its low word and then the rest of the high one. */
function packPairs(from: number, bits: number, view: DataView, at: number): number {
  const highBits = bits - 32;
  let end = at;
  let held = 0;
  let heldBits = 0;
  for (let index = from; index < from + MINIBLOCK; index += 1) {
    const low = lows[index] as number;
    view.setInt32(end, held | (low << heldBits), true);
    end += 4;
    held = heldBits === 0 ? 0 : low >>> (32 - heldBits);
    const high = highs[index] as number;
    held |= high << heldBits;
    heldBits += highBits;
    if (heldBits >= 32) {
      view.setInt32(end, held, true);
      end += 4;
      heldBits -= 32;
      held = heldBits === 0 ? 0 : high >>> (highBits - heldBits);
    }
  }
  return end;
}

/** The block in `lows` and `highs`, of which `count` are set and the minimum is taken off already. */
function writeBlock(out: Uint8Array, view: DataView, at: number, count: number): number {
  let end = at + MINIBLOCKS;
  for (let block = 0; block < MINIBLOCKS; block += 1) {
    const from = block * MINIBLOCK;
    if (from >= count) {
      out[at + block] = 0;
      continue;
    }
    let low = 0;
    let high = 0;
    for (let index = from; index < from + MINIBLOCK; index += 1) {
      if (index >= count) lows[index] = highs[index] = 0;
      low |= lows[index] as number;
      high |= highs[index] as number;
    }
    const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
    out[at + block] = bits;
    if (bits > 32) end = packPairs(from, bits, view, end);
    else if (bits > 0) end = packWords(lows, from, bits, view, end);
  }
  return end;
}

/**
 * Packs the 64-bit numbers `from` to `to` of `words` (two words each), at least one. Returns where it ended in `out`,
 * or -1 if it is refused.
 */
export function packInt64(
  words: Int32Array,
  from: number,
  to: number,
  out: Uint8Array,
  view: DataView,
  at: number,
): number {
  let beforeLow = words[from * 2] as number;
  let beforeHigh = words[from * 2 + 1] as number;
  let end = writeZigzag(out, writeHeader(out, at, to - from), beforeLow, beforeHigh);
  for (let block = from + 1; block < to; block += BLOCK) {
    const count = Math.min(BLOCK, to - block);
    let minLow = 0;
    let minHigh = 0x7fff_ffff;
    for (let index = 0; index < count; index += 1) {
      const low = words[(block + index) * 2] as number;
      const high = words[(block + index) * 2 + 1] as number;
      const borrow = low >>> 0 < beforeLow >>> 0 ? 1 : 0;
      const differenceLow = (low - beforeLow) | 0;
      const differenceHigh = (high - beforeHigh - borrow) | 0;
      if (differenceHigh >= DIFFERENCE_MAX || differenceHigh < -DIFFERENCE_MAX) return REFUSED;
      if (((high ^ beforeHigh) & (high ^ differenceHigh)) < 0) return REFUSED;
      lows[index] = differenceLow;
      highs[index] = differenceHigh;
      if (differenceHigh < minHigh || (differenceHigh === minHigh && differenceLow >>> 0 < minLow >>> 0)) {
        minLow = differenceLow;
        minHigh = differenceHigh;
      }
      beforeLow = low;
      beforeHigh = high;
    }
    for (let index = 0; index < count; index += 1) {
      const low = lows[index] as number;
      lows[index] = low - minLow;
      highs[index] = (highs[index] as number) - minHigh - (low >>> 0 < minLow >>> 0 ? 1 : 0);
    }
    end = writeBlock(out, view, writeZigzag(out, end, minLow, minHigh), count);
  }
  return end;
}

/** The same for 32-bit numbers. */
export function packInt32(
  numbers: Int32Array,
  from: number,
  to: number,
  out: Uint8Array,
  view: DataView,
  at: number,
): number {
  let before = numbers[from] as number;
  let end = writeZigzag(out, writeHeader(out, at, to - from), before, before >> 31);
  for (let block = from + 1; block < to; block += BLOCK) {
    const count = Math.min(BLOCK, to - block);
    let min = DIFFERENCE_MAX;
    for (let index = 0; index < count; index += 1) {
      const number = numbers[block + index] as number;
      const difference = number - before;
      if (difference >= DIFFERENCE_MAX || difference < -DIFFERENCE_MAX) return REFUSED;
      lows[index] = difference;
      if (difference < min) min = difference;
      before = number;
    }
    for (let index = 0; index < count; index += 1) {
      lows[index] = (lows[index] as number) - min;
      highs[index] = 0;
    }
    end = writeBlock(out, view, writeZigzag(out, end, min, min >> 31), count);
  }
  return end;
}
