/**
 * Every failure that Firnline can explain is a `FirnlineError`. It is classified where it happens, in the
 * adapter, so that the flow never has to read a message: `code` says what kind, `retryable` whether the same
 * call may succeed later, `hint` what a person should do.
 *
 * The printed form is `CODE subject: what is wrong. What to do.`
 */
export type ErrorCode =
  | "E_ARCHIVE" // the object store failed: I/O, permission, time-out
  | "E_BUCKET" // the object store is configured in a way that is not safe
  | "E_CAPACITY" // a limit of the store or of this machine
  | "E_CATALOG" // the control schema is missing, newer than this binary, or contradicts itself
  | "E_CLOCK" // clocks disagree
  | "E_COLD" // the object needs a restore before it can be read
  | "E_DATABASE" // Postgres failed: connection, time-out, statement
  | "E_DETACH" // a native partition cannot be detached safely
  | "E_FORMAT" // bytes in the archive that this version cannot read
  | "E_HELD" // a hold, a lock or a reader keeps what was to be removed
  | "E_INPUT" // wrong command line, dates, environment
  | "E_INTERNAL" // an assertion of ours failed
  | "E_INTERRUPTED" // a signal asked us to stop
  | "E_KEY" // no usable key
  | "E_LOCKED" // another run holds the lease
  | "E_OWNER" // the archive belongs to another source or another history
  | "E_POLICY" // the policy file is wrong or unsafe
  | "E_RELATION" // the table is of a kind that cannot be moved
  | "E_SCHEMA" // columns of different years cannot be united
  | "E_SERVER" // the Postgres server is in a state that is not safe
  | "E_SIDE_EFFECT" // deleting rows would do more than delete rows
  | "E_SOURCE" // the table changed under the run
  | "E_STALE" // this run's lease was taken over; nothing it does counts any more
  | "E_TYPE" // a column type that cannot be archived without loss
  | "E_VERIFY" // bytes read back are not the bytes written
  | "E_VISIBILITY"; // missing grants, row-level security

export interface ErrorDetails {
  readonly code: ErrorCode;
  /** What the error is about: a table, a file and line, an object key. */
  readonly subject: string;
  /** What is wrong, with what was found. No final full stop. */
  readonly problem: string;
  /** What a person should do next. No final full stop. */
  readonly hint: string;
  /** Statements or commands that do what the hint says, ready to be pasted; `--` and `#` begin a remark. */
  readonly fix?: readonly string[];
  /** The operation that failed, e.g. `archive.create`. */
  readonly op?: string;
  /** The object key or the catalog key concerned. */
  readonly key?: string;
  /** True when the very same call may succeed later. */
  readonly retryable?: boolean;
  /** True when another session's lock was in the way for as long as we wait for one. */
  readonly blocked?: boolean;
  readonly cause?: unknown;
}

export class FirnlineError extends Error {
  override readonly name = "FirnlineError";
  readonly code: ErrorCode;
  readonly subject: string;
  readonly problem: string;
  readonly hint: string;
  readonly fix: readonly string[];
  readonly op: string | undefined;
  readonly key: string | undefined;
  readonly retryable: boolean;
  readonly blocked: boolean;

  constructor(details: ErrorDetails) {
    super(
      `${details.code} ${details.subject}: ${details.problem}. ${details.hint}.`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = details.code;
    this.subject = details.subject;
    this.problem = details.problem;
    this.hint = details.hint;
    this.fix = details.fix ?? [];
    this.op = details.op;
    this.key = details.key;
    this.retryable = details.retryable ?? false;
    this.blocked = details.blocked ?? false;
  }
}

/** Several findings at once, as `doctor` and the policy reader report them. */
export class FirnlineErrors extends AggregateError {
  override readonly name = "FirnlineErrors";
  override readonly errors: FirnlineError[];

  constructor(errors: readonly FirnlineError[]) {
    super(errors, errors.map((error) => error.message).join("\n"));
    this.errors = [...errors];
  }
}

export function isFirnlineError(error: unknown, code?: ErrorCode): error is FirnlineError {
  return error instanceof FirnlineError && (code === undefined || error.code === code);
}

/** Throws `E_INTERNAL` unless `condition` holds. Kept in production: a broken invariant must stop a run. */
export function invariant(condition: unknown, subject: string, problem: string): asserts condition {
  if (!condition) {
    throw new FirnlineError({
      code: "E_INTERNAL",
      subject,
      problem,
      hint: "Nothing was deleted by this step; please report it with the output of --debug",
    });
  }
}

export function assertNever(value: never, subject: string): never {
  throw new FirnlineError({
    code: "E_INTERNAL",
    subject,
    problem: `unexpected value ${JSON.stringify(value)}`,
    hint: "Please report it with the output of --debug",
  });
}
