/** The bucket's lifecycle rules, as the policies want them. */
import { readdir, readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isFirnlineError } from "../../../src/errors.ts";
import {
  bucketOf,
  type LifecycleRule,
  lifecycleRules,
  prefixesOf,
  ruleIdsOf,
} from "../../../src/plan/lifecycle-rules.ts";
import { type Policy, parsePolicy } from "../../../src/policy/policy.ts";
import { journalKey, manifestKey, segmentKey } from "../../../src/segment/archive-keys.ts";
import { type DayUtc } from "../../../src/rows/day.ts";
import { bucketPolicy, type Variant } from "./lifecycle-policy.ts";

const REPOSITORY = new URL("../../../", import.meta.url);
const GOLDEN = "../../../infra/terraform/examples/complete/lifecycle.json";

const rulesOf = (variant: Variant): LifecycleRule[] => lifecycleRules([bucketPolicy(variant)]);
const coldRule = (variant: Variant): LifecycleRule | undefined =>
  rulesOf(variant).find(({ ID }) => ID?.startsWith("firnline-cold:"));

describe("the lifecycle rules of a pipeline", () => {
  it("move what is tagged below its objects' prefix, and end abandoned uploads below both of its prefixes", () => {
    const abort = { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 14 } };
    expect(rulesOf({})).toEqual([
      {
        ID: "firnline-cold:audit/logs/",
        Status: "Enabled",
        Filter: { And: { Prefix: "audit/logs/", Tags: [{ Key: "firnline-tier", Value: "cold" }] } },
        Transitions: [{ Days: 0, StorageClass: "DEEP_ARCHIVE" }],
      },
      {
        ID: "firnline-uploads:audit/_firnline/logs/",
        Status: "Enabled",
        Filter: { Prefix: "audit/_firnline/logs/" },
        ...abort,
      },
      { ID: "firnline-uploads:audit/logs/", Status: "Enabled", Filter: { Prefix: "audit/logs/" }, ...abort },
    ]);
  });

  it.each([
    [
      "a class that takes objects at once",
      { storageClass: "GLACIER" },
      [{ Days: 0, StorageClass: "GLACIER" }],
    ],
    [
      "a class that takes them from the 30th day on",
      { storageClass: "STANDARD_IA" },
      [{ Days: 30, StorageClass: "STANDARD_IA" }],
    ],
    ["no cold tier", null, undefined],
    ["objects that Firnline copies itself", { transition: "copy" }, undefined],
    ["a vault", { vault: "acme" }, undefined],
  ])("for %s", (_, cold, transitions) => {
    expect(coldRule({ cold })?.Transitions).toEqual(transitions);
  });

  it("end uploads after the recovery window", () => {
    const [, uploads] = rulesOf({ archive: { recoveryWindow: "3d" } });
    expect(uploads?.AbortIncompleteMultipartUpload).toEqual({ DaysAfterInitiation: 3 });
  });

  // S3 moves nothing below 128 KiB unless the rule has a size of its own; Ceph has no sizes in filters.
  it.each([
    ["128KiB", {}, undefined],
    [undefined, {}, undefined],
    ["64KiB", {}, 65_535],
    ["0B", {}, 1],
    ["64KiB", { endpoint: "https://s3.eu-central-1.amazonaws.com" }, 65_535],
    ["64KiB", { endpoint: "https://s3.example.com" }, undefined],
    ["64KiB", { endpoint: "https://amazonaws.com.example.com" }, undefined],
  ])("name a size for objectBytesMin %s, archive %j: %s", (objectBytesMin, archive, expected) => {
    const cold = objectBytesMin === undefined ? {} : { objectBytesMin };
    expect(coldRule({ cold, archive })?.Filter?.And?.ObjectSizeGreaterThan).toBe(expected);
  });

  it("need no prefix in the archive's URL", () => {
    expect(prefixesOf(bucketPolicy({ url: "s3://acme" }))).toEqual(["logs/", "_firnline/logs/"]);
  });

  it("are refused where the prefix does not fit into an id", () => {
    const url = (length: number): string => `s3://acme/${"p".repeat(length)}`;
    expect(rulesOf({ url: url(222) })).toHaveLength(3);
    const refused = (): unknown => rulesOf({ url: url(223) });
    expect(refused).toThrow(
      /E_POLICY s3:\/\/acme\/p+: the prefix is too long .* \(256 characters, at most 255\)/,
    );
    try {
      refused();
    } catch (error) {
      expect(isFirnlineError(error, "E_POLICY")).toBe(true);
    }
  });
});

const variants = fc
  .uniqueArray(fc.stringMatching(/^[a-z][a-z0-9_]{0,9}$/), { minLength: 1, maxLength: 6 })
  .chain((names) =>
    fc.tuple(
      ...names.map((pipeline) =>
        fc.record({
          pipeline: fc.constant(pipeline),
          url: fc.constantFrom("s3://acme", "s3://acme/a", "s3://acme/a/b"),
          cold: fc.constantFrom(
            null,
            {},
            { transition: "copy" },
            { storageClass: "GLACIER_IR", objectBytesMin: "1KiB" },
          ),
          archive: fc.constantFrom({}, { recoveryWindow: "1d" }, { endpoint: "https://s3.example.com" }),
        }),
      ),
    ),
  );
const worlds = variants.map((all: Variant[]): Policy[] => all.map(bucketPolicy));

describe("whatever the policies", () => {
  it("nothing ever expires, old versions neither, and every rule keeps to a prefix of its pipeline", () => {
    fc.assert(
      fc.property(worlds, (policies) => {
        for (const rule of lifecycleRules(policies)) {
          const actions = Object.keys(rule).filter((key) => !["ID", "Status", "Filter"].includes(key));
          expect([["Transitions"], ["AbortIncompleteMultipartUpload"]]).toContainEqual(actions);
          const prefix = rule.Filter?.And?.Prefix ?? rule.Filter?.Prefix;
          expect(policies.flatMap(prefixesOf)).toContain(prefix);
          if (rule.Transitions === undefined) continue;
          expect(rule.Filter?.And?.Tags).toEqual([{ Key: "firnline-tier", Value: "cold" }]);
          expect(prefix).not.toContain("_firnline/");
        }
      }),
    );
  });

  it("ids are unique and those that the pipeline may have", () => {
    fc.assert(
      fc.property(worlds, (policies) => {
        const ids = lifecycleRules(policies).map(({ ID }) => ID as string);
        expect(new Set(ids).size).toBe(ids.length);
        expect(ids).toEqual(ids.toSorted());
        const known = policies.flatMap(ruleIdsOf);
        for (const id of ids) expect(known).toContain(id);
      }),
    );
  });

  it("every key of the archive is below one of the two prefixes", () => {
    const policy = bucketPolicy();
    const keys = [
      segmentKey("logs", "default", 20_000 as DayUtc, "000000000001-0123456789abcdef"),
      manifestKey("logs", "000000000001-0123456789abcdef"),
      journalKey("logs", 7n),
    ];
    const prefix = bucketOf(policy.archive)?.prefix as string;
    const below = keys.map((key) => prefixesOf(policy).findIndex((one) => `${prefix}${key}`.startsWith(one)));
    expect(below).toEqual([0, 1, 1]);
  });
});

it("the examples in pipelines/ give what the example of the Terraform module reads", async () => {
  const folder = new URL("pipelines/", REPOSITORY);
  const files = (await readdir(folder)).filter((name) => name.endsWith(".yaml")).sort();
  const policies = await Promise.all(
    files.map(async (name) => parsePolicy(await readFile(new URL(name, folder), "utf8"), name)),
  );
  const text = `${JSON.stringify({ Rules: lifecycleRules(policies) }, null, 2)}\n`;
  await expect(text).toMatchFileSnapshot(GOLDEN);
});
