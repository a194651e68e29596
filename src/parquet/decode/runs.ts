/**
 * The hybrid of run lengths and bit-packing, which holds definition levels, booleans and dictionary indexes.
 * Source: https://github.com/apache/parquet-format/blob/master/Encodings.md#RLE
 */

/** A dictionary of 2^24 values does not fit a row group. */
export const RUN_BITS_MAX = 24;

/**
 * Writes the `count` values of `bits` bits each that `bytes` hold to the front of `out`. Throws an `Error` when runs give
 * fewer or more than `count` values. Bytes behind the last run are not looked at.
 */
export function readRuns(
  bytes: Uint8Array,
  bits: number,
  count: number,
  out: Uint8Array | Uint32Array,
): void {
  if (bits > RUN_BITS_MAX) throw new Error(`runs of ${bits} bits`);
  let at = 0;
  for (let done = 0; done < count;) {
    let header = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined || shift > 28) throw new Error("a run without a length");
      header += (byte & 0x7f) * 2 ** shift;
      more = byte >= 0x80;
      at += 1;
    }
    const left = count - done;
    const packed = header % 2 === 1;
    const run = packed ? ((header - 1) / 2) * 8 : header / 2;
    // Bit-packed values come in groups of eight, the last of which may be padded.
    if (run === 0 || run > left + (packed ? 7 : 0)) throw new Error(`a run of ${run} where ${left} are left`);
    const end = at + (packed ? (run / 8) * bits : Math.ceil(bits / 8));
    if (end > bytes.length) throw new Error("a run that is cut");
    if (packed) {
      unpack(bytes, at, bits, Math.min(run, left), out, done);
    } else {
      let value = 0;
      for (let from = end - 1; from >= at; from -= 1) value = (value << 8) | (bytes[from] as number);
      if (value >= 2 ** bits) throw new Error(`a run of ${value}, which ${bits} bits do not hold`);
      out.fill(value, done, Math.min(done + run, count));
    }
    at = end;
    done += Math.min(run, left);
  }
}

/** At most 24 bits a value, so that 31 bits hold what is collected of them. The bytes are known to be there. */
function unpack(
  bytes: Uint8Array,
  from: number,
  bits: number,
  count: number,
  out: Uint8Array | Uint32Array,
  to: number,
): void {
  if (bits === 0) {
    out.fill(0, to, to + count);
    return;
  }
  const mask = 2 ** bits - 1;
  let at = from;
  let held = 0;
  let heldBits = 0;
  for (let index = to; index < to + count; index += 1) {
    while (heldBits < bits) {
      held |= (bytes[at] as number) << heldBits;
      heldBits += 8;
      at += 1;
    }
    out[index] = held & mask;
    held >>>= bits;
    heldBits -= bits;
  }
}
