/**
 * The body of a new object as chunks of bounded size, with the abort signal heeded between and while waiting.
 */
import { invariant } from "../errors.ts";
import { throwIfAborted, untilAborted, type Where } from "./refusals.ts";

/** Bounds what is hashed and written in one go, so that a signal is seen in time. */
export const BODY_CHUNK_BYTES_MAX = 1 << 20;

/**
 * Yields the bytes of `body` in order, at most 1 MiB at once, as views that are valid until the next one is
 * pulled. An error of the body comes out unchanged; an abort is `E_INTERRUPTED` or the signal's own
 * FirnlineError. The body is closed when the loop is left early; on an abort it is told to close and not
 * waited for, since it may hang.
 */
export async function* bodyChunks(
  where: Where,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  throwIfAborted(where, signal);
  if (body instanceof Uint8Array) {
    yield* slices(where, body, signal);
    return;
  }
  const source = body[Symbol.asyncIterator]();
  let ended = false;
  try {
    while (true) {
      const next = await untilAborted(
        where,
        pull(source, () => (ended = true)),
        signal,
      );
      if (next.done) return;
      invariant(next.value instanceof Uint8Array, where.key, "the body yields something that is not bytes");
      yield* slices(where, next.value, signal);
    }
  } finally {
    if (!ended) {
      const closing = close(source);
      if (signal?.aborted) closing.catch(() => {});
      else await closing;
    }
  }
}

/** A source that has ended or thrown is not closed again, as in `for await`. */
async function pull(
  source: AsyncIterator<Uint8Array>,
  onEnd: () => void,
): Promise<IteratorResult<Uint8Array>> {
  try {
    const next = await source.next();
    if (next.done) onEnd();
    return next;
  } catch (error) {
    onEnd();
    throw error;
  }
}

async function close(source: AsyncIterator<Uint8Array>): Promise<void> {
  await source.return?.();
}

function* slices(where: Where, bytes: Uint8Array, signal: AbortSignal | undefined): Generator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += BODY_CHUNK_BYTES_MAX) {
    throwIfAborted(where, signal);
    yield bytes.subarray(start, start + BODY_CHUNK_BYTES_MAX);
  }
}
