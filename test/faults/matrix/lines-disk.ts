/** Line 42: a disk that is full: the server's log, the server's temporary files, and the spool of an answer. */
import { rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { AUDIT_LOGS } from "../../support/audit-rows.ts";
import { copyDataDirectory } from "../../support/data-directory.ts";
import { expectRetrievalComplete } from "../../support/oracle.ts";
import { runAlone } from "../../support/postgres.ts";
import { mountSmallDisk } from "../../support/small-disk.ts";
import { DAY, fillOneDay, ONE_SEGMENT } from "./busy.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import { codeOf, endedWith, pausedAt } from "./processes.ts";

/** Room for three files of the log, of 16 MiB each. */
const LOG_MIB = 64;
const LOG_SETTINGS = { min_wal_size: "32MB", max_wal_size: "48MB", wal_recycle: "off" };

/** The server runs out of disk for its log in the middle of a deleting transaction, and comes down. */
async function fullLog(bench: FaultBench): Promise<string> {
  const folder = await bench.folder();
  const server = await bench.postgres(LOG_SETTINGS);
  const scenario = await bench.scenarioOn(server, { environ: ONE_SEGMENT });
  await fillOneDay(scenario);
  await scenario.disconnect();
  await server.kill("SIGINT");
  const disk = await mountSmallDisk(folder, LOG_MIB);
  if (disk === null) {
    await server.restart();
    return "the log's disk was not filled (this user may not mount one)";
  }
  bench.keep(disk);
  // The server must have ended before its disk goes.
  bench.keep({ [Symbol.asyncDispose]: async () => await server.stop() });
  await moveLog(server.dataDirectory, join(folder, "log"));
  await server.restart();
  const run = await pausedAt(bench, scenario, "prune.deleted@2");
  await disk.fill();
  const writing = "CREATE TABLE public.junk AS SELECT repeat('x', 1000) FROM generate_series(1, 60000)";
  await expect(runAlone(scenario.url, writing)).rejects.toBeInstanceOf(Error);
  run.resume();
  const said = await endedWith(run, [1, 3], /E_DATABASE/);
  await disk.free();
  await server.restart();
  const { pruned } = await bench.settle(scenario);
  return `log: the server came down, ${codeOf(said)}; with space again the rerun pruned ${pruned}`;
}

async function moveLog(dataDirectory: string, to: string): Promise<void> {
  const from = join(dataDirectory, "pg_wal");
  await copyDataDirectory(from, to);
  await rename(from, `${from}.before`);
  await symlink(to, from);
  await rm(`${from}.before`, { recursive: true });
}

/** The server has no room to sort what is exported. */
async function fullSort(bench: FaultBench): Promise<string> {
  // Without the index on time, and with more than fits into the memory of a sort.
  const ddl = AUDIT_LOGS.slice(0, AUDIT_LOGS.indexOf("CREATE INDEX"));
  const scenario = await bench.scenario({ ddl, environ: { ...ONE_SEGMENT, FIRNLINE_CHUNK_ROWS: "1000" } });
  await scenario.insert(
    `SELECT n, '${DAY} 00:00+00'::timestamptz + n * interval '1 second', 'login', repeat(md5(n::text), 32), NULL::jsonb
     FROM generate_series(1, 2000) n`,
  );
  const alter = async (setting: string): Promise<void> =>
    void (await scenario.query(`ALTER DATABASE ${scenario.database} SET ${setting}`));
  await alter("work_mem = '64kB'");
  await alter("temp_file_limit = '256kB'");
  const said = await endedWith(bench.keep(scenario.spawnRun()), 1, /E_DATABASE .*temp_file_limit/);
  expect(await scenario.count()).toBe(2_000);
  await alter("temp_file_limit = '-1'");
  const { exported } = await bench.settle(scenario);
  expect(exported).toBe(2_000);
  return `sort: ${codeOf(said)}, nothing deleted; rerun exported ${exported}`;
}

/** Firnline has no room for the hot rows of an answer. */
async function fullSpool(bench: FaultBench): Promise<string> {
  const scenario = await bench.scenario({ environ: ONE_SEGMENT });
  await fillOneDay(scenario);
  await endedWith(scenario.spawnRun(), 0);
  await scenario.insert(
    `SELECT 100000 + n, '2026-02-21 00:00+00'::timestamptz + n * interval '1 millisecond', 'x', repeat(md5(n::text), 32),
       NULL::jsonb FROM generate_series(1, 3000) n`,
  );
  const disk = await mountSmallDisk(await bench.folder(), 8);
  if (disk === null) return "the spool's disk was not filled (this user may not mount one)";
  bench.keep(disk);
  await disk.fill(256 * 1024);
  const out = join(scenario.folder, "answer.ndjson");
  const args = ["retrieve", "audit-logs", "--from", "2026-01-01", "--to", "2026-02-28", "--out", out];
  const environ = { FIRNLINE_TMPDIR: disk.folder };
  const said = await endedWith(bench.keep(scenario.spawn(args, environ)), 1, /E_CAPACITY /);
  expect(await scenario.answers(), "no part of an answer is left").toEqual([]);
  await disk.free();
  await endedWith(bench.keep(scenario.spawn(args, environ)), 0);
  await expectRetrievalComplete(scenario);
  await bench.settle(scenario);
  return `spool: ${codeOf(said)}, no file; with space again complete`;
}

export const DISK_LINES: readonly FaultLine[] = [
  {
    number: 42,
    fault: "disk full: log, sort, spool",
    stage: "prune, export, retrieve",
    expected: "OK",
    run: async (bench) => [await fullLog(bench), await fullSort(bench), await fullSpool(bench)].join("; "),
  },
];
