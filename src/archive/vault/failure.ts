/** What a vault's refusals mean. Source: S3 Glacier developer guide, "Error responses". */
import { type ErrorCode, FirnlineError, isFirnlineError } from "../../errors.ts";
import { missingObject, type Where } from "../refusals.ts";
import { bareCause, type Refusal, refusalOf } from "../sdk-refusal.ts";

interface Meaning {
  readonly code: ErrorCode;
  readonly problem: string;
  readonly hint: string;
  readonly isRetryable?: true;
}

const LATER = "Run again later; it goes on where it stopped";
const BUSY: Meaning = {
  code: "E_ARCHIVE",
  isRetryable: true,
  problem: "the vault asks to slow down",
  hint: LATER,
};
const BROKEN: Meaning = { code: "E_ARCHIVE", isRetryable: true, problem: "the vault failed", hint: LATER };
const UNREACHABLE: Meaning = {
  code: "E_ARCHIVE",
  isRetryable: true,
  problem: "the vault cannot be reached, or did not answer in time",
  hint: "Check the network, archive.endpoint and archive.region, then run again; it goes on where it stopped",
};
const CREDENTIALS: Meaning = {
  code: "E_ARCHIVE",
  problem: "the vault does not take these credentials",
  hint: "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the role of this machine",
};

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ThrottlingException: BUSY,
  ServiceUnavailableException: BUSY,
  RequestTimeoutException: UNREACHABLE,
  CredentialsProviderError: CREDENTIALS,
  InvalidSignatureException: CREDENTIALS,
  UnrecognizedClientException: CREDENTIALS,
  ExpiredTokenException: CREDENTIALS,
  NoLongerSupportedException: {
    code: "E_BUCKET",
    problem: "AWS does not open vaults to this account any more",
    hint: "Name a storageClass instead of tiers.cold.vault",
  },
  InsufficientCapacityException: {
    code: "E_ARCHIVE",
    problem: "there is no capacity for Expedited retrievals at the moment",
    hint: "Ask for the tier Standard, or try again later",
  },
  PolicyEnforcedException: {
    code: "E_ARCHIVE",
    problem: "the account's data retrieval policy does not allow so much an hour",
    hint: "Retrieve fewer days at once, or change the policy in S3 Glacier",
  },
  LimitExceededException: {
    code: "E_CAPACITY",
    problem: "a limit of the account is reached",
    hint: "Raise the limit at AWS, then run again; it goes on where it stopped",
  },
};

/** The vault, the archive, the job or the upload that was named is not there. */
export function isGone(error: unknown): boolean {
  const name = refusalOf(error)?.name;
  return name === "ResourceNotFoundException" || name === "VaultNotFound";
}

/** The server knows no such request: it has vaults, and not all that AWS' have. */
export function isUnknownRequest(error: unknown): boolean {
  const status = refusalOf(error)?.status;
  return !isGone(error) && (status === 404 || status === 405 || status === 501);
}

/** Whether to try again at once. What may have been done already is repeated only if that does no harm. */
export function isRepeatable(error: unknown, isIdempotent: boolean): boolean {
  const refusal = refusalOf(error);
  const meaning = refusal === null ? null : meaningOf(refusal, "");
  return meaning === BUSY || (isIdempotent && meaning?.isRetryable === true);
}

/** The FirnlineError that stands for `error`; one of ours, or one that no store made, comes back as it is. */
export function vaultFailure(where: Where, vault: string, needs: string, error: unknown): unknown {
  const refusal = isFirnlineError(error) ? null : refusalOf(error);
  if (refusal === null) return error;
  const { op, key } = where;
  if (isGone(error)) {
    const { code, hint, problem, subject } = missingObject(where);
    return new FirnlineError({
      code,
      subject,
      problem: `${problem} (${said(refusal)})`,
      hint,
      op,
      key,
      cause: bareCause(error),
    });
  }
  const meaning = meaningOf(refusal, needs);
  const status = refusal.status === null ? "" : `${refusal.status} `;
  return new FirnlineError({
    code: meaning.code,
    subject: key,
    problem: `${meaning.problem} (vault ${vault}: ${status}${said(refusal)})`,
    hint: meaning.hint,
    op,
    key,
    retryable: meaning.isRetryable === true,
    cause: bareCause(error),
  });
}

function meaningOf({ name, status }: Refusal, needs: string): Meaning {
  const known = MEANINGS[name];
  if (known !== undefined) return known;
  if (status === null) return UNREACHABLE;
  if (status === 403 || status === 401) {
    return {
      code: "E_ARCHIVE",
      problem: "the vault does not allow it",
      hint: needs === "" ? "Check the credentials' permissions" : `Allow ${needs} on this vault`,
    };
  }
  if (status === 429 || status === 503) return BUSY;
  if (status >= 500 || status < 300) return BROKEN;
  return {
    code: "E_ARCHIVE",
    problem: "the vault refuses the request",
    hint: "Look at the vault's answer, and at `firnline doctor`",
  };
}

const WORDS_MAX = 200;

function said({ name, message }: Refusal): string {
  const words = message.replaceAll(/\s+/g, " ").trim().slice(0, WORDS_MAX);
  return words === "" || words === name ? name : `${name}: ${words}`;
}
