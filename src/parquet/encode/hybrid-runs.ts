/**
 * Parquet's hybrid of run lengths and bit packing: levels and dictionary indexes.
 * Source: https://github.com/apache/parquet-format/blob/master/Encodings.md, "Run Length Encoding / Bit-Packing Hybrid"
 */
/** More than `writeHybrid` can need. */
export function hybridBytesMax(count: number, bits: number): number {
  return (Math.ceil(count / 8) + 1) * (bits + 6) + 16;
}

/** Bits that the numbers from 0 to `largest` need; at least one, as readers disagree about none. */
export function bitsOf(largest: number): number {
  return Math.max(1, 32 - Math.clz32(largest));
}

/** A run breaks a packed stretch in two: it must be worth the headers. */
function runMinOf(bits: number): number {
  return bits >= 4 ? 8 : 32;
}

function writeVarint(out: Uint8Array, at: number, value: number): number {
  let to = at;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7, to += 1) out[to] = (rest & 0x7f) | 0x80;
  out[to] = rest;
  return to + 1;
}

/** Writes `values[from, to)`, each of `bits` bits (1 to 24), at `out[at]`; returns where it ended. */
export function writeHybrid(
  values: Int32Array,
  from: number,
  to: number,
  bits: number,
  out: Uint8Array,
  at: number,
): number {
  const runMin = runMinOf(bits);
  let end = at;
  let next = from;
  while (next < to) {
    const run = runLength(values, next, to);
    if (run >= runMin || run === to - next) {
      end = writeRun(values[next] as number, run, bits, out, end);
      next += run;
      continue;
    }
    let packedTo = next + 8;
    while (packedTo < to && !beginsRun(values, packedTo, to, runMin)) packedTo += 8;
    end = writeVarint(out, end, ((packedTo - next) >> 2) | 1);
    end = pack(values, next, Math.min(packedTo, to), packedTo, bits, out, end);
    next = packedTo;
  }
  return end;
}

/** Levels of a column without NULLs: a single run. */
export function writeFullLevels(count: number, out: Uint8Array, at: number): number {
  return writeRun(1, count, 1, out, at);
}

function runLength(values: Int32Array, from: number, to: number): number {
  const value = values[from];
  let end = from + 1;
  while (end < to && values[end] === value) end += 1;
  return end - from;
}

function beginsRun(values: Int32Array, from: number, to: number, length: number): boolean {
  if (from + length > to) return false;
  const value = values[from];
  for (let at = from + 1; at < from + length; at += 1) if (values[at] !== value) return false;
  return true;
}

function writeRun(value: number, run: number, bits: number, out: Uint8Array, at: number): number {
  let end = writeVarint(out, at, run * 2);
  for (let shift = 0; shift < bits; shift += 8, end += 1) out[end] = (value >>> shift) & 0xff;
  return end;
}

/** `values[from, to)`, filled up with zeros as if it ended at `paddedTo`: whole groups of eight. */
function pack(
  values: Int32Array,
  from: number,
  to: number,
  paddedTo: number,
  bits: number,
  out: Uint8Array,
  at: number,
): number {
  const end = at + ((paddedTo - from) / 8) * bits;
  let written = at;
  let held = 0;
  let heldBits = 0;
  for (let index = from; index < to; index += 1) {
    held |= (values[index] as number) << heldBits;
    heldBits += bits;
    while (heldBits >= 8) {
      out[written] = held & 0xff;
      written += 1;
      held >>>= 8;
      heldBits -= 8;
    }
  }
  for (; written < end; written += 1, held >>>= 8) out[written] = held & 0xff;
  return end;
}
