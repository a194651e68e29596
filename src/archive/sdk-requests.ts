/**
 * What requests to all stores of AWS, and to those that speak as they do, have in common: the SDK's client tries once (the
 * patience is ours), takes its endpoint from the policy alone, opens a bounded number of sockets and waits for nothing
 * without a limit.
 */
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { guardedLookup } from "./guarded-lookup.ts";
import { abortError, type Where } from "./refusals.ts";

export interface StoreLimits {
  /** How long a connection may take, TLS included. */
  readonly connectMs: number;
  /** How long an answer may take to begin, after the last byte of the request at `UPLOAD_BYTES_PER_MS_MIN`. */
  readonly answerMs: number;
  /** How long a body may be silent. */
  readonly silenceMs: number;
  readonly sockets: number;
  /** Tries of one request while the store says that it is busy. */
  readonly attemptsMax: number;
  /** The longest pause between two tries. */
  readonly pauseMsMax: number;
}

export interface StoreConnection {
  readonly region: string | null;
  /** Origin of a store that is not AWS. */
  readonly endpoint: string | null;
  readonly limits: StoreLimits;
}

/** What a single try of a request is given: how long it may take, and the signal. */
export interface How {
  readonly requestTimeout: number;
  readonly abortSignal?: AbortSignal;
}

/** Slower than 16 KiB a second, an upload is given up and tried again. */
const UPLOAD_BYTES_PER_MS_MIN = 16;
const PAUSE_MS_FIRST = 50;
/** Stores that are not AWS take any region; this is the one they are used to. */
const REGION_ELSEWHERE = "us-east-1";

/** For the constructor of any client of the SDK. */
export function clientSettings({ endpoint, limits, region: asked }: StoreConnection) {
  const region = asked ?? (endpoint === null ? null : REGION_ELSEWHERE);
  const agent = { keepAlive: true, maxSockets: limits.sockets, lookup: guardedLookup };
  return {
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
    ignoreConfiguredEndpointUrls: true,
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: limits.connectMs,
      requestTimeout: limits.answerMs,
      throwOnRequestTimeout: true,
      // A slow reader is no silent server: whoever reads a body watches it.
      socketTimeout: 0,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
    },
  };
}

/** `bytes` are those that the request carries. */
export function howToSend(limits: StoreLimits, bytes: number, signal: AbortSignal | undefined): How {
  const requestTimeout = limits.answerMs + Math.ceil(bytes / UPLOAD_BYTES_PER_MS_MIN);
  return { requestTimeout, ...(signal === undefined ? {} : { abortSignal: signal }) };
}

export interface Pausing {
  readonly limits: StoreLimits;
  readonly random: (bytes: number) => Uint8Array;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** "Full jitter": anything up to twice as long each time, so that many who failed together do not come back together. */
export async function pauseAfter(
  attempt: number,
  { limits, random, sleep }: Pausing,
  where: Where,
  signal: AbortSignal | undefined,
): Promise<void> {
  const longest = Math.min(limits.pauseMsMax, PAUSE_MS_FIRST * 2 ** Math.min(attempt - 1, 20));
  const [high = 0, low = 0] = random(2);
  const share = (high * 256 + low + 1) / 2 ** 16;
  try {
    await sleep(Math.ceil(longest * share), signal);
  } catch (error) {
    if (signal?.aborted) throw abortError(where, signal);
    throw error;
  }
}
