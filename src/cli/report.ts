/** Errors as a person and as a machine see them, and the exit code that they mean. */
import { type ErrorCode, FirnlineError } from "../errors.ts";
import type { Advice } from "../plan/advice.ts";
import { type About, EXIT, type ExitCode } from "./command.ts";
import { jsonLine } from "./format.ts";

/** What a table or a policy is refused for, before anything moves. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "E_POLICY",
  "E_BUCKET",
  "E_KEY",
  "E_TYPE",
  "E_RELATION",
  "E_SERVER",
  "E_SIDE_EFFECT",
  "E_VISIBILITY",
  "E_DETACH",
  "E_CLOCK",
]);

/** Each error on its own; what is not a `FirnlineError` is a fault of ours, `E_INTERNAL`. */
export function errorsOf(error: unknown): FirnlineError[] {
  if (error instanceof FirnlineError) return [error];
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.flatMap(errorsOf);
  const problem = error instanceof Error ? error.message || error.name : String(error);
  return [
    new FirnlineError({
      code: "E_INTERNAL",
      subject: "firnline",
      problem: problem.replace(/[.\s]+$/, ""),
      hint: "Run it again with --debug and report what it prints",
      cause: error,
    }),
  ];
}

type Told = Pick<FirnlineError | Advice, "code" | "subject" | "problem" | "hint">;

/** `CODE subject: what is wrong. What to do.` in one line. */
export function errorText({ code, subject, problem, hint }: Told, about?: About): string {
  const whose =
    about?.isOneOfMany === true && !subject.includes(about.pipeline) ? ` (pipeline ${about.pipeline})` : "";
  return printable(`${code} ${subject}${whose}: ${problem}. ${hint}.`).replaceAll(CONTROL, " ");
}

export function errorJson(error: FirnlineError, about?: About): string {
  return jsonLine({
    ...(about === undefined ? {} : { pipeline: about.pipeline }),
    error: errorFields(error),
  });
}

export function errorFields({ code, subject, problem, hint, message, fix }: FirnlineError): object {
  const texts = Object.entries({ code, subject, problem, hint, message });
  return {
    ...Object.fromEntries(texts.map(([name, text]) => [name, printable(text)])),
    ...(fix.length === 0 ? {} : { fix: fix.map(printable) }),
  };
}

/** Stack traces, that of the cause after that of the error. No other property of a foreign error is trusted. */
export function errorTrace(error: unknown): string {
  const stacks: string[] = [];
  // Bounded: an error may be its own cause.
  for (let at = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth += 1) {
    const inner = at instanceof AggregateError ? at.errors.map((one: unknown) => errorTrace(one)) : [];
    stacks.push([at.stack ?? at.message, ...inner].join("\n"));
  }
  return printable(stacks.join("\ncaused by "));
}

/** The worst of what happened: a refusal is only one if nothing else went wrong. */
export function exitCodeOf(errors: readonly FirnlineError[]): ExitCode {
  const codes = errors.map(({ code }) => code);
  if (codes.includes("E_INTERRUPTED")) return EXIT.interrupted;
  if (codes.every((code) => code === "E_INPUT")) return EXIT.usage;
  if (codes.every((code) => code === "E_LOCKED")) return EXIT.locked;
  return codes.every((code) => REFUSALS.has(code)) ? EXIT.refused : EXIT.failed;
}

/** A subject or a server's message must not break the line, nor steer the terminal. */
const CONTROL = /[\p{Cc}\u2028\u2029]+/gu;
/** `scheme://user:password@`: adapters keep passwords out of messages; this is the last door. Hints say `password`. */
const PASSWORD = /(:\/\/[^\s:/@]*:)(?!password@)[^\s/]+@/g;

function printable(text: string): string {
  return text.replaceAll(PASSWORD, "$1***@");
}
