/** The life of a pipeline on the command line: what each command answers, to people and to machines. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AUDIT_LOGS } from "../support/audit-rows.ts";
import { createDatabase } from "../support/postgres.ts";
import { LAST_COLD, LAST_DUE, Scenario } from "../support/scenario.ts";
import { firnline, jsonLines } from "./command-line.ts";
import { cli, everything, fill, json, start, WHEN, YEAR } from "./on-scenario.ts";

describe("a pipeline's life", () => {
  let scenario: Scenario;

  beforeAll(async () => {
    scenario = await Scenario.on(await createDatabase());
    await scenario.query(AUDIT_LOGS);
    await scenario.query("CREATE SCHEMA truth; CREATE TABLE truth.rows (LIKE public.audit_logs)");
    await fill(scenario);
  });
  afterAll(async () => await scenario?.[Symbol.asyncDispose]());

  const answer = (name: string): string => join(scenario.folder, name);

  it.each([["run"], ["retrieve", "audit-logs", ...YEAR, "--out", "/nonexistent/x"]])(
    "%s before migrate: E_CATALOG says to migrate, and nothing is changed",
    async (...args) => {
      const before = await everything(scenario);
      const { code, stdout, stderr } = await cli(scenario, ...args);
      expect({ code, stdout, stderr: stderr.split("\n").at(-2) }).toEqual({
        code: 1,
        stdout: "",
        stderr: "E_CATALOG schema firnline: there is no control schema. Run `firnline migrate`.",
      });
      expect(await everything(scenario)).toEqual(before);
    },
  );

  it("plan and status work before migrate, and touch nothing", async () => {
    const before = await everything(scenario);
    const plan = await cli(scenario, "plan", ...WHEN);
    expect(plan).toMatchObject({ code: 0, stderr: "" });
    // Its text is in plan-prices.test.ts.
    expect(plan.stdout).toMatch(/^audit_logs as of 2026-03-01T00:00Z: 2 steps, 120 rows, about /);
    expect(plan.stdout).toMatch(/^ {2}2025-12-30 {2}export > seal > prune > transition {4}60 /m);
    expect(plan.stdout).toMatch(/^ {2}2026-01-29 {2}export > seal > prune {17}60 /m);
    const status = await cli(scenario, "status", ...WHEN);
    expect(status).toMatchObject({ code: 0, stderr: "" });
    expect(status.stdout).toContain("  overdue: 2 days to move; the next run does it");
    expect(status.stdout).toContain("  runs: none yet\n");
    expect(await everything(scenario)).toEqual(before);
  });

  it("migrate says what it applied, and that there was nothing left to apply", async () => {
    expect(await json(scenario, "migrate")).toEqual([
      { connection: "DATABASE_URL", applied: expect.arrayContaining(["000001_initial.sql"]) },
    ]);
    expect(await cli(scenario, "migrate")).toMatchObject({
      code: 0,
      stdout: "DATABASE_URL: up to date\n",
      stderr: "",
    });
  });

  it("retrieve before the first run is refused: nothing says what the archive holds", async () => {
    const { code, stderr } = await cli(scenario, "retrieve", "audit_logs", ...YEAR, "--out", answer("early"));
    expect(code).toBe(1);
    expect(stderr).toContain("E_CATALOG pipeline audit_logs: it has never run here");
  });

  it("plan --json: a line a step, the total last, counts as decimal strings", async () => {
    const [first, second, estimate, total, ...more] = await json(scenario, "plan", ...WHEN);
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      pipeline: "audit_logs",
      step: {
        day: LAST_COLD,
        rule: "default",
        segment: null,
        rows: "60",
        stages: ["export", "seal", "prune", "transition"],
      },
    });
    expect(second).toMatchObject({ step: { day: LAST_DUE, rows: "60" } });
    expect(estimate).toMatchObject({ pipeline: "audit_logs", estimate: { currency: null } });
    expect(total).toEqual({
      pipeline: "audit_logs",
      plan: {
        asOf: "2026-03-01T00:00:00.000000Z",
        steps: 2,
        rows: "120",
        bytes: expect.stringMatching(/^\d+$/),
      },
    });
  });

  it("run moves what is due, and right after it there is nothing to do", async () => {
    const first = await cli(scenario, "run", ...WHEN);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(
      /^audit_logs: archived 120 rows, pruned 120 rows, cooled down 60 rows \(\d+\.\d s\)\n$/,
    );
    const second = await cli(scenario, "run", ...WHEN);
    expect(second.stdout).toMatch(/^audit_logs: nothing to do \(\d+\.\d s\)\n$/);
    expect(await json(scenario, "run", ...WHEN)).toEqual([
      {
        pipeline: "audit_logs",
        run: {
          run: expect.stringMatching(/^[0-9a-f-]{36}$/),
          state: "done",
          exported: "0",
          pruned: "0",
          deleted: "0",
          cooled: "0",
          replaced: "0",
          rewritten: "0",
          expired: "0",
          packed: "0",
          tagged: "0",
          steps: 0,
          drift: 0,
          failures: 0,
          seconds: expect.any(Number),
        },
      },
    ]);
  });

  it("status shows tiers, backlog and runs", async () => {
    const { code, stdout, stderr } = await cli(scenario, "status", ...WHEN);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^ {2}hot +60 .+ 2026-02-20 +2026-02-20$/m);
    expect(stdout).toMatch(/^ {2}warm +60 .+ 1 +2026-01-29 +2026-01-29$/m);
    expect(stdout).toMatch(/^ {2}cold +60 .+ 1 +2025-12-30 +2025-12-30$/m);
    expect(stdout).toContain("\n  overdue: nothing\n");
    expect(stdout).toMatch(/Z done in \d+\.\d s: archived 120, pruned 120, cooled 60$/m);
    const [line, ...more] = await json(scenario, "status", ...WHEN);
    expect(more).toEqual([]);
    expect(line).toMatchObject({
      pipeline: "audit_logs",
      table: "public.audit_logs",
      tiers: [
        { tier: "hot", rows: "60", segments: null },
        { tier: "warm", rows: "60", segments: 1 },
        { tier: "cold", rows: "60", segments: 1 },
      ],
      overdueDays: 0,
      unfinishedSegments: 0,
      dueForCold: 0,
      held: 0,
      leftovers: { nullTime: "0", infiniteTime: "0", outOfCalendar: "0" },
      runs: [{ state: "done" }, { state: "done" }, { state: "done", summary: { exported: "120" } }],
    });
    const { runs } = line as { runs: { startedAt: string }[] };
    for (const { startedAt } of runs) expect(new Date(startedAt).toISOString()).toBe(startedAt);
  });

  it("retrieve answers from all tiers", async () => {
    const out = answer("all.ndjson");
    const { code, stdout, stderr } = await cli(scenario, "retrieve", "audit-logs", ...YEAR, "--out", out);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^range: 2025-12-01T00:00:00.000000Z <= ts < 2026-03-01T00:00:00.000000Z\naudit_logs: 1 cold segment to restore first, [\d.]+ KiB in DEEP_ARCHIVE\n {2}tier Standard, for 3 days, at no cost\n$/,
    );
    expect(stdout).toMatch(/: 180 rows, .+; 60 hot, 60 warm, 60 cold; 1 cold segment restored\n/);
    expect((await readFile(out, "utf8")).trimEnd().split("\n")).toHaveLength(180);

    const [line] = await json(scenario, "retrieve", "audit-logs", ...YEAR, "--out", out);
    expect(line).toMatchObject({
      pipeline: "audit_logs",
      retrieval: { rows: "180", rowsFrom: { hot: "60", warm: "60", cold: "60" }, out },
    });
  });

  it.each([
    ["answer.csv", [], "csv", /^id,ts,action,message,details\r\n1,/],
    ["answer.CSV", ["--csv-raw"], "csv-raw", /^id,ts,/],
    ["answer.parquet", [], "parquet", /^PAR1/],
    ["answer.jsonl", [], "ndjson", /^\{"id":1,/],
    ["csv", [], "ndjson", /^\{"id":1,/],
    ["answer.txt", ["--format", "csv"], "csv", /^id,ts,/],
    ["other.csv", ["--format", "ndjson"], "ndjson", /^\{"id":1,/],
  ])("retrieve --out %s %j writes %s", async (name, options, format, begins) => {
    const out = answer(name);
    const [line] = await json(scenario, "retrieve", "audit-logs", ...YEAR, "--out", out, ...options);
    expect(line).toMatchObject({ retrieval: { format, rows: "180" } });
    expect(await readFile(out, "latin1")).toMatch(begins);
  });

  it("retrieve that finds nothing ends with 10 and an empty file", async () => {
    const out = answer("none.ndjson");
    const args = ["retrieve", "audit-logs", "--from", "2025-01-01", "--to", "2025-01-31", "--out", out];
    const { code, stdout } = await cli(scenario, ...args);
    expect({ code, first: stdout.split("\n")[0] }).toEqual({
      code: 10,
      first: `${out}: nothing matched, the file is empty`,
    });
    expect(await readFile(out, "utf8")).toBe("");
    const machine = await cli(scenario, ...args, "--json");
    expect(machine).toMatchObject({ code: 10, stderr: "" });
    expect(jsonLines(machine.stdout)).toMatchObject([{ retrieval: { rows: "0" } }]);
  });

  it.each([
    [["--out", "/nonexistent/folder/x"], "E_INPUT --out /nonexistent/folder/x: it cannot be written"],
    [["--where", "actoin=login", "--out", "/tmp/x"], "E_INPUT --where actoin: there is no such column"],
    [["--where", "id=seven", "--out", "/tmp/x"], "E_INPUT "],
  ])("retrieve %j is a usage error that writes nothing", async (args, message) => {
    const { code, stdout, stderr } = await cli(scenario, "retrieve", "audit-logs", ...YEAR, ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.split("\n").at(-2)).toContain(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(2);
  });

  it("retrieve into a place for spools that is not there names FIRNLINE_TMPDIR", async () => {
    const args = ["retrieve", "audit-logs", ...YEAR, "--out", answer("spool")];
    const { code, stderr } = await start(scenario, args, { FIRNLINE_TMPDIR: "/nonexistent" }).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/^E_INPUT \/nonexistent: the spool .+ FIRNLINE_TMPDIR\.$/m);
  });

  it("a pipeline is named by its file, its id or a path, in the folder pipelines by default", async () => {
    const environ = { DATABASE_URL: scenario.url };
    const byPath = join(scenario.policies, "audit-logs.yaml");
    const plans = await Promise.all(
      [
        ["audit-logs"],
        ["audit_logs"],
        ["pipelines/audit-logs.yaml"],
        [byPath],
        [],
        ["audit-logs", byPath],
      ].map(async (names) => await firnline(["plan", ...names, ...WHEN], { environ, cwd: scenario.folder })),
    );
    for (const plan of plans) expect(plan).toMatchObject({ code: 0, stderr: "", stdout: plans[0]?.stdout });
  });
});
