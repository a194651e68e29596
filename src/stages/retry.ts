/** Bounded retries with growing pauses, for failures that the adapter called retryable. Nothing else is retried. */
import { isFirnlineError } from "../errors.ts";
import { checkpoint, type Clock } from "../environment.ts";

const PAUSE_MS = 200;
const PAUSE_MS_MAX = 10_000;

export async function withRetries<T>(
  options: { readonly clock: Clock; readonly attemptsMax: number; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    checkpoint(options.signal);
    try {
      return await work();
    } catch (error) {
      if (!isFirnlineError(error) || !error.retryable || attempt >= options.attemptsMax) throw error;
      const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS * 3 ** (attempt - 1));
      // An aborted pause rejects in the timer's own words; say it in ours.
      await options.clock.sleep(pauseMs, options.signal).catch((reason: unknown) => {
        checkpoint(options.signal);
        throw reason;
      });
    }
  }
}
