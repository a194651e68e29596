/** Lines 13 to 16: what the network does between Firnline and Postgres, by a TCP proxy and a second session. */
import { expect } from "vitest";
import { expireLease, fencedState } from "../../support/fenced-state.ts";
import { losingCommit } from "../../support/losing-commit.ts";
import { runAlone } from "../../support/postgres.ts";
import { AS_OF, instantOf, type Scenario } from "../../support/scenario.ts";
import { type ProxyScript, startProxy } from "../../support/tcp-proxy.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { BUSY, busyDays, DAY_ROWS, oneDay } from "./busy.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import { codeOf, endedWith, pausedAt } from "./processes.ts";

const TERMINATE = `SELECT pg_terminate_backend(pid, 10000) AS gone FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'firnline audit_logs'`;

/** One day, and what its runs need to go by way of a proxy. */
async function behindProxy(
  bench: FaultBench,
  script: ProxyScript,
): Promise<{ scenario: Scenario; environ: { DATABASE_URL: string }; reset: () => void }> {
  const scenario = await oneDay(bench);
  const proxy = bench.keep(await startProxy(scenario.url, script));
  return { scenario, environ: { DATABASE_URL: proxy.url }, reset: () => proxy.resetAll() };
}

async function stalledCopy(bench: FaultBench, statement: string, nth: number): Promise<string> {
  let hits = 0;
  const { scenario, environ } = await behindProxy(bench, {
    onAsked(connection, piece) {
      if (piece.includes(statement)) hits += 1;
      if (piece.includes(statement) && hits === nth) connection.stall();
      return "pass";
    },
  });
  const limits = { FIRNLINE_COPY_SILENCE_SECONDS: "2", FIRNLINE_ATTEMPTS: "1" };
  const run = bench.keep(scenario.spawnRun({ ...environ, ...limits }));
  // Exit code 3: the archive has the rows, and the table still has them too.
  await endedWith(run, [1, 3], /E_DATABASE .*silent for 2000 ms/);
  const { exported, pruned } = await bench.settle(scenario);
  return `${statement}: given up after 2 s, rerun exported ${exported} and pruned ${pruned}`;
}

export const CONNECTION_LINES: readonly FaultLine[] = [
  {
    number: 13,
    fault: "reset at the reply to COMMIT",
    stage: "prune",
    expected: "OK",
    async run(bench) {
      const seen: string[] = [];
      for (const nth of [1, 3]) {
        const script = losingCommit("COPY (DELETE FROM", nth, "reply");
        const { scenario, environ } = await behindProxy(bench, script);
        await endedWith(bench.keep(scenario.spawnRun(environ)), 0, /pruned 260 rows/);
        expect(script.hits).toBeGreaterThan(nth);
        const { pruned } = await bench.settle(scenario);
        expect(pruned).toBe(0);
        seen.push(`reply ${nth} lost`);
      }
      return `${seen.join(", ")}: the catalog said done, the run went on and pruned all ${DAY_ROWS} once`;
    },
  },
  {
    number: 14,
    fault: "stalled COPY",
    stage: "export, prune",
    expected: "OK",
    async run(bench) {
      const inExport = await stalledCopy(bench, "COPY (SELECT", 1);
      return `${inExport}; ${await stalledCopy(bench, "COPY (DELETE FROM", 3)}`;
    },
  },
  {
    number: 15,
    fault: "half-open sockets",
    stage: "prune",
    expected: "OK",
    async run(bench) {
      let isSilent = false;
      const { scenario, environ, reset } = await behindProxy(bench, {
        onAsked(connection, piece) {
          // From the first deleting transaction's bookkeeping on, no connection gets an answer any more.
          if (connection.asked("COPY (DELETE FROM") && piece.includes("UPDATE firnline.chunk"))
            isSilent = true;
          return isSilent ? "drop" : "pass";
        },
        onAnswer: () => (isSilent ? "drop" : "pass"),
      });
      const run = bench.keep(scenario.spawnRun(environ));
      let hasEnded = false;
      void run.ended.then(() => (hasEnded = true));
      await waitUntil(() => isSilent, "the first deletion is under way");
      // Its backend sits in an open transaction and holds locks. An operator, or a time-out, ends it.
      await runAlone(scenario.url, TERMINATE);
      await expireLease(scenario);
      const { pruned } = await bench.settle(scenario);
      expect(hasEnded, "the process lives").toBe(false);
      const before = await fencedState(scenario);
      isSilent = false;
      reset();
      const said = await endedWith(run, 1, /E_(?:DATABASE|STALE) /);
      expect(await fencedState(scenario)).toEqual(before);
      return `the process lived on, another pruned ${pruned}; once reset it ended with ${codeOf(said)}`;
    },
  },
  {
    number: 16,
    fault: "the idle backend is terminated",
    stage: "run",
    expected: "OK",
    async run(bench) {
      const scenario = await busyDays(bench);
      const idle = `${TERMINATE} AND state = 'idle'`;
      const run = await pausedAt(bench, scenario, "seal.sealed");
      const terminated = (await scenario.query(idle)).length;
      expect(terminated, "sessions that were idle").toBeGreaterThan(0);
      run.resume();
      const said = await endedWith(run, [0, 1, 3]);
      await bench.settle(scenario, BUSY);
      // A program that holds a pipeline for days.
      await using pipeline = scenario.open();
      await pipeline.plan({ asOf: instantOf(AS_OF) });
      expect((await scenario.query(idle)).length).toBeGreaterThan(0);
      expect((await pipeline.run({ asOf: instantOf(AS_OF) })).state).toBe("done");
      const how = codeOf(said) === "no error" ? "went on and ended well" : `ended with ${codeOf(said)}`;
      return `${terminated} terminated under a run, which ${how}; a long-lived program went on`;
    },
  },
];
