/**
 * A statement that waits for other sessions, and cannot be in a transaction: `DETACH PARTITION ... CONCURRENTLY`. SET
 * LOCAL does not reach it, and a session's SET would stay with a pooler's connection. So it is cancelled from outside
 * when it takes too long, found by its exact text, of which nobody else has one.
 */
import { setTimeout as delay } from "node:timers/promises";
import { FirnlineError } from "../errors.ts";
import type { Database } from "./database.ts";
import { databaseError, sqlState } from "./errors.ts";

/** A cancelled statement ends at once, or its connection is given up. */
const ENDING_MS = 30_000;
const QUERY_CANCELED = "57014";

/** In front of the statement, so that a person's own statement is never taken for it. */
const MARK = "/* firnline */ ALTER TABLE ";
const marked = (statement: string): string => `/* firnline */ ${statement}`;

export type Ending =
  | { readonly ending: "done" }
  /** Who was waited for, in words. */
  | { readonly ending: "cancelled"; readonly waitedFor: string };

/** Runs the statement for at most `waitMs` milliseconds, or until `signal`; other failures are thrown. */
export async function runPatiently(
  database: Database,
  statement: string,
  op: string,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<Ending> {
  const text = marked(statement);
  return await database.session(op, async (client) => {
    let isLate = false;
    const running = client.query(text).then(
      () => "done" as const,
      (error: unknown) => {
        if (!isLate || sqlState(error) !== QUERY_CANCELED) throw databaseError(error, op);
        return "cancelled" as const;
      },
    );
    // Whoever gave up does not hear of its end.
    running.catch(() => {});
    const settled = new AbortController();
    const late = async (ms: number, ...until: AbortSignal[]): Promise<null> =>
      await delay(ms, null, { signal: AbortSignal.any([settled.signal, ...until]) }).catch(() => null);
    try {
      if ((await Promise.race([running, late(waitMs, signal)])) !== null) return { ending: "done" };
      isLate = true;
      const waitedFor = await cancelStatement(database, statement);
      const ending = await Promise.race([running, late(ENDING_MS)]);
      if (ending === "done") return { ending };
      if (ending === "cancelled") return { ending, waitedFor };
    } finally {
      settled.abort();
    }
    throw new FirnlineError({
      code: "E_DATABASE",
      subject: "postgres",
      problem: `${op}: the statement was cancelled after ${waitMs} ms and did not end`,
      hint: "The connection was given up; the next run sees how far it came",
      op,
      retryable: true,
    });
  });
}

/** Cancels the statement wherever it runs: a process that was killed leaves it behind. Says who it waited for. */
export async function cancelStatement(database: Database, statement: string): Promise<string> {
  const { rows } = await database.query(
    // Who is in the way is asked before the statement stops waiting. The server may show the beginning of a long text only.
    `WITH found AS MATERIALIZED (
       SELECT a.pid,
              ARRAY(SELECT format('process %s%s, %s', b.pid, ' (' || nullif(b.application_name, '') || ')', b.state)
                    FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(a.pid)) ORDER BY b.pid) AS blockers
       FROM pg_stat_activity a
       WHERE a.datname = current_database() AND a.state = 'active' AND a.pid <> pg_backend_pid()
         AND starts_with(a.query, $2) AND starts_with($1, a.query))
     SELECT blockers, pg_cancel_backend(pid) FROM found`,
    [marked(statement), MARK],
    "cancel",
  );
  const blockers = rows.flatMap((row) => row["blockers"] as string[]);
  return blockers.length === 0 ? "another session" : [...new Set(blockers)].join("; ");
}
