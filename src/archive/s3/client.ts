/** The SDK's client for S3: it follows no redirect, and computes no checksum that was not asked for. */
import { createHash } from "node:crypto";
import { S3Client } from "@aws-sdk/client-s3";
import { clientSettings, type StoreConnection, type StoreLimits } from "../sdk-requests.ts";
import { checkAnswers } from "./answers.ts";

export interface S3Limits extends StoreLimits {
  /** Size of the first parts of an upload. */
  readonly partBytes: number;
  /** Parts of one upload that are under way at once. */
  readonly partsAtOnce: number;
}

/** What was seen of the store's own clock, to compare it with ours. */
export interface StoreClock {
  /** The `Date` of the last answer, and when it came by the clock that `now` reads; null before the first. */
  last: { readonly store: number; readonly here: number } | null;
}

export function newS3Client(connection: StoreConnection, isDotted: boolean): S3Client {
  const client = new S3Client({
    ...clientSettings(connection),
    // A dot in a bucket's name is no part of AWS' certificates.
    forcePathStyle: connection.endpoint !== null || isDotted,
    followRegionRedirects: false,
    expectContinueHeader: false,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  addContentMd5(client);
  checkAnswers(client, connection.limits);
  return client;
}

/** S3 refuses what goes to a bucket of another account. A copy's source, which is the same bucket, is named apart. */
export function expectOwner(client: S3Client, owner: string): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers["x-amz-expected-bucket-owner"] = owner;
      if (headers["x-amz-copy-source"] !== undefined) headers["x-amz-source-expected-bucket-owner"] = owner;
      return await next(args);
    },
    { step: "build", name: "expectOwner" },
  );
}

/** Keeps the `Date` of every answer. */
export function watchClock(client: S3Client, now: () => number): StoreClock {
  const clock: StoreClock = { last: null };
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers } = result.response as { readonly headers?: Readonly<Record<string, string>> };
      const store = Date.parse(headers?.["date"] ?? "");
      if (!Number.isNaN(store)) clock.last = { store, here: now() };
      return result;
    },
    { step: "deserialize", priority: "low", name: "watchClock" },
  );
  return clock;
}

/** Stores other than AWS insist on Content-MD5 where a request is a document: locks, holds, rules. */
function addContentMd5(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { body, headers } = args.request as { body?: unknown; headers: Record<string, string> };
      if (typeof body === "string" && body !== "" && headers["content-md5"] === undefined) {
        headers["content-md5"] = createHash("md5").update(body).digest("base64");
      }
      return await next(args);
    },
    { step: "build", priority: "low", name: "contentMd5" },
  );
}
