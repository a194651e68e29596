/**
 * Reads a range of an object. What arrives is given out at once; a body that breaks off, or is silent for too long, is
 * destroyed, and the rest is asked for again, of the same version and with the same ETag: a reader never gets bytes of
 * two objects. A body is always read to its end or destroyed, as one that is left holds its connection.
 */
import { GetObjectCommand, type GetObjectCommandOutput } from "@aws-sdk/client-s3";
import type { Readable } from "node:stream";
import { FirnlineError } from "../../errors.ts";
import type { ByteRange, Locator } from "../port.ts";
import { checkedRange, endsEarly, throwIfAborted, type Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { isPreconditionFailed } from "./failure.ts";
import { refusalOf } from "../sdk-refusal.ts";
import { accessOf, headOf, named } from "./head-object.ts";

/** Times in a row that a body may break off without a single byte. */
const RESUMES_MAX = 5;
/** So long the end of a body whose bytes are all there is waited for. */
const END_MS_MAX = 50;

interface Reading {
  readonly bucket: Bucket;
  readonly where: Where;
  readonly signal: AbortSignal | undefined;
}

export async function* readRange(
  bucket: Bucket,
  where: Where,
  object: Locator,
  range: ByteRange | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  throwIfAborted(where, signal);
  const reading: Reading = { bucket, where, signal };
  if (range !== undefined) checkedRange(where, range, Number.MAX_SAFE_INTEGER);
  if (range?.start === range?.end && range !== undefined) {
    // S3 has no empty range, and an object that cannot be read must not look as if it could.
    await readEmpty(reading, object, range);
    return;
  }
  let answer = await open(reading, object, range, undefined);
  const { start, end } = boundsOf(reading, answer, range);
  const pinned: Locator = { key: object.key, versionId: object.versionId ?? answer.VersionId ?? null };
  for (let at = start, resumes = 0; ; resumes += 1) {
    const before = at;
    for await (const chunk of bytesOf(reading, answer, end - at)) {
      yield chunk;
      at += chunk.byteLength;
    }
    throwIfAborted(where, signal);
    if (at === end) return;
    if (at > before) resumes = 0;
    if (resumes === RESUMES_MAX) throw brokenOff(where, at, end);
    await bucket.pause(where, resumes + 1, signal);
    answer = await open(reading, pinned, { start: at, end }, answer.ETag);
  }
}

async function open(
  { bucket, where, signal }: Reading,
  { versionId }: Locator,
  range: ByteRange | undefined,
  etag: string | undefined,
): Promise<GetObjectCommandOutput> {
  const needs = versionId === null ? "s3:GetObject" : "s3:GetObjectVersion";
  const query = {
    ...named(bucket, where, versionId),
    ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
    ...(etag === undefined ? {} : { IfMatch: etag }),
  };
  let answer: GetObjectCommandOutput;
  try {
    answer = await bucket.call(
      where,
      needs,
      async (s3, how) => await s3.send(new GetObjectCommand(query), how),
      { signal },
    );
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal?.status === 416)
      throw endsEarly(where, "the store has no bytes in the range that was asked for");
    if (refusal?.name === "InvalidObjectState")
      throw await coldError({ bucket, where, signal }, versionId, error);
    if (isPreconditionFailed(error)) throw replaced(where, error);
    throw error;
  }
  const isReplaced = etag !== undefined && answer.ETag !== undefined && answer.ETag !== etag;
  if (!isReplaced && isOfRange(answer, range)) return answer;
  discard(answer);
  // Whoever ignores `If-Match` gives the bytes of another object.
  throw isReplaced ? replaced(where, undefined) : ignored(where, range, answer);
}

/** A store that does not know `Range` sends the whole object instead, with 200; what it has of the range is told by 206. */
function isOfRange(
  { $metadata, ContentRange }: GetObjectCommandOutput,
  range: ByteRange | undefined,
): boolean {
  const { httpStatusCode: status } = $metadata;
  if (range === undefined) return status === 200 && ContentRange === undefined;
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? "") ?? [];
  const isHere = Number(first) === range.start && Number(last) === Math.min(range.end, Number(total)) - 1;
  return status === 206 && isHere;
}

/** The whole range that will come, or `E_ARCHIVE` where the object does not have it. */
function boundsOf(
  { where }: Reading,
  answer: GetObjectCommandOutput,
  range: ByteRange | undefined,
): ByteRange {
  const total = /\/(\d+)$/.exec(answer.ContentRange ?? "")?.[1] ?? answer.ContentLength;
  if (total === undefined) throw endsEarly(where, "the store does not say how many bytes there are");
  try {
    return checkedRange(where, range, Number(total));
  } catch (error) {
    discard(answer);
    throw error;
  }
}

async function readEmpty(
  { bucket, where, signal }: Reading,
  object: Locator,
  range: ByteRange,
): Promise<void> {
  const found = await headOf(bucket, where, object, signal);
  checkedRange(where, range, Number(found.ContentLength ?? 0));
  if (accessOf(found).state !== "readable")
    throw cold(where, found.StorageClass, accessOf(found).state, undefined);
}

/** The bytes of one answer, at most `bytesMax`; ends early where the body does, in whatever way. */
async function* bytesOf(
  { bucket, signal }: Reading,
  answer: GetObjectCommandOutput,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  const body = answer.Body as Readable | undefined;
  if (body === undefined) return;
  const stop = (): void => void body.destroy();
  signal?.addEventListener("abort", stop, { once: true });
  body.on("error", () => {}); // told by the iteration
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let left = bytesMax;
  try {
    while (left > 0) {
      const next = await inTime(chunks.next(), bucket.limits.silenceMs, stop);
      if (next === null || next.done === true) return;
      const chunk = next.value.subarray(0, left);
      left -= chunk.byteLength;
      yield chunk;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    // A body that was read to its end gives its connection back, and the end itself may still be on the way.
    if (left === 0 && !body.readableEnded) await inTime(chunks.next(), END_MS_MAX, stop);
    body.destroy();
  }
}

/** Null where it takes too long, or fails: both mean that this body gives no more. */
async function inTime<T>(work: Promise<T>, ms: number, stop: () => void): Promise<T | null> {
  const timer = setTimeout(stop, ms);
  try {
    return await work;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** Of an answer that nobody will read. */
function discard({ Body }: GetObjectCommandOutput): void {
  const body = Body as Readable | undefined;
  body?.on("error", () => {});
  body?.destroy();
}

async function coldError(
  { bucket, where, signal }: Reading,
  versionId: string | null,
  cause: unknown,
): Promise<FirnlineError> {
  const found = await headOf(bucket, where, { key: where.key, versionId }, signal);
  return cold(where, found.StorageClass, accessOf(found).state, cause);
}

/** `E_COLD`; retryable once a copy is under way. */
export function cold(
  { op, key }: Where,
  storageClass: string | undefined,
  state: "readable" | "restoring" | "archived",
  cause: unknown,
): FirnlineError {
  const isRestoring = state === "restoring";
  return new FirnlineError({
    code: "E_COLD",
    subject: key,
    problem: isRestoring
      ? `the object is in ${storageClass ?? "a cold class"} and its restored copy is not ready yet`
      : `the object is in ${storageClass ?? "a cold class"} and must be restored before it can be read`,
    hint: isRestoring
      ? "Wait for the copy (`firnline restores` shows when it is ready), then do the same again"
      : "Ask for a restored copy first (`firnline retrieve` shows cost and time), then do the same again",
    op,
    key,
    retryable: isRestoring,
    cause,
  });
}

function brokenOff({ op, key }: Where, at: number, end: number): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `the store broke off again and again (at byte ${at} of ${end})`,
    hint: "Run again later; it goes on where it stopped",
    op,
    key,
    retryable: true,
  });
}

function ignored(
  { op, key }: Where,
  range: ByteRange | undefined,
  { $metadata, ContentRange }: GetObjectCommandOutput,
): FirnlineError {
  const asked = range === undefined ? "all bytes" : `bytes ${range.start}-${range.end - 1}`;
  const found = `${$metadata.httpStatusCode} with ${ContentRange ?? "no Content-Range"}`;
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `the store sends other bytes than those that were asked for (${asked}; its answer was ${found})`,
    hint: "Check archive.endpoint, and any proxy or cache before the store: they must pass on Range and Content-Range",
    op,
    key,
  });
}

function replaced({ op, key }: Where, cause: unknown): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: "the object was replaced while it was read",
    hint: "Nothing in an archive is ever replaced by Firnline: who else writes there? `firnline verify` compares it",
    op,
    key,
    cause,
  });
}
