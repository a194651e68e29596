/** What an S3 store's answers mean: refusals, restored copies. */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { isMissing, patienceOf, storeFailure } from "../../../src/archive/s3/failure.ts";
import { accessOf, objectHead } from "../../../src/archive/s3/head-object.ts";
import { vaultFailure } from "../../../src/archive/vault/failure.ts";
import { FirnlineError } from "../../../src/errors.ts";

const where = { op: "archive.create", key: "a/b" };

/** As the SDK throws it. */
const refusal = (name: string, httpStatusCode?: number, message = "words of the store"): Error =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });
const ofSystem = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });

describe("refusals", () => {
  test.each([
    [refusal("SlowDown", 503), "E_ARCHIVE", true, "busy"],
    [refusal("TooManyRequests", 429), "E_ARCHIVE", true, "busy"],
    [refusal("Unknown", 503), "E_ARCHIVE", true, "busy"],
    [refusal("InternalError", 500), "E_ARCHIVE", true, "broken"],
    [refusal("InternalError", 200), "E_ARCHIVE", true, "broken"],
    [refusal("BadGateway", 502), "E_ARCHIVE", true, "broken"],
    [refusal("RequestTimeout", 400), "E_ARCHIVE", true, "broken"],
    [refusal("BadDigest", 400), "E_ARCHIVE", true, "broken"],
    [refusal("OperationAborted", 409), "E_ARCHIVE", true, "busy"],
    [ofSystem("ECONNRESET"), "E_ARCHIVE", true, "broken"],
    [ofSystem("ELINKLOCAL"), "E_BUCKET", false, "never"],
    [new Error("Region is missing"), "E_BUCKET", false, "never"],
    [ofSystem("ENOTFOUND"), "E_ARCHIVE", true, "broken"],
    [Object.assign(new Error("slow"), { name: "TimeoutError" }), "E_ARCHIVE", true, "broken"],
    [refusal("NoSuchUpload", 404), "E_ARCHIVE", true, "never"],
    [refusal("QuotaExceeded", 403), "E_CAPACITY", true, "never"],
    [refusal("EntityTooLarge", 400), "E_CAPACITY", false, "never"],
    [refusal("AccessDenied", 403), "E_ARCHIVE", false, "never"],
    [refusal("AccessDenied", 400), "E_ARCHIVE", false, "never"],
    [refusal("Forbidden", 403), "E_ARCHIVE", false, "never"],
    [refusal("InvalidAccessKeyId", 403), "E_ARCHIVE", false, "never"],
    [refusal("CredentialsProviderError"), "E_ARCHIVE", false, "never"],
    [refusal("NoSuchBucket", 404), "E_BUCKET", false, "never"],
    [refusal("PermanentRedirect", 301), "E_BUCKET", false, "never"],
    [refusal("301", 301), "E_BUCKET", false, "never"],
    [refusal("KMS.DisabledException", 400), "E_BUCKET", false, "never"],
    [refusal("KMSInvalidState", 400), "E_BUCKET", false, "never"],
    [refusal("RequestTimeTooSkewed", 403), "E_CLOCK", false, "never"],
    [refusal("InvalidObjectState", 403), "E_COLD", false, "never"],
    [refusal("GlacierExpeditedRetrievalNotAvailable", 503), "E_ARCHIVE", false, "never"],
    [refusal("NotImplemented", 501), "E_ARCHIVE", false, "never"],
    [refusal("NoSuchKey", 404), "E_ARCHIVE", false, "never"],
    [refusal("NoSuchVersion", 404), "E_ARCHIVE", false, "never"],
    [refusal("InvalidRequest", 400), "E_ARCHIVE", false, "never"],
  ] as const)("%s", (error, code, retryable, patience) => {
    const failure = storeFailure(where, "s3:PutObject", error) as FirnlineError;
    expect(failure).toBeInstanceOf(FirnlineError);
    expect(failure).toMatchObject({ code, retryable, op: "archive.create", key: "a/b", cause: error });
    expect(failure.problem + failure.hint).not.toMatch(/\.$|undefined/);
    expect(patienceOf(error)).toBe(patience);
  });

  test("a permission is named, and the store's words are kept short and on one line", () => {
    const denied = storeFailure(where, "s3:PutObject", refusal("AccessDenied", 403)) as FirnlineError;
    expect(denied.hint).toMatch(/Allow s3:PutObject on this bucket and prefix/);
    const long = refusal("InternalError", 500, `many\nwords ${"x".repeat(1_000)}`);
    const { message } = storeFailure(where, "", long) as FirnlineError;
    expect(message).toMatch(/\(500 InternalError: many words x+\)/);
    expect(message.length).toBeLessThan(400);
  });

  test("a HEAD that is refused without words: what it most often is", () => {
    for (const name of ["Unknown", "UnknownError", "400"]) {
      const failure = storeFailure(where, "s3:GetObject", refusal(name, 400, name)) as FirnlineError;
      expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
      expect(failure.hint).toMatch(/session token has expired.*archive\.region/);
    }
    const told = storeFailure(where, "s3:GetObject", refusal("InvalidRequest", 400)) as FirnlineError;
    expect(told.hint).not.toMatch(/session token/);
  });

  test("what an answer repeats of the request is not told further", () => {
    const repeats = {
      AWSAccessKeyId: "AKIA1",
      CanonicalRequest: "x-amz-security-token:t0ken",
      "Token-0": "t0ken",
    };
    const error = Object.assign(refusal("SignatureDoesNotMatch", 403), repeats, { $response: repeats });
    for (const failure of [
      storeFailure(where, "s3:PutObject", error),
      storeFailure(where, "", Object.assign(refusal("NoSuchKey", 404), repeats)),
      vaultFailure(where, "v", "", error),
      vaultFailure(where, "v", "", Object.assign(refusal("ResourceNotFoundException", 404), repeats)),
    ]) {
      expect(failure).toMatchObject({ code: "E_ARCHIVE", cause: { $metadata: {} } });
      expect(inspect(failure, { depth: null, showHidden: true })).not.toMatch(/t0ken|AKIA1/);
    }
  });

  test("errors of ours, and errors that no store made, come out as they are", () => {
    const ours = new FirnlineError({ code: "E_STALE", subject: "lease", problem: "lost", hint: "Run again" });
    const bug = new TypeError("x is not a function");
    expect(storeFailure(where, "", ours)).toBe(ours);
    expect(storeFailure(where, "", bug)).toBe(bug);
    expect(patienceOf(bug)).toBe("never");
  });

  test("what is missing is known also without words, and a missing bucket is no missing object", () => {
    expect(["NoSuchKey", "NotFound", "Unknown", "404"].map((name) => isMissing(refusal(name, 404)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(isMissing(refusal("NoSuchBucket", 404))).toBe(false);
    expect(isMissing(refusal("AccessDenied", 403))).toBe(false);
  });
});

describe("access", () => {
  const $metadata = {};
  const until = Date.UTC(2012, 11, 21);
  test.each([
    [{ $metadata }, { state: "readable", until: null }],
    [
      { $metadata, StorageClass: "GLACIER_IR" },
      { state: "readable", until: null },
    ],
    [{ $metadata, StorageClass: "GLACIER" }, { state: "archived" }],
    [
      { $metadata, StorageClass: "DEEP_ARCHIVE", Restore: 'ongoing-request="true"' },
      { state: "restoring", readyAt: null },
    ],
    [
      {
        $metadata,
        StorageClass: "GLACIER",
        Restore: 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"',
      },
      { state: "readable", until },
    ],
    [
      { $metadata, StorageClass: "GLACIER", Restore: 'ongoing-request="false"' },
      { state: "readable", until: null },
    ],
    [
      { $metadata, StorageClass: "INTELLIGENT_TIERING", ArchiveStatus: "DEEP_ARCHIVE_ACCESS" },
      { state: "archived" },
    ],
  ] as const)("of %o", (found, expected) => {
    expect(accessOf(found as never)).toEqual(expected);
  });

  test("what HEAD leaves out is the default", () => {
    expect(objectHead("a/b", { $metadata: {}, ContentLength: 3 }, {})).toEqual({
      key: "a/b",
      versionId: null,
      etag: null,
      bytes: 3n,
      storageClass: "STANDARD",
      access: { state: "readable", until: null },
      tags: {},
      retention: null,
      isHeld: false,
    });
  });
});
