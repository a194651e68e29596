/**
 * Every request to a vault. The SDK's client tries once; the patience is here. No redirect is followed, the endpoint is
 * the policy's alone, and nothing is waited for without a limit.
 */
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Readable } from "node:stream";
import { GlacierClient } from "@aws-sdk/client-glacier";
import { guardedLookup } from "../guarded-lookup.ts";
import { abortError, throwIfAborted, type Where } from "../refusals.ts";
import { isRepeatable, vaultFailure } from "./failure.ts";

export interface GlacierConnection {
  readonly region: string | null;
  /** Origin of a server that is not AWS. */
  readonly endpoint: string | null;
  readonly limits: {
    readonly connectMs: number;
    readonly answerMs: number;
    readonly silenceMs: number;
    readonly sockets: number;
    readonly attemptsMax: number;
    readonly pauseMsMax: number;
  };
  readonly random: (bytes: number) => Uint8Array;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Slower than 16 KiB a second, an upload is given up and tried again. */
const UPLOAD_BYTES_PER_MS_MIN = 16;
const PAUSE_MS_FIRST = 50;
const REGION_ELSEWHERE = "us-east-1";

export interface Call {
  readonly signal?: AbortSignal | undefined;
  /** Bytes that the request carries. */
  readonly bytes?: number;
  /** False where a second request would do it a second time. */
  readonly isIdempotent?: boolean;
}

/** What a single try of a request is given: how long it may take, and the signal. */
export interface How {
  readonly requestTimeout: number;
  readonly abortSignal?: AbortSignal;
}

export class GlacierRequests {
  readonly #vault: string;
  readonly #connection: GlacierConnection;
  readonly #client: GlacierClient;

  constructor(vault: string, connection: GlacierConnection) {
    const { endpoint, limits } = connection;
    const region = connection.region ?? (endpoint === null ? null : REGION_ELSEWHERE);
    const agent = { keepAlive: true, maxSockets: limits.sockets, lookup: guardedLookup };
    this.#vault = vault;
    this.#connection = connection;
    this.#client = new GlacierClient({
      ...(region === null ? {} : { region }),
      ...(endpoint === null ? {} : { endpoint }),
      ignoreConfiguredEndpointUrls: true,
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: limits.connectMs,
        requestTimeout: limits.answerMs,
        throwOnRequestTimeout: true,
        // A slow reader is no silent server: `body` watches for that.
        socketTimeout: 0,
        httpAgent: new HttpAgent(agent),
        httpsAgent: new HttpsAgent(agent),
      },
    });
  }

  /** Sends a request until it is answered, or trying again is no use. `needs` is the permission that it takes. */
  async call<T>(
    where: Where,
    needs: string,
    send: (client: GlacierClient, how: How) => Promise<T>,
    { signal, bytes = 0, isIdempotent = true }: Call = {},
  ): Promise<T> {
    const { limits } = this.#connection;
    const requestTimeout = limits.answerMs + Math.ceil(bytes / UPLOAD_BYTES_PER_MS_MIN);
    const how: How = { requestTimeout, ...(signal === undefined ? {} : { abortSignal: signal }) };
    for (let attempt = 1; ; attempt += 1) {
      throwIfAborted(where, signal);
      try {
        return await send(this.#client, how);
      } catch (error) {
        throwIfAborted(where, signal);
        const isLast = attempt >= limits.attemptsMax || !isRepeatable(error, isIdempotent);
        if (isLast) throw vaultFailure(where, this.#vault, needs, error);
      }
      await this.#pause(where, attempt, signal);
    }
  }

  /** A body, destroyed when it is left early, and when it is silent for too long. */
  async *body(where: Where, body: Readable): AsyncGenerator<Uint8Array, void, undefined> {
    const { silenceMs } = this.#connection.limits;
    const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    try {
      for (;;) {
        const watchdog = setTimeout(() => {
          body.destroy(Object.assign(new Error(`silent for ${silenceMs} ms`), { code: "ETIMEDOUT" }));
        }, silenceMs);
        const next = await chunks.next().finally(() => clearTimeout(watchdog));
        if (next.done === true) return;
        // A view into a pool would change under the reader.
        yield Uint8Array.from(next.value);
      }
    } catch (error) {
      throw vaultFailure(where, this.#vault, "glacier:GetJobOutput", error);
    } finally {
      body.destroy();
    }
  }

  destroy(): void {
    this.#client.destroy();
  }

  /** Anything up to twice as long each time. */
  async #pause(where: Where, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    const longest = Math.min(
      this.#connection.limits.pauseMsMax,
      PAUSE_MS_FIRST * 2 ** Math.min(attempt - 1, 20),
    );
    const [high = 0, low = 0] = this.#connection.random(2);
    try {
      await this.#connection.sleep(Math.ceil((longest * (high * 256 + low + 1)) / 2 ** 16), signal);
    } catch (error) {
      if (signal?.aborted) throw abortError(where, signal);
      throw error;
    }
  }
}
