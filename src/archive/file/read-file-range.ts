/** Reads a range of an open file: all of its bytes, or an error. */
import type { FileHandle } from "node:fs/promises";

import type { ByteRange } from "../port.ts";
import { endsEarly, throwIfAborted, untilAborted, type Where } from "../refusals.ts";
import { ioFailure } from "./io-failure.ts";

const CHUNK_BYTES_MAX = 1 << 19;

/**
 * Yields fresh buffers of at most 512 KiB, one read in flight. Closes `handle` at once when `signal` aborts,
 * also while the reader of the loop is busy elsewhere; closing it otherwise is the caller's part.
 */
export async function* readFileRange(
  where: Where,
  handle: FileHandle,
  range: ByteRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const onAbort = (): void => void handle.close().catch(() => {});
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    let position = range.start;
    while (position < range.end) {
      throwIfAborted(where, signal);
      const wanted = Math.min(CHUNK_BYTES_MAX, range.end - position);
      const chunk = await readOnce(where, handle, wanted, position, signal);
      position += chunk.byteLength;
      yield chunk;
    }
    throwIfAborted(where, signal);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

async function readOnce(
  where: Where,
  handle: FileHandle,
  wanted: number,
  position: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  // Not from Buffer's shared pool: whoever keeps a chunk may also look at its `.buffer`.
  const buffer = Buffer.allocUnsafeSlow(wanted);
  let bytesRead: number;
  try {
    ({ bytesRead } = await untilAborted(where, handle.read(buffer, 0, wanted, position), signal));
  } catch (error) {
    throwIfAborted(where, signal);
    throw ioFailure(where, error);
  }
  if (bytesRead === 0) throw endsEarly(where, `it ended at byte ${position}, ${wanted} more were expected`);
  return buffer.subarray(0, bytesRead);
}
