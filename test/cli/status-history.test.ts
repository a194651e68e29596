/** `firnline status --history` after real runs: what each day's runs moved, and the sizes of the tiers. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { FirnlineError } from "../../src/errors.ts";
import { addDays, dayOf, type EpochMs, formatDay, microsFromMs, parseInstant } from "../../src/rows/day.ts";
import { type RunOptions, runPipeline } from "../../src/stages/run-pipeline.ts";
import { systemClock, wire, type Wired } from "../../src/wiring.ts";
import { auditRows } from "../support/audit-rows.ts";
import { AS_OF, LAST_COLD, LAST_DUE, Scenario } from "../support/scenario.ts";
import { cli, json, start } from "./on-scenario.ts";

let scenario: Scenario;
/** The day that the database, and Firnline, live on. */
let today = "";

beforeAll(async () => {
  scenario = await Scenario.create({
    rules: [{ name: "denied", when: "action = 'denied'", hot: "30d", archive: false }],
  });
  await scenario.insert(auditRows(LAST_COLD, 1, 60));
  await scenario.insert(auditRows(LAST_DUE, 101, 50));
  await scenario.insert(auditRows(LAST_DUE, 201, 40, "'denied'"));
  await scenario.insert(auditRows("2026-02-20", 301, 30));
  await scenario.run();
  await scenario.run();
  const [row] = await scenario.query("SELECT (now() AT TIME ZONE 'UTC')::date::text AS today");
  today = row?.["today"] as string;
});

afterAll(async () => await scenario[Symbol.asyncDispose]());

/** The stages alone, with a clock that is some days ahead: `Pipeline.run` would refuse it. */
function wiredOn(on: Scenario, days: number): Wired {
  const now = (): EpochMs => (systemClock.now() + days * 86_400_000) as EpochMs;
  const clock = { ...systemClock, now };
  return wire({ policy: on.policy, connectionString: on.url, settings: on.settings(), clock });
}

const runOptions = (): RunOptions => ({
  asOf: parseInstant(`${AS_OF}T00:00:00Z`),
  backfill: true,
  confirmSooner: false,
  retryQuarantined: false,
  run: randomUUID(),
  holder: { host: "here", pid: 1, space: "" },
  isDead: () => false,
  signal: new AbortController().signal,
});

async function history(): Promise<Record<string, unknown>[]> {
  const [line] = await json(scenario, "status", "audit-logs", "--history");
  return line?.["history"] as Record<string, unknown>[];
}

describe("firnline status --history", () => {
  it("tells machines what the runs of each day did", async () => {
    const [line] = await json(scenario, "status", "audit-logs", "--history");
    const bytes = expect.stringMatching(/^[1-9]\d+$/);
    expect(line?.["history"]).toEqual([
      {
        day: today,
        runs: 2,
        archived: "110",
        pruned: "110",
        deleted: "40",
        expired: "0",
        hotRows: "30",
        hotBytes: bytes,
        warmBytes: bytes,
        coldBytes: bytes,
      },
    ]);
    // Vacuum may have come by since: the table is not compared.
    const [, warm, cold] = (line?.["tiers"] ?? []) as { bytes: string }[];
    expect(line?.["history"]).toMatchObject([{ warmBytes: warm?.bytes, coldBytes: cold?.bytes }]);
    expect((await json(scenario, "status", "audit-logs"))[0]).not.toHaveProperty("history");
  });

  it("draws it for people: blocks where the locale has them, plain marks elsewhere and in a pipe", async () => {
    const plain = await cli(scenario, "status", "audit-logs", "--history", "--days", "3");
    expect(plain).toMatchObject({ code: 0, stderr: "" });
    const lines = plain.stdout.trimEnd().split("\n");
    const from = formatDay(addDays(dayOf(parseInstant(`${today}T00:00:00Z`)), -2));
    const at = lines.findIndex((line) => line.startsWith("  history:"));
    expect(lines[at]).toBe(`  history: ${from} .. ${today} (UTC), a mark a day`);
    expect(lines.slice(at + 1, at + 4)).toEqual([
      "    archived rows  __#  min 0  max 110  last 110",
      "    pruned rows    __#  min 0  max 110  last 110",
      "    deleted rows   __#  min 0  max 40  last 40",
    ]);
    expect(lines.at(at + 4)).toBe("    hot rows         -  min 30  max 30  last 30");
    expect(lines).toHaveLength(at + 8);
    const args = ["status", "audit-logs", "--history", "--days", "3"];
    const drawn = await start(scenario, args, { LC_ALL: "en_US.UTF-8" }).ended;
    expect(drawn.stdout).toContain("    archived rows  ▁▁█  min 0  max 110  last 110\n");
  });

  it.each([
    [["--days", "5"], "E_INPUT --days: it is for the history. Add --history."],
    [
      ["--history", "--days", "0"],
      'E_INPUT --days: it is not a number from 1 to 400 (found "0"). Leave it away for 30.',
    ],
    [["--history", "--days", "401"], "E_INPUT --days: "],
    [["--history", "--days", "1e2"], "E_INPUT --days: "],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await cli(scenario, "status", "audit-logs", ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });

  it("has a day of its own for each UTC day, and what a failed run did too", async () => {
    await using other = await Scenario.create();
    for (const [days, rows] of [
      [0, 10],
      [1, 20],
      [3, 30],
    ] as const) {
      await other.insert(auditRows(LAST_DUE, 1000 * (days + 1), rows));
      await using wired = wiredOn(other, days);
      await runPipeline(wired.environment, runOptions());
    }
    const tomorrow = addDays(dayOf(microsFromMs(systemClock.now())), 1);
    await using last = wiredOn(other, 3);
    const found = await last.environment.catalog.history("audit_logs", tomorrow);
    expect(found.map(({ day, archived, runs }) => [day, archived, runs])).toEqual([
      [tomorrow, 20n, 1],
      [addDays(tomorrow, 2), 30n, 1],
    ]);
    // Rows that left the table before something went wrong did leave it.
    await other.insert(auditRows(LAST_DUE, 9000, 120));
    const failing = { FIRNLINE_FAILPOINT: "prune.committed:error@2" };
    await expect(other.run({ environ: failing })).rejects.toThrow(FirnlineError);
    await using pipeline = other.open();
    const { history: days } = await pipeline.status({ historyDays: 1 });
    expect(days?.[0]).toMatchObject({ runs: 2, archived: 130n, hot: { rows: 0n } });
  });

  it("has a gap where the table could not be looked at when the run ended, and the run is done all the same", async () => {
    await using other = await Scenario.create();
    await other.insert(auditRows(LAST_DUE, 1, 10));
    await using wired = wiredOn(other, 0);
    const { environment } = wired;
    const locked = new FirnlineError({
      code: "E_DATABASE",
      subject: "postgres",
      problem: "locked",
      hint: "Wait",
    });
    vi.spyOn(environment.hot, "size").mockRejectedValue(locked);
    const summary = await runPipeline(environment, runOptions());
    expect(summary).toMatchObject({ state: "done", pruned: 10n });
    const [row] = await other.query("SELECT hot_rows, hot_bytes, rows_pruned::int FROM firnline.history");
    expect(row).toEqual({ hot_rows: null, hot_bytes: null, rows_pruned: 10 });
  });
});

it("without a run there is no history", async () => {
  await using fresh = await Scenario.create();
  const { code, stdout } = await cli(fresh, "status", "audit-logs", "--history");
  expect(code).toBe(0);
  expect(stdout).toMatch(/ {2}history: .* \(UTC\), a mark a day: no run in that time\n$/);
  expect(await history()).toHaveLength(1);
});
