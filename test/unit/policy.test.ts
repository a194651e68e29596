/** What a good policy file means. What a wrong one is answered: `policy-messages.test.ts`. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";

import { FirnlineErrors, isFirnlineError } from "../../src/errors.ts";
import { formatKeep } from "../../src/policy/duration.ts";
import { policyFromJson, policyToJson } from "../../src/policy/journaled.ts";
import { parsePolicy, type Policy, type Rule } from "../../src/policy/policy.ts";
import { formatBytes } from "../../src/policy/readers/bytes.ts";

const SMALLEST = `
version: 1
pipeline: p
source: { connection: DATABASE_URL, table: public.t, time: ts }
archive: { url: "file:///var/lib/firnline/" }
tiers: { hot: { keep: 1d }, warm: { keep: 2d } }
`;

describe("a policy file", () => {
  it("of the smallest kind gets every default", () => {
    expect(parsePolicy(SMALLEST, "p.yaml")).toEqual({
      pipeline: "p",
      source: {
        connectionVariable: "DATABASE_URL",
        table: { schema: "public", name: "t" },
        time: "ts",
        zone: null,
        key: null,
      },
      archive: {
        url: "file:///var/lib/firnline",
        region: null,
        endpoint: null,
        owner: null,
        recoveryDays: 14,
        lock: null,
        encryption: null,
        bloomFilters: [],
      },
      hot: { keepDays: 1 },
      warm: { keepDays: 2, storageClass: "STANDARD" },
      cold: null,
      rules: [{ name: "default", when: null, archive: true, hotDays: 1, warmDays: 2, coldDays: null }],
      prune: "auto",
    } satisfies Policy);
  });

  it("keeps cold objects in Deep Archive for ever unless it says otherwise", () => {
    const { cold } = parsePolicy(SMALLEST.replace("2d } }", "2d }, cold: {} }"), "p.yaml");
    expect(cold).toEqual({
      storageClass: "DEEP_ARCHIVE",
      vault: null,
      transition: "copy",
      keepDays: null,
      objectBytesMin: null,
    });
  });

  it("with every field set is read as written", () => {
    const text = `
version: 1
pipeline: everything
source:
  connection: AUDIT_DATABASE_URL
  table: '"We""ird"."Table"'
  time: '"createdAt"'
  zone: Europe/Berlin
  key: [tenant_id, '"eventId"']
archive:
  url: s3://acme-audit/some/prefix/
  region: auto
  endpoint: http://localhost:9000/
  owner: "012345678901"
  recoveryWindow: 30d
tiers:
  hot: { keep: 30d }
  warm: { keep: 365d, storageClass: STANDARD_IA }
  cold: { storageClass: GLACIER, keep: 2555d, objectBytesMin: 1MiB }
rules:
  - name: access_denied
    when: |
      action = 'access_denied'
    hot: 20d
    archive: false
  - { name: login, when: "action in ('login', 'logout')", hot: 60d, warm: 90d, cold: forever }
prune: off
`;
    const policy = parsePolicy(text, "p.yaml");
    expect(policy.source).toEqual({
      connectionVariable: "AUDIT_DATABASE_URL",
      table: { schema: 'We"ird', name: "Table" },
      time: "createdAt",
      zone: "Europe/Berlin",
      key: ["tenant_id", "eventId"],
    });
    expect(policy.archive).toEqual({
      url: "s3://acme-audit/some/prefix",
      region: "auto",
      endpoint: "http://localhost:9000",
      owner: "012345678901",
      recoveryDays: 30,
      lock: null,
      encryption: null,
      bloomFilters: [],
    });
    expect(policy.cold).toEqual({
      storageClass: "GLACIER",
      vault: null,
      transition: "lifecycle",
      keepDays: 2555,
      objectBytesMin: 1_048_576n,
    });
    expect(policy.prune).toBe("off");
    expect(policy.rules).toEqual([
      {
        name: "access_denied",
        when: "action = 'access_denied'",
        archive: false,
        hotDays: 20,
        warmDays: 20,
        coldDays: 20,
      },
      {
        name: "login",
        when: "action in ('login', 'logout')",
        archive: true,
        hotDays: 60,
        warmDays: 90,
        coldDays: null,
      },
      { name: "default", when: null, archive: true, hotDays: 30, warmDays: 365, coldDays: 2555 },
    ] satisfies Rule[]);
  });

  it("may carry a byte order mark, Windows line ends and an end marker", () => {
    const text = `\uFEFF${SMALLEST.trimStart().replaceAll("\n", "\r\n")}...\r\n`;
    expect(parsePolicy(text, "p.yaml")).toEqual(parsePolicy(SMALLEST, "p.yaml"));
  });

  it("lets a delete-only rule keep its rows longer than the warm tier", () => {
    const rules = 'rules: [{ name: slow, when: "a", hot: 900d, archive: false }]\n';
    expect(parsePolicy(SMALLEST + rules, "p.yaml").rules[0]?.hotDays).toBe(900);
  });

  it("leaves a delete-only rule alone when tiers change", () => {
    const rules = 'rules: [{ name: noise, when: "a", hot: 1d, archive: false }]\n';
    const changed = SMALLEST.replace("keep: 2d", "keep: 77d");
    expect(parsePolicy(changed + rules, "p.yaml").rules[0]).toEqual(
      parsePolicy(SMALLEST + rules, "p.yaml").rules[0],
    );
  });
});

const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/).filter((each) => each !== "default");
const identifier = fc.oneof(
  name,
  fc.string({ minLength: 1, maxLength: 15 }).filter((each) => !each.includes("\0")),
);
const ascending = fc
  .uniqueArray(fc.integer({ min: 1, max: 36_500 }), { minLength: 3, maxLength: 3 })
  .map((days) => {
    const [hot, warm, cold] = days.toSorted((a, b) => a - b) as [number, number, number];
    return { hotDays: hot, warmDays: warm, coldDays: cold };
  });
const rule = fc
  .tuple(name, fc.constantFrom("a", "b = 'x; y'", "(c)"), fc.boolean(), ascending, fc.boolean())
  .map(([ruleName, when, archive, ages, forever]): Rule =>
    archive
      ? { name: ruleName, when, archive, ...ages, coldDays: forever ? null : ages.coldDays }
      : {
          name: ruleName,
          when,
          archive,
          hotDays: ages.hotDays,
          warmDays: ages.hotDays,
          coldDays: ages.hotDays,
        },
  );

/** Any policy with a cold tier. */
const policies: fc.Arbitrary<Policy> = fc
  .record({
    pipeline: name,
    table: fc.record({ schema: identifier, name: identifier }),
    time: identifier,
    zone: fc.constantFrom(null, "UTC", "America/Argentina/Buenos_Aires"),
    key: fc.option(fc.uniqueArray(identifier, { minLength: 1, maxLength: 4 })),
    region: fc.constantFrom(null, "eu-central-1"),
    owner: fc.constantFrom(null, "012345678901"),
    recoveryDays: fc.integer({ min: 1, max: 36_500 }),
    lock: fc.option(
      fc.record({ mode: fc.constantFrom("GOVERNANCE", "COMPLIANCE"), keepDays: fc.constant(1) }),
    ),
    encryption: fc.constantFrom(
      null,
      { mode: "SSE-S3" as const, key: null },
      { mode: "SSE-KMS" as const, key: null },
      { mode: "SSE-KMS" as const, key: "alias/audit" },
    ),
    bloomFilters: fc.uniqueArray(identifier, { maxLength: 3 }),
    wayCold: fc.constantFrom(
      { storageClass: "GLACIER_IR" as const, vault: null, transition: "lifecycle" as const },
      { storageClass: "GLACIER_IR" as const, vault: null, transition: "copy" as const },
      { storageClass: "GLACIER_VAULT" as const, vault: "acme-audit", transition: "copy" as const },
    ),
    ages: ascending,
    forever: fc.boolean(),
    objectBytesMin: fc.option(fc.bigInt({ min: 0n, max: 1n << 30n })),
    rules: fc.uniqueArray(rule, { maxLength: 5, selector: (each) => each.name }),
    prune: fc.constantFrom("auto", "rows", "partitions", "off"),
  })
  .map(
    ({
      pipeline,
      table,
      time,
      zone,
      key,
      region,
      owner,
      recoveryDays,
      lock,
      encryption,
      bloomFilters,
      wayCold,
      ages,
      forever,
      objectBytesMin,
      rules,
      prune,
    }): Policy => {
      const coldDays = forever ? null : ages.coldDays;
      return {
        pipeline,
        source: { connectionVariable: "DATABASE_URL", table, time, zone, key },
        archive: {
          url: "s3://acme-audit/firnline",
          region,
          endpoint: null,
          owner,
          recoveryDays,
          // Nothing that is locked is copied.
          lock: wayCold.transition === "copy" ? null : lock,
          encryption,
          bloomFilters,
        },
        hot: { keepDays: ages.hotDays },
        warm: { keepDays: ages.warmDays, storageClass: "STANDARD" },
        cold: { ...wayCold, keepDays: coldDays, objectBytesMin },
        rules: [...rules, { name: "default", when: null, archive: true, ...ages, coldDays }],
        prune,
      };
    },
  );

const quoted = (identifierName: string): string => `"${identifierName.replaceAll('"', '""')}"`;

function toYaml({ pipeline, source, archive, hot, warm, cold, rules, prune }: Policy): string {
  return stringify({
    version: 1,
    pipeline,
    source: {
      connection: source.connectionVariable,
      table: `${quoted(source.table.schema)}.${quoted(source.table.name)}`,
      time: quoted(source.time),
      ...(source.zone !== null && { zone: source.zone }),
      ...(source.key && { key: source.key.map(quoted) }),
    },
    archive: {
      url: archive.url,
      ...(archive.region !== null && { region: archive.region }),
      ...(archive.owner !== null && { owner: archive.owner }),
      recoveryWindow: `${archive.recoveryDays}d`,
      ...(archive.lock !== null && {
        lock: { mode: archive.lock.mode.toLowerCase(), keep: formatKeep(archive.lock.keepDays) },
      }),
      ...(archive.encryption !== null && {
        encryption: {
          mode: archive.encryption.mode,
          ...(archive.encryption.key !== null && { key: archive.encryption.key }),
        },
      }),
      bloomFilters: archive.bloomFilters.map(quoted),
    },
    tiers: {
      hot: { keep: formatKeep(hot.keepDays) },
      warm: { keep: formatKeep(warm.keepDays), storageClass: warm.storageClass },
      cold: cold && {
        ...(cold.vault === null ? { storageClass: cold.storageClass } : { vault: cold.vault }),
        transition: cold.transition,
        keep: formatKeep(cold.keepDays),
        ...(cold.objectBytesMin !== null && { objectBytesMin: formatBytes(cold.objectBytesMin) }),
      },
    },
    rules: rules.slice(0, -1).map((each) => ({
      name: each.name,
      when: each.when,
      hot: formatKeep(each.hotDays),
      ...(each.archive && { warm: formatKeep(each.warmDays), cold: formatKeep(each.coldDays) }),
      archive: each.archive,
    })),
    prune,
  });
}

describe("any policy", () => {
  it("written as YAML is read back", () => {
    fc.assert(
      fc.property(policies, (policy) => {
        expect(parsePolicy(toYaml(policy), "p.yaml")).toEqual(policy);
      }),
    );
  });

  it("survives the journal: plain JSON and back", () => {
    fc.assert(
      fc.property(policies, (policy) => {
        const json: unknown = JSON.parse(JSON.stringify(policyToJson(policy)));
        expect(json).toEqual(policyToJson(policy));
        expect(policyFromJson(json, "journal/7.json")).toEqual({ ...policy, retired: [] });
      }),
    );
  });

  it("from a journal of the first version waits for two weeks before anything is collected", () => {
    const json = policyToJson(parsePolicy(SMALLEST, "p.yaml"));
    const { recoveryDays: _, ...archive } = json.archive;
    expect(policyFromJson({ ...json, archive }, "journal/7.json").archive.recoveryDays).toBe(14);
  });

  it("from a journal that another version wrote is E_FORMAT, without its values", () => {
    const json = { ...policyToJson(parsePolicy(SMALLEST, "p.yaml")), vault: "hunter2" };
    const read = () => policyFromJson(json, "journal/7.json");
    expect(read).toThrow(expect.objectContaining({ code: "E_FORMAT" }));
    expect(read).not.toThrow(/hunter2/);
  });

  it("or any other text is read or refused with findings, never with something else", () => {
    const lines = SMALLEST.split("\n");
    const piece = fc.oneof(
      fc.constantFrom(
        ...lines,
        "rules: [{}]",
        "rules: [1, [], {name: a}]",
        "tiers: {hot: {keep: 5d}, cold: []}",
        "]: [",
        "&a *a",
        "'",
      ),
      fc.string({ unit: "binary", maxLength: 30 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          parsePolicy(pieces.join("\n"), "p.yaml");
        } catch (error) {
          if (!(error instanceof FirnlineErrors)) throw error;
          expect(error.errors.length).toBeGreaterThan(0);
          expect(error.errors.every((each) => isFirnlineError(each, "E_POLICY"))).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
