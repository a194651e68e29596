/** Lines 17 to 22: a server that is killed, and databases, schemas, tables and disks that come back from a backup. */
import { join } from "node:path";
import { expect } from "vitest";
import type { EmbeddedPostgres } from "../../../src/demo/embedded-postgres.ts";
import { auditRows } from "../../support/audit-rows.ts";
import { openLogArchive, recoverFrom, takeBaseBackup } from "../../support/base-backup.ts";
import { backUpCatalog, loseCatalog, restoreCatalog } from "../../support/control-schema.ts";
import { copyDataDirectory } from "../../support/data-directory.ts";
import { keepTruth } from "../../support/kept-truth.ts";
import { expectRetrievalComplete } from "../../support/oracle.ts";
import type { Scenario } from "../../support/scenario.ts";
import { DAY_ROWS, fillOneDay, hotRowsOfDay, ONE_SEGMENT, oneDay } from "./busy.ts";
import type { FaultBench, FaultLine, SettleOptions } from "./line.ts";
import { codeOf, endedWith, pausedAt } from "./processes.ts";

/** Until the rerun has asked the table where the rows are, only an answer can tell: it reads both. */
const RESTORED: SettleOptions = { isRestored: true };
/** When only the first of two days is due. */
const EARLIER = "2026-02-05";
const FIRST_DAY = "2026-01-05";
const FIRST_ROWS = 170;

/** A first day that was moved, and the day that is due next. */
async function fillTwoDays(scenario: Scenario): Promise<void> {
  await scenario.insert(auditRows(FIRST_DAY, 1, FIRST_ROWS));
  await fillOneDay(scenario);
  await endedWith(scenario.spawnRun({}, EARLIER), 0);
}

/** Runs and retrievals are refused, by the reason of I8, and change nothing. Returns the code. */
async function stops(bench: FaultBench, scenario: Scenario): Promise<string> {
  return await bench.unchanged(scenario, async () => {
    const said = await endedWith(bench.keep(scenario.spawnRun()), [1, 12], /^E_OWNER /);
    await expect(scenario.retrieve()).rejects.toMatchObject({ code: "E_OWNER" });
    return codeOf(said);
  });
}

async function command(bench: FaultBench, scenario: Scenario, ...args: string[]): Promise<void> {
  await endedWith(bench.keep(scenario.spawn(args)), 0);
}

/** A server with its log in an archive, and a base backup of it from before the second day is moved. */
async function backedUp(bench: FaultBench): Promise<{
  scenario: Scenario;
  server: EmbeddedPostgres;
  backup: string;
  log: Awaited<ReturnType<typeof openLogArchive>>;
}> {
  const folder = await bench.folder();
  const log = await openLogArchive(join(folder, "log"));
  const server = await bench.postgres(log.settings);
  const scenario = await bench.scenarioOn(server, { environ: ONE_SEGMENT });
  await fillTwoDays(scenario);
  const backup = join(folder, "backup");
  await takeBaseBackup(server, backup);
  return { scenario, server, backup, log };
}

export const RESTORE_LINES: readonly FaultLine[] = [
  {
    number: 17,
    fault: "SIGKILL of postgres in the middle of a prune",
    stage: "prune",
    expected: "OK",
    async run(bench) {
      const seen: string[] = [];
      const server = await bench.postgres();
      const scenario = await bench.scenarioOn(server, { environ: ONE_SEGMENT });
      for (const [round, point] of ["prune.deleted@2", "prune.committed@2"].entries()) {
        await scenario.insert(auditRows("2026-01-10", 1 + round * 1000, DAY_ROWS));
        await scenario.disconnect();
        const run = await pausedAt(bench, scenario, point);
        await server.kill("SIGKILL");
        await server.restart();
        run.resume();
        const said = await endedWith(run, [0, 1, 3]);
        const { pruned } = await bench.settle(scenario);
        expect(await scenario.count()).toBe(0);
        seen.push(`at ${point}: the run ended with ${codeOf(said)}, rerun pruned ${pruned}`);
      }
      return seen.join("; ");
    },
  },
  {
    number: 18,
    fault: "failover that loses a prune",
    stage: "prune",
    expected: "STOP",
    async run(bench) {
      const { scenario, server, backup, log } = await backedUp(bench);
      const run = await pausedAt(bench, scenario, "prune.started");
      await log.flush(server.url());
      await log.cut();
      run.resume();
      await endedWith(run, 0, /pruned 260 rows/);
      await scenario.disconnect();
      await recoverFrom(backup, server, log);
      expect(await hotRowsOfDay(scenario), "the standby never heard of the prune").toBe(DAY_ROWS);
      const code = await stops(bench, scenario);
      await command(bench, scenario, "adopt", "audit-logs", "--yes");
      const { exported, pruned } = await bench.settle(scenario, RESTORED);
      expect({ exported, pruned }).toEqual({ exported: 0, pruned: DAY_ROWS });
      return `promoted from the log without the prune: ${code}; adopted, rerun pruned ${pruned} and exported none`;
    },
  },
  {
    number: 19,
    fault: "point-in-time restore to before a prune",
    stage: "prune",
    expected: "STOP",
    async run(bench) {
      const { scenario, server, backup, log } = await backedUp(bench);
      await scenario.query("SELECT pg_create_restore_point('before_prune')");
      // Rows that come late into a day that was moved, and are in the archive alone once the database is put back.
      await scenario.insert(auditRows(FIRST_DAY, 3001, 30));
      await endedWith(scenario.spawnRun(), 0, /pruned 290 rows/);
      await log.flush(server.url());
      const putBackTruth = await keepTruth(scenario);
      await scenario.disconnect();
      await recoverFrom(backup, server, log, "before_prune");
      await putBackTruth(scenario);
      expect(await hotRowsOfDay(scenario)).toBe(DAY_ROWS);
      const code = await stops(bench, scenario);
      await command(bench, scenario, "catalog", "rebuild", "audit-logs", "--yes");
      await expectRetrievalComplete(scenario);
      const { exported, pruned } = await bench.settle(scenario, RESTORED);
      expect({ exported, pruned }).toEqual({ exported: 0, pruned: DAY_ROWS });
      return `${code}; catalog rebuilt from the journal, rerun reconciled and pruned ${pruned} once more`;
    },
  },
  {
    number: 20,
    fault: "the control schema alone is lost, or restored",
    stage: "run",
    expected: "STOP",
    async run(bench) {
      const seen: string[] = [];
      for (const what of ["lost", "restored"] as const) {
        const scenario = await bench.scenario({ environ: ONE_SEGMENT });
        await fillTwoDays(scenario);
        if (what === "restored") await backUpCatalog(scenario);
        await endedWith(scenario.spawnRun({ FIRNLINE_FAILPOINT: "prune.committed:error@2" }), 1);
        const gone = DAY_ROWS - (await hotRowsOfDay(scenario));
        await (what === "lost" ? loseCatalog(scenario) : restoreCatalog(scenario));
        const code = await stops(bench, scenario);
        await command(bench, scenario, "catalog", "rebuild", "audit-logs", "--yes");
        await expectRetrievalComplete(scenario);
        const { pruned } = await bench.settle(scenario, RESTORED);
        expect(pruned).toBe(DAY_ROWS - gone);
        seen.push(`${what}: ${code}; rebuilt, rerun found ${gone} gone and pruned ${pruned}`);
      }
      return seen.join("; ");
    },
  },
  {
    number: 21,
    fault: "the table alone is restored",
    stage: "run",
    expected: "OK",
    async run(bench) {
      const scenario = await oneDay(bench);
      await scenario.query("CREATE SCHEMA backup; CREATE TABLE backup.rows AS TABLE public.audit_logs");
      await endedWith(scenario.spawnRun(), 0, /pruned 260 rows/);
      await scenario.query("TRUNCATE public.audit_logs; INSERT INTO public.audit_logs TABLE backup.rows");
      const { result } = await scenario.retrieve();
      expect(result).toMatchObject({ rows: 270n, collapsed: 260n, conflicting: 0n });
      const { exported, pruned } = await bench.settle(scenario, { collapsed: true });
      return `260 duplicates collapsed in the answer; rerun exported ${exported} and pruned ${pruned}`;
    },
  },
  {
    number: 22,
    fault: "a clone of the disk with the same bucket",
    stage: "run",
    expected: "STOP",
    async run(bench) {
      const [server, other] = [await bench.postgres(), await bench.postgres()];
      const original = await bench.scenarioOn(server, { environ: ONE_SEGMENT });
      await fillTwoDays(original);
      await original.disconnect();
      await Promise.all([server.kill("SIGINT"), other.kill("SIGINT")]);
      await copyDataDirectory(server.dataDirectory, other.dataDirectory);
      await Promise.all([server.restart(), other.restart()]);
      const url = new URL(original.url);
      url.port = String(other.port);
      const clone = bench.elsewhere(original, url.href);
      const both = [original, clone];
      const endings = await Promise.all(both.map(async (one) => await bench.keep(one.spawnRun()).ended));
      const codes = endings.map(({ code }) => code);
      expect([...codes].sort(), JSON.stringify(endings)).toEqual([0, 1]);
      const [winner, loser] = codes[0] === 0 ? [original, clone] : [clone, original];
      expect(endings.find(({ code }) => code === 1)?.stderr).toMatch(/^E_OWNER /);
      expect(await hotRowsOfDay(loser), "the one that stopped deleted nothing").toBe(DAY_ROWS);
      const code = await stops(bench, loser);
      await bench.settle(winner);
      return `both ran at once: the ${winner === original ? "original" : "clone"} moved the day, the other stopped with ${code}`;
    },
  },
];
