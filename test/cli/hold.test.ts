/** `firnline hold` as a person and a script use it, and what a plan and a run say of it: `test/golden/hold-cli.txt`. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { Scenario } from "../support/scenario.ts";
import { cli, json } from "./on-scenario.ts";

let scenario: Scenario;
const DENIED = [{ name: "denied", when: "action = 'denied'", hot: "30d", archive: false }];
const TIERS = { cold: { storageClass: "DEEP_ARCHIVE", keep: "90d" } };
const WHEN = ["--as-of", "2026-03-10"];

beforeAll(async () => {
  scenario = await Scenario.create({
    rules: DENIED,
    tiers: TIERS,
    environ: { FIRNLINE_SEGMENT_MIB: "1024" },
  });
  await scenario.insert(auditRows("2025-12-05", 1, 60));
  await scenario.insert(auditRows("2026-01-29", 101, 30));
  await scenario.run({ asOf: "2026-03-01" });
});
afterAll(async () => await scenario?.[Symbol.asyncDispose]());

const ADD = [
  "hold",
  "add",
  "audit-logs",
  "--from",
  "2025-12-01",
  "--to",
  "2026-01-31",
  "--reason",
  "case 17",
];

/** Ids, today and times are other ones each time. */
const steady = (text: string): string =>
  text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+/g, "UUID")
    .replaceAll(/hold [0-9a-f]{8}\b/g, "hold 0d5cf1a2")
    .replaceAll(/(since|released) \d{4}-\d{2}-\d{2}/g, "$1 2026-03-10")
    .replaceAll(/\(\d+\.\d s\)/g, "(0.1 s)");

describe("firnline hold", () => {
  it("is placed, heeded, listed and released, in these words", async () => {
    const said: string[] = [];
    const say = async (...args: readonly string[]): Promise<number | null> => {
      const { code, stdout, stderr } = await cli(scenario, ...args);
      said.push(`$ firnline ${args.join(" ")}\n${steady(stdout + stderr)}`);
      return code;
    };
    expect(await say("hold", "list", "audit-logs")).toBe(0);
    expect(await say(...ADD, "--by", "jane")).toBe(0);
    expect(await say("hold", "list", "audit-logs")).toBe(0);
    await scenario.insert(auditRows("2026-01-29", 201, 20, "'denied'"));
    expect(await say("run", "audit-logs", ...WHEN)).toBe(0);
    expect(await scenario.count("action = 'denied'")).toBe(20);
    const [first] = await scenario.query("SELECT hold::text AS id FROM firnline.hold");
    const id = String(first?.["id"]).slice(0, 8);
    expect(await say("hold", "release", "audit-logs", id, "--reason", "settled", "--by", "joe")).toBe(0);
    said[said.length - 1] = (said.at(-1) as string).replace(id, "0d5cf1a2");
    expect(await say("hold", "list", "audit-logs", "--all")).toBe(0);
    expect(await say("run", "audit-logs", ...WHEN)).toBe(0);
    // Too late: it is gone.
    expect(await say(...ADD, "--by", "jane")).toBe(0);
    await expect(said.join("\n")).toMatchFileSnapshot("../golden/hold-cli.txt");
  });

  it("is one line of JSON each for machines", async () => {
    const [line] = await json(scenario, "hold", "list", "audit-logs");
    expect(line).toEqual({
      pipeline: "audit_logs",
      hold: {
        hold: expect.stringMatching(/^[0-9a-f-]{36}$/),
        from: "2025-12-01",
        to: "2026-01-31",
        reason: "case 17",
        placedBy: "jane",
        placedAt: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T.*Z$/),
        released: null,
      },
    });
    const [status] = await json(scenario, "status", "audit-logs", ...WHEN);
    expect(status).toMatchObject({ holds: [{ reason: "case 17" }], expired: { segments: 1, rows: "60" } });
  });

  it.each([
    [["hold"], "the action is missing"],
    [["hold", "lst", "audit-logs"], 'there is no such action (found "lst"). Did you mean list?'],
    [["hold", "add"], "the PIPELINE is missing"],
    [["hold", "add", "audit-logs", "more"], "it takes one PIPELINE only"],
    [ADD.slice(0, 5), "--to is missing"],
    [ADD.slice(0, 7), "--reason is missing"],
    [[...ADD.slice(0, 8), "  "], "--reason is missing"],
    [[...ADD.slice(0, 8), "a\nb"], "it is not one line of 1 to 500 characters"],
    [[...ADD.slice(0, 8), "x".repeat(501)], "it is not one line of 1 to 500 characters (found 501)"],
    [
      ["hold", "add", "audit-logs", "--from", "2026-02-30", "--to", "2026-03-01", "--reason", "x"],
      "is not a date",
    ],
    [
      ["hold", "add", "audit-logs", "--from", "2026-02-02", "--to", "2026-02-01", "--reason", "x"],
      "the range ends before it begins (found 2026-02-02 .. 2026-02-01)",
    ],
    [["hold", "list", "audit-logs", "--reason", "x"], "it says nothing to `hold list`"],
    [[...ADD, "--all"], "it says nothing to `hold add`"],
    [["hold", "release", "audit-logs", "--reason", "x"], "the HOLD is missing"],
    [["hold", "release", "audit-logs", "0d5", "--reason", "x"], "it has no hold with this id"],
    [["hold", "release", "audit-logs", "%%%%", "--reason", "x"], "it has no hold with this id"],
  ])("refuses %j: %s; 2, and nothing is changed", async (args, problem) => {
    const before = await scenario.query("SELECT * FROM firnline.hold ORDER BY hold");
    const { code, stdout, stderr } = await cli(scenario, ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(problem);
    expect(await scenario.query("SELECT * FROM firnline.hold ORDER BY hold")).toEqual(before);
  });
});
