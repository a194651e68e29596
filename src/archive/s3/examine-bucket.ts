/**
 * `doctor`'s look at a bucket: everything at once. What would make a create fail, or unsafe, is a finding; what could be
 * better is advice; what the store does not answer is not known, and not held against it. Leaves nothing behind.
 */
import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyStatusCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
} from "@aws-sdk/client-s3";
import { FirnlineError, isFirnlineError } from "../../errors.ts";
import { type Advice, durationText } from "../../plan/advice.ts";
import { lifecycleDrift } from "../../plan/lifecycle-drift.ts";
import type { LifecycleRule } from "../../plan/lifecycle-rules.ts";
import type { Policy } from "../../policy/policy.ts";
import type { ArchiveExamination } from "../port.ts";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { adviceOf, finding } from "./examination.ts";
import { isDenied, isMissing } from "./failure.ts";
import { refusalOf } from "../sdk-refusal.ts";
import { tryOut } from "./try-out.ts";
import type { Traits } from "./traits.ts";

/** Further apart, dates of restored copies and of locks mean something else here and there. */
const SKEW_MS_MAX = 60_000;
/** Of the first question. A store that cannot be reached is said soon. */
const TRIES = 3;

interface Found {
  readonly findings: FirnlineError[];
  readonly advice: Advice[];
}

interface Examining {
  readonly bucket: Bucket;
  readonly traits: Traits;
  readonly policy: Policy;
  readonly where: Where;
}

export async function examineBucket(
  bucket: Bucket,
  traits: Traits,
  policy: Policy,
): Promise<ArchiveExamination> {
  const where: Where = { op: "archive.examine", key: `s3://${bucket.name}` };
  const examining: Examining = { bucket, traits, policy, where };
  const found: Found = { findings: [], advice: [] };
  const isThere = await told(found, async () => await lookForBucket(bucket, where));
  found.findings.push(...judgeClock(bucket, where));
  if (!isThere) return { ...found, bytesFree: null };
  for (const look of [lookAtVersions, lookAtLocks, lookAtEncryption, lookAtAccess, lookAtRules]) {
    await told(found, async () => await look(examining, found));
  }
  await told(found, async () => {
    const { findings, advice } = await tryOut(bucket, traits, policy, where);
    found.findings.push(...findings);
    found.advice.push(...advice);
  });
  return { ...found, bytesFree: null };
}

async function lookForBucket(bucket: Bucket, where: Where): Promise<void> {
  try {
    await bucket.call(
      where,
      "s3:ListBucket",
      async (s3, how) => await s3.send(new HeadBucketCommand({ Bucket: bucket.name }), how),
      { tries: TRIES },
    );
  } catch (error) {
    // The answer to a HEAD has no words.
    if (isMissing(error)) {
      const hint =
        "Check archive.url, archive.region and archive.endpoint, or make the bucket (infra/terraform)";
      throw finding(where, "there is no such bucket", hint, []);
    }
    if (!isDenied(error) || !isFirnlineError(error, "E_ARCHIVE")) throw error;
    const problem = "it is another owner's, or it does not let these credentials in (403)";
    const hint = "Check archive.url and the credentials, and allow s3:ListBucket on the bucket";
    throw finding(where, problem, hint, []);
  }
}

/** A failure of ours becomes a finding; false then. What may not be asked is advice: it takes one more permission. */
async function told({ findings, advice }: Found, look: () => Promise<unknown>): Promise<boolean> {
  try {
    await look();
    return true;
  } catch (error) {
    if (!isFirnlineError(error)) throw error;
    const isOptional = isDenied(error) && error.op === "archive.traits";
    if (isOptional) advice.push(adviceOf(error.subject, error.problem, error.hint));
    else findings.push(error);
    return false;
  }
}

async function lookAtVersions(
  { traits, policy, where }: Examining,
  { findings, advice }: Found,
): Promise<void> {
  if (await traits.keepsVersions()) return;
  const problem =
    (await traits.versioning()) === "suspended"
      ? "its versioning is suspended"
      : "it keeps no versions of objects";
  const fix = [
    `aws s3api put-bucket-versioning --bucket ${bucketName(where)} --versioning-configuration Status=Enabled`,
  ];
  const isCopied = policy.cold?.transition === "copy" && policy.cold.vault === null;
  if (policy.archive.lock === null && !isCopied) {
    advice.push({
      ...adviceOf(
        where.key,
        problem,
        "With versions, what somebody overwrites or deletes can be brought back",
      ),
      fix,
    });
    return;
  }
  const wish = policy.archive.lock === null ? "tiers.cold.transition: copy" : "archive.lock";
  findings.push(
    finding(where, `${problem}, and ${wish} needs them`, `Turn versioning on, or drop ${wish}`, fix),
  );
}

async function lookAtLocks({ traits, policy, where }: Examining, { findings, advice }: Found): Promise<void> {
  const { isOn, byDefault } = await traits.locking();
  if (policy.archive.lock !== null && !isOn) {
    const fix = [
      `aws s3api put-object-lock-configuration --bucket ${bucketName(where)} --object-lock-configuration ObjectLockEnabled=Enabled`,
    ];
    const hint = "Turn Object Lock on (some stores only do that for a new bucket), or drop archive.lock";
    findings.push(finding(where, "it has no Object Lock, and archive.lock needs it", hint, fix));
  }
  if (byDefault === null) return;
  const { mode, days } = byDefault;
  advice.push(
    adviceOf(
      where.key,
      `it locks every new object for ${days} days (${mode}), whatever the policy says`,
      "Until then neither `firnline collect` nor expiry can remove anything; archive.lock does the same for what needs it",
    ),
  );
}

async function lookAtEncryption({ bucket, policy, where }: Examining, { advice }: Found): Promise<void> {
  if (policy.archive.encryption !== null) return; // then the try-out asks for it
  const answer = await ask(async () => {
    await bucket.call(
      where,
      "s3:GetEncryptionConfiguration",
      async (s3, how) => await s3.send(new GetBucketEncryptionCommand({ Bucket: bucket.name }), how),
    );
  });
  if (answer !== "ServerSideEncryptionConfigurationNotFoundError") return;
  const hint = "Write archive.encryption: { mode: SSE-S3 }, or give the bucket a default";
  advice.push(
    adviceOf(where.key, "it encrypts nothing unless it is asked to, and the policy does not ask", hint),
  );
}

async function lookAtAccess({ bucket, where }: Examining, { advice }: Found): Promise<void> {
  const Bucket = bucket.name;
  let isBlocked = false;
  let isPublic = false;
  const block = await ask(async () => {
    const { PublicAccessBlockConfiguration: found } = await bucket.call(
      where,
      "s3:GetBucketPublicAccessBlock",
      async (s3, how) => await s3.send(new GetPublicAccessBlockCommand({ Bucket }), how),
    );
    const { BlockPublicAcls, BlockPublicPolicy, IgnorePublicAcls, RestrictPublicBuckets } = found ?? {};
    isBlocked = [BlockPublicAcls, BlockPublicPolicy, IgnorePublicAcls, RestrictPublicBuckets].every(
      (on) => on === true,
    );
  });
  await ask(async () => {
    const { PolicyStatus } = await bucket.call(
      where,
      "s3:GetBucketPolicyStatus",
      async (s3, how) => await s3.send(new GetBucketPolicyStatusCommand({ Bucket }), how),
    );
    isPublic = PolicyStatus?.IsPublic === true;
  });
  const isKnown = block === null || block === "NoSuchPublicAccessBlockConfiguration";
  if (isPublic) {
    advice.push(
      adviceOf(where.key, "its policy lets everybody in", "Remove what makes it public from its policy"),
    );
  }
  if (isBlocked || !isKnown) return;
  const all = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true";
  advice.push({
    ...adviceOf(
      where.key,
      "public access is not blocked as a whole",
      "Block it: a policy or ACL can then not open it",
    ),
    fix: [`aws s3api put-public-access-block --bucket ${Bucket} --public-access-block-configuration ${all}`],
  });
}

async function lookAtRules({ bucket, policy, where }: Examining, { findings, advice }: Found): Promise<void> {
  let rules: LifecycleRule[] = [];
  const answer = await ask(async () => {
    const { Rules = [] } = await bucket.call(where, "s3:GetLifecycleConfiguration", async (s3, how) => {
      return await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket.name }), how);
    });
    rules = JSON.parse(JSON.stringify(Rules)) as LifecycleRule[];
  });
  if (answer !== null && answer !== "NoSuchLifecycleConfiguration") {
    const problem = `whether its lifecycle rules would remove objects cannot be asked (${answer})`;
    advice.push(
      adviceOf(where.key, problem, "Allow s3:GetLifecycleConfiguration, or make sure that there are none"),
    );
    return;
  }
  const drift = lifecycleDrift([policy], rules);
  for (const { id, prefix, effect } of drift.foreign) {
    const problem = `its lifecycle rule ${JSON.stringify(id)} ${effect}, below ${prefix} too`;
    if (effect.startsWith("deletes")) {
      // Hazard 14: rows whose only copy such a rule removes are gone.
      findings.push(finding(where, problem, "Give the rule a filter that leaves the archive out", []));
    } else {
      advice.push(adviceOf(where.key, problem, "Give the rule a filter that leaves the archive out"));
    }
  }
  const missing = drift.rules.filter(({ kind }) => kind !== "needless").length;
  if (missing === 0) return;
  advice.push({
    ...adviceOf(
      where.key,
      `${missing} of its lifecycle rules for this pipeline ${missing === 1 ? "is" : "are"} missing, or not as the policy says`,
      "They end uploads that were left, and move what Firnline tags as cold",
    ),
    fix: ["firnline lifecycle apply"],
  });
}

/** Null where it was answered; else the name of the refusal, as it tells that something is not configured, or not known. */
async function ask(question: () => Promise<void>): Promise<string | null> {
  try {
    await question();
    return null;
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === null || refusal.status === null || refusal.status >= 500) {
      if (refusal?.status !== 501) throw error;
    }
    return refusal.name;
  }
}

function judgeClock(bucket: Bucket, { op, key }: Where): FirnlineError[] {
  const skewMs = bucket.skewMs();
  if (skewMs === null || Math.abs(skewMs) <= SKEW_MS_MAX) return [];
  const apart = durationText(Math.abs(skewMs) / 1_000);
  return [
    new FirnlineError({
      code: "E_CLOCK",
      subject: key,
      problem: `the store's clock is ${apart} ${skewMs < 0 ? "behind" : "ahead of"} this host's`,
      hint: "Set this host's clock right, with NTP: restored copies and locks end by the store's",
      fix: ["# timedatectl set-ntp true"],
      op,
      key,
    }),
  ];
}

function bucketName({ key }: Where): string {
  return key.replace("s3://", "");
}
