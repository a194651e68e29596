/**
 * What a person reads when a policy file is wrong. Every case is one slip in a good file; the exact messages
 * are in `test/golden/policy-messages.txt` (`vitest run -u` writes it anew; read the difference).
 */
import { describe, expect, it } from "vitest";

import { FirnlineErrors } from "../../src/errors.ts";
import { parsePolicy } from "../../src/policy/policy.ts";

const GOOD = `version: 1
pipeline: audit_logs
source:
  connection: DATABASE_URL
  table: public.audit_logs
  time: ts
  key: [id]
archive:
  url: s3://acme-audit/firnline
  region: eu-central-1
tiers:
  hot: { keep: 30d }
  warm: { keep: 365d, storageClass: STANDARD }
  cold: { storageClass: DEEP_ARCHIVE, keep: 2555d, objectBytesMin: 128KiB }
rules:
  - { name: access_denied, when: "action = 'access_denied'", hot: 20d }
prune: auto
`;

/** A password that must not come back, whatever goes wrong. */
const CANARY = "hunter2canary";
const SECRET_URL = `postgres://admin:${CANARY}@db.example.com/app`;

/** `GOOD` with one piece replaced. */
function swap(from: string, to: string): string {
  expect(GOOD).toContain(from);
  return GOOD.replace(from, () => to);
}

const when = (predicate: string): string => swap(`"action = 'access_denied'"`, JSON.stringify(predicate));
const manyRules = (count: number): string =>
  Array.from({ length: count }, (_, index) => `  - { name: r${index}, when: "a = ${index}" }\n`).join("");

const CASES: Readonly<Record<string, () => string>> = {
  // YAML
  "empty file": () => "",
  "only comments": () => "# nothing\n",
  "a list": () => "- version: 1\n",
  "a text": () => "hello\n",
  "tab as indentation": () => swap("  table:", "\ttable:"),
  "two documents": () => `${GOOD}---\n${GOOD}`,
  "a key twice": () => swap("  time: ts\n", "  time: ts\n  table: public.other\n"),
  "a key twice in braces": () => swap("{ keep: 30d }", "{ keep: 30d, keep: 40d }"),
  "anchor and alias": () => swap("hot: { keep: 30d }", "hot: &a { keep: 30d }\n  more: *a"),
  "alias bomb": () => "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: [*c, *c, *c]\n",
  "unknown alias": () => swap("keep: 30d", "keep: *never"),
  "a tag of YAML": () => swap("keep: 30d", "keep: !!str 30d"),
  "a tag of the author": () => swap("keep: 30d", "keep: !days 30"),
  "a directive": () => `%YAML 1.1\n---\n${GOOD}`,
  "unclosed brace": () => swap("hot: { keep: 30d }", "hot: { keep: 30d"),
  "unclosed quote": () => swap(`'access_denied'"`, "'access_denied'"),
  "colon in a plain text": () => swap(`"action = 'access_denied'"`, "a: b"),
  "wrong indentation": () => swap("  time: ts", "    time: ts"),
  "SQL quotes without YAML quotes": () => swap("public.audit_logs", '"We""ird"."Table"'),
  "backslash in double quotes": () => when("x").replace('"x"', "\"a ~ '\\d'\""),
  "a mapping as a key": () => swap("version: 1", "{ a: b }: 1"),
  "nested too deeply": () => `a: ${"[".repeat(20_000)}`,
  "file too large": () => `${GOOD}${"# filler\n".repeat(30_000)}`,
  "merge key": () => swap("hot: { keep: 30d }", "hot: { keep: 30d, <<: { a: b } }"),
  "secret in broken YAML": () => swap("DATABASE_URL", `"${SECRET_URL}" ${CANARY}`),

  // keys
  "unknown key with a near one": () => swap("storageClass: STANDARD", "storage_class: STANDARD"),
  "unknown key, two letters swapped": () => swap("prune: auto", "purne: auto"),
  "unknown key without a near one": () => swap("prune: auto", "favourite: blue"),
  "key of a later version": () => `${GOOD}schedule: "0 2 * * *"\nclamp: 8KiB\nbudget: 10\n`,
  vault: () => swap("objectBytesMin: 128KiB", "vault: old-audit"),
  "credentials as keys": () => swap("  region:", `  secretAccessKey: ${CANARY}\n  region:`),
  "a secret as a key": () => swap("  time: ts", `  time: ts\n  ? "${SECRET_URL}"\n  : 1`),
  "key of another place": () => swap("hot: 20d", "keep: 20d"),
  __proto__: () => `${GOOD}__proto__: { a: 1 }\n`,
  "missing keys": () => "version: 1\npipeline: x\nsource:\n  connection: DATABASE_URL\n",
  "missing keys of a rule": () =>
    swap("{ name: access_denied, when: \"action = 'access_denied'\", hot: 20d }", "hot: 20d"),
  "null for a mapping": () => swap("  hot: { keep: 30d }", "  hot:"),

  // texts
  "version 2": () => swap("version: 1", "version: 2"),
  "version as text": () => swap("version: 1", 'version: "1"'),
  "pipeline name": () => swap("pipeline: audit_logs", "pipeline: Audit-Logs"),
  "pipeline as number": () => swap("pipeline: audit_logs", "pipeline: 2024"),
  "pipeline too long": () => swap("pipeline: audit_logs", `pipeline: ${"ab_".repeat(30)}`),
  "connection is a URL": () => swap("DATABASE_URL", SECRET_URL),
  "connection is a conninfo string": () => swap("DATABASE_URL", `host=db password=${CANARY}`),
  "connection is an access key": () => swap("DATABASE_URL", "AKIAIOSFODNN7EXAMPLE"),
  "connection in lower case": () => swap("DATABASE_URL", "database_url"),
  "connection is a list": () => swap("DATABASE_URL", `["${SECRET_URL}"]`),
  "connection is a number": () => swap("DATABASE_URL", "123456789"),
  "connection far too long": () => swap("DATABASE_URL", `${CANARY}${"x".repeat(200)}`),
  "table without schema": () => swap("public.audit_logs", "audit_logs"),
  "table with database": () => swap("public.audit_logs", "app.public.audit_logs"),
  "table with capitals": () => swap("public.audit_logs", "public.AuditLogs"),
  "table with a hyphen": () => swap("public.audit_logs", "public.audit-logs"),
  "table with too many bytes": () =>
    swap("public.audit_logs", `'public."${"é".repeat(20)} ${"ü".repeat(12)}"'`),
  "table with a dot at the end": () => swap("public.audit_logs", "public."),
  "table with a statement": () => swap("public.audit_logs", "'public.a\"; drop table x; --'"),
  "table is a URL": () => swap("public.audit_logs", SECRET_URL),
  "time with a table": () => swap("time: ts", "time: audit_logs.ts"),
  "zone unknown": () => swap("time: ts", "time: ts\n  zone: Europe/Berlni"),
  "zone as offset": () => swap("time: ts", 'time: ts\n  zone: "+02:00"'),
  "key as text": () => swap("key: [id]", "key: id"),
  "key empty": () => swap("key: [id]", "key: []"),
  "key twice": () => swap("key: [id]", "key: [id, ts, id]"),
  "bloom filters twice": () =>
    swap("  region: eu-central-1\n", "  region: eu-central-1\n  bloomFilters: [a, b, A, a]\n"),
  "bloom filters as text": () => swap("  region: eu-central-1\n", "  bloomFilters: actor_id\n"),
  "key with an empty name": () => swap("key: [id]", 'key: [""]'),
  "url of another scheme": () =>
    swap("s3://acme-audit/firnline", "https://acme-audit.s3.amazonaws.com/firnline"),
  "url with credentials": () => swap("s3://acme-audit/firnline", `s3://AKIA:${CANARY}@acme-audit/firnline`),
  "url with a secret in the query": () =>
    swap("s3://acme-audit/firnline", `s3://acme-audit/x?secret_key=${CANARY}`),
  "url with a bad bucket": () => swap("s3://acme-audit/firnline", "s3://Acme_Audit/firnline"),
  "url with dot segments": () => swap("s3://acme-audit/firnline", "s3://acme-audit/../other"),
  "url with an empty segment": () => swap("s3://acme-audit/firnline", "s3://acme-audit//firnline"),
  "url with a percent escape": () => swap("s3://acme-audit/firnline", "s3://acme-audit/a%2Fb"),
  "file url with a host": () =>
    swap("s3://acme-audit/firnline\n  region: eu-central-1", "file://var/lib/firnline"),
  "file url of the root": () => swap("s3://acme-audit/firnline\n  region: eu-central-1", "file:///"),
  "file url with a region": () => swap("s3://acme-audit/firnline", "file:///var/lib/firnline"),
  "region with capitals": () => swap("eu-central-1", "EU Frankfurt"),
  "region is a secret": () => swap("eu-central-1", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"),
  "endpoint without scheme": () => swap("region: eu-central-1", "endpoint: localhost:9000"),
  "endpoint with credentials": () =>
    swap("region: eu-central-1", `endpoint: https://a:${CANARY}@s3.example.com`),
  "endpoint with a path": () => swap("region: eu-central-1", "endpoint: https://s3.example.com/bucket"),
  "owner that is no account": () => swap("region: eu-central-1", "owner: acme"),
  "owner without quotes": () => swap("region: eu-central-1", "owner: 123456789012"),
  "owner of a folder": () =>
    swap(
      "s3://acme-audit/firnline\n  region: eu-central-1",
      'file:///var/lib/firnline\n  owner: "123456789012"',
    ),
  "recovery window without unit": () => swap("region: eu-central-1", "recoveryWindow: 14"),
  "recovery window of a week": () => swap("region: eu-central-1", "recoveryWindow: 2w"),
  "recovery window of nothing": () => swap("region: eu-central-1", "recoveryWindow: 0d"),
  "recovery window for ever": () => swap("region: eu-central-1", "recoveryWindow: forever"),
  "lock without a mode": () => swap("region: eu-central-1", "lock: { keep: 365d }"),
  "lock of an unknown mode": () => swap("region: eu-central-1", "lock: { mode: strict, keep: 365d }"),
  "lock for ever": () => swap("region: eu-central-1", "lock: { mode: governance, keep: forever }"),
  "lock that outlives the records": () =>
    swap("region: eu-central-1", "lock: { mode: governance, keep: 2556d }"),
  "lock that outlives the records of a rule": () =>
    swap("region: eu-central-1", "lock: { mode: governance, keep: 2000d }").replace(
      "hot: 20d",
      "cold: 1000d",
    ),
  "lock in a folder": () =>
    swap(
      "s3://acme-audit/firnline\n  region: eu-central-1",
      "file:///var/lib/firnline\n  lock: { mode: governance, keep: 365d }",
    ),
  "lock and copies": () =>
    swap("region: eu-central-1", "lock: { mode: governance, keep: 365d }").replace(
      "keep: 2555d,",
      "keep: 2555d, transition: copy,",
    ),
  "lock and a vault": () =>
    swap("region: eu-central-1", "lock: { mode: governance, keep: 365d }").replace(
      "storageClass: DEEP_ARCHIVE",
      "vault: acme",
    ),
  "encryption of an unknown mode": () => swap("region: eu-central-1", "encryption: { mode: AES256 }"),
  "a key for SSE-S3": () => swap("region: eu-central-1", "encryption: { mode: SSE-S3, key: alias/audit }"),
  "a key that is a secret": () =>
    swap("region: eu-central-1", `encryption: { mode: SSE-KMS, key: "${CANARY} x" }`),
  "a vault and a class": () => swap("keep: 2555d,", "keep: 2555d, vault: acme,"),
  "a vault by a rule of the bucket": () =>
    swap("storageClass: DEEP_ARCHIVE", "vault: acme, transition: lifecycle"),
  "a vault of no name": () => swap("storageClass: DEEP_ARCHIVE", 'vault: "-"'),
  "transition of an unknown kind": () => swap("keep: 2555d,", "keep: 2555d, transition: move,"),
  "endpoint of the metadata service": () => swap("region: eu-central-1", "endpoint: http://0xA9FEA9FE"),

  // retention
  "keep without unit": () => swap("keep: 30d", "keep: 30"),
  "keep without unit, as text": () => swap("keep: 30d", 'keep: "30"'),
  "keep in weeks": () => swap("keep: 30d", "keep: 4w"),
  "keep in months": () => swap("keep: 30d", "keep: 1mo"),
  "keep in years": () => swap("keep: 2555d", "keep: 7y"),
  "keep in hours": () => swap("keep: 30d", "keep: 720h"),
  "keep with a blank": () => swap("keep: 30d", "keep: 30 d"),
  "keep with a leading zero": () => swap("keep: 30d", "keep: 030d"),
  "keep negative": () => swap("keep: 30d", "keep: -30d"),
  "keep with a fraction": () => swap("keep: 30d", "keep: 1.5d"),
  "keep of nothing": () => swap("keep: 30d", "keep: 0d"),
  "keep of a thousand years": () => swap("keep: 2555d", "keep: 365000d"),
  "hot forever": () => swap("keep: 30d", "keep: forever"),
  "warm forever": () => swap("keep: 365d", "keep: forever"),
  "cold for ever": () => swap("keep: 2555d", "keep: ever"),
  "warm not longer than hot": () => swap("keep: 365d", "keep: 30d"),
  "cold not longer than warm": () => swap("keep: 2555d", "keep: 100d"),
  "storage class unknown": () => swap("storageClass: DEEP_ARCHIVE", "storageClass: deep_archive"),
  "storage class of one zone": () => swap("storageClass: STANDARD", "storageClass: ONEZONE_IA"),
  "warm class that needs a restore": () => swap("storageClass: STANDARD", "storageClass: GLACIER"),
  "cold class that is not colder": () =>
    swap("STANDARD }", "GLACIER_IR }").replace("storageClass: DEEP_ARCHIVE", "storageClass: STANDARD_IA"),
  "bytes in KB": () => swap("128KiB", "128KB"),
  "bytes as number": () => swap("128KiB", "131072"),
  "bytes too many": () => swap("128KiB", "6GiB"),

  // rules
  "rules as a mapping": () => swap("rules:\n  - { name: access_denied, ", "rules:\n  access_denied: { "),
  "too many rules": () => swap("rules:\n", `rules:\n${manyRules(64)}`),
  "rule named default": () => swap("name: access_denied", "name: default"),
  "rule named badly": () => swap("name: access_denied", "name: access-denied"),
  "two rules of a name": () => swap("prune:", '  - { name: access_denied, when: "a = 1" }\nprune:'),
  "when is empty": () => when("  "),
  "when is a boolean": () => swap(`"action = 'access_denied'"`, "true"),
  "when with a semicolon": () => when("true; drop table audit_logs"),
  "when that closes our bracket": () => when("a = 1) OR (true"),
  "when with an open bracket": () => when("(a = 1"),
  "when with mixed brackets": () => when("a = any (array[1)]"),
  "when with a comment": () => when("a = 1 -- all"),
  "when with an open quote": () => when("a = 'x"),
  "when with an open dollar quote": () => when("a = $q$x"),
  "when far too long": () => when(`a = '${"x".repeat(9000)}'`),
  "rule after one that matches all": () =>
    swap("action = 'access_denied'", "true").replace("prune:", '  - { name: b, when: "b" }\nprune:'),
  "rule hot not shorter than warm of tiers": () => swap("hot: 20d", "hot: 400d"),
  "rule warm not longer than its hot": () => swap("hot: 20d", "hot: 20d, warm: 20d"),
  "rule warm not shorter than cold of tiers": () => swap("hot: 20d", "warm: 3000d"),
  "rule cold not longer than warm of tiers": () => swap("hot: 20d", "cold: 300d"),
  "rule cold without a cold tier": () =>
    swap("hot: 20d", "cold: 900d").replace(/ {2}cold: \{ storageClass.*\n/, ""),
  "delete-only rule with tiers": () =>
    swap("hot: 20d", "hot: 20d, warm: 100d, cold: forever, archive: false"),
  "archive as text": () => swap("hot: 20d", 'archive: "no"'),
  "prune unknown": () => swap("prune: auto", "prune: drop"),
  "prune as a boolean": () => swap("prune: auto", "prune: false"),

  "everything at once": () =>
    swap("DATABASE_URL", SECRET_URL)
      .replace("keep: 30d", "keep: 4w")
      .replace("keep: 2555d", "keep: 300d")
      .replace("prune: auto", "purge: auto")
      .replace("name: access_denied", "name: default"),
};

function messagesOf(text: string): string[] {
  try {
    parsePolicy(text, "pipelines/x.yaml");
  } catch (error) {
    if (!(error instanceof FirnlineErrors)) throw error;
    return error.errors.map(({ message }) => message);
  }
  throw new Error("parsed without an error");
}

describe("messages about a policy file", () => {
  it("starts from a good file", () => {
    expect(parsePolicy(GOOD, "pipelines/x.yaml").pipeline).toBe("audit_logs");
  });

  it("are as written down", async () => {
    const sections = Object.entries(CASES).map(
      ([title, text]) => `## ${title}\n${messagesOf(text()).join("\n")}\n`,
    );
    await expect(sections.join("\n")).toMatchFileSnapshot("../golden/policy-messages.txt");
  });

  it.each(Object.entries(CASES))(
    "%s: has a place, a problem and a hint, and shows no secret",
    (_title, text) => {
      const messages = messagesOf(text());
      expect(messages.length).toBeGreaterThan(0);
      for (const message of messages) {
        expect(message).toMatch(/^E_POLICY pipelines\/x\.yaml:\d+:\d+( [^:]+)?: .+\. .+[^.?]\.$/s);
        expect(message).not.toContain(CANARY);
        expect(message).not.toContain("undefined");
        expect(message).not.toMatch(/[\n\t]/);
        expect(message.length).toBeLessThan(400);
      }
    },
  );
});
