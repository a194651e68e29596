/**
 * Answers that are documents, as the SDK's HTTP handler gives them: collected in time and within a bound (I10), and without
 * the request's credentials where a store repeats them.
 */
import type { Readable } from "node:stream";

export interface Answer {
  statusCode: number;
  body?: unknown;
}

/** As the signer leaves it. */
export interface Request {
  readonly headers?: Readonly<Record<string, string>>;
}

/** A page of a thousand keys of a kilobyte each, with their fields, is far below it. */
const ANSWER_BYTES_MAX = 16 << 20;
/** Of the request, what opens the store to whoever reads it in a log. */
const CREDENTIALS = ["authorization", "x-amz-security-token"];

/** Stores repeat the request in what they refuse; a refusal's words are printed, and kept in the catalog. */
export function withoutCredentials(bytes: Uint8Array, { headers = {} }: Request): Uint8Array {
  let text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  for (const name of CREDENTIALS) {
    const value = headers[name];
    if (value !== undefined && value !== "") text = text.replaceAll(value, "***");
  }
  return Buffer.from(text, "utf8");
}

/** An answer without what the store always gives: treated like a connection that broke. */
export function brokenOff(problem = "the answer is not complete"): Error {
  return Object.assign(new Error(problem), { name: "InternalError", $metadata: { httpStatusCode: 200 } });
}

export const isGood = ({ statusCode }: Answer): boolean => statusCode >= 200 && statusCode < 300;

/** The document that the answer is. Of a refusal without an end the status has to say enough: it comes empty. */
export async function documentOf(answer: Answer, ms: number): Promise<Uint8Array> {
  const found = await collectAnswer(answer.body, ms);
  if (found === null && isGood(answer)) throw brokenOff(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
  return found ?? new Uint8Array(0);
}

/** All bytes of a body that is no object's; null where they are too many (I10). Rejects if they are not there after `ms`. */
async function collectAnswer(body: unknown, ms: number): Promise<Uint8Array | null> {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body;
  const stream = body as Readable;
  const late = Object.assign(new Error(`the answer was not whole after ${ms} ms`), { name: "TimeoutError" });
  const timer = setTimeout(() => stream.destroy(late), ms);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (bytes > ANSWER_BYTES_MAX) return null; // leaving the loop destroys the stream
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}
