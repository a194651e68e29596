/**
 * Every request to a vault. The SDK's client tries once; the patience is here. No redirect is followed, the endpoint is
 * the policy's alone, and nothing is waited for without a limit: an answer comes as a whole and in time, or it did not come.
 */
import type { Readable } from "node:stream";
import { GlacierClient } from "@aws-sdk/client-glacier";
import { throwIfAborted, type Where } from "../refusals.ts";
import { type Answer, documentOf, isGood, type Request, withoutCredentials } from "../sdk-answers.ts";
import {
  clientSettings,
  type How,
  howToSend,
  pauseAfter,
  type Pausing,
  type StoreConnection,
} from "../sdk-requests.ts";
import { isRepeatable, vaultFailure } from "./failure.ts";

export type GlacierConnection = StoreConnection & Pausing;

export interface Call {
  readonly signal?: AbortSignal | undefined;
  /** Bytes that the request carries. */
  readonly bytes?: number;
  /** False where a second request would do it a second time. */
  readonly isIdempotent?: boolean;
}

export class GlacierRequests {
  readonly #vault: string;
  readonly #connection: GlacierConnection;
  readonly #client: GlacierClient;

  constructor(vault: string, connection: GlacierConnection) {
    this.#vault = vault;
    this.#connection = connection;
    this.#client = new GlacierClient(clientSettings(connection));
    collectAnswers(this.#client, connection.limits.answerMs);
  }

  /** Sends a request until it is answered, or trying again is no use. `needs` is the permission that it takes. */
  async call<T>(
    where: Where,
    needs: string,
    send: (client: GlacierClient, how: How) => Promise<T>,
    { signal, bytes = 0, isIdempotent = true }: Call = {},
  ): Promise<T> {
    const { limits } = this.#connection;
    const how = howToSend(limits, bytes, signal);
    for (let attempt = 1; ; attempt += 1) {
      throwIfAborted(where, signal);
      try {
        return await send(this.#client, how);
      } catch (error) {
        throwIfAborted(where, signal);
        const isLast = attempt >= limits.attemptsMax || !isRepeatable(error, isIdempotent);
        if (isLast) throw vaultFailure(where, this.#vault, needs, error);
      }
      await pauseAfter(attempt, this.#connection, where, signal);
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
}

/** The SDK waits for the rest of an answer for ever. The output of a job is watched while it comes. */
function collectAnswers(client: GlacierClient, answerMs: number): void {
  client.middlewareStack.add(
    (next, { commandName = "" }) =>
      async (args) => {
        const result = await next(args);
        const answer = result.response as Answer;
        if (isGood(answer) && commandName === "GetJobOutputCommand") return result;
        const bytes = await documentOf(answer, answerMs);
        answer.body = isGood(answer) ? bytes : withoutCredentials(bytes, args.request as Request);
        return result;
      },
    // Next to the wire: before anything is parsed.
    { step: "deserialize", priority: "low", name: "collectAnswers" },
  );
}
