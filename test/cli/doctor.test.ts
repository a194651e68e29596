/** `firnline doctor` as a person and as a machine see it, and what it means for `run`. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Scenario } from "../support/scenario.ts";
import { jsonLines } from "./command-line.ts";
import { cli, everything, fill, start, WHEN } from "./on-scenario.ts";

describe("firnline doctor", () => {
  let template: Scenario;

  beforeAll(async () => {
    template = await Scenario.create();
    await fill(template);
  });
  afterAll(async () => await template?.[Symbol.asyncDispose]());

  /** A second pipeline on a table of its own, in the same database. */
  async function addPipeline(scenario: Scenario, table: string, name = table): Promise<void> {
    const policy = scenario.policyText
      .replace('"pipeline": "audit_logs"', `"pipeline": "${name}"`)
      .replace("public.audit_logs", table);
    await writeFile(join(scenario.policies, `${name}.yaml`), policy);
  }

  const masked = (text: string, scenario: Scenario): string =>
    text.replaceAll(scenario.database, "DATABASE").replaceAll(scenario.folder, "/FOLDER");

  it("says in one line that nothing is wrong, and exits 0", async () => {
    await using scenario = await template.copy();
    expect(await cli(scenario, "doctor")).toMatchObject({
      code: 0,
      stdout: "audit_logs: nothing is in the way of a run\n",
      stderr: "",
    });
    expect(await cli(scenario, "doctor", "audit-logs", "--json")).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "",
    });
  });

  it("exits 0 with advice alone", async () => {
    await using scenario = await template.copy();
    await scenario.query("DROP INDEX ix_audit_logs_ts");
    const { code, stdout, stderr } = await cli(scenario, "doctor");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^A_INDEX .+\n {4}CREATE INDEX CONCURRENTLY ON public\.audit_logs \("ts"\);\n\n/);
    expect(stdout).toMatch(/\naudit_logs: nothing is in the way of a run, 1 piece of advice\n$/);
  });

  it("tells all findings of all pipelines, then the advice, and exits 12; so does run, with nothing changed", async () => {
    await using scenario = await template.copy();
    await scenario.query(`
      CREATE TABLE child (id bigint REFERENCES audit_logs ON DELETE CASCADE); DROP INDEX ix_audit_logs_ts;
      CREATE TABLE "odd; \u001b[31m" (id bigint, ts timestamptz)`);
    await scenario.query("BEGIN; INSERT INTO audit_logs VALUES (9999, now()); PREPARE TRANSACTION 'left'");
    await addPipeline(scenario, "public.gone", "gone");
    await writeFile(
      join(scenario.policies, "odd.yaml"),
      scenario.policyText
        .replace('"pipeline": "audit_logs"', '"pipeline": "odd"')
        .replace('"public.audit_logs"', JSON.stringify('public."odd; \u001b[31m"'))
        .replace('"time": "ts"', '"time": "ts", "key": ["id"]'),
    );
    await writeFile(join(scenario.policies, "wrong.yaml"), scenario.policyText.replace('"30d"', '"30 dogs"'));
    try {
      const before = await everything(scenario);
      const { code, stdout, stderr } = await cli(scenario, "doctor");
      expect({ code, stderr }).toEqual({ code: 12, stderr: "" });
      const text = masked(stdout, scenario).replaceAll(
        /was left open \d+ seconds? ago/g,
        "was left open N seconds ago",
      );
      await expect(text).toMatchFileSnapshot("../golden/doctor-cli.txt");

      const machine = await cli(scenario, "doctor", "--json");
      expect({ code: machine.code, stderr: machine.stderr }).toEqual({ code: 12, stderr: "" });
      const lines = jsonLines(machine.stdout);
      expect(lines.map(({ pipeline, ...rest }) => [pipeline, Object.keys(rest)[0]])).toEqual([
        [null, "finding"],
        ["audit_logs", "finding"],
        ["audit_logs", "finding"],
        ["gone", "finding"],
        ["odd", "finding"],
        ["audit_logs", "advice"],
        ["odd", "advice"],
      ]);
      expect(lines.find(({ pipeline }) => pipeline === "odd")).toMatchObject({
        finding: {
          code: "E_KEY",
          fix: [
            'CREATE UNIQUE INDEX CONCURRENTLY ON public."odd; \u001b[31m" ("id");',
            'ALTER TABLE public."odd; \u001b[31m" ALTER COLUMN "id" SET NOT NULL;',
          ],
        },
      });

      const run = await cli(scenario, "run", "audit-logs", ...WHEN);
      expect({ code: run.code, stdout: run.stdout }).toEqual({ code: 12, stdout: "" });
      expect(run.stderr.split("\n").map((line) => line.split(" ")[0])).toEqual([
        "E_SIDE_EFFECT",
        "E_SERVER",
        "",
      ]);
      expect(await everything(scenario)).toEqual(before);
    } finally {
      await scenario.query("ROLLBACK PREPARED 'left'");
    }
  });

  it("says once what is true of a place that several pipelines share", async () => {
    await using scenario = await template.copy();
    await scenario.query("CREATE TABLE events (LIKE audit_logs INCLUDING ALL)");
    await addPipeline(scenario, "public.events", "events");
    const gone = { FIRNLINE_TMPDIR: join(scenario.folder, "gone") };
    const { code, stdout } = await start(scenario, ["doctor"], gone).ended;
    expect(code).toBe(0);
    expect(stdout.match(/A_CAPACITY/g)).toHaveLength(1);
    const machine = await start(scenario, ["doctor", "--json"], gone).ended;
    expect(jsonLines(machine.stdout)).toMatchObject([
      { pipeline: "audit_logs", advice: { code: "A_CAPACITY" } },
      { pipeline: "events", advice: { code: "A_CAPACITY" } },
    ]);
  });

  it("names the pipeline where two say the same of different things, and goes on after one that cannot be reached", async () => {
    await using scenario = await template.copy();
    await scenario.query("CREATE TABLE events (id bigint, ts timestamptz)");
    await addPipeline(scenario, "public.events", "events");
    await writeFile(
      join(scenario.policies, "far.yaml"),
      scenario.policyText
        .replace('"pipeline": "audit_logs"', '"pipeline": "far"')
        .replace('"DATABASE_URL"', '"FAR_URL"'),
    );
    const far = { FAR_URL: "postgres://nobody@127.0.0.1:1/nowhere" };
    const { code, stdout, stderr } = await start(scenario, ["doctor"], far).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^E_DATABASE postgres \(pipeline far\): connect: .+\n$/);
    expect(stdout).toMatch(/^E_KEY public\.events: no primary key/);
    expect(stdout).toContain("audit_logs: nothing is in the way of a run\nevents: 1 finding");
  });

  it("refuses a folder without policies as any command does", async () => {
    await using scenario = await template.copy();
    const empty = join(scenario.folder, "empty");
    await mkdir(empty);
    expect(await start(scenario, ["doctor", "nothing"]).ended).toMatchObject({ code: 2, stdout: "" });
  });
});
