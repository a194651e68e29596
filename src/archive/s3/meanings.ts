/** What each of the store's refusals means for us. Source: S3 API reference, "Error responses". */
import type { ErrorCode } from "../../errors.ts";

/** How soon it is worth another try: the store asks for time, something broke on the way, or never. */
export type Patience = "busy" | "broken" | "never";

export interface Meaning {
  readonly code: ErrorCode;
  readonly patience?: Patience;
  /** Of the operation as a whole; by itself what is worth another try of the request. */
  readonly isRetryable?: true;
  readonly problem: string;
  readonly hint: string;
}

export const BUSY: Meaning = {
  code: "E_ARCHIVE",
  patience: "busy",
  problem: "the store asks to slow down",
  hint: "Run again later; it goes on where it stopped",
};
export const BROKEN: Meaning = {
  code: "E_ARCHIVE",
  patience: "broken",
  problem: "the store failed",
  hint: "Run again later; it goes on where it stopped",
};
export const UNREACHABLE: Meaning = {
  code: "E_ARCHIVE",
  patience: "broken",
  problem: "the store cannot be reached, or did not answer in time",
  hint: "Check the network, archive.endpoint and archive.region, then run again; it goes on where it stopped",
};
const DAMAGED: Meaning = {
  code: "E_ARCHIVE",
  patience: "broken",
  problem: "the bytes were damaged on the way to the store",
  hint: "Check the network (a proxy that changes requests?), then run again",
};
const CREDENTIALS: Meaning = {
  code: "E_ARCHIVE",
  problem: "the store does not take these credentials",
  hint: "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the role of this machine",
};
export const REGION: Meaning = {
  code: "E_BUCKET",
  problem: "the bucket is in another region",
  hint: "Set archive.region to the bucket's; redirects are not followed",
};
/** The answer to a HEAD says 400 and no more. */
export const WORDLESS: Meaning = {
  code: "E_ARCHIVE",
  problem: "the store refused it, and does not say why",
  hint: "Most often a session token has expired, or archive.region is not the bucket's: check both, and archive.endpoint",
};
export const KMS: Meaning = {
  code: "E_BUCKET",
  problem: "the key in KMS cannot be used",
  hint: "Enable the key, and allow kms:GenerateDataKey and kms:Decrypt on it",
};
export const TOO_LARGE: Meaning = {
  code: "E_CAPACITY",
  problem: "the object is larger than the store takes",
  hint: "Lower FIRNLINE_SEGMENT_MIB",
};
export const FULL: Meaning = {
  code: "E_CAPACITY",
  isRetryable: true,
  problem: "the store has no space left, or a quota is used up",
  hint: "Add space or raise the quota, then run again; it goes on where it stopped",
};
export const UNABLE: Meaning = {
  code: "E_ARCHIVE",
  problem: "this store cannot do that",
  hint: "Use another store, or leave out what needs it; `firnline doctor` tells what the store can do",
};
const CONFLICT: Meaning = {
  code: "E_ARCHIVE",
  patience: "busy",
  problem: "another request for the same object is under way",
  hint: "Run again; it goes on where it stopped",
};

/** By S3's own code. */
export const MEANINGS: Readonly<Record<string, Meaning>> = {
  SlowDown: BUSY,
  Throttling: BUSY,
  ThrottlingException: BUSY,
  TooManyRequests: BUSY,
  TooManyRequestsException: BUSY,
  RequestLimitExceeded: BUSY,
  ServiceUnavailable: BUSY,
  InternalError: BROKEN,
  RequestTimeout: UNREACHABLE,
  IncompleteBody: UNREACHABLE,
  OperationAborted: CONFLICT,
  ConditionalRequestConflict: CONFLICT,
  BadDigest: DAMAGED,
  InvalidDigest: DAMAGED,
  XAmzContentSHA256Mismatch: DAMAGED,
  XAmzContentChecksumMismatch: DAMAGED,
  InvalidAccessKeyId: CREDENTIALS,
  SignatureDoesNotMatch: CREDENTIALS,
  InvalidSecurity: CREDENTIALS,
  InvalidToken: CREDENTIALS,
  ExpiredToken: CREDENTIALS,
  ExpiredTokenException: CREDENTIALS,
  TokenRefreshRequired: CREDENTIALS,
  CredentialsProviderError: CREDENTIALS,
  PermanentRedirect: REGION,
  TemporaryRedirect: REGION,
  Redirect: REGION,
  MovedPermanently: REGION,
  AuthorizationHeaderMalformed: REGION,
  IllegalLocationConstraintException: REGION,
  RequestTimeTooSkewed: {
    code: "E_CLOCK",
    problem: "the store's clock and this host's are too far apart",
    hint: "Set this host's clock right, with NTP",
  },
  ELINKLOCAL: {
    code: "E_BUCKET",
    problem: "the endpoint's name leads to an address where machines keep credentials of their own",
    hint: "Check archive.endpoint, and who answers for its name",
  },
  RegionMissing: {
    code: "E_BUCKET",
    problem: "nobody says in which region the bucket is",
    hint: "Set archive.region, or AWS_REGION",
  },
  NoSuchBucket: {
    code: "E_BUCKET",
    problem: "there is no such bucket",
    hint: "Check archive.url, archive.region and archive.endpoint, or make the bucket (infra/terraform)",
  },
  InvalidBucketName: {
    code: "E_BUCKET",
    problem: "the store does not take the bucket's name",
    hint: "Check archive.url",
  },
  InvalidObjectState: {
    code: "E_COLD",
    problem: "the object must be restored before that",
    hint: "Ask for a restored copy first (`firnline retrieve` shows cost and time), then do the same again",
  },
  GlacierExpeditedRetrievalNotAvailable: {
    code: "E_ARCHIVE",
    problem: "the store has no capacity for Expedited restores at the moment",
    hint: "Ask for the tier Standard, or try again later",
  },
  InvalidStorageClass: {
    code: "E_ARCHIVE",
    problem: "the store does not have this storage class",
    hint: "Change tiers.warm.storageClass or tiers.cold.storageClass",
  },
  NoSuchUpload: {
    code: "E_ARCHIVE",
    isRetryable: true,
    problem: "somebody has ended this upload",
    hint: "Run again; are there rules of the bucket, or other people, that end uploads early?",
  },
  EntityTooLarge: TOO_LARGE,
  TooManyParts: TOO_LARGE,
  QuotaExceeded: FULL,
  QuotaExceededException: FULL,
  XMinioStorageFull: FULL,
  InsufficientStorage: FULL,
  NotImplemented: UNABLE,
  MethodNotAllowed: UNABLE,
  "KMS.DisabledException": KMS,
  "KMS.NotFoundException": KMS,
  "KMS.InvalidStateException": KMS,
  "KMS.KMSInvalidStateException": KMS,
};
