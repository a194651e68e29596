/**
 * The lifecycle rules of a bucket: a port of its own beside the archive's, as it is about the bucket as a whole, which
 * other people have rules for too. Its adapters are `s3/bucket-rules.ts` and `memory/bucket-rules.ts`.
 */
import { FirnlineError } from "../errors.ts";
import { areSameRules, type LifecycleDrift, lifecycleDrift, mergedRules } from "../plan/lifecycle-drift.ts";
import { type LifecycleRule, RULES_MAX } from "../plan/lifecycle-rules.ts";
import type { Policy } from "../policy/policy.ts";

export interface BucketRulesFound {
  readonly rules: readonly LifecycleRule[];
  /**
   * Which small objects the store leaves alone by itself (`x-amz-transition-default-minimum-object-size`); null where it
   * does not say. It goes back with the rules, or S3 would set it anew for everybody's.
   */
  readonly transitionMinimum: string | null;
}

export interface BucketRules extends AsyncDisposable {
  /** `s3://bucket`, for messages. */
  readonly url: string;
  /**
   * All rules of the bucket; null where it has none. `E_ARCHIVE` where the store cannot be asked, or says more of a rule
   * than this version knows: written back, that would be lost.
   */
  read(): Promise<BucketRulesFound | null>;
  /** Puts these rules in the place of all that there are. */
  write(rules: BucketRulesFound): Promise<void>;
}

export interface AppliedRules {
  /** What was wrong before. Empty `rules`: nothing had to be written. */
  readonly drift: LifecycleDrift;
  readonly isWritten: boolean;
}

export interface ApplyOptions {
  readonly policies: readonly Policy[];
  /** False: only says what it would do. */
  readonly isConfirmed: boolean;
  readonly sleep: (ms: number) => Promise<void>;
}

/** A bucket may answer with the rules of before for a while. */
const READ_BACKS_MAX = 20;
const READ_BACK_MS = 500;

/** What differs between the policies and their bucket. Changes nothing. */
export async function checkRules(bucket: BucketRules, policies: readonly Policy[]): Promise<LifecycleDrift> {
  const found = await bucket.read();
  return lifecycleDrift(policies, found?.rules ?? []);
}

/**
 * Makes our rules what the policies want and leaves all others as they are; then reads back what the bucket has. Nothing
 * keeps somebody else from writing in the moment between reading and writing: S3 has no condition for it.
 */
export async function applyRules(bucket: BucketRules, options: ApplyOptions): Promise<AppliedRules> {
  const { policies, isConfirmed, sleep } = options;
  const found = await bucket.read();
  const drift = lifecycleDrift(policies, found?.rules ?? []);
  if (drift.rules.length === 0 || !isConfirmed) return { drift, isWritten: false };
  const rules = mergedRules(policies, found?.rules ?? []);
  if (rules.length > RULES_MAX) {
    throw new FirnlineError({
      code: "E_CAPACITY",
      subject: bucket.url,
      problem: `a bucket takes ${RULES_MAX} lifecycle rules, and this would be ${rules.length}`,
      hint: "Nothing was written; put some pipelines into another bucket",
    });
  }
  await bucket.write({ rules, transitionMinimum: found?.transitionMinimum ?? null });
  for (let reads = 1; ; reads += 1) {
    const after = await bucket.read();
    if (areSameRules(after?.rules ?? [], rules)) return { drift, isWritten: true };
    if (reads === READ_BACKS_MAX) break;
    await sleep(READ_BACK_MS);
  }
  throw new FirnlineError({
    code: "E_ARCHIVE",
    subject: bucket.url,
    problem: "the lifecycle rules that it has now are not those that were written",
    hint: "Somebody else may have written them too: look at them with `firnline lifecycle check`, then apply again",
  });
}
