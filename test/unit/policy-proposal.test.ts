/**
 * The policy that `firnline init` proposes: which columns it takes, why, and that a reader finds in the file what was
 * meant, whatever the names are. Whole files are in `test/golden/policy-proposals.txt`.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FirnlineErrors } from "../../src/errors.ts";
import { parsePolicy } from "../../src/policy/policy.ts";
import {
  type KeyIndex,
  pipelineNameOf,
  type ProposalInput,
  proposePolicy,
  rankTimes,
  type TimeColumn,
} from "../../src/policy/proposal.ts";

const time = (name: string, more: Partial<TimeColumn> = {}): TimeColumn => ({
  name,
  type: "timestamptz",
  notNull: true,
  index: `ix_${name}`,
  ...more,
});
const key = (...columns: string[]): KeyIndex => ({ index: "audit_logs_pkey", isPrimary: true, columns });

const input = (changes: Partial<ProposalInput> = {}): ProposalInput => ({
  connectionVariable: "DATABASE_URL",
  table: { schema: "public", name: "audit_logs" },
  isPartitioned: false,
  times: [time("ts", { index: "ix_audit_logs_ts" })],
  keys: [key("id")],
  archiveUrl: "file:///srv/archive",
  zone: null,
  about: ["public.audit_logs: 1,234 rows, 700 MiB.", "Proposed by `firnline init` on 2026-03-01."],
  ...changes,
});

/** Text that breaks lines, comments, quotes, YAML and terminals. */
const HOSTILE = "a\"; drop table x; --\n# }: [&*!|>%@`\u001b[31m\u2028\u202e\u0085\ufeff'";

const CASES: Readonly<Record<string, Partial<ProposalInput>>> = {
  "a table as one wants it": {},
  "on S3, with the schema in the name, and other columns that could be meant": {
    table: { schema: "billing", name: "events" },
    times: [time("updated_at"), time("occurred_at"), time("valid_until", { type: "timestamp" })],
    keys: [{ index: "events_ref_key", isPrimary: false, columns: ["tenant", "ref"] }],
    archiveUrl: "s3://acme-audit/firnline",
  },
  "a plain timestamp without an index, in a database of Berlin": {
    times: [time("created_at", { type: "timestamp", index: null })],
    zone: "Europe/Berlin",
  },
  "a column that changes, and may be NULL": { times: [time("last_seen", { notNull: false })] },
  "a partitioned table": { isPartitioned: true },
  "a partitioned table without a key, and nothing said of the archive": {
    isPartitioned: true,
    keys: [],
    archiveUrl: null,
  },
  "hostile names": {
    table: { schema: HOSTILE, name: "Audit Log" },
    times: [time(HOSTILE), time("true")],
    keys: [key(HOSTILE, "null", "on")],
    about: [`${HOSTILE}: 1 row`, "Proposed"],
  },
};

describe("a proposed policy", () => {
  it("is as written down", async () => {
    const sections = Object.entries(CASES).map(
      ([title, changes]) => `## ${title}\n${proposePolicy(input(changes)).text}`,
    );
    await expect(sections.join("\n")).toMatchFileSnapshot("../golden/policy-proposals.txt");
  });

  it.each(Object.keys(CASES))("is a policy that names what was meant: %s", (title) => {
    const given = input(CASES[title]);
    const { text, time: chosen, key: found, pipeline } = proposePolicy(given);
    expect(parsePolicy(text, "proposed.yaml")).toMatchObject({
      pipeline,
      source: {
        connectionVariable: "DATABASE_URL",
        table: given.table,
        time: chosen.name,
        zone: null,
        key: found?.columns ?? null,
      },
      archive: { url: given.archiveUrl ?? "file:///var/lib/firnline" },
      hot: { keepDays: 30 },
      warm: { keepDays: 365, storageClass: "STANDARD" },
      cold: { storageClass: "DEEP_ARCHIVE", keepDays: null },
      prune: found === null ? "partitions" : "auto",
    });
  });

  it("names what was meant, whatever the names are", () => {
    const name = fc
      .oneof(
        fc.string({ unit: "binary", minLength: 1, maxLength: 15 }),
        fc.stringMatching(/^["'#:,[\]{}&*!|>%@` \n\t\\.-]{1,20}$/),
        fc.constantFrom("true", "null", "NO", "y", "1e3", "0x1f", "~", "-", "a b", '""""', "a\\nb"),
      )
      .map((text) => text.replaceAll("\0", "0"));
    fc.assert(
      fc.property(
        name,
        name,
        name,
        fc.array(name, { minLength: 1, maxLength: 3 }),
        (schema, table, column, columns) => {
          const given = input({
            table: { schema, name: table },
            times: [time(column)],
            keys: [key(...new Set(columns))],
            about: [`${schema} ${table}`, "Proposed"],
          });
          const { text } = proposePolicy(given);
          const { source } = parsePolicy(text, "proposed.yaml");
          expect(source).toMatchObject({ table: given.table, time: column, key: [...new Set(columns)] });
          // No line but those of the template, and nothing that steers a terminal or hides a part of the line.
          const plain = proposePolicy(input()).text.split("\n").length;
          expect(text.split("\n")).toHaveLength(plain + (text.includes("Make sure of it") ? 1 : 0));
          expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        },
      ),
    );
  });

  it("asks for the zone of a plain timestamp: the line is there, and does nothing until its # is removed", () => {
    const { text } = proposePolicy(
      input({ times: [time("created_at", { type: "timestamp" })], zone: "Europe/Berlin" }),
    );
    expect(parsePolicy(text, "p.yaml").source.zone).toBeNull();
    expect(parsePolicy(text.replace("#zone", "zone"), "p.yaml").source.zone).toBe("Europe/Berlin");
    const odd = proposePolicy(input({ times: [time("ts", { type: "timestamp" })], zone: "<+03>-03\n}" }));
    expect(parsePolicy(odd.text.replace("#zone", "zone"), "p.yaml").source.zone).toBe("UTC");
  });

  it("is refused for an archive that no policy could have", () => {
    expect(() => proposePolicy(input({ archiveUrl: "s3://user:secret@bucket" }))).toThrow(FirnlineErrors);
  });
});

describe("the time column", () => {
  const CHOICES: readonly [why: string, best: TimeColumn, ...others: TimeColumn[]][] = [
    ["a name that says so", time("occurred_at"), time("a"), time("b")],
    ["a better name", time("ts"), time("created_at")],
    ["timestamptz", time("b"), time("a", { type: "timestamp" })],
    ["NOT NULL", time("b"), time("a", { notNull: false })],
    ["an index", time("b"), time("a", { index: null })],
    ["the first of equals", time("a"), time("b")],
    ["a name above a type", time("created_at", { type: "timestamp" }), time("at_x")],
    ["a name above an index", time("createdAt", { index: null }), time("x")],
    [
      "what does not change",
      time("x", { type: "timestamp", notNull: false, index: null }),
      time("updated_at"),
    ],
    ["no deadline", time("x", { index: null }), time("expires_at")],
  ];

  it.each(CHOICES)("is chosen by %s", (_, best, ...others) => {
    for (const times of [
      [best, ...others],
      [...others, best],
    ]) {
      const equals = others.every(({ name }) => name === "b" && best.name === "a");
      expect(rankTimes(equals ? [best, ...others] : times)[0]).toEqual(best);
    }
  });
});

describe("the name of a pipeline", () => {
  it.each([
    ["public", "audit_logs", "audit_logs"],
    ["public", "AuditLog", "audit_log"],
    ["public", "HTTPLog2Events", "httplog2_events"],
    ["billing", "events", "billing_events"],
    ["public", "Ünïcode-Ereignisse", "u_ni_code_ereignisse"],
    ["public", "2024 log", "table_2024_log"],
    ["public", "日本", "table"],
    ["public", "_", "table"],
    ["public", 'a"; drop table x; --', "a_drop_table_x"],
    ["public", "x".repeat(80), "x".repeat(63)],
  ])("%s.%s is %s", (schema, name, expected) => {
    expect(pipelineNameOf({ schema, name })).toBe(expected);
  });

  it("is one that a policy takes, whatever the table's is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (schema, name) => {
        expect(pipelineNameOf({ schema, name })).toMatch(/^[a-z][a-z0-9_]{0,62}$/);
      }),
    );
  });
});
