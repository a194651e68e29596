/**
 * The lifecycle rules of a bucket, made from the policies whose archives are in it: the one generator behind
 * `firnline lifecycle` and the Terraform module. Source: S3 API reference, PutBucketLifecycleConfiguration.
 *
 * A pipeline has up to three rules, named by what they do and by the prefix that they are limited to, so that pipelines
 * can be added to a bucket one by one:
 * - `firnline-cold:...` moves what Firnline has tagged to the cold class (`tiers.cold.transition: lifecycle`).
 * - `firnline-uploads:...`, one for objects and one for journal and manifests, ends multipart uploads that were left.
 *
 * No rule of ours ever expires anything, old versions neither. The journal pins versions, and a pinned version becomes
 * an old one as soon as anybody writes over its key or puts a delete marker on it; Object Lock allows both. A rule that
 * expires old versions, however late, would then remove the only copy of pruned rows (hazards 14 and 22). What Firnline
 * supersedes it deletes itself, version by version.
 */
import { FirnlineError } from "../errors.ts";
import type { Policy, StorageClass } from "../policy/policy.ts";

export interface LifecycleTag {
  readonly Key: string;
  readonly Value: string;
}

export interface LifecycleFilter {
  readonly Prefix?: string;
  readonly Tag?: LifecycleTag;
  readonly ObjectSizeGreaterThan?: number;
  readonly ObjectSizeLessThan?: number;
  /** Where there is more than one condition. */
  readonly And?: {
    readonly Prefix?: string;
    readonly Tags?: readonly LifecycleTag[];
    readonly ObjectSizeGreaterThan?: number;
    readonly ObjectSizeLessThan?: number;
  };
}

/** A rule as S3's API writes it in JSON. Dates are RFC 3339. */
export interface LifecycleRule {
  readonly ID?: string;
  readonly Status: string;
  readonly Filter?: LifecycleFilter;
  /** The old place of the filter's prefix. */
  readonly Prefix?: string;
  readonly Transitions?: readonly {
    readonly Days?: number;
    readonly Date?: string;
    readonly StorageClass?: string;
  }[];
  readonly AbortIncompleteMultipartUpload?: { readonly DaysAfterInitiation?: number };
  readonly Expiration?: {
    readonly Days?: number;
    readonly Date?: string;
    readonly ExpiredObjectDeleteMarker?: boolean;
  };
  readonly NoncurrentVersionExpiration?: {
    readonly NoncurrentDays?: number;
    readonly NewerNoncurrentVersions?: number;
  };
  readonly NoncurrentVersionTransitions?: readonly {
    readonly NoncurrentDays?: number;
    readonly NewerNoncurrentVersions?: number;
    readonly StorageClass?: string;
  }[];
}

/** The tag that says "move this": Firnline sets it, a rule of the bucket acts on it. */
export const COLD_TAG = { Key: "firnline-tier", Value: "cold" } as const satisfies LifecycleTag;

export const RULE_ID_CHARACTERS_MAX = 255;
/** S3 takes no more in a bucket. */
export const RULES_MAX = 1_000;

/** S3 leaves smaller objects where they are, unless the rule says a size of its own. */
const MOVED_BYTES_MIN = 128n * 1024n;
/** S3 moves objects to an IA class from their 30th day on; to all other classes at once. */
const IA_DAYS_MIN = 30;

/** The bucket and prefix of an `s3://` archive; null for a folder. The prefix ends with `/`, or is empty. */
export function bucketOf(
  archive: Pick<Policy["archive"], "url">,
): { readonly bucket: string; readonly prefix: string } | null {
  const [, bucket, path = ""] = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(archive.url) ?? [];
  return bucket === undefined ? null : { bucket, prefix: path === "" ? "" : `${path}/` };
}

/** Where a pipeline's keys are: its objects, then its journal and manifests. */
export function prefixesOf(policy: Policy): readonly string[] {
  const prefix = bucketOf(policy.archive)?.prefix ?? "";
  return [`${prefix}${policy.pipeline}/`, `${prefix}_firnline/${policy.pipeline}/`];
}

/** All ids that rules of this pipeline may have, whether it needs them today or not. */
export function ruleIdsOf(policy: Policy): readonly string[] {
  const [objects, records] = prefixesOf(policy) as [string, string];
  return [`firnline-cold:${objects}`, `firnline-uploads:${objects}`, `firnline-uploads:${records}`];
}

/**
 * The rules of all pipelines, in the order of their ids. Throws `E_POLICY` where a prefix is too long to be part of an
 * id.
 */
export function lifecycleRules(policies: readonly Policy[]): LifecycleRule[] {
  const rules = policies.flatMap(rulesOf);
  return rules.sort((a, b) => ((a.ID as string) < (b.ID as string) ? -1 : 1));
}

function rulesOf(policy: Policy): LifecycleRule[] {
  const [cold, uploads, records] = ruleIdsOf(policy) as [string, string, string];
  const longest = Math.max(cold.length, uploads.length, records.length);
  if (longest > RULE_ID_CHARACTERS_MAX) {
    throw new FirnlineError({
      code: "E_POLICY",
      subject: policy.archive.url,
      problem: `the prefix is too long for the id of a lifecycle rule (${longest} characters, at most ${RULE_ID_CHARACTERS_MAX})`,
      hint: "Use a shorter prefix, or write the bucket's rules by hand",
    });
  }
  const [objectPrefix, recordPrefix] = prefixesOf(policy) as [string, string];
  const abort = { DaysAfterInitiation: Math.max(1, policy.archive.recoveryDays) };
  return [
    ...coldRule(policy, cold, objectPrefix),
    {
      ID: uploads,
      Status: "Enabled",
      Filter: { Prefix: objectPrefix },
      AbortIncompleteMultipartUpload: abort,
    },
    {
      ID: records,
      Status: "Enabled",
      Filter: { Prefix: recordPrefix },
      AbortIncompleteMultipartUpload: abort,
    },
  ];
}

function coldRule(policy: Policy, ID: string, Prefix: string): LifecycleRule[] {
  const { cold } = policy;
  if (cold === null || cold.transition !== "lifecycle") return [];
  const { storageClass: StorageClass } = cold;
  return [
    {
      ID,
      Status: "Enabled",
      Filter: { And: { Prefix, Tags: [COLD_TAG], ...sizeFilter(policy) } },
      Transitions: [{ Days: daysUntil(StorageClass), StorageClass }],
    },
  ];
}

/** Days of an object's age before which S3 does not move it. */
export function daysUntil(storageClass: StorageClass): number {
  return storageClass === "STANDARD_IA" ? IA_DAYS_MIN : 0;
}

/**
 * Only where the policy wants smaller objects to go than S3 moves by itself; elsewhere the tag says enough. And only on
 * AWS: other stores move small objects anyway, and some (Ceph) refuse or ignore filters by size.
 */
function sizeFilter({ archive, cold }: Policy): { ObjectSizeGreaterThan?: number } {
  const least = cold?.objectBytesMin ?? null;
  const isAws = archive.endpoint === null || /\.amazonaws\.com(?:\.cn)?(?::\d+)?$/.test(archive.endpoint);
  if (least === null || least >= MOVED_BYTES_MIN || !isAws) return {};
  // Not 0, which Terraform's provider takes for no size at all.
  return { ObjectSizeGreaterThan: Math.max(1, Number(least) - 1) };
}
