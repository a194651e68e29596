/**
 * A bucket's lifecycle rules through the S3 API. They are read and written as a whole, other people's among them, so what
 * is read must be complete: the SDK leaves out what it does not know, and writing that back would lose it. Names of
 * elements in the answer that are not S3's are therefore an error.
 */
import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule as SdkRule,
  PutBucketLifecycleConfigurationCommand,
  type TransitionDefaultMinimumObjectSize,
} from "@aws-sdk/client-s3";
import { FirnlineError, invariant } from "../../errors.ts";
import type { LifecycleRule } from "../../plan/lifecycle-rules.ts";
import type { BucketRules, BucketRulesFound } from "../bucket-rules.ts";
import type { Where } from "../refusals.ts";
import { Bucket, type S3BucketOptions } from "./bucket.ts";
import { refusalOf } from "../sdk-refusal.ts";

/** Source: S3 API reference, GetBucketLifecycleConfiguration. */
const ELEMENTS: ReadonlySet<string> = new Set(
  [
    "LifecycleConfiguration Rule ID Status Filter And Prefix Tag Key Value ObjectSizeGreaterThan ObjectSizeLessThan",
    "Transition Days Date StorageClass AbortIncompleteMultipartUpload DaysAfterInitiation",
    "Expiration ExpiredObjectDeleteMarker NoncurrentVersionExpiration NoncurrentVersionTransition NoncurrentDays",
    "NewerNoncurrentVersions",
  ].flatMap((names) => names.split(" ")),
);

/** Of the bucket of `options.url`. It has a client of its own, which goes with it. */
export function openS3BucketRules(options: S3BucketOptions): BucketRules {
  return new S3BucketRules(new Bucket(options));
}

class S3BucketRules implements BucketRules {
  readonly url: string;
  readonly #bucket: Bucket;

  constructor(bucket: Bucket) {
    this.url = `s3://${bucket.name}`;
    this.#bucket = bucket;
  }

  async read(): Promise<BucketRulesFound | null> {
    const where: Where = { op: "archive.readRules", key: this.url };
    try {
      return await this.#bucket.call(where, "s3:GetLifecycleConfiguration", async (s3, how) => {
        const command = new GetBucketLifecycleConfigurationCommand({ Bucket: this.#bucket.name });
        const document = keepDocument(command.middlewareStack);
        const { Rules = [], TransitionDefaultMinimumObjectSize = null } = await s3.send(command, how);
        this.#assertKnown(document());
        return { rules: Rules.map(fromSdk), transitionMinimum: TransitionDefaultMinimumObjectSize };
      });
    } catch (error) {
      if (refusalOf(error)?.name === "NoSuchLifecycleConfiguration") return null;
      throw error;
    }
  }

  async write({ rules, transitionMinimum }: BucketRulesFound): Promise<void> {
    const where: Where = { op: "archive.writeRules", key: this.url };
    const TransitionDefaultMinimumObjectSize = transitionMinimum as TransitionDefaultMinimumObjectSize;
    const input = {
      Bucket: this.#bucket.name,
      LifecycleConfiguration: { Rules: rules.map(toSdk) },
      ...(transitionMinimum === null ? {} : { TransitionDefaultMinimumObjectSize }),
    };
    await this.#bucket.call(where, "s3:PutLifecycleConfiguration", async (s3, how) => {
      await s3.send(new PutBucketLifecycleConfigurationCommand(input), how);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bucket.destroy();
  }

  #assertKnown(document: string): void {
    const names = [...document.matchAll(/<([^\s/>!?]+)/g)].map(([, name]) => name as string);
    const unknown = [...new Set(names.filter((name) => !ELEMENTS.has(name)))];
    if (unknown.length === 0) return;
    throw new FirnlineError({
      code: "E_ARCHIVE",
      subject: this.url,
      problem: `its lifecycle rules say what this version does not know (${unknown.slice(0, 5).join(", ")})`,
      hint: "Nothing was changed: written back, it would be lost. Merge what `firnline lifecycle print` says by hand",
    });
  }
}

/** Keeps the answer as `checkAnswers`, which is next to the wire, has collected it; returns how to ask for it. */
function keepDocument(stack: GetBucketLifecycleConfigurationCommand["middlewareStack"]): () => string {
  let document = "";
  stack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { body } = result.response as { readonly body: unknown };
      invariant(body instanceof Uint8Array, "lifecycle rules", "the answer was not collected");
      document = new TextDecoder().decode(body);
      return result;
    },
    { step: "deserialize", name: "keepDocument" },
  );
  return () => document;
}

/** Dates as RFC 3339, all else as it is; both have S3's own names. */
function fromSdk(rule: SdkRule): LifecycleRule {
  return JSON.parse(JSON.stringify(rule)) as LifecycleRule;
}

function toSdk(rule: LifecycleRule): SdkRule {
  const dated = <T extends { readonly Date?: string }>({ Date: date, ...rest }: T): object =>
    date === undefined ? rest : { ...rest, Date: new Date(date) };
  const { Expiration, Transitions, ...rest } = rule;
  return {
    ...rest,
    ...(Expiration && { Expiration: dated(Expiration) }),
    ...(Transitions && { Transitions: Transitions.map(dated) }),
  } as SdkRule;
}
