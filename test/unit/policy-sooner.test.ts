/** I12: deleting sooner than the last applied policy needs an explicit confirmation. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isDeletedSooner, policyFromJson, policyToJson } from "../../src/policy/journaled.ts";
import { parsePolicy, type Policy, type Rule } from "../../src/policy/policy.ts";

const DENIED = '  - { name: denied, when: "action = 1", hot: 20d, archive: false }\n';
const LOGIN = '  - { name: login, when: "action = 2", hot: 60d, warm: 90d, cold: 500d }\n';

function policy(rules = "", change: (text: string) => string = (text) => text): Policy {
  const text = `version: 1
pipeline: p
source: { connection: DATABASE_URL, table: public.t, time: ts }
archive: { url: "s3://acme-audit/firnline" }
tiers: { hot: { keep: 30d }, warm: { keep: 365d }, cold: { keep: 2555d } }
prune: auto
${rules && `rules:\n${rules}`}`;
  return parsePolicy(change(text), "p.yaml");
}

const sooner = (previous: Policy, next: Policy): string[] =>
  isDeletedSooner(previous, next).map(({ subject, reason }) => `${subject}: ${reason}`);
const swap = (from: string, to: string) => (text: string) => text.replace(from, to);

const UNARCHIVED = "rows are deleted after 20d without being archived (archived before)";

describe("a policy deletes sooner when", () => {
  it("rows leave Postgres earlier", () => {
    expect(sooner(policy(), policy("", swap("30d", "29d")))).toEqual([
      "rule default: rows leave Postgres after 29d (30d before)",
    ]);
  });

  it("a rule stops archiving", () => {
    const stopped = swap("warm: 90d, cold: 500d", "archive: false");
    expect(sooner(policy(LOGIN), policy(LOGIN, stopped))).toEqual([
      "rule login: rows are deleted after 60d without being archived (archived before)",
    ]);
  });

  it("archived rows expire earlier, for every rule that follows tiers", () => {
    expect(sooner(policy(LOGIN), policy(LOGIN, swap("2555d", "2554d")))).toEqual([
      "rule default: archived rows expire after 2554d (2555d before)",
    ]);
    expect(sooner(policy("", swap(", cold: { keep: 2555d }", "")), policy())).toEqual([
      "rule default: archived rows expire after 2555d (forever before)",
    ]);
  });

  it("a new rule may take rows from one that kept them longer", () => {
    expect(sooner(policy(), policy(DENIED))).toEqual([
      `rule denied: may take rows of rule default: ${UNARCHIVED}`,
      "rule denied: may take rows of rule default: rows leave Postgres after 20d (30d before)",
    ]);
  });

  it("a rule is removed that kept its rows longer in Postgres", () => {
    expect(sooner(policy(LOGIN), policy())).toEqual([
      "rule default: may take rows of rule login: rows leave Postgres after 30d (60d before)",
    ]);
  });

  it("two rules change places", () => {
    expect(sooner(policy(LOGIN + DENIED), policy(DENIED + LOGIN))).toEqual([
      `rule denied: may take rows of rule login: ${UNARCHIVED}`,
      "rule denied: may take rows of rule login: rows leave Postgres after 20d (60d before)",
    ]);
  });

  it("a predicate changes, so that other rows may match", () => {
    const [first] = sooner(policy(DENIED), policy(DENIED, swap("action = 1", "action = 1 or action = 3")));
    expect(first).toMatch(/^rule denied: may take rows of rule default: /);
  });

  it("pruning is switched on", () => {
    expect(sooner(policy("", swap("auto", "off")), policy())).toEqual([
      "prune: nothing was deleted from Postgres so far (off), and now rows are (auto)",
    ]);
  });

  it("ages are counted from another column", () => {
    expect(sooner(policy(), policy("", swap("time: ts", "time: created_at")))).toEqual([
      "source.time: ages are counted from something else (ts before, created_at now)",
    ]);
  });
});

describe("a rule that comes back", () => {
  const FOREVER = LOGIN.replace("500d", "forever");
  /** What the journal has after these, one after the other. */
  const journaled = (first: Policy, ...others: Policy[]): Policy =>
    others.reduce(
      (previous, next) => policyFromJson(policyToJson(next, previous), "j"),
      policyFromJson(policyToJson(first), "j"),
    );
  const stopped = policy(LOGIN, swap("warm: 90d, cold: 500d", "archive: false"));
  const BACK = "rule login: archived rows expire after 500d (forever before)";

  it.each([
    ["was removed", [policy()]],
    ["was removed several policies ago", [policy(), policy(DENIED), policy()]],
    ["archived nothing for a while", [stopped]],
    ["archived nothing, and was removed", [stopped, policy()]],
  ])("deletes sooner than it did when it %s", (_, between) => {
    const previous = journaled(policy(FOREVER), ...between);
    expect(sooner(previous, policy(LOGIN))).toContain(BACK);
    expect(sooner(previous, policy(FOREVER)).filter((one) => one.includes("expire"))).toEqual([]);
  });

  it("is compared with what it was last, and confirmed once", () => {
    const previous = journaled(policy(FOREVER), policy(), policy(LOGIN));
    expect(sooner(previous, policy(LOGIN))).toEqual([]);
    expect(policyToJson(policy(LOGIN), previous).retired).toEqual([]);
    const again = journaled(policy(FOREVER), policy(), policy(LOGIN), policy());
    expect(policyToJson(policy(), again).retired.map(({ name, coldDays }) => [name, coldDays])).toEqual([
      ["login", 500],
    ]);
    const unchanged = policyToJson(policy(), policyFromJson(policyToJson(policy(), again), "j"));
    expect(unchanged).toEqual(policyToJson(policy(), again));
  });
});

describe("a policy unlocks sooner when", () => {
  const lock = (mode: string, keep: string) =>
    swap("archive: {", `archive: { lock: { mode: ${mode}, keep: ${keep} },`);

  it("its locks end earlier, can be bypassed, or are gone", () => {
    const locked = policy("", lock("compliance", "365d"));
    expect(sooner(locked, policy("", lock("governance", "364d")))).toEqual([
      "archive.lock: locks of new objects can be bypassed (GOVERNANCE, COMPLIANCE before)",
      "archive.lock: new objects are locked for 364d (365d before)",
    ]);
    expect(sooner(locked, policy())).toEqual(["archive.lock: new objects are not locked any more"]);
    expect(sooner(policy(), locked)).toEqual([]);
    expect(sooner(policy("", lock("governance", "365d")), policy("", lock("compliance", "366d")))).toEqual(
      [],
    );
  });
});

describe("a policy does not delete sooner when", () => {
  it("nothing changes", () => expect(sooner(policy(LOGIN + DENIED), policy(LOGIN + DENIED))).toEqual([]));

  it("everything gets longer", () => {
    const longer = (text: string) =>
      text.replace("30d", "31d").replace("2555d", "forever").replace("20d", "21d");
    expect(sooner(policy(DENIED), policy(DENIED, longer))).toEqual([]);
  });

  it("rows go cold sooner: they are still there", () => {
    expect(sooner(policy(), policy("", swap("365d", "90d")))).toEqual([]);
  });

  it("a delete-only rule is removed, and its rows are archived from now on", () => {
    expect(sooner(policy(DENIED), policy())).toEqual([]);
  });

  it("a new rule keeps its rows longer", () => {
    const keep = '  - { name: keep, when: "a", hot: 90d, cold: forever }\n';
    expect(sooner(policy(), policy(keep))).toEqual([]);
  });

  it("pruning is switched off", () => expect(sooner(policy(), policy("", swap("auto", "off")))).toEqual([]));
});

describe("two policies of different pipelines", () => {
  it("cannot be compared", () => {
    expect(() => isDeletedSooner(policy(), policy("", swap("pipeline: p", "pipeline: q")))).toThrow(
      /^E_INTERNAL q: /,
    );
  });
});

describe("whatever the rules", () => {
  const ATOMS = ["a", "b", "c"];
  const days = fc.constantFrom(10, 20, 30);
  const ages = fc.record({ archive: fc.boolean(), hotDays: days, coldDays: fc.constantFrom(400, 500, null) });
  const toRule = (
    name: string,
    when: string | null,
    { archive, hotDays, coldDays }: typeof ages extends fc.Arbitrary<infer T> ? T : never,
  ): Rule =>
    archive
      ? { name, when, archive, hotDays, warmDays: 100, coldDays }
      : { name, when, archive, hotDays, warmDays: hotDays, coldDays: hotDays };
  const lists: fc.Arbitrary<Rule[]> = fc
    .tuple(
      fc.uniqueArray(fc.tuple(fc.constantFrom("x", "y", "z"), fc.constantFrom(...ATOMS), ages), {
        maxLength: 3,
        selector: ([name]) => name,
      }),
      ages,
    )
    .map(([own, last]) => [
      ...own.map(([name, when, each]) => toRule(name, when, each)),
      toRule("default", null, { ...last, archive: true }),
    ]);

  /** The rule of a row for which the predicates in `holds` are true. */
  const ruleOf = (rules: readonly Rule[], holds: ReadonlySet<string>): Rule =>
    rules.find(({ when }) => when === null || holds.has(when)) as Rule;
  const goneAfter = ({ archive, hotDays, coldDays }: Rule): number =>
    archive ? (coldDays ?? Number.POSITIVE_INFINITY) : hotDays;

  it("no row is deleted sooner without a finding about the rule that does it", () => {
    fc.assert(
      fc.property(lists, lists, fc.subarray(ATOMS), (previousRules, nextRules, atoms) => {
        const base = policy();
        const findings = isDeletedSooner({ ...base, rules: previousRules }, { ...base, rules: nextRules });
        const before = ruleOf(previousRules, new Set(atoms));
        const after = ruleOf(nextRules, new Set(atoms));
        fc.pre(after.hotDays < before.hotDays || goneAfter(after) < goneAfter(before));
        expect(findings.map(({ subject }) => subject)).toContain(`rule ${after.name}`);
      }),
      { numRuns: 1000 },
    );
  });
});
