/** One bucket and a prefix in it: every request of the adapter goes through `call`, which knows when to try again. */
import type { S3Client } from "@aws-sdk/client-s3";
import { FirnlineError, invariant } from "../../errors.ts";
import { durationText } from "../../plan/advice.ts";
import type { EpochMs } from "../../rows/day.ts";
import { isObjectKey, OBJECT_KEY_BYTES_MAX } from "../object-key.ts";
import { throwIfAborted, type Where } from "../refusals.ts";
import { bareCause } from "../sdk-refusal.ts";
import { type How, howToSend, pauseAfter, type Pausing, type StoreConnection } from "../sdk-requests.ts";
import { expectOwner, newS3Client, type S3Limits, type StoreClock, watchClock } from "./client.ts";
import { isDenied, patienceOf, storeFailure } from "./failure.ts";
import type { Patience } from "./meanings.ts";

export interface S3Encryption {
  readonly mode: "SSE-S3" | "SSE-KMS";
  /** Id, ARN or alias of a key in KMS; null for the account's default. */
  readonly key: string | null;
}

export interface S3BucketOptions extends StoreConnection, Pausing {
  readonly limits: S3Limits;
  /** `s3://bucket[/prefix]`, without a trailing slash. */
  readonly url: string;
  /** Account that the bucket must be of; null: anybody's. */
  readonly owner: string | null;
  /** Null: the bucket's default. */
  readonly encryption: S3Encryption | null;
  readonly now: () => EpochMs;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes that the request carries. */
  readonly bytes?: number;
  /** Tries while something breaks on the way, where it is better told soon: probes. A busy store is always waited for. */
  readonly tries?: number;
}

/** From here on S3 refuses what it is asked. */
const REFUSED_SKEW_MS = 15 * 60_000;

export class Bucket {
  readonly url: string;
  readonly name: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  readonly options: S3BucketOptions;
  readonly clock: StoreClock;
  readonly #client: S3Client;

  constructor(options: S3BucketOptions) {
    const match = /^s3:\/\/([^/]+)(?:\/(.+))?$/.exec(options.url);
    invariant(match !== null, options.url, "it is not the URL of a bucket");
    const [, name = "", path] = match;
    this.url = options.url;
    this.name = name;
    this.prefix = path === undefined ? "" : `${path}/`;
    this.options = options;
    this.#client = newS3Client(options, name.includes("."));
    if (options.owner !== null) expectOwner(this.#client, options.owner);
    this.clock = watchClock(this.#client, options.now);
  }

  get limits(): S3Limits {
    return this.options.limits;
  }

  /** What names an object in a request. Throws `E_ARCHIVE` where prefix and key together are too long. */
  object({ op, key }: Where): { readonly Bucket: string; readonly Key: string } {
    const Key = this.prefix + key;
    if (Buffer.byteLength(Key) > OBJECT_KEY_BYTES_MAX) {
      throw new FirnlineError({
        code: "E_ARCHIVE",
        subject: key,
        problem: `with the archive's prefix its key has more than ${OBJECT_KEY_BYTES_MAX} bytes`,
        hint: "Use an archive URL with a shorter prefix",
        op,
        key,
      });
    }
    return { Bucket: this.name, Key };
  }

  /** The port's key of an object in the bucket; null for what lies elsewhere, or has no legal key and is not ours. */
  keyOf(full: string | undefined): string | null {
    if (full === undefined || !full.startsWith(this.prefix)) return null;
    const key = full.slice(this.prefix.length);
    return isObjectKey(key) ? key : null;
  }

  /**
   * Sends a request until it is answered, or trying again is no use. `send` makes a new command each time. Rejects with
   * a FirnlineError whose cause is the store's; `needs` is the permission that the request takes.
   */
  async call<T>(
    where: Where,
    needs: string,
    send: (client: S3Client, how: How) => Promise<T>,
    { signal, bytes = 0, tries = Number.POSITIVE_INFINITY }: CallOptions = {},
  ): Promise<T> {
    const how = howToSend(this.limits, bytes, signal);
    for (let attempt = 1; ; attempt += 1) {
      throwIfAborted(where, signal);
      try {
        return await send(this.#client, how);
      } catch (error) {
        throwIfAborted(where, signal);
        const failure = this.#skewed(where, error) ?? storeFailure(where, needs, error);
        const patience = patienceOf(error);
        const most = patience === "busy" ? Number.POSITIVE_INFINITY : tries;
        if (attempt >= Math.min(most, this.attemptsMax(patience))) throw failure;
      }
      await this.pause(where, attempt, signal);
    }
  }

  attemptsMax(patience: Patience): number {
    if (patience === "never") return 1;
    return patience === "busy" ? this.limits.attemptsMax : Math.ceil(this.limits.attemptsMax / 3);
  }

  async pause(where: Where, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    await pauseAfter(attempt, this.options, where, signal);
  }

  /** How far the store's clock was ahead of ours in its last answer, in milliseconds; null before the first. */
  skewMs(): number | null {
    const { last } = this.clock;
    return last === null ? null : last.store - last.here;
  }

  /** The answer to a HEAD has no words: then it is the clock that says why it was refused. */
  #skewed({ op, key }: Where, error: unknown): FirnlineError | null {
    const skewMs = this.skewMs() ?? 0;
    if (!isDenied(error) || Math.abs(skewMs) < REFUSED_SKEW_MS) return null;
    return new FirnlineError({
      code: "E_CLOCK",
      subject: key,
      problem: `the store refuses requests of this host, whose clock is ${durationText(Math.abs(skewMs) / 1_000)} ${skewMs > 0 ? "behind" : "ahead"}`,
      hint: "Set this host's clock right, with NTP",
      fix: ["# timedatectl set-ntp true"],
      op,
      key,
      cause: bareCause(error),
    });
  }

  destroy(): void {
    this.#client.destroy();
  }
}
