/** Lines 1 and 3 to 9: SIGKILL of real processes, at failpoints and in the middle of what they read, send and write. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { killWriter, partialBytes } from "../../support/growing-answer.ts";
import { isCommit } from "../../support/losing-commit.ts";
import { expectRetrievalComplete } from "../../support/oracle.ts";
import { startProxy } from "../../support/tcp-proxy.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { BUSY, busyDays, DAY, DAY_ROWS, ONE_SEGMENT, oneDay } from "./busy.ts";
import type { FaultBench, FaultLine } from "./line.ts";
import { expectKilled, killedAt } from "./processes.ts";

/** Three megabytes to be exported. */
const WIDE_ROWS = 3_000;
const WIDE = { ...ONE_SEGMENT, FIRNLINE_CHUNK_ROWS: "250", FIRNLINE_ROW_GROUP_ROWS: "500" };
const wideRows = (id: number, day: string, count: number): string =>
  `SELECT ${id} + n, '${day} 00:00+00'::timestamptz + n * interval '1 millisecond', 'x', repeat(md5(n::text), 32), NULL::jsonb
   FROM generate_series(1, ${count}) n`;
/** Of them so many are on their way when the process is killed. */
const COPIED_BYTES = 1 << 20;

/** The common shape of lines 3 to 5: killed there, finished by the next run. */
function killed(number: number, fault: string, stage: string, ...points: string[]): FaultLine {
  return {
    number,
    fault,
    stage,
    expected: "OK",
    async run(bench) {
      const seen: string[] = [];
      for (const point of points) {
        const scenario = await busyDays(bench);
        await killedAt(scenario, point);
        const { exported, pruned } = await bench.settle(scenario, BUSY);
        seen.push(`killed at ${point}, rerun exported ${exported} and pruned ${pruned}`);
      }
      return seen.join("; ");
    },
  };
}

/** Ends the process at the COMMIT of its second deleting transaction: before the server gets it, or after it answered. */
async function killedAtCommit(bench: FaultBench, moment: "asked" | "answered"): Promise<string> {
  const scenario = await oneDay(bench);
  const atCommit = new Set<unknown>();
  let commits = 0;
  let kill = (): void => {};
  const proxy = bench.keep(
    await startProxy(scenario.url, {
      onAsked(connection, piece) {
        if (!isCommit(piece) || !connection.asked("COPY (DELETE FROM")) return "pass";
        commits += 1;
        if (commits !== 2) return "pass";
        if (moment === "answered") {
          atCommit.add(connection);
          return "pass";
        }
        kill();
        return "drop";
      },
      onAnswer(connection) {
        if (!atCommit.has(connection)) return "pass";
        kill();
        return "drop";
      },
    }),
  );
  const run = bench.keep(scenario.spawnRun({ DATABASE_URL: proxy.url }));
  kill = () => run.signal("SIGKILL");
  expectKilled(await run.ended, "COMMIT");
  proxy.resetAll();
  const gone = DAY_ROWS - (await scenario.count("id < 5000"));
  const journaled = await scenario.query(
    "SELECT coalesce(sum(rows), 0)::int AS rows FROM firnline.chunk WHERE state = 'pruned'",
  );
  expect(Number(journaled[0]?.["rows"]), "rows that are gone are in the catalog").toBe(gone);
  const { pruned } = await bench.settle(scenario);
  expect(pruned + gone, "no row is deleted twice").toBe(DAY_ROWS);
  return `COMMIT ${moment}: ${gone} rows gone, rerun pruned ${pruned}`;
}

export const CRASH_LINES: readonly FaultLine[] = [
  {
    number: 1,
    fault: "SIGKILL in the middle of COPY",
    stage: "export",
    expected: "OK",
    async run(bench) {
      const scenario = await bench.scenario({ environ: WIDE });
      await scenario.insert(wideRows(0, DAY, WIDE_ROWS));
      let bytes = 0;
      let kill = (): void => {};
      const proxy = bench.keep(
        await startProxy(scenario.url, {
          onAnswer(connection, piece) {
            if (!connection.asked("COPY (SELECT")) return "pass";
            bytes += piece.byteLength;
            if (bytes < COPIED_BYTES) return "pass";
            kill();
            return "drop";
          },
        }),
      );
      const run = bench.keep(scenario.spawnRun({ DATABASE_URL: proxy.url }));
      kill = () => run.signal("SIGKILL");
      expectKilled(await run.ended, "COPY");
      proxy.resetAll();
      const { exported } = await bench.settle(scenario);
      expect(exported).toBe(WIDE_ROWS);
      return `killed after 1 MiB of some 3 of COPY, rerun exported ${exported}`;
    },
  },
  killed(3, "SIGKILL between upload and catalog", "export", "export.uploaded", "export.uploaded@4"),
  killed(4, "SIGKILL after the manifest", "seal", "seal.manifest", "seal.manifest@3"),
  killed(
    5,
    "SIGKILL after DELETE, before COMMIT",
    "prune",
    "prune.deleted",
    "prune.deleted@3",
    "delete.deleted",
  ),
  {
    number: 6,
    fault: "SIGKILL at COMMIT",
    stage: "prune",
    expected: "OK",
    run: async (bench) =>
      `${await killedAtCommit(bench, "asked")}; ${await killedAtCommit(bench, "answered")}`,
  },
  {
    number: 7,
    fault: "SIGKILL between prune and journal",
    stage: "prune",
    expected: "OK",
    async run(bench) {
      const scenario = await oneDay(bench);
      await killedAt(scenario, "prune.committed@2");
      const gone = DAY_ROWS - (await scenario.count("id < 5000"));
      const types = async (): Promise<string[]> =>
        (await bench.journal(scenario)).map(({ event }) => event.type);
      expect(gone).toBeGreaterThan(0);
      expect(await types(), "rows are gone, and no entry says so").not.toContain("pruned");
      const { pruned } = await bench.settle(scenario);
      expect(await types()).toContain("pruned");
      return `${gone} rows gone and not journaled, rerun pruned ${pruned} and journaled all`;
    },
  },
  {
    number: 8,
    fault: "SIGKILL in a transition, and in a restore",
    stage: "cold",
    expected: "OK",
    async run(bench) {
      const moving = await busyDays(bench);
      await killedAt(moving, "transition.moved");
      const { cooled } = await bench.settle(moving, BUSY);
      const seen = [`killed at transition.moved, rerun cooled ${cooled}`];
      for (const point of ["restore.asked", "restore.requested"]) {
        const scenario = await busyDays(bench);
        await scenario.run();
        const out = join(scenario.folder, "answer.ndjson");
        const args = [
          "retrieve",
          "audit-logs",
          "--from",
          "2025-12-01",
          "--to",
          "2025-12-31",
          "--yes",
          "--out",
          out,
        ];
        const environ = { FIRNLINE_FILE_RESTORE_DELAY_MS: "1000" };
        const asking = bench.keep(scenario.spawn(args, { ...environ, FIRNLINE_FAILPOINT: `${point}:kill` }));
        expectKilled(await asking.ended, point);
        expect(await bench.keep(scenario.spawn(args, environ)).ended).toMatchObject({ code: 0 });
        const lines = (await readFile(out, "utf8")).trimEnd().split("\n").length;
        expect(lines).toBe(239);
        await bench.settle(scenario, BUSY);
        seen.push(`at ${point}, again: all ${lines} rows`);
      }
      return seen.join("; ");
    },
  },
  {
    number: 9,
    fault: "SIGKILL in the middle of a retrieval",
    stage: "retrieve",
    expected: "OK",
    async run(bench) {
      const scenario = await busyDays(bench);
      await scenario.run();
      await scenario.insert(wideRows(100_000, "2026-02-21", 20_000));
      const out = join(scenario.folder, "answer.ndjson");
      const args = [
        "retrieve",
        "audit-logs",
        "--from",
        "2025-12-01",
        "--to",
        "2026-02-28",
        "--out",
        out,
        "--yes",
      ];
      const named = async (): Promise<string[]> =>
        (await scenario.answers()).filter((name) => name === "answer.ndjson");
      const waiting = bench.keep(scenario.spawn(args, { FIRNLINE_FILE_RESTORE_DELAY_MS: "3000" }));
      await waitUntil(async () => (await partialBytes(scenario)) !== null, "it waits for a restore");
      waiting.signal("SIGKILL");
      expectKilled(await waiting.ended, "a restore");
      expect(await named(), "no partial output under the final name").toEqual([]);
      expectKilled(await killWriter(scenario, bench.keep(scenario.spawn(args))), "its answer");
      expect(await named(), "no partial output under the final name").toEqual([]);
      expect(await bench.keep(scenario.spawn(args)).ended).toMatchObject({ code: 0 });
      await expectRetrievalComplete(scenario, BUSY);
      await bench.settle(scenario, BUSY);
      return "killed while it waited and while it wrote: no file; again: complete";
    },
  },
];
