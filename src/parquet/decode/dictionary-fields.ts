/** Fields by their number in a dictionary. Each of its values is turned into a field once, and then copied. */
import { type FieldSource, FieldSink } from "./field-sink.ts";

/** Fields in COPY layout; field i lies at `[starts[i], starts[i + 1])`, its length word included. */
export interface Dictionary {
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
}

export function newDictionary(values: FieldSource, count: number): Dictionary {
  const sink = new FieldSink();
  sink.reserve(values.bytesMax(0, count));
  const starts = new Int32Array(count + 1);
  for (let index = 0; index < count; index += 1) {
    values.write(sink, index, 1);
    starts[index + 1] = sink.length;
  }
  return { count, bytes: sink.take(), starts };
}

/** Up to this length a loop over words beats the call of `set` with a new view. */
const SHORT_BYTES = 60;

export class DictionaryFields implements FieldSource {
  readonly #dictionary: Dictionary;
  readonly #view: DataView;
  readonly #indexes: Uint32Array;

  /** Throws an `Error` when an index is beyond the dictionary. */
  constructor(dictionary: Dictionary, indexes: Uint32Array) {
    for (let at = 0; at < indexes.length; at += 1) {
      const index = indexes[at] as number;
      if (index >= dictionary.count)
        throw new Error(`value ${index} of a dictionary of ${dictionary.count} values`);
    }
    const { bytes } = dictionary;
    this.#dictionary = dictionary;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#indexes = indexes;
  }

  bytesMax(from: number, count: number): number {
    const { starts } = this.#dictionary;
    const indexes = this.#indexes;
    let sum = 0;
    for (let at = from; at < from + count; at += 1) {
      const index = indexes[at] as number;
      sum += (starts[index + 1] as number) - (starts[index] as number);
    }
    return sum;
  }

  write(sink: FieldSink, from: number, count: number): void {
    const { bytes: source, starts } = this.#dictionary;
    const indexes = this.#indexes;
    const { bytes, view } = sink;
    const words = this.#view;
    let to = sink.length;
    for (let at = from; at < from + count; at += 1) {
      const index = indexes[at] as number;
      const start = starts[index] as number;
      const end = starts[index + 1] as number;
      if (end - start <= SHORT_BYTES) {
        let place = start;
        for (; place + 4 <= end; place += 4, to += 4) view.setUint32(to, words.getUint32(place));
        for (; place < end; place += 1, to += 1) bytes[to] = source[place] as number;
      } else {
        bytes.set(source.subarray(start, end), to);
        to += end - start;
      }
    }
    sink.length = to;
  }
}
