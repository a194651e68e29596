/** Classifies what Postgres and its driver throw. Source: PostgreSQL manual, appendix A, "Error Codes". */
import { type ErrorCode, FirnlineError } from "../errors.ts";

interface DriverError {
  readonly code?: string;
  readonly message?: string;
  readonly detail?: string;
  /** Of a host with several addresses: why each of them failed. The error itself has no message then. */
  readonly errors?: readonly DriverError[];
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

const LOCK_NOT_AVAILABLE = "55P03";

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
  ECONNREFUSED: {
    code: "E_DATABASE",
    hint: "Check that the server runs, and host and port in the connection variable",
  },
  ENOTFOUND: { code: "E_DATABASE", hint: "Check the host name in the connection variable" },
  EAI_AGAIN: { code: "E_DATABASE", hint: "Names cannot be resolved just now; check DNS, then run again" },
  EHOSTUNREACH: { code: "E_DATABASE", hint: "Check the network, and the host in the connection variable" },
  ENETUNREACH: { code: "E_DATABASE", hint: "Check the network, and the host in the connection variable" },
  ETIMEDOUT: { code: "E_DATABASE", hint: "Check the network, and the host in the connection variable" },
  ENOENT: {
    code: "E_DATABASE",
    hint: "Check the paths of sockets and certificates in the connection variable",
  },
  TOO_LARGE: {
    code: "E_TYPE",
    hint: "A row is larger than the 1 GB that Postgres can send at once; move its large values elsewhere",
  },
  ERR_INVALID_URL: {
    code: "E_INPUT",
    hint:
      "Write postgres://user:password@host:5432/database in the connection variable, with / ? # @ : % and blanks of " +
      "the password percent-encoded",
  },
};

export function sqlState(error: unknown): string | undefined {
  const code = (error as DriverError | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Its codes stand for other limits, too; the wording of 15 to 18 differs, and has this in common. */
function isTooLarge({ message = "", detail = "" }: DriverError): boolean {
  return /enlarge string buffer|invalid memory alloc request size/.test(`${message} ${detail}`);
}

/** Anything thrown by pg, as a `FirnlineError`. The message of the server is kept; it names no secret. */
export function databaseError(error: unknown, op: string): FirnlineError {
  if (error instanceof FirnlineError) return error;
  const driver = error as DriverError;
  // A URL's percent signs are the other thing that the driver cannot read.
  const state = error instanceof URIError ? "ERR_INVALID_URL" : sqlState(error);
  const known = isTooLarge(driver) ? HINTS["TOO_LARGE"] : state === undefined ? undefined : HINTS[state];
  const whole = driver.message || driver.errors?.map((one) => one.message).join(", ") || String(error);
  // Node names the system call, which the operation says already.
  const said = whole.replaceAll(/\bconnect (?=E[A-Z]+ )/g, "").replace(/[.\s]+$/, "");
  const lost = state === undefined && /terminated|timeout|ended|closed/i.test(said);
  return new FirnlineError({
    code: known?.code ?? "E_DATABASE",
    subject: "postgres",
    problem: `${op}: ${said}${driver.detail === undefined ? "" : ` (${driver.detail.replace(/[.\s]+$/, "")})`}`,
    hint:
      known?.hint ??
      (/SSL|TLS|certificate/i.test(said)
        ? "Check sslmode and certificates in the connection variable"
        : null) ??
      (lost ? "The connection broke; run again" : "See the server's log; nothing was deleted by this step"),
    op,
    retryable: lost || (state !== undefined && RETRYABLE.has(state)),
    blocked: state === LOCK_NOT_AVAILABLE,
    cause: error,
  });
}
