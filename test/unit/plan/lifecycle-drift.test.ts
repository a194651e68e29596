/** A bucket's lifecycle rules against those that the policies want. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  areSameRules,
  foreignEffects,
  lifecycleDrift,
  mergedRules,
} from "../../../src/plan/lifecycle-drift.ts";
import { type LifecycleRule, lifecycleRules } from "../../../src/plan/lifecycle-rules.ts";
import { bucketPolicy } from "./lifecycle-policy.ts";

const policy = bucketPolicy();
const RIGHT = lifecycleRules([policy]);
const [COLD, RECORDS, OBJECTS] = RIGHT as [LifecycleRule, LifecycleRule, LifecycleRule];
const NOTHING = { rules: [], foreign: [], right: 3, others: 0 };

describe("drift", () => {
  it("is none where the bucket says the same, however it spells it", () => {
    const { Filter: _, ...withoutFilter } = OBJECTS;
    const spelled: LifecycleRule[] = [
      { ...withoutFilter, Prefix: "audit/logs/" },
      { ...RECORDS, Filter: { And: { Prefix: "audit/_firnline/logs/", Tags: [] } } },
      { ...COLD, Filter: { Prefix: "audit/logs/", Tag: { Value: "cold", Key: "firnline-tier" } } },
    ];
    expect(lifecycleDrift([policy], RIGHT)).toEqual(NOTHING);
    expect(lifecycleDrift([policy], spelled)).toEqual(NOTHING);
    expect(areSameRules(spelled, RIGHT)).toBe(true);
  });

  it("names what is missing", () => {
    expect(lifecycleDrift([policy], [])).toEqual({
      rules: RIGHT.map(({ ID }) => ({ kind: "missing", id: ID })),
      foreign: [],
      right: 0,
      others: 0,
    });
  });

  it.each<[string, LifecycleRule, string, string | null, string | null]>([
    ["a rule that is off", { ...COLD, Status: "Disabled" }, "Status", '"Disabled"', '"Enabled"'],
    [
      "another class",
      { ...COLD, Transitions: [{ Days: 0, StorageClass: "GLACIER" }] },
      "Transitions[0].StorageClass",
      '"GLACIER"',
      '"DEEP_ARCHIVE"',
    ],
    [
      "a tag that is not asked for",
      { ...COLD, Filter: { Prefix: "audit/logs/" } },
      "Filter.Tag(firnline-tier)",
      null,
      '"cold"',
    ],
    [
      "another prefix",
      { ...COLD, Filter: { And: { ...COLD.Filter?.And, Prefix: "audit/" } } },
      "Filter.Prefix",
      '"audit/"',
      '"audit/logs/"',
    ],
    [
      "a size",
      { ...COLD, Filter: { And: { ...COLD.Filter?.And, ObjectSizeLessThan: 9 } } },
      "Filter.ObjectSizeLessThan",
      "9",
      null,
    ],
    ["an expiry under our own id", { ...COLD, Expiration: { Days: 1 } }, "Expiration.Days", "1", null],
  ])("names the field of %s", (_, rule, field, found, expected) => {
    expect(lifecycleDrift([policy], [rule, RECORDS, OBJECTS]).rules).toEqual([
      { kind: "different", id: COLD.ID, fields: [{ field, found, expected }] },
    ]);
  });

  it("names a rule of ours that the policy has given up, and not those of other pipelines", () => {
    const copying = bucketPolicy({ cold: { transition: "copy" } });
    const others = lifecycleRules([
      bucketPolicy({ pipeline: "other" }),
      bucketPolicy({ url: "s3://acme/b" }),
    ]);
    expect(lifecycleDrift([copying], [...RIGHT, ...others])).toEqual({
      rules: [{ kind: "needless", id: COLD.ID }],
      foreign: [],
      right: 2,
      others: 6,
    });
  });
});

describe("a rule of others", () => {
  const on = { ID: "theirs", Status: "Enabled" };
  const effect = (rule: Omit<LifecycleRule, "Status">, prefix = "audit/logs/"): string[] =>
    foreignEffects([{ ...on, ...rule }], [prefix]).map((one) => one.effect);
  const deletes = { Expiration: { Days: 30 } };

  it.each<[string, Omit<LifecycleRule, "Status">, string]>([
    ["days", deletes, "deletes objects after 30 days"],
    ["a day", { Expiration: { Days: 1 } }, "deletes objects after 1 day"],
    ["a date", { Expiration: { Date: "2027-01-01T00:00:00.000Z" } }, "deletes objects from 2027-01-01 on"],
    [
      "old versions",
      { NoncurrentVersionExpiration: { NoncurrentDays: 90 } },
      "deletes old versions after 90 days",
    ],
    [
      "old versions but some",
      { NoncurrentVersionExpiration: { NoncurrentDays: 1, NewerNoncurrentVersions: 3 } },
      "deletes old versions but the last 3 after 1 day",
    ],
    ["a class", { Transitions: [{ Days: 0, StorageClass: "GLACIER" }] }, "moves objects to GLACIER at once"],
    [
      "a class for old versions",
      { NoncurrentVersionTransitions: [{ NoncurrentDays: 7, StorageClass: "GLACIER" }] },
      "moves old versions to GLACIER after 7 days",
    ],
  ])("is found by what it does to objects: %s", (_, action, expected) => {
    expect(effect({ Filter: {}, ...action })).toEqual([expected]);
  });

  it.each<[string, Omit<LifecycleRule, "Status">]>([
    ["the whole bucket", { Filter: {}, ...deletes }],
    ["the whole bucket, in the old way", { Prefix: "", ...deletes }],
    ["a prefix above ours", { Filter: { Prefix: "aud" }, ...deletes }],
    ["a prefix above ours, in the old way", { Prefix: "audit/", ...deletes }],
    ["a prefix below ours", { Filter: { Prefix: "audit/logs/daily/rule=x/" }, ...deletes }],
    ["our tag", { Filter: { Tag: { Key: "firnline-tier", Value: "cold" } }, ...deletes }],
    ["some sizes", { Filter: { And: { Prefix: "", ObjectSizeLessThan: 1000 } }, ...deletes }],
  ])("is found where it reaches ours: %s", (_, rule) => {
    expect(effect(rule)).toHaveLength(1);
  });

  it.each<[string, Omit<LifecycleRule, "Status">, string?]>([
    ["another prefix", { Filter: { Prefix: "tmp/" }, ...deletes }],
    ["a pipeline with a longer name", { Filter: { Prefix: "audit/logs_old/" }, ...deletes }],
    ["a tag that is not ours", { Filter: { Tag: { Key: "team", Value: "cold" } }, ...deletes }],
    ["another tier", { Filter: { Tag: { Key: "firnline-tier", Value: "warm" } }, ...deletes }],
    [
      "our tag and one more",
      {
        Filter: {
          And: {
            Tags: [
              { Key: "firnline-tier", Value: "cold" },
              { Key: "x", Value: "y" },
            ],
          },
        },
        ...deletes,
      },
    ],
    ["uploads", { Filter: {}, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } }],
    ["lonely delete markers", { Filter: {}, Expiration: { ExpiredObjectDeleteMarker: true } }],
  ])("is no finding where it does nothing to ours: %s", (_, rule) => {
    expect(effect(rule)).toEqual([]);
  });

  it("is no finding while it is off", () => {
    expect(foreignEffects([{ ID: "off", Status: "Disabled", Prefix: "", ...deletes }], ["a/"])).toEqual([]);
  });

  it("is told once for each prefix of ours and each thing it does, beside our own drift", () => {
    const rule = {
      ID: "all",
      Status: "Enabled",
      Filter: {},
      ...deletes,
      Transitions: [{ Days: 7, StorageClass: "GLACIER" }],
    };
    const { foreign, others, rules } = lifecycleDrift([policy], [...RIGHT, rule]);
    expect({ others, rules }).toEqual({ others: 1, rules: [] });
    expect(foreign.map(({ id, prefix }) => `${id} ${prefix}`)).toEqual([
      "all audit/logs/",
      "all audit/logs/",
      "all audit/_firnline/logs/",
      "all audit/_firnline/logs/",
    ]);
  });

  it("under an id of our kind is found like any other", () => {
    const rule = { ID: "firnline-cold:mine", Status: "Enabled", Filter: { Prefix: "audit/" }, ...deletes };
    expect(lifecycleDrift([policy], [...RIGHT, rule]).foreign[0]?.id).toBe("firnline-cold:mine");
  });
});

const foreignRules = fc.array(
  fc.record(
    {
      ID: fc.constantFrom("theirs", "firnline-other", "firnline-cold:audit/other/"),
      Status: fc.constantFrom("Enabled", "Disabled"),
      Filter: fc.constantFrom(
        {},
        { Prefix: "tmp/" },
        { And: { Prefix: "x", Tags: [{ Key: "b", Value: "" }] } },
      ),
      Expiration: fc.constantFrom({ Days: 3 }, { ExpiredObjectDeleteMarker: true }),
    },
    { requiredKeys: ["Status"] },
  ),
  { maxLength: 4 },
);
const someOfOurs = fc.subarray([COLD, { ...RECORDS, Status: "Disabled" }, OBJECTS]);

describe("merging", () => {
  it("puts ours right and leaves others as they are, in their order; a second time changes nothing", () => {
    fc.assert(
      fc.property(foreignRules, someOfOurs, fc.boolean(), (foreign, ours, first) => {
        const found = (first ? [...ours, ...foreign] : [...foreign, ...ours]) as LifecycleRule[];
        const merged = mergedRules([policy], found);
        expect(merged).toEqual([...foreign, ...RIGHT]);
        expect(lifecycleDrift([policy], merged).rules).toEqual([]);
        expect(areSameRules(mergedRules([policy], merged), merged)).toBe(true);
      }),
    );
  });

  it("takes a rule out that the policy has given up", () => {
    const copying = bucketPolicy({ cold: { transition: "copy" } });
    expect(mergedRules([copying], RIGHT)).toEqual([RECORDS, OBJECTS]);
  });

  it.each<[string, readonly LifecycleRule[]]>([
    ["a rule less", [COLD, RECORDS]],
    ["a rule twice", [COLD, RECORDS, OBJECTS, OBJECTS]],
    ["another value", [COLD, RECORDS, { ...OBJECTS, Status: "Disabled" }]],
    ["another key", [COLD, RECORDS, { ...OBJECTS, ID: "x" }]],
    ["one more thing to do", [COLD, RECORDS, { ...OBJECTS, Expiration: { Days: 1 } }]],
  ])("sees that %s is not the same", (_, rules) => {
    expect(areSameRules(rules, RIGHT)).toBe(false);
  });
});
