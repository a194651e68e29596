/** `lifecycle check` and `apply` on a bucket in memory. */
import { describe, expect, it } from "vitest";

import { applyRules, type BucketRulesFound, checkRules } from "../../../src/archive/bucket-rules.ts";
import { openMemoryBucketRules } from "../../../src/archive/memory/bucket-rules.ts";
import { type LifecycleRule, lifecycleRules } from "../../../src/plan/lifecycle-rules.ts";
import { bucketPolicy } from "../plan/lifecycle-policy.ts";

const policy = bucketPolicy();
const RIGHT = lifecycleRules([policy]);
const THEIRS: LifecycleRule = {
  ID: "theirs",
  Status: "Enabled",
  Filter: { Prefix: "tmp/" },
  Expiration: { Days: 3 },
};

function asked(isConfirmed: boolean) {
  const slept: number[] = [];
  const sleep = async (ms: number): Promise<void> => void slept.push(ms);
  return { slept, options: { policies: [policy], isConfirmed, sleep } };
}
const found = (...rules: LifecycleRule[]): BucketRulesFound => ({ rules, transitionMinimum: "varies" });

describe("checking", () => {
  it("tells what is missing of a bucket without rules, and changes nothing", async () => {
    const bucket = openMemoryBucketRules();
    expect((await checkRules(bucket, [policy])).rules).toHaveLength(3);
    expect(bucket.writes).toBe(0);
  });
});

describe("applying", () => {
  it("without confirmation says what it would change, and writes nothing", async () => {
    const bucket = openMemoryBucketRules({ rules: found(THEIRS) });
    const { drift, isWritten } = await applyRules(bucket, asked(false).options);
    expect({ changes: drift.rules.length, isWritten, writes: bucket.writes }).toEqual({
      changes: 3,
      isWritten: false,
      writes: 0,
    });
    expect(await bucket.read()).toEqual(found(THEIRS));
  });

  it("writes ours beside those of others, and what the store says about small objects goes back with them", async () => {
    const bucket = openMemoryBucketRules({ rules: found(THEIRS) });
    expect(await applyRules(bucket, asked(true).options)).toMatchObject({ isWritten: true });
    expect(await bucket.read()).toEqual(found(THEIRS, ...RIGHT));
    expect((await checkRules(bucket, [policy])).rules).toEqual([]);
  });

  it("writes into a bucket that has none", async () => {
    const bucket = openMemoryBucketRules();
    expect(await applyRules(bucket, asked(true).options)).toMatchObject({ isWritten: true });
    expect(await bucket.read()).toEqual({ rules: RIGHT, transitionMinimum: null });
  });

  it("writes nothing where nothing is wrong", async () => {
    const bucket = openMemoryBucketRules({ rules: found(...RIGHT, THEIRS) });
    expect(await applyRules(bucket, asked(true).options)).toMatchObject({ isWritten: false });
    expect(bucket.writes).toBe(0);
  });

  it("waits for a bucket that still answers with the rules of before", async () => {
    const bucket = openMemoryBucketRules({ rules: found(THEIRS), staleReads: 3 });
    const { options, slept } = asked(true);
    expect(await applyRules(bucket, options)).toMatchObject({ isWritten: true });
    expect(slept).toHaveLength(3);
  });

  it("fails where the bucket ends up with something else, after a while and not before", async () => {
    const store = ({ rules }: BucketRulesFound): BucketRulesFound => found(...rules.slice(1));
    const bucket = openMemoryBucketRules({ rules: found(THEIRS), store });
    const { options, slept } = asked(true);
    await expect(applyRules(bucket, options)).rejects.toThrow(
      "E_ARCHIVE s3://memory: the lifecycle rules that it has now are not those that were written",
    );
    expect({ writes: bucket.writes, waits: slept.length }).toEqual({ writes: 1, waits: 19 });
  });

  it("refuses more rules than a bucket takes, before it writes any", async () => {
    const many = Array.from({ length: 998 }, (_, index) => ({ ...THEIRS, ID: `theirs-${index}` }));
    const bucket = openMemoryBucketRules({ rules: found(...many) });
    await expect(applyRules(bucket, asked(true).options)).rejects.toThrow(/E_CAPACITY .* would be 1001/);
    expect(bucket.writes).toBe(0);
  });
});
