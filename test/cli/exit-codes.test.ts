/** The exit codes of runs that do not simply go well: locked, drifted, refused, one of several. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keepChanging } from "../support/busy-application.ts";
import { LAST_COLD, LAST_DUE, Scenario } from "../support/scenario.ts";
import { jsonLines } from "./command-line.ts";
import { cli, everything, fill, json, start, WHEN, YEAR } from "./on-scenario.ts";

describe("exit codes of what does not go well", () => {
  let template: Scenario;

  beforeAll(async () => {
    template = await Scenario.create();
    await fill(template);
  });
  afterAll(async () => await template?.[Symbol.asyncDispose]());

  it("11 while another run holds the lease, and everything that only reads still works", async () => {
    await using scenario = await template.copy();
    await using first = start(scenario, ["run", ...WHEN], { FIRNLINE_FAILPOINT: "seal.read:pause" });
    await first.stopped();
    const before = await everything(scenario);
    const second = await cli(scenario, "run", ...WHEN);
    expect({ code: second.code, stdout: second.stdout }).toEqual({ code: 11, stdout: "" });
    expect(second.stderr).toMatch(
      new RegExp(
        `^E_LOCKED pipeline audit_logs: run [0-9a-f-]{36} holds its lease \\(process ${first.pid} on .+\\. .+\\.\n$`,
      ),
    );
    expect(await everything(scenario)).toEqual(before);
    expect(await json(scenario, "plan", ...WHEN)).toMatchObject([
      { step: { stages: ["seal", "prune", "transition"], segment: expect.any(String) } },
      { step: { day: LAST_DUE } },
      { estimate: { currency: null } },
      { plan: { steps: 2 } },
    ]);
    const status = await cli(scenario, "status", ...WHEN);
    expect(status.stdout).toContain("overdue: 1 day to move, 1 segment to finish; the next run does it");
    expect(status.stdout).toMatch(/Z running$/m);
    const out = join(scenario.folder, "meanwhile");
    const retrieved = await cli(scenario, "retrieve", "audit-logs", ...YEAR, "--out", out);
    expect(retrieved.stdout).toContain(": 180 rows, ");
    first.signal("SIGCONT");
    expect(await first.ended).toMatchObject({ code: 0 });
  });

  it.each([
    ["text", []],
    ["JSON", ["--json"]],
  ])(
    "3 when rows change faster than they can be moved: they stay, and are named (%s)",
    async (_form, args) => {
      await using scenario = await template.copy();
      await keepChanging(scenario, 7, 100);
      const { code, stdout, stderr } = await cli(scenario, "run", ...WHEN, ...args);
      expect({ code, stderr }).toEqual({ code: 3, stderr: "" });
      if (args.length === 0) {
        expect(stdout).toContain(
          "\ndrift: 1 chunk changed faster than they could be moved; their rows stay hot\n",
        );
        expect(stdout).toMatch(
          /^ {2}2025-12-30 default: column message changed since the export \(segment .+, chunk 0\)$/m,
        );
      } else {
        expect(jsonLines(stdout)).toMatchObject([
          { pipeline: "audit_logs", drift: { day: LAST_COLD, chunk: 0 } },
          { pipeline: "audit_logs", held: { day: LAST_COLD, rows: "50", needsPerson: true } },
          { pipeline: "audit_logs", run: { state: "partly", drift: 1, exported: "270", pruned: "70" } },
        ]);
      }
      // What left the table of the segment that drifted is in the archive: each row stands in one tier.
      const [status] = await json(scenario, "status", ...WHEN);
      const tiers = status?.["tiers"] as { tier: string; rows: string }[];
      expect(tiers.map(({ tier, rows }) => `${tier} ${rows}`)).toEqual(["hot 110", "warm 60", "cold 10"]);
      expect(status).toMatchObject({ overdueDays: 0, unfinishedSegments: 0, held: 1 });
    },
  );

  it("12 for a table without a key and for a first run over too many days, with nothing changed", async () => {
    await using scenario = await template.copy();
    await scenario.insert(
      "SELECT 1000 + n, '2025-11-01 12:00:00+00'::timestamptz + n * interval '1 day' FROM generate_series(0, 40) n",
    );
    const before = await everything(scenario);
    const many = await cli(scenario, "run", ...WHEN);
    expect({ code: many.code, stdout: many.stdout }).toEqual({ code: 12, stdout: "" });
    expect(many.stderr).toMatch(
      /^E_POLICY pipeline audit_logs: the first run would move \d+ days.+--backfill\.\n$/,
    );
    const plan = await cli(scenario, "plan", ...WHEN);
    expect(plan.code).toBe(0);
    expect(plan.stdout).toContain(`\na run would refuse: ${many.stderr}`);
    const after = await everything(scenario);
    const { "firnline.pipeline": _registered, ...unchanged } = after.rows;
    expect(before.rows).toMatchObject(unchanged);

    await scenario.query("ALTER TABLE public.audit_logs DROP CONSTRAINT audit_logs_pkey");
    const keyless = await cli(scenario, "run", ...WHEN, "--backfill");
    expect({ code: keyless.code, stdout: keyless.stdout }).toEqual({ code: 12, stdout: "" });
    expect(keyless.stderr).toMatch(/^E_KEY public\.audit_logs: .+\n$/);
    expect(await everything(scenario)).toEqual(after);
  });

  it("the worst one of several pipelines, and one that fails does not keep the others from their work", async () => {
    await using scenario = await template.copy();
    const missing = scenario.policyText
      .replace('"pipeline": "audit_logs"', '"pipeline": "gone"')
      .replace("public.audit_logs", "public.gone");
    await writeFile(join(scenario.policies, "a-gone.yaml"), missing);
    const run = await cli(scenario, "run", ...WHEN);
    expect(run.code).toBe(12);
    expect(run.stderr).toMatch(/^E_RELATION public\.gone: there is no such table in database .+\n$/);
    expect(run.stdout).toMatch(/^audit_logs: archived 120 rows/);
    const machine = await cli(scenario, "status", ...WHEN, "--json");
    expect(machine).toMatchObject({ code: 12, stderr: "" });
    expect(jsonLines(machine.stdout)).toMatchObject([
      { pipeline: "gone", error: { code: "E_RELATION" } },
      { pipeline: "audit_logs", tiers: expect.any(Array) },
    ]);
  });
});
