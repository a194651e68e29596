/** Lines 10 to 12: a process that stands still (SIGSTOP) while others go on, and two runs at once. */
import { expect } from "vitest";
import { fencedState } from "../../support/fenced-state.ts";
import { runAlone } from "../../support/postgres.ts";
import type { Scenario } from "../../support/scenario.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { BUSY, busyDays, oneDay } from "./busy.ts";
import type { FaultLine } from "./line.ts";
import { codeOf, endedWith, pausedAt } from "./processes.ts";

/** Its heartbeats come in time on a busy machine too. */
const SHORT_LEASE = { FIRNLINE_LEASE_SECONDS: "5" };
/** Long enough for others to be refused, on a busy machine too. */
const LEASE = { FIRNLINE_LEASE_SECONDS: "8" };

/** A run in the place of the one that stands still, as soon as its lease lets it. Returns how often it was refused. */
async function takeOver(scenario: Scenario): Promise<number> {
  for (let refusals = 0; ; refusals += 1) {
    await using run = scenario.spawnRun();
    const { code, stderr } = await run.ended;
    if (code === 0) return refusals;
    expect(code, stderr).toBe(11);
  }
}

export const PAUSED_LINES: readonly FaultLine[] = [
  {
    number: 10,
    fault: "SIGSTOP of an exporter past its lease",
    stage: "export",
    expected: "OK",
    async run(bench) {
      const scenario = await busyDays(bench);
      const stopped = await pausedAt(bench, scenario, "export.uploading@2", SHORT_LEASE);
      const refusals = await takeOver(scenario);
      const before = await fencedState(scenario);
      stopped.resume();
      const said = await endedWith(stopped, 1, /^E_(?:STALE|OWNER) /);
      expect(await fencedState(scenario), "a stale epoch changes nothing (I6)").toEqual(before);
      await bench.settle(scenario, BUSY);
      return `another run was refused ${refusals}x, took over, and the old epoch ended with ${codeOf(said)}`;
    },
  },
  {
    number: 11,
    fault: "SIGSTOP of a pruner that holds locks",
    stage: "prune",
    expected: "OK",
    async run(bench) {
      const scenario = await oneDay(bench);
      const rows = await scenario.count();
      const stopped = await pausedAt(bench, scenario, "prune.deleted", LEASE);
      const update = "SET lock_timeout = 200; UPDATE public.audit_logs SET message = message WHERE id = 1001";
      await Promise.all([
        expect(runAlone(scenario.url, update)).rejects.toMatchObject({ code: "55P03" }),
        endedWith(bench.keep(scenario.spawnRun()), [1, 11], /E_LOCKED|lock timeout/),
      ]);
      expect(await scenario.count()).toBe(rows);
      await waitUntil(async () => {
        const found = await scenario.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'firnline audit_logs' AND state = 'idle in transaction'`,
        );
        return found.length === 0;
      }, "the server throws it out");
      await takeOver(scenario);
      const before = await fencedState(scenario);
      stopped.resume();
      const said = await endedWith(stopped, 1, /^E_(?:DATABASE|STALE) /);
      expect(await fencedState(scenario)).toEqual(before);
      await bench.settle(scenario);
      return `an UPDATE got 55P03, a run E_LOCKED; the server ended its session, and it ended with ${codeOf(said)}`;
    },
  },
  {
    number: 12,
    fault: "two runners, one day",
    stage: "run",
    expected: "OK",
    async run(bench) {
      const scenario = await oneDay(bench);
      // Nobody can delete before this ends, so the one that got the lease cannot be done before the other has come.
      await scenario.query("BEGIN; LOCK TABLE public.audit_logs IN SHARE MODE");
      const runs = [1, 2].map(() => bench.keep(scenario.spawnRun({ FIRNLINE_LOCK_TIMEOUT_MS: "60000" })));
      const first = await Promise.race(runs.map(async ({ ended }) => await ended));
      await scenario.query("COMMIT");
      const endings = await Promise.all(runs.map(async ({ ended }) => await ended));
      expect(first).toMatchObject({ code: 11, stderr: expect.stringMatching(/^E_LOCKED /) });
      expect(endings.map(({ code }) => code).sort()).toEqual([0, 11]);
      const starts = (await bench.journal(scenario)).filter(({ event }) => event.type === "run-started");
      expect(starts).toHaveLength(1);
      await bench.settle(scenario);
      return "one moved the day, the other ended with exit code 11 (E_LOCKED)";
    },
  },
];
