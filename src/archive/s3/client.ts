/**
 * The SDK's client as this adapter wants it: it tries once (the patience is ours, `retry.ts`), follows no redirect, takes
 * its endpoint from the policy alone, waits for nothing without a limit, and opens a bounded number of sockets.
 */
import { createHash } from "node:crypto";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { S3Client } from "@aws-sdk/client-s3";
import { guardedLookup } from "../guarded-lookup.ts";

export interface S3Connection {
  readonly region: string | null;
  /** Origin of a store that is not AWS. */
  readonly endpoint: string | null;
  readonly limits: S3Limits;
}

export interface S3Limits {
  /** How long a connection may take, TLS included. */
  readonly connectMs: number;
  /** How long an answer may take to begin, after the last byte of the request at `UPLOAD_BYTES_PER_MS_MIN`. */
  readonly answerMs: number;
  /** How long a body may be silent. */
  readonly silenceMs: number;
  readonly sockets: number;
  /** Tries of one request while the store says that it is busy; a third of them for other failures. */
  readonly attemptsMax: number;
  /** The longest pause between two tries. */
  readonly pauseMsMax: number;
  /** Size of the first parts of an upload. */
  readonly partBytes: number;
  /** Parts of one upload that are under way at once. */
  readonly partsAtOnce: number;
}

/** Slower than 16 KiB a second, an upload is given up and tried again. */
export const UPLOAD_BYTES_PER_MS_MIN = 16;
/** Stores that are not AWS take any region; this is the one they are used to. */
const REGION_ELSEWHERE = "us-east-1";

/** What was seen of the store's own clock, to compare it with ours. */
export interface StoreClock {
  /** The `Date` of the last answer, and when it came by the clock that `now` reads; null before the first. */
  last: { readonly store: number; readonly here: number } | null;
}

export function newS3Client(connection: S3Connection, isDotted: boolean): S3Client {
  const { endpoint, limits } = connection;
  const region = connection.region ?? (endpoint === null ? null : REGION_ELSEWHERE);
  const agent = { keepAlive: true, maxSockets: limits.sockets, lookup: guardedLookup };
  const client = new S3Client({
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
    // A dot in a bucket's name is no part of AWS' certificates.
    forcePathStyle: endpoint !== null || isDotted,
    ignoreConfiguredEndpointUrls: true,
    followRegionRedirects: false,
    maxAttempts: 1,
    expectContinueHeader: false,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: {
      connectionTimeout: limits.connectMs,
      requestTimeout: limits.answerMs,
      throwOnRequestTimeout: true,
      // A slow reader is no silent server: `read-range.ts` watches the body itself.
      socketTimeout: 0,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
    },
  });
  addContentMd5(client);
  return client;
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
