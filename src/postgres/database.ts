/**
 * The one way to Postgres for the hot tier and the catalog: a bounded pool whose sessions are pinned, transactions
 * that check their COMMIT, and COPY streams with a watchdog. Only SET LOCAL is used, so a transaction pooler in between
 * does no harm.
 */
import pg from "pg";
import { FirnlineError } from "../errors.ts";
import { CheckedOut, lostCommit, rollback } from "./checked-out.ts";
import { CopyOut, type CopyTaker } from "./copy-out.ts";
import { databaseError } from "./errors.ts";
import { openReadingSocket } from "./reading-socket.ts";

export interface DatabaseOptions {
  readonly connectionString: string;
  readonly applicationName: string;
  readonly connectionsMax: number;
  /** Longest wait for a lock on the table, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** Longest silence of the server within a COPY, in milliseconds. */
  readonly copySilenceMs: number;
  /** Longest answer to one statement, in milliseconds; a network that swallows answers must not hang a run. */
  readonly statementMs: number;
  /** A process that is frozen within a writing transaction is thrown out after this, in milliseconds. */
  readonly idleInTransactionMs: number;
}

/**
 * Settings that could change the bytes or the text of a value, or the words of a definition, or hide rows. Each
 * transaction pins them all; see hazards 12, 18 and 28. They are written as SET LOCAL and not as set_config(): that
 * would take a snapshot before the table is locked.
 */
const PINS = [
  "SET LOCAL row_security = off",
  // Named last, or else a table that somebody left in the session, with the name of one of the server's, would be first.
  "SET LOCAL search_path = pg_catalog, pg_temp",
  "SET LOCAL TimeZone = 'UTC'",
  "SET LOCAL DateStyle = 'ISO, YMD'",
  "SET LOCAL IntervalStyle = 'postgres'",
  "SET LOCAL extra_float_digits = 1",
  "SET LOCAL bytea_output = 'hex'",
  "SET LOCAL lc_monetary = 'C'",
  "SET LOCAL client_encoding = 'UTF8'",
  "SET LOCAL standard_conforming_strings = on",
  "SET LOCAL xmloption = 'content'",
  // The names of types and the spelling of predicates go into manifests and fingerprints.
  "SET LOCAL quote_all_identifiers = off",
];

export type TransactionMode = "read write" | "repeatable read, read only" | "repeatable read, read write";

const BEGIN: Readonly<Record<TransactionMode, string>> = {
  "read write": "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
  "repeatable read, read only": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
  "repeatable read, read write": "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
};

export interface QueryResult {
  // oxlint-disable-next-line typescript/no-explicit-any -- rows are whatever the statement returns; every caller names its columns
  readonly rows: Record<string, any>[];
  readonly rowCount: number;
}

/** An open transaction. */
export class Transaction {
  readonly #client: pg.PoolClient;
  readonly #copySilenceMs: number;
  readonly #statementMs: number;
  readonly #database: Pick<Database, "givesWay">;
  #wasCutShort = false;

  constructor(
    client: pg.PoolClient,
    limits: { readonly copySilenceMs: number; readonly statementMs: number },
    database: Pick<Database, "givesWay">,
  ) {
    this.#client = client;
    this.#copySilenceMs = limits.copySilenceMs;
    this.#statementMs = limits.statementMs;
    this.#database = database;
  }

  /** Whether a COPY was left before its end: the connection is gone then, and with it the transaction. */
  get wasCutShort(): boolean {
    return this.#wasCutShort;
  }

  /** One statement, always by the extended protocol: it cannot smuggle a second one. */
  async query(text: string, values: readonly unknown[] = [], op = "query"): Promise<QueryResult> {
    try {
      const result = await this.#client.query({
        text,
        values: [...values],
        queryMode: "extended",
        query_timeout: this.#statementMs,
      } as pg.QueryConfig);
      return { rows: result.rows, rowCount: result.rowCount ?? 0 };
    } catch (error) {
      throw databaseError(error, op);
    }
  }

  /** A script of our own, from a file of ours: several statements without parameters. */
  async script(text: string, op: string): Promise<void> {
    try {
      await this.#client.query({ text, query_timeout: this.#statementMs } as pg.QueryConfig);
    } catch (error) {
      throw databaseError(error, op);
    }
  }

  /**
   * A `COPY ... TO STDOUT`, whose bytes go to `take`; yields whenever that has something ready. The connection is destroyed
   * when the server falls silent, and when the caller stops early: there is no way back to a usable session in the middle of
   * a COPY. Stopping early is no error in a transaction that only reads; one that writes cannot be committed any more.
   */
  async *copy(text: string, op: string, take: CopyTaker): AsyncGenerator<void, void, undefined> {
    const rows = this.#client.query(
      new CopyOut(text, take, () => this.#database.givesWay) as CopyOut & pg.Submittable,
    );
    let finished = false;
    const destroy = (why: string): void => {
      (
        this.#client as unknown as { connection: { stream: { destroy(error?: Error): void } } }
      ).connection.stream.destroy(new Error(`${op}: ${why}`));
    };
    const onSilence = (): void => destroy(`the server was silent for ${this.#copySilenceMs} ms`);
    try {
      while (await rows.next(this.#copySilenceMs, onSilence)) yield;
      // The rows end before the command does: a constraint that refuses a DELETE speaks up only now.
      await rows.answered(this.#copySilenceMs, onSilence);
      finished = true;
    } catch (error) {
      finished = true;
      throw databaseError(error, op);
    } finally {
      if (!finished) {
        this.#wasCutShort = true;
        destroy("the rows were not read to their end");
      }
    }
  }
}

export class Database implements AsyncDisposable {
  readonly #pool: pg.Pool;
  readonly #options: DatabaseOptions;
  #raisesCommit: boolean | undefined;
  #begun = 0n;
  #ended = 0n;
  /** Whether the server has others to serve: then rows are received with a rest after each piece of them. */
  givesWay = false;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#pool = new pg.Pool({
      connectionString: options.connectionString,
      application_name: options.applicationName,
      max: options.connectionsMax,
      connectionTimeoutMillis: 15_000,
      idleTimeoutMillis: 10_000,
      keepAlive: true,
      allowExitOnIdle: true,
      stream: openReadingSocket as unknown as NonNullable<pg.PoolConfig["stream"]>,
    });
    // A backend that is terminated while idle must not end this process (fault 16).
    this.#pool.on("error", () => {});
  }

  /** Longest wait for a lock, in milliseconds. */
  get lockTimeoutMs(): number {
    return this.#options.lockTimeoutMs;
  }

  /** Longest silence of ours within a writing transaction, in milliseconds. */
  get idleInTransactionMs(): number {
    return this.#options.idleInTransactionMs;
  }

  /** How many transactions that may write were begun, and how many are over. */
  get writes(): { readonly begun: bigint; readonly ended: bigint } {
    return { begun: this.#begun, ended: this.#ended };
  }

  /**
   * Runs `work` in a transaction. Whatever it throws rolls back. A COMMIT that Postgres answers with ROLLBACK, as it
   * does for a failed transaction, is an error here and not a success.
   */
  async transaction<T>(mode: TransactionMode, op: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const begun = await this.#begin(mode, op);
    const mayWrite = mode !== "repeatable read, read only";
    if (mayWrite) this.#begun += 1n;
    try {
      const tx = new Transaction(begun.client, this.#options, this);
      const result = await work(tx);
      if (tx.wasCutShort) {
        if (mode !== "repeatable read, read only") throw cutShort(op);
        begun.broken = await rollback(begun.client, begun.broken);
        return result;
      }
      const { command } = await begun.control("COMMIT").catch((error: unknown) => {
        throw lostCommit(error, op);
      });
      if (command !== "COMMIT") {
        throw new FirnlineError({
          code: "E_DATABASE",
          subject: "postgres",
          problem: `${op}: COMMIT was answered with ${command}`,
          hint: "Nothing was changed; run again",
          op,
          retryable: true,
        });
      }
      return result;
    } catch (error) {
      begun.broken = await rollback(begun.client, begun.broken);
      throw databaseError(error, op);
    } finally {
      begun.release();
      if (mayWrite) this.#ended += 1n;
    }
  }

  /**
   * A connection of the pool may have died while it was idle, and nobody has heard of it yet. Before BEGIN was answered
   * nothing was done, so the next one is taken, and in the end a fresh one.
   */
  async #begin(mode: TransactionMode, op: string): Promise<CheckedOut> {
    for (let attempt = 0; ; attempt += 1) {
      const session = new CheckedOut(await this.#connect());
      try {
        // SHOW takes no snapshot. A COMMIT that does not wait for the disk could be lost after the journal knew of it.
        this.#raisesCommit ??=
          (await session.control("SHOW synchronous_commit")).rows[0]?.synchronous_commit === "off";
        // One trip to the server for all of it: a partition is some twenty small transactions.
        await session.control([BEGIN[mode], ...PINS, ...this.#limits(mode)].join("; "));
        return session;
      } catch (error) {
        session.broken ??= error as Error;
        session.release();
        const known = databaseError(error, op);
        if (!known.retryable || attempt >= this.#options.connectionsMax) throw known;
      }
    }
  }

  /** A connection without a transaction, for statements that refuse to be in one. Nothing is pinned. */
  async session<T>(op: string, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const session = new CheckedOut(await this.#connect());
    try {
      return await work(session.client);
    } catch (error) {
      // It may still be at work on what failed here.
      session.broken ??= error as Error;
      throw databaseError(error, op);
    } finally {
      session.release();
    }
  }

  async query(text: string, values: readonly unknown[] = [], op = "query"): Promise<QueryResult> {
    return await this.transaction("read write", op, async (tx) => await tx.query(text, values, op));
  }

  #limits(mode: TransactionMode): string[] {
    const limits = [`SET LOCAL lock_timeout = ${Math.trunc(this.#options.lockTimeoutMs)}`];
    if (mode === "read write") {
      const idleMs = Math.trunc(this.#options.idleInTransactionMs);
      limits.push(`SET LOCAL idle_in_transaction_session_timeout = ${idleMs}`);
      if (this.#raisesCommit === true) limits.push("SET LOCAL synchronous_commit = on");
    }
    return limits;
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw databaseError(error, "connect");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#pool.ended) await this.#pool.end();
  }
}

function cutShort(op: string): FirnlineError {
  return new FirnlineError({
    code: "E_INTERNAL",
    subject: "postgres",
    problem: `${op}: the rows of a COPY were not read to their end, so that nothing was committed`,
    hint: "Please report it with the output of --debug",
    op,
  });
}
