/**
 * Zstandard for pages, in libuv's threads: while they compress, the next pages are put together here. So many are under
 * way at once and no more, and buffers of pages are used again (I10).
 *
 * Each lane is a stream of Node's that makes a frame of every write. Its context and its output buffer stay from page to
 * page: a call of `zstdCompress` makes both anew, which cost 45 microseconds of this thread a page instead of 15. They stay
 * from segment to segment too: four lanes are some 16 MB, and a night of small partitions spent a third of its time in
 * collecting those of the segments before.
 */
import { constants, createZstdCompress, type ZstdCompress } from "node:zlib";

/** A thread each of libuv's pool, which other work shares. */
const LANES_MAX = 4;
const LEVEL = 3;
/** Of compressed bytes: with Node's default, a large page comes in dozens of pieces. */
const OUTPUT_BYTES = 1024 * 1024;
const BUFFER_BYTES = 64 * 1024;
/** Larger ones are for single large values, and are let go. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;

/** A page's buffer, with the view that packing wants. */
export interface PageBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Lanes that no compressor has, of this whole process. */
const idle: ZstdCompress[] = [];

export class PageCompressor {
  /** How many lanes are at work. */
  #busy = 0;
  readonly #free: PageBuffer[] = [];
  readonly #waiting: (() => void)[] = [];

  /** A buffer of at least so many bytes, as soon as there is room for another page; it must come back to `compress`. */
  async buffer(bytes: number): Promise<PageBuffer> {
    if (this.#busy >= LANES_MAX) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    const fitting = this.#free.findIndex((one) => one.bytes.length >= bytes);
    if (fitting >= 0) return this.#free.splice(fitting, 1)[0] as PageBuffer;
    this.#free.pop(); // too small: the larger one takes its place
    const fresh = new Uint8Array(Math.max(BUFFER_BYTES, bytes + (bytes >> 2)));
    return { bytes: fresh, view: new DataView(fresh.buffer) };
  }

  /** Compresses the first `length` bytes of the buffer, which is the compressor's again from here on. */
  async compress(buffer: PageBuffer, length: number): Promise<Uint8Array> {
    if (length === 0) {
      this.#release(buffer);
      return EMPTY_FRAME;
    }
    const lane = idle.pop() ?? newLane();
    this.#busy += 1;
    let frame: Uint8Array | undefined;
    try {
      frame = await frameOf(lane, buffer.bytes.subarray(0, length));
      return frame;
    } finally {
      this.#busy -= 1;
      // One that has failed may have half a frame in it.
      if (frame !== undefined && idle.length < LANES_MAX) idle.push(lane);
      else lane.close();
      this.#release(buffer);
    }
  }

  #release(buffer: PageBuffer): void {
    if (buffer.bytes.length <= KEPT_BYTES_MAX) this.#free.push(buffer);
    this.#waiting.shift()?.();
  }
}

async function frameOf(lane: ZstdCompress, page: Uint8Array): Promise<Uint8Array> {
  return await new Promise((resolve, reject) => {
    lane.write(page, (error) => {
      // The whole frame is there, as the lane buffers without a limit.
      const frame = error === null || error === undefined ? (lane.read() as Uint8Array | null) : null;
      if (frame === null) reject(error ?? new Error("zstd gave no frame"));
      else resolve(frame);
    });
  });
}

function newLane(): ZstdCompress {
  const lane = createZstdCompress({
    flush: constants.ZSTD_e_end,
    chunkSize: OUTPUT_BYTES,
    readableHighWaterMark: Number.MAX_SAFE_INTEGER,
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
  } as ZstdOptions);
  lane.on("error", () => {}); // the write that failed is told
  return lane;
}

type ZstdOptions = NonNullable<Parameters<typeof createZstdCompress>[0]>;

/** What zstd makes of nothing: a header, and a last block of no bytes. */
const EMPTY_FRAME = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00);
