/**
 * Errors of the SDK as errors of ours: which code, whether to try again, what a person should do. Stores other than AWS
 * use the same names.
 */
import { FirnlineError, isFirnlineError } from "../../errors.ts";
import { missingObject, type Where } from "../refusals.ts";
import { bareCause, type Refusal, refusalOf } from "../sdk-refusal.ts";
import {
  BROKEN,
  BUSY,
  FULL,
  KMS,
  type Meaning,
  MEANINGS,
  type Patience,
  REGION,
  TOO_LARGE,
  UNABLE,
  UNREACHABLE,
  WORDLESS,
} from "./meanings.ts";

const MISSING = new Set(["NoSuchKey", "NoSuchVersion", "NotFound"]);
/** Names that say no more than the status does: HEAD has no body. */
const NAMELESS = new Set(["", "Unknown", "UnknownError", "Error", "S3ServiceException"]);

/** Whether the store said that there is no such object. */
export function isMissing(error: unknown): boolean {
  const refusal = refusalOf(error);
  // 405: the version that was named is a delete marker.
  return (
    refusal !== null && (MISSING.has(refusal.name) || isNameless(refusal, 404) || isNameless(refusal, 405))
  );
}

/** Whether If-None-Match or If-Match said no. */
export function isPreconditionFailed(error: unknown): boolean {
  return refusalOf(error)?.status === 412;
}

export function isUnable(error: unknown): boolean {
  const status = refusalOf(error)?.status;
  return status === 501 || status === 405;
}

export function isDenied(error: unknown): boolean {
  const refusal = refusalOf(error);
  return refusal !== null && (refusal.status === 403 || refusal.name === "AccessDenied");
}

export function patienceOf(error: unknown): Patience {
  const refusal = refusalOf(error);
  if (refusal === null) return "never";
  return meaningOf(refusal, "")?.patience ?? "never";
}

/**
 * The FirnlineError that stands for `error`; one of ours, or one that no store made, comes back as it is. `needs` is
 * the permission that the request takes, `s3:PutObject`.
 */
export function storeFailure(where: Where, needs: string, error: unknown): unknown {
  const refusal = isFirnlineError(error) ? null : refusalOf(error);
  if (refusal === null) return error;
  const meaning = meaningOf(refusal, needs);
  if (meaning === null) return withCause(missingObject(where), bareCause(error));
  const { op, key } = where;
  const status = refusal.status === null ? "" : `${refusal.status} `;
  return new FirnlineError({
    code: meaning.code,
    subject: key,
    problem: `${meaning.problem} (${status}${refusal.name}${said(refusal)})`,
    hint: meaning.hint,
    op,
    key,
    retryable: meaning.isRetryable ?? (meaning.patience ?? "never") !== "never",
    cause: bareCause(error),
  });
}

/** Null: there is no such object. */
function meaningOf(refusal: Refusal, needs: string): Meaning | null {
  const { name, status } = refusal;
  if (MISSING.has(name)) return null;
  const known = MEANINGS[name];
  if (known !== undefined) return known;
  if (/^KMS[.A-Z]/.test(name)) return KMS;
  if (status === null) return UNREACHABLE;
  if (isNameless(refusal, 404)) return null;
  if (status >= 300 && status < 400) return REGION;
  if (status === 403 || status === 401 || name === "AccessDenied") {
    return {
      code: "E_ARCHIVE",
      problem: "the store does not allow it",
      hint: needs === "" ? "Check the credentials' permissions" : `Allow ${needs} on this bucket and prefix`,
    };
  }
  if (status === 405 || status === 501) return UNABLE;
  if (status === 408) return UNREACHABLE;
  if (status === 413) return TOO_LARGE;
  if (status === 429 || status === 503) return BUSY;
  if (status === 507) return FULL;
  // 2xx: the answer broke off, or is not what S3 answers.
  if (status >= 500 || status < 300) return BROKEN;
  if (isNameless(refusal, 400)) return WORDLESS;
  return {
    code: "E_ARCHIVE",
    problem: "the store refused it",
    hint: "Check that archive.endpoint is an S3-compatible store; `firnline doctor` tells what it can do",
  };
}

function isNameless({ name, status }: Refusal, expected: number): boolean {
  return status === expected && (NAMELESS.has(name) || name === String(status) || name === "NotFound");
}

/** The store's own words, on one line and not too many. */
function said({ message, name }: Refusal): string {
  const text = message.replaceAll(/\s+/g, " ").replace(/\.$/, "").trim();
  return text === "" || text === name || text === "UnknownError" ? "" : `: ${text.slice(0, 200)}`;
}

function withCause(error: FirnlineError, cause: unknown): FirnlineError {
  const { code, subject, problem, hint, retryable } = error;
  return new FirnlineError({ code, subject, problem, hint, retryable, ...opOf(error), cause });
}

function opOf({ op, key }: FirnlineError): { op?: string; key?: string } {
  return { ...(op === undefined ? {} : { op }), ...(key === undefined ? {} : { key }) };
}
