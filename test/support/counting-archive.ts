/** An archive around another that tells what was read of it. */
import type { Archive, ByteRange, Locator } from "../../src/archive/port.ts";

export interface CountedRead {
  readonly key: string;
  /** That came. */
  bytes: number;
}

export class CountingArchive {
  readonly reads: CountedRead[] = [];
  /** Reads under way, and the most there were. */
  atOnce = 0;
  mostAtOnce = 0;
  readonly archive: Archive;

  constructor(archive: Archive) {
    const read = (object: Locator, range?: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array> =>
      this.#count(object.key, archive.read(object, range, signal));
    this.archive = new Proxy(archive, {
      get(target, name) {
        if (name === "read") return read;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  }

  /** Of keys that match, all by default. */
  bytesOf(keys = /^/): number {
    return this.reads.filter(({ key }) => keys.test(key)).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async *#count(key: string, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const read = { key, bytes: 0 };
    this.reads.push(read);
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    try {
      for await (const piece of pieces) {
        read.bytes += piece.length;
        yield piece;
      }
    } finally {
      this.atOnce -= 1;
    }
  }
}
