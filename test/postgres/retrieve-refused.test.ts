/** I8: an answer that could lack rows is refused with the reason, whatever made the catalog, the table or the policy lie. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RetrieveResult } from "../../src/retrieve/retrieve-range.ts";
import { parsePolicy } from "../../src/policy/policy.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { auditRows } from "../support/audit-rows.ts";
import { instantOf, AS_OF, Scenario } from "../support/scenario.ts";

const ROWS = 60;
let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create();
  await template.insert(auditRows("2026-01-10", 1, ROWS));
  await template.insert(auditRows("2026-02-20", 1001, 10));
});

afterAll(async () => await template[Symbol.asyncDispose]());

/** The answer that a changed policy gives. */
async function retrieveAs(scenario: Scenario, change: (text: string) => string): Promise<bigint> {
  const policy = parsePolicy(change(scenario.policyText), "changed.yaml");
  const settings = scenario.settings();
  await using pipeline = new Pipeline({ policy, connectionString: scenario.url, settings });
  const out = join(scenario.folder, "changed.ndjson");
  return (await pipeline.retrieve(parseRange("2026-01-01", "2026-02-28", []), { out, requestedBy: "a test" }))
    .rows;
}

describe("retrieve refuses", () => {
  test.concurrent("a control schema that is older than the archive (fault 20)", async () => {
    await using scenario = await template.copy();
    await scenario.run({ asOf: "2026-01-15" });
    await scenario.query("CREATE TABLE public.saved AS TABLE firnline.pipeline");
    await scenario.run();
    expect((await scenario.retrieve()).lines).toHaveLength(ROWS + 10);
    await scenario.query(`DELETE FROM firnline.chunk; DELETE FROM firnline.segment; DELETE FROM firnline.outbox;
      UPDATE firnline.pipeline p SET journal_n = s.journal_n, journal_sha256 = s.journal_sha256 FROM public.saved s`);
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_OWNER" });
  });

  test.concurrent.each([
    ["is gone", async (entry: string) => await rm(entry)],
    [
      "is another one",
      async (entry: string) => {
        await rm(entry);
        await writeFile(entry, "{}");
      },
    ],
  ])("an archive whose last entry %s, and so does the run (hazard 3)", async (_what, damage) => {
    await using scenario = await template.copy();
    await scenario.run();
    const folder = join(scenario.archive, "_firnline", "audit_logs", "journal");
    const last = (await readdir(folder))
      .filter((name) => /^\d{20}\.json$/.test(name))
      .toSorted()
      .at(-1) as string;
    await damage(join(folder, last));
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_OWNER" });
    await expect(scenario.run()).rejects.toMatchObject({ code: "E_OWNER" });
  });

  test.concurrent("another table under the old name", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    await scenario.query(
      `ALTER TABLE audit_logs RENAME TO old; CREATE TABLE audit_logs (LIKE old INCLUDING ALL)`,
    );
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_OWNER" });
  });

  test.concurrent("a policy that counts days from another column", async () => {
    await using scenario = await template.copy();
    await scenario.query("ALTER TABLE audit_logs ADD COLUMN other_time timestamptz DEFAULT now()");
    await scenario.run();
    await expect(retrieveAs(scenario, (text) => text)).resolves.toBe(BigInt(ROWS + 10));
    const change = (text: string): string => text.replace(/(["']?time["']?: *)["']?ts["']?/, "$1other_time");
    await expect(retrieveAs(scenario, change)).rejects.toMatchObject({
      code: "E_POLICY",
      message: expect.stringContaining("source.time"),
    });
  });

  test.concurrent("an output that is no regular file", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    await using pipeline = scenario.open();
    const request = parseRange("2026-01-01", "2026-02-28", []);
    const folder = join(scenario.folder, "folder");
    await mkdir(folder);
    for (const out of [folder, "/dev/null"]) {
      await expect(pipeline.retrieve(request, { out, requestedBy: "a test" })).rejects.toMatchObject({
        code: "E_INPUT",
      });
    }
    expect((await stat("/dev/null")).isCharacterDevice()).toBe(true);
  });

  test.concurrent("to write over a file that is no answer; an earlier answer and an empty file give way", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    await using pipeline = scenario.open();
    const request = parseRange("2026-01-01", "2026-02-28", []);
    const retrieve = async (out: string): Promise<RetrieveResult> =>
      await pipeline.retrieve(request, { out, requestedBy: "a test" });
    const policy = join(scenario.policies, "audit-logs.yaml");
    await expect(retrieve(policy)).rejects.toThrow(
      /^E_INPUT --out .+: there is a file of that name, and it is no earlier answer \(no audit-logs\.yaml\.evidence\.json is beside it\)\. /,
    );
    expect(await readFile(policy, "utf8")).toBe(scenario.policyText);
    const out = join(scenario.folder, "answer.ndjson");
    await writeFile(out, "");
    for (let time = 0; time < 2; time += 1) expect((await retrieve(out)).rows).toBeGreaterThan(0n);
  });
});

describe("the evidence of an answer", () => {
  test.concurrent("names what it was made of, and the answer's own digest", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    const { result, out } = await scenario.retrieve();
    const evidence = JSON.parse(await readFile(`${out}.evidence.json`, "utf8"));
    expect(evidence).toMatchObject({
      answer: { rows: String(ROWS + 10), sha256: result.sha256 },
      rowsFrom: { hot: "10", warm: String(ROWS), cold: "0" },
      requestedBy: "a test",
    });
    expect(evidence.segments.map(({ segment }: { segment: string }) => segment)).toEqual(result.segments);
    const [{ n }] = (await scenario.query("SELECT journal_n::text AS n FROM firnline.pipeline")) as [
      { n: string },
    ];
    expect(evidence.journal.n).toBe(n);
  });
});

describe("a table has one pipeline", () => {
  test.concurrent("a second name for it is refused, because each would answer with half of the rows", async () => {
    await using scenario = await template.copy();
    await scenario.run();
    const policy = parsePolicy(
      scenario.policyText.replace(/audit_logs(?=["']?,?\n)/, "renamed"),
      "renamed.yaml",
    );
    expect(policy.pipeline).toBe("renamed");
    await using other = new Pipeline({
      policy,
      connectionString: scenario.url,
      settings: scenario.settings(),
    });
    await expect(other.run({ asOf: instantOf(AS_OF), backfill: true })).rejects.toMatchObject({
      code: "E_POLICY",
      message: expect.stringContaining("audit_logs moves this table already"),
    });
  });

  test.concurrent("a first run that failed on a wrong archive may be put right", async () => {
    await using scenario = await template.copy();
    const blocked = join(scenario.folder, "a-file");
    await writeFile(blocked, "");
    const wrong = parsePolicy(
      scenario.policyText.replace(/file:\/\/[^"'\s]*/, `file://${blocked}/archive`),
      "wrong.yaml",
    );
    await using first = new Pipeline({
      policy: wrong,
      connectionString: scenario.url,
      settings: scenario.settings(),
    });
    await expect(first.run({ asOf: instantOf(AS_OF), backfill: true })).rejects.toMatchObject({
      code: "E_ARCHIVE",
    });
    expect((await scenario.run()).pruned).toBe(BigInt(ROWS));
  });
});

describe("--where means what Postgres means", () => {
  const ddl = `CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ts timestamptz NOT NULL, v varchar(3), c char(5),
    f float8, n numeric(10,2), d jsonb, ip inet, span interval)`;
  const rows = `SELECT n, '2026-01-10'::timestamptz + n * interval '1 minute', 'abc', 'x', '-0'::float8, 1.5, '{"a": 1}',
    '10.0.0.1'::inet, '1 day'::interval FROM generate_series(1, 20) n`;
  let odd: Scenario;
  beforeAll(async () => {
    odd = await Scenario.create({ ddl });
    await odd.insert(rows);
    await odd.insert(
      rows.replaceAll("generate_series(1, 20)", "generate_series(101, 103)").replace("-01-10", "-02-20"),
    );
    await odd.run();
  });
  afterAll(async () => await odd[Symbol.asyncDispose]());

  test.each([
    ["v=abc", 23],
    ["v=abcdef", 0],
    ["c=x", 23],
    ["f=0", 23],
    ["n=1.500", 23],
    ["n=1.504", 0],
    ["ip=10.0.0.1", 23],
    ["ip=10.0.0.2", 0],
  ])("%s finds %d rows, hot and archived alike", async (where, count) => {
    expect((await odd.retrieve({ where: [where] })).lines).toHaveLength(count);
  });

  test.each(['d={"a":1}', "span=24:00:00"])("%s is refused: its equality is not offered", async (where) => {
    await expect(odd.retrieve({ where: [where] })).rejects.toMatchObject({ code: "E_INPUT" });
  });
});

describe("a plain timestamp in the hour that comes twice", () => {
  test("has no one answer for a limit within it, and one for the day", async () => {
    const ddl = "CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ts timestamp NOT NULL)";
    await using scenario = await Scenario.create({ ddl, source: { zone: "Europe/Berlin" } });
    await scenario.insert(
      "SELECT n, '2025-10-26 02:00'::timestamp + n * interval '1 minute' FROM generate_series(0, 59) n",
    );
    await scenario.run();
    expect((await scenario.retrieve({ from: "2025-10-26", to: "2025-10-26" })).lines).toHaveLength(60);
    for (const from of ["2025-10-26T00:30:00Z", "2025-10-26T01:10:00Z"]) {
      await expect(scenario.retrieve({ from, to: "2025-10-26T09:00:00Z" })).rejects.toMatchObject({
        code: "E_INPUT",
        message: expect.stringContaining("set back"),
      });
    }
    const calm = await scenario.retrieve({ from: "2025-10-25T22:30:00Z", to: "2025-10-26T09:00:00Z" });
    expect(calm.lines).toHaveLength(60);
  });
});
