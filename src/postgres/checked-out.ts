/** A connection of the pool in our hands: how it is asked, given back, and what a lost answer to it means. */
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { FirnlineError } from "../errors.ts";
import { databaseError } from "./errors.ts";

/** BEGIN, COMMIT and the like answer at once, or never. */
const CONTROL_MS = 60_000;

/** It emits its own errors; without a listener they would end the process. */
export class CheckedOut {
  readonly client: pg.PoolClient;
  /** Set when the connection must not go back into the pool. */
  broken: Error | undefined;
  readonly #onError = (error: Error): void => {
    this.broken = error;
  };

  constructor(client: pg.PoolClient) {
    this.client = client;
    client.on("error", this.#onError);
  }

  async control(text: string): Promise<pg.QueryResult> {
    return await this.client.query({ text, query_timeout: CONTROL_MS } as pg.QueryConfig);
  }

  release(): void {
    this.client.off("error", this.#onError);
    this.client.release(this.broken);
  }
}

/** Nobody knows whether a COMMIT without an answer happened. Whoever tries again finds out under lock. */
export function lostCommit(error: unknown, op: string): FirnlineError {
  const known = databaseError(error, op);
  if (!known.retryable) return known;
  return new FirnlineError({
    code: known.code,
    subject: known.subject,
    problem: `${known.problem}, and the answer to its COMMIT is lost`,
    hint: "Run again: the next attempt sees whether it happened, and nothing is done twice",
    op,
    retryable: true,
    cause: error,
  });
}

/** Ends the transaction; a client that cannot say ROLLBACK within a moment is thrown away with its connection. */
export async function rollback(client: pg.PoolClient, broken: Error | undefined): Promise<Error | undefined> {
  if (broken !== undefined) return broken;
  const giveUp = new AbortController();
  try {
    await Promise.race([
      client.query("ROLLBACK"),
      delay(5_000, undefined, { signal: giveUp.signal }).then(() => {
        throw new Error("ROLLBACK was not answered");
      }),
    ]);
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    giveUp.abort();
  }
}
