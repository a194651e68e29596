/** Lines 33 to 41: a second SQL session changes rows, the table itself, or holds what a run needs. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { listArchive } from "../../support/archive-damage.ts";
import { auditRows } from "../../support/audit-rows.ts";
import { expectRetrievalComplete } from "../../support/oracle.ts";
import { days, PARENT, tablesOf } from "../../support/partitioned-logs.ts";
import { runAlone } from "../../support/postgres.ts";
import type { Scenario } from "../../support/scenario.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { DAY, DAY_ROWS, hotRowsOfDay, oneDay } from "./busy.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import { codeOf, endedWith, pausedAt } from "./processes.ts";

/** On a slow machine too a batch has as many chunks as it may have. */
const PATIENT = { FIRNLINE_PRUNE_TARGET_MS: "60000" };

const lateRow = (id: number, time: string): string =>
  `VALUES (${id}, '${DAY} ${time}+00'::timestamptz, 'late', NULL, '{}'::jsonb)`;

const typesOf = async (bench: FaultBench, scenario: Scenario): Promise<string[]> =>
  (await bench.journal(scenario)).map(({ event }) => event.type);

/** One day whose definition changes after it was sealed: nothing is deleted under another definition. */
async function alteredAfterSeal(bench: FaultBench, sql: (table: string) => string): Promise<string> {
  const scenario = await oneDay(bench);
  const run = await pausedAt(bench, scenario, "prune.started");
  await scenario.change(sql);
  run.resume();
  const said = await endedWith(run, 1, /^E_SOURCE public\.audit_logs: the table's definition changed/);
  expect(await hotRowsOfDay(scenario)).toBe(DAY_ROWS);
  const { exported } = await bench.settle(scenario);
  expect(exported).toBe(DAY_ROWS);
  return `${codeOf(said)}, nothing deleted; rerun exported ${exported} anew`;
}

/** Fails the first `times` deleting transactions with 40001, as a serialization conflict does. */
async function failSerialization(scenario: Scenario, times: number): Promise<void> {
  // A sequence counts on when its transaction is rolled back.
  await scenario.query(`
    CREATE SEQUENCE public.tries;
    CREATE FUNCTION public.conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('public.tries') <= ${times} THEN RAISE 'made up by a test' USING ERRCODE = '40001'; END IF;
      RETURN NULL; END $$;
    CREATE TRIGGER conflict AFTER UPDATE ON firnline.chunk FOR EACH ROW
      WHEN (NEW.state = 'pruned') EXECUTE FUNCTION public.conflict()`);
}

export const SESSION_LINES: readonly FaultLine[] = [
  {
    number: 33,
    fault: "late insert",
    stage: "prune",
    expected: "OK",
    async run(bench) {
      const scenario = await oneDay(bench);
      const run = await pausedAt(bench, scenario, "prune.committed");
      // One into a range that is gone, one into a range that is sealed.
      await scenario.insert(lateRow(7, "00:10:30"));
      await scenario.insert(lateRow(8, "03:30:30"));
      await expectRetrievalComplete(scenario);
      run.resume();
      await endedWith(run, 0);
      await scenario.insert(lateRow(9, "00:20:30"));
      await expectRetrievalComplete(scenario);
      const { exported } = await bench.settle(scenario);
      return `3 late rows were retrievable at once, rerun archived ${exported} more`;
    },
  },
  {
    number: 34,
    fault: "update or delete after export",
    stage: "prune",
    expected: "DRIFT",
    async run(bench) {
      const scenario = await oneDay(bench);
      const run = await pausedAt(bench, scenario, "prune.started");
      await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1120`);
      await scenario.change((table) => `DELETE FROM ${table} WHERE id = 1230`);
      run.resume();
      const said = await endedWith(run, 0, /changed after they were archived, and were archived anew/);
      const types = await typesOf(bench, scenario);
      expect(types.filter((type) => type === "tombstoned")).toHaveLength(1);
      await bench.settle(scenario);
      const anew = /([\d,]+) rows? changed after they were archived/.exec(said)?.[1];
      return `${anew} rows exported anew in the same run, 1 tombstone for the deleted one`;
    },
  },
  {
    number: 35,
    fault: "a key moves into a pruned range",
    stage: "prune",
    expected: "OK",
    async run(bench) {
      const scenario = await oneDay(bench);
      const run = await pausedAt(bench, scenario, "prune.committed");
      const move = (id: number, time: string) => (table: string) =>
        `UPDATE ${table} SET ts = '${DAY} ${time}+00' WHERE id = ${id}`;
      await scenario.change(move(5003, "00:15:30"));
      await expectRetrievalComplete(scenario);
      run.resume();
      await endedWith(run, 0);
      await scenario.change(move(5004, "00:25:30"));
      await expectRetrievalComplete(scenario);
      const { exported } = await bench.settle(scenario);
      return `2 rows moved in and were retrievable at once, rerun archived ${exported}`;
    },
  },
  {
    number: 36,
    fault: "ADD COLUMN, ALTER COLUMN after the seal",
    stage: "prune",
    expected: "STOP",
    async run(bench) {
      const added = await alteredAfterSeal(
        bench,
        (table) => `ALTER TABLE ${table} ADD COLUMN extra text DEFAULT 'for all rows'`,
      );
      const altered = await alteredAfterSeal(
        bench,
        (table) => `ALTER TABLE ${table} ALTER COLUMN message TYPE varchar(200)`,
      );
      return `ADD: ${added}; ALTER: ${altered}`;
    },
  },
  {
    number: 37,
    fault: "TRUNCATE in the middle of an export",
    stage: "export",
    expected: "STOP",
    async run(bench) {
      const scenario = await oneDay(bench);
      const run = await pausedAt(bench, scenario, "journal.enqueued");
      await scenario.change((table) => `TRUNCATE ${table}`);
      run.resume();
      const said = await endedWith(run, 1, /^E_SOURCE .* are gone/);
      await bench.settle(scenario);
      expect(await typesOf(bench, scenario)).not.toContain("sealed");
      expect((await listArchive(scenario)).filter((path) => !path.includes("/journal/"))).toEqual([]);
      // Once the export has its lock there is no TRUNCATE before it is over.
      const locked = await oneDay(bench);
      const exporting = await pausedAt(bench, locked, "export.uploading");
      const truncate = "SET lock_timeout = 200; TRUNCATE public.audit_logs";
      await expect(runAlone(locked.url, truncate)).rejects.toMatchObject({ code: "55P03" });
      exporting.resume();
      await endedWith(exporting, 0);
      await bench.settle(locked);
      return `before the snapshot: ${codeOf(said)}, no manifest; after it: TRUNCATE waited (55P03)`;
    },
  },
  {
    number: 38,
    fault: "the partition is dropped in the middle of a retrieval",
    stage: "retrieve",
    expected: "OK",
    async run(bench) {
      const scenario = await bench.scenario({ ddl: PARENT + days(DAY, 2) + days("2026-02-20", 1) });
      await scenario.insert(auditRows(DAY, 1001, 130));
      await scenario.insert(auditRows("2026-01-11", 2001, 60));
      await scenario.insert(auditRows("2026-02-20", 3001, 10));
      const run = await pausedAt(bench, scenario, "drop.dropped");
      const out = join(scenario.folder, "answer.ndjson");
      const args = ["retrieve", "audit-logs", "--from", "2026-01-01", "--to", "2026-02-28", "--out", out];
      const retrieval = bench.keep(scenario.spawn(args, { FIRNLINE_LOCK_TIMEOUT_MS: "20000" }));
      await waitUntil(async () => await scenario.isSomebodyBlocked(), "the retrieval waits for the drop");
      run.resume();
      await endedWith(retrieval, 0);
      const lines = new Set((await readFile(out, "utf8")).trimEnd().split("\n"));
      expect(lines.size).toBe(200);
      await endedWith(run, 0);
      expect(await tablesOf(scenario)).toEqual(["day_2026_02_20"]);
      await bench.settle(scenario);
      return `it waited for the drop, looked again, and answered all ${lines.size} rows`;
    },
  },
  {
    number: 39,
    fault: "an open prepared transaction",
    stage: "run",
    expected: "STOP",
    async run(bench) {
      const scenario = await oneDay(bench);
      // The pipeline is known, and nothing is due yet.
      await endedWith(scenario.spawnRun({}, "2026-01-20"), 0);
      await scenario.query(
        `BEGIN; INSERT INTO public.audit_logs ${lateRow(9, "12:00:00")}; INSERT INTO truth.rows ${lateRow(9, "12:00:00")};
         PREPARE TRANSACTION '${scenario.database}'`,
      );
      let said = "";
      try {
        said = await bench.unchanged(
          scenario,
          async () =>
            await endedWith(bench.keep(scenario.spawnRun()), 12, /^E_SERVER .*prepared transaction/),
        );
      } finally {
        await scenario.query(`COMMIT PREPARED '${scenario.database}'`);
      }
      const { exported } = await bench.settle(scenario);
      expect(exported).toBe(DAY_ROWS + 1);
      return `${codeOf(said)}, nothing changed; once it was committed the rerun exported ${exported}`;
    },
  },
  {
    number: 40,
    fault: "the table is renamed, or swapped for another",
    stage: "prune",
    expected: "STOP",
    async run(bench) {
      const scenario = await oneDay(bench);
      const run = await pausedAt(bench, scenario, "prune.started");
      await scenario.query(
        `BEGIN; ALTER TABLE public.audit_logs RENAME TO old_logs;
         CREATE TABLE public.audit_logs (LIKE public.old_logs INCLUDING ALL);
         INSERT INTO public.audit_logs SELECT id, ts, 'another', NULL, NULL FROM public.old_logs; COMMIT`,
      );
      run.resume();
      const swapped = await endedWith(run, 1, /^E_/);
      const next = await endedWith(bench.keep(scenario.spawnRun()), [1, 12], /^E_OWNER .*tableOid/);
      for (const table of ["public.audit_logs", "public.old_logs"])
        expect(await scenario.count("true", table)).toBe(DAY_ROWS + 10);
      await scenario.query("DROP TABLE public.audit_logs");
      const renamed = await endedWith(bench.keep(scenario.spawnRun()), [1, 12], /^E_/);
      expect(await scenario.count("true", "public.old_logs")).toBe(DAY_ROWS + 10);
      await scenario.query("ALTER TABLE public.old_logs RENAME TO audit_logs");
      const { pruned } = await bench.settle(scenario);
      const codes = [swapped, next, renamed].map(codeOf);
      return `swapped: ${codes[0]}, next run ${codes[1]}; renamed: ${codes[2]}; put back, rerun pruned ${pruned}`;
    },
  },
  {
    number: 41,
    fault: "deadlock, 40001",
    stage: "prune",
    expected: "OK",
    async run(bench) {
      const scenario = await oneDay(bench);
      // Whoever has waited so long looks for a deadlock, once, and gives way: the run, when there is one by then.
      await scenario.query(`ALTER DATABASE ${scenario.database} SET deadlock_timeout = '5s'`);
      await scenario.query(
        "SET deadlock_timeout = '60s'; BEGIN; SELECT FROM public.audit_logs WHERE id = 1130 FOR UPDATE",
      );
      // In one lane: with two, each of the first batches is one chunk.
      const environ = { ...PATIENT, FIRNLINE_LOCK_TIMEOUT_MS: "20000", FIRNLINE_CONCURRENCY: "1" };
      const run = bench.keep(scenario.spawnRun(environ));
      await waitUntil(async () => await scenario.isSomebodyBlocked(), "the run waits for row 1130");
      // The second batch has deleted chunk 1 and waits for a row of chunk 2; this waits for a row of chunk 1.
      await scenario.query("SELECT FROM public.audit_logs WHERE id = 1060 FOR UPDATE; COMMIT");
      await endedWith(run, 0, /pruned 260 rows/);
      await waitUntil(async () => {
        const [found] = await scenario.query(
          "SELECT deadlocks::int AS count FROM pg_stat_database WHERE datname = current_database()",
        );
        return Number(found?.["count"]) === 1;
      }, "the server has counted one deadlock");
      await bench.settle(scenario);

      const conflicts = await oneDay(bench);
      await failSerialization(conflicts, 2);
      await endedWith(bench.keep(conflicts.spawnRun()), 0, /pruned 260 rows/);
      await bench.settle(conflicts);

      const forEver = await oneDay(bench);
      await failSerialization(forEver, 1_000_000);
      const said = await endedWith(
        bench.keep(forEver.spawnRun({ FIRNLINE_ATTEMPTS: "3" })),
        [1, 3],
        /E_DATABASE /,
      );
      const [tries] = await forEver.query("SELECT last_value::int AS tries FROM public.tries");
      expect(await hotRowsOfDay(forEver)).toBe(DAY_ROWS);
      await forEver.query("DROP TRIGGER conflict ON firnline.chunk");
      await bench.settle(forEver);
      return `1 deadlock and 2 conflicts retried; conflicts for ever: ${codeOf(said)} after ${tries?.["tries"]} tries`;
    },
  },
];
