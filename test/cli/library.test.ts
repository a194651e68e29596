/** The library, as its own docstring shows it: the example in `src/index.ts` is run by a program of its own. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import * as library from "../../src/index.ts";
import { auditRows } from "../support/audit-rows.ts";
import { Scenario, SMALL } from "../support/scenario.ts";

const INDEX = new URL("../../src/index.ts", import.meta.url);

/** The code of the docstring, importing from the sources instead of the package. */
async function example(): Promise<string> {
  const text = await readFile(INDEX, "utf8");
  const code = /^ \* ```ts\n(.*?)^ \* ```$/ms.exec(text)?.[1] as string;
  return code.replaceAll(/^ \* ?/gm, "").replace('from "firnline"', `from "${INDEX.href}"`);
}

async function expectError(work: Promise<unknown>, code: string): Promise<void> {
  await expect(work).rejects.toSatisfy((error: unknown) =>
    error instanceof library.FirnlineErrors
      ? error.errors.every((one) => one.code === code)
      : library.isFirnlineError(error) && error.code === code,
  );
}

describe("the library", () => {
  it("does what its example says: plan, run, retrieve, status", async () => {
    await using scenario = await Scenario.create();
    await scenario.insert(auditRows("2024-03-10", 1, 60));
    await scenario.insert(auditRows("2024-03-31", 101, 30, "'logout'"));
    await scenario.insert(auditRows("2024-04-01", 201, 40));
    await scenario.insert(
      "SELECT 301, now(), 'login', 'new', '{}'::jsonb UNION ALL SELECT 302, now(), 'login', NULL, NULL",
    );
    const program = join(scenario.folder, "example.mts");
    await writeFile(program, await example());
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [program], {
      cwd: scenario.folder,
      env: { PATH: process.env["PATH"], DATABASE_URL: scenario.url, ...SMALL },
    });
    expect(stderr).toBe("");
    const answer = await readFile(join(scenario.folder, "march.csv"));
    const sha256 = createHash("sha256").update(answer).digest("hex");
    expect(stdout.split("\n").slice(0, 4)).toEqual([
      "3 steps to do, 0 partitions held back",
      "130 rows left the table",
      `60 rows in march.csv, SHA-256 ${sha256}`,
      "2 rows are hot [",
    ]);
    expect(stdout).toMatch(
      /archived: 130n,\n\s+pruned: 130n,\n\s+deleted: 0n,\n\s+expired: 0n,\n\s+hot: \{ rows: 2n, bytes: \d+n \}/,
    );
    expect(answer.toString().split("\r\n").slice(0, 2)).toEqual([
      "id,ts,action,message,details",
      '1,2024-03-10T00:00:00.000000Z,login,,"{""n"": 0, ""id"": 1}"',
    ]);
    const evidence = JSON.parse(await readFile(join(scenario.folder, "march.csv.evidence.json"), "utf8"));
    expect(evidence).toMatchObject({
      requestedBy: "audit@example.com",
      answer: { format: "csv", rows: "60", sha256 },
    });
  });

  it("opens a pipeline as the command line does, and refuses what it refuses", async () => {
    await using scenario = await Scenario.create();
    const file = join(scenario.policies, "audit-logs.yaml");
    await using pipeline = await library.openPipeline(file, { environ: { DATABASE_URL: scenario.url } });
    expect(pipeline.policy.pipeline).toBe("audit_logs");
    const { runs, history, plan } = await pipeline.status({ historyDays: 1 });
    expect([runs, history, plan.steps]).toEqual([[], [], []]);
    const asOf = library.parseInstant("2026-03-01T00:00:00Z");
    expect(library.formatInstant((await pipeline.plan({ asOf })).asOf)).toBe("2026-03-01T00:00:00.000000Z");

    await expectError(library.openPipeline(join(scenario.folder, "none.yaml")), "E_INPUT");
    await expectError(library.openPipeline(file, { environ: {} }), "E_INPUT");
    const environ = { DATABASE_URL: scenario.url, FIRNLINE_SPEED: "9" };
    await expectError(library.openPipeline(file, { environ }), "E_INPUT");
    await writeFile(file, scenario.policyText.replace("30d", "30 days"));
    await expectError(library.openPipeline(file, { environ: { DATABASE_URL: scenario.url } }), "E_POLICY");

    const out = join(scenario.folder, "answer.ndjson");
    const range = library.parseRange("2024-03-01", "2024-03-31");
    await expectError(pipeline.retrieve(range, { out, requestedBy: "a test" }), "E_CATALOG");
    await scenario.query("DROP SCHEMA firnline CASCADE");
    await expectError(pipeline.run(), "E_CATALOG");
    await scenario.query("ALTER TABLE public.audit_logs DROP CONSTRAINT audit_logs_pkey");
    await expectError(pipeline.plan(), "E_KEY");
  });
});
