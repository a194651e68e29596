/** Every file of `pipelines/` is a good policy; their retention is what the owner asked for. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { parsePolicy, type Policy } from "../../src/policy/policy.ts";

const FOLDER = new URL("../../pipelines/", import.meta.url);
const FILES = readdirSync(FOLDER).filter((file) => /\.ya?ml$/.test(file));
const textOf = (file: string): string => readFileSync(new URL(file, FOLDER), "utf8");
const read = (file: string): Policy => parsePolicy(textOf(file), `pipelines/${file}`);

describe("pipelines/", () => {
  it.each(FILES)("%s is a policy, named after its pipeline, with a schema for editors", (file) => {
    expect(read(file).pipeline).toBe(file.replace(/\.ya?ml$/, "").replaceAll("-", "_"));
    expect(textOf(file)).toMatch(/^# yaml-language-server: \$schema=\.\.\/schemas\/pipeline\.schema\.json\n/);
  });

  it("has no table and no pipeline twice", () => {
    const policies = FILES.map(read);
    expect(new Set(policies.map(({ pipeline }) => pipeline)).size).toBe(FILES.length);
    const tables = policies.map(({ source }) => JSON.stringify([source.connectionVariable, source.table]));
    expect(new Set(tables).size).toBe(FILES.length);
  });

  it("audit-logs.yaml: 30 days hot, warm to a year, cold for ever", () => {
    const { hot, warm, cold } = read("audit-logs.yaml");
    expect([hot.keepDays, warm.keepDays, cold?.storageClass, cold?.keepDays]).toEqual([
      30,
      365,
      "DEEP_ARCHIVE",
      null,
    ]);
  });

  it.each([
    ["ledger-audit-events.yaml", 90],
    ["list-item-events.yaml", 90],
    ["billing-events.yaml", 180],
  ])("%s: %i days hot, as ADR-0005 has it, and archived", (file, days) => {
    expect(read(file).rules.at(-1)).toMatchObject({ name: "default", hotDays: days, archive: true });
  });

  it("ledger-audit-events.yaml: access_denied rows are deleted after 30 days, not archived", () => {
    expect(read("ledger-audit-events.yaml").rules[0]).toMatchObject({
      name: "access_denied",
      hotDays: 30,
      archive: false,
    });
  });
});
