/** Ctrl-C: the first one stops in order, the second at once, and the next run goes on from there. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { AS_OF, LAST_COLD, Scenario } from "../support/scenario.ts";
import { type CommandLine, type Environ, jsonLines } from "./command-line.ts";
import { start as startOn } from "./on-scenario.ts";

const RUN = ["run", "--as-of", AS_OF];
const DAYS = ["2026-01-20", "2026-01-21", "2026-01-22", "2026-01-23"];
const ROWS = 60 * (DAYS.length + 1);

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create();
  await template.insert(auditRows(LAST_COLD, 1, 60));
  for (const [index, day] of DAYS.entries()) await template.insert(auditRows(day, 1000 * (index + 1), 60));
});
afterAll(async () => await template?.[Symbol.asyncDispose]());

function start(scenario: Scenario, args: readonly string[], environ: Environ = {}): CommandLine {
  return startOn(scenario, args, { FIRNLINE_LOCK_TIMEOUT_MS: "60000", ...environ });
}

async function leaseHolder(scenario: Scenario): Promise<unknown> {
  return (await scenario.query("SELECT lease_run FROM firnline.pipeline"))[0]?.["lease_run"];
}

async function lastRun(scenario: Scenario): Promise<unknown> {
  return (await scenario.query("SELECT state FROM firnline.run ORDER BY epoch DESC LIMIT 1"))[0]?.["state"];
}

/** The next run ends what the interrupted one began: everything is archived, nothing is left in the table. */
async function expectToGoOn(scenario: Scenario): Promise<void> {
  const next = await start(scenario, RUN).ended;
  expect(next).toMatchObject({ code: 0, stderr: "" });
  expect(await scenario.count()).toBe(0);
  const status = jsonLines((await start(scenario, ["status", "--as-of", AS_OF, "--json"]).ended).stdout);
  expect(status[0]).toMatchObject({
    tiers: [{ rows: "0" }, { rows: String(ROWS - 60) }, { rows: "60" }],
    overdueDays: 0,
    unfinishedSegments: 0,
  });
}

/** A session that locks the table, so that whoever wants it waits. */
async function lockTable(scenario: Scenario): Promise<AsyncDisposable> {
  const client = new pg.Client(scenario.url);
  await client.connect();
  await client.query("BEGIN; LOCK TABLE public.audit_logs IN ACCESS EXCLUSIVE MODE");
  return { [Symbol.asyncDispose]: async () => await client.end() };
}

describe("the first Ctrl-C of a run", () => {
  it.each([
    ["SIGINT", "export.uploading"],
    ["SIGINT", "seal.read"],
    ["SIGTERM", "prune.committed"],
    ["SIGINT", "transition.requested"],
  ] as const)("%s at %s: exit 130, the lease is given back, the next run goes on", async (signal, point) => {
    await using scenario = await template.copy();
    await using run = start(scenario, RUN, { FIRNLINE_FAILPOINT: `${point}:pause` });
    await run.stopped();
    expect(await leaseHolder(scenario)).not.toBeNull();
    run.signal(signal);
    run.signal("SIGCONT");
    const { code, stdout, stderr } = await run.ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    const [note, error, ...more] = stderr.trimEnd().split("\n");
    expect(note).toBe("stopping at the next safe place; a second Ctrl-C stops at once");
    expect(error).toMatch(/^E_INTERRUPTED .+: .+\. .+\.$/);
    expect(more).toEqual([]);
    expect(await leaseHolder(scenario)).toBeNull();
    expect(await lastRun(scenario)).toBe("interrupted");
    expect(await scenario.count()).toBeGreaterThan(0);
    await expectToGoOn(scenario);
  });

  it("is a JSON line with --json, and nothing else is said", async () => {
    await using scenario = await template.copy();
    await using run = start(scenario, [...RUN, "--json"], { FIRNLINE_FAILPOINT: "seal.sealed:pause" });
    await run.stopped();
    run.signal("SIGINT");
    run.signal("SIGCONT");
    const { code, stdout, stderr } = await run.ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    expect(jsonLines(stdout)).toMatchObject([{ pipeline: "audit_logs", error: { code: "E_INTERRUPTED" } }]);
  });

  it("does not wait for a second try at a lock that is held", async () => {
    await using scenario = await template.copy();
    await using run = start(scenario, RUN, {
      FIRNLINE_FAILPOINT: "prune.started:pause",
      FIRNLINE_LOCK_TIMEOUT_MS: "500",
      FIRNLINE_ATTEMPTS: "20",
    });
    await run.stopped();
    await using _lock = await lockTable(scenario);
    run.signal("SIGCONT");
    await run.until(async () => await scenario.isSomebodyBlocked());
    run.signal("SIGINT");
    const { code, stderr } = await run.ended;
    expect(code).toBe(130);
    expect(stderr).toContain(
      "\nE_INTERRUPTED run: it was asked to stop. Everything done so far is checkpointed",
    );
    expect(await lastRun(scenario)).toBe("interrupted");
  });
});

describe("the second Ctrl-C", () => {
  it("ends a run that waits, at once; its lease is taken over by the next run", async () => {
    await using scenario = await template.copy();
    await using run = start(scenario, RUN, { FIRNLINE_FAILPOINT: "prune.started:pause" });
    await run.stopped();
    {
      await using _lock = await lockTable(scenario);
      run.signal("SIGCONT");
      await run.until(async () => await scenario.isSomebodyBlocked());
      run.signal("SIGINT");
      await run.until(() => run.stderr.includes("stopping at the next safe place"));
      run.signal("SIGINT");
      const { code, signal, stderr } = await run.ended;
      expect({ code, signal }).toEqual({ code: 130, signal: null });
      expect(stderr).toMatch(/\nE_INTERRUPTED firnline run: it was stopped\. Run it again; .+\.\n$/);
    }
    expect(await leaseHolder(scenario)).not.toBeNull();
    await expectToGoOn(scenario);
  });
});

describe("Ctrl-C of a command that changes nothing", () => {
  it.each(["plan", "status"])("ends %s at once", async (command) => {
    await using scenario = await template.copy();
    await using _lock = await lockTable(scenario);
    await using child = start(scenario, [command]);
    await child.until(async () => await scenario.isSomebodyBlocked());
    child.signal("SIGINT");
    expect(await child.ended).toEqual({
      code: 130,
      signal: null,
      stdout: "",
      stderr: `E_INTERRUPTED firnline ${command}: it was stopped. Run it again; nothing needs to be repaired.\n`,
    });
  });
});

describe("Ctrl-C of a retrieval", () => {
  it("while cold segments are restored: no file, no spool, exit 130", async () => {
    await using scenario = await template.copy();
    expect(await start(scenario, RUN).ended).toMatchObject({ code: 0 });
    const temporary = join(scenario.folder, "tmp");
    const answers = join(scenario.folder, "answers");
    for (const folder of [temporary, answers]) await mkdir(folder);
    const out = join(answers, "all.ndjson");
    const args = ["retrieve", "audit-logs", "--from", "2025-12-01", "--to", "2026-02-28", "--out", out];
    await using child = start(scenario, args, {
      TMPDIR: temporary,
      FIRNLINE_FILE_RESTORE_DELAY_MS: "600000",
    });
    await child.until(async () => (await readdir(answers)).length > 0);
    child.signal("SIGINT");
    const { code, stdout, stderr } = await child.ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    expect(stderr).toContain(
      `E_INTERRUPTED firnline retrieve: it was asked to stop, and did not write ${out}. `,
    );
    expect([await readdir(answers), await readdir(temporary)]).toEqual([[], []]);
    await vi.waitUntil(async () => (await scenario.query("SELECT FROM firnline.pin")).length === 0);
  });
});
