/** What a store of AWS, or one that speaks as they do, said: read out of the errors that the SDK throws. */
import { isFirnlineError } from "../errors.ts";

/** What the store, or the way to it, said. */
export interface Refusal {
  /** The store's own code, `SlowDown`; or the system's, `ECONNRESET`. */
  readonly name: string;
  /** Null where no answer came. */
  readonly status: number | null;
  readonly message: string;
}

/** What the store said, out of an error of the SDK or one of ours around it; null for any other error. */
export function refusalOf(error: unknown): Refusal | null {
  if (isFirnlineError(error)) return refusalOf(error.cause);
  if (!(error instanceof Error)) return null;
  // The SDK throws it before there is anything to ask.
  if (error.message === "Region is missing") return { name: "RegionMissing", status: null, message: "" };
  const { $metadata, code } = error as Error & {
    readonly $metadata?: { readonly httpStatusCode?: number };
    readonly code?: unknown;
  };
  const status = $metadata?.httpStatusCode ?? null;
  const isOfSystem = typeof code === "string" && status === null && /^[A-Z][A-Z_0-9]+$/.test(code);
  if (status === null && !isOfSystem && !/^(?:TimeoutError|CredentialsProviderError)$/.test(error.name))
    return null;
  return { name: isOfSystem ? code : error.name, status, message: error.message };
}

/**
 * `error` as a cause that may be logged: name, message and what says how the answer came. The SDK puts every field of the
 * answer on its errors, and stores repeat the request in it: its access key, its session token.
 */
export function bareCause(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, $metadata, code } = error as Error & {
    readonly $metadata?: unknown;
    readonly code?: unknown;
  };
  return Object.assign(new Error(message), {
    name,
    stack,
    ...($metadata === undefined ? {} : { $metadata }),
    ...(typeof code === "string" ? { code } : {}),
  });
}
