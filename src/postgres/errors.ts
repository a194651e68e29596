/** Classifies what Postgres and its driver throw. Source: PostgreSQL manual, appendix A, "Error Codes". */
import { type ErrorCode, FirnlineError } from "../errors.ts";

interface DriverError {
  readonly code?: string;
  readonly message?: string;
  readonly detail?: string;
}

/** The statement may succeed when it is sent again: conflicts, and connections that broke. */
const RETRYABLE = new Set([
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "55P03", // lock_not_available
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "53300", // too_many_connections
  "ECONNRESET",
  "ECONNREFUSED",
  "EPIPE",
  "ETIMEDOUT",
]);

const HINTS: Readonly<Record<string, { code: ErrorCode; hint: string }>> = {
  "28P01": { code: "E_DATABASE", hint: "Check user and password in the connection variable" },
  "28000": { code: "E_DATABASE", hint: "Check pg_hba.conf and the user in the connection variable" },
  "3D000": { code: "E_DATABASE", hint: "Check the database name in the connection variable" },
  "42501": { code: "E_VISIBILITY", hint: "Grant the missing privilege to Firnline's role" },
  "42P01": { code: "E_CATALOG", hint: "Run `firnline migrate`; if it names your table, check source.table" },
  "3F000": { code: "E_CATALOG", hint: "Run `firnline migrate`" },
  "40001": { code: "E_DATABASE", hint: "Another transaction was in the way; run again" },
  "40P01": { code: "E_DATABASE", hint: "Another transaction was in the way; run again" },
  "55P03": {
    code: "E_DATABASE",
    hint: "Another session holds a lock on the table; find it in pg_locks, or run again later",
  },
  "57014": {
    code: "E_DATABASE",
    hint: "The statement was cancelled or ran into statement_timeout; run again",
  },
  "53100": { code: "E_CAPACITY", hint: "The database's disk is full; free space, then run again" },
  ECONNREFUSED: { code: "E_DATABASE", hint: "Is the server running, and are host and port right" },
  ENOTFOUND: { code: "E_DATABASE", hint: "Check the host name in the connection variable" },
};

export function sqlState(error: unknown): string | undefined {
  const code = (error as DriverError | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Anything thrown by pg, as a `FirnlineError`. The message of the server is kept; it names no secret. */
export function databaseError(error: unknown, op: string): FirnlineError {
  if (error instanceof FirnlineError) return error;
  const driver = error as DriverError;
  const state = sqlState(error);
  const known = state === undefined ? undefined : HINTS[state];
  const lost = state === undefined && /terminated|timeout|ended|closed/i.test(driver.message ?? "");
  const message = (driver.message ?? String(error)).replace(/[.\s]+$/, "");
  return new FirnlineError({
    code: known?.code ?? "E_DATABASE",
    subject: "postgres",
    problem: `${op}: ${message}${driver.detail === undefined ? "" : ` (${driver.detail.replace(/[.\s]+$/, "")})`}`,
    hint:
      known?.hint ??
      (lost ? "The connection broke; run again" : "See the server's log; nothing was deleted by this step"),
    op,
    retryable: lost || (state !== undefined && RETRYABLE.has(state)),
    cause: error,
  });
}
