/**
 * `npm run bench`: Firnline beside the floor and its peers, in one interleaved run on data of its own. See `--help`. All
 * cases of a round come before the next round, so that a machine that is slow for a while is slow for all of them.
 * Results go to stdout, progress to stderr if that is a terminal. Exit code 1 if a case failed, 2 for wrong arguments.
 */
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { Bench, type Case, type Sample } from "./bench.ts";
import { FIRNLINE } from "./cases/firnline.ts";
import { FLOOR } from "./cases/floor.ts";
import { PEERS } from "./cases/peers.ts";
import { RETRIEVAL } from "./cases/retrieval.ts";
import { SCALE } from "./cases/scale.ts";
import { WRITERS } from "./cases/writers.ts";
import { type BenchOptions, readOptions, USAGE } from "./options.ts";
import { type Result, summarise } from "./result.ts";
import { drawChart } from "./chart.ts";
import { BenchServer } from "./server.ts";
import { formatTable } from "./table.ts";

const CASES: readonly Case[] = [...FLOOR, ...FIRNLINE, ...PEERS, ...RETRIEVAL, ...SCALE, ...WRITERS];

async function main(argv: readonly string[]): Promise<number> {
  let options: BenchOptions | "help";
  let cases: readonly Case[];
  try {
    options = readOptions(argv);
    if (options === "help") {
      process.stdout.write(`${USAGE}\ncases: ${CASES.map(({ name }) => name).join(" ")}\n`);
      return 0;
    }
    cases = chosen(options.only);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const samples = new Map<Case, Sample[]>(cases.map((one) => [one, []]));
  const failed = await measureAll(options, samples);
  const results = summarise(samples);
  if (options.json) for (const result of results) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(formatTable(results));
  if (options.chart !== null) await writeFile(options.chart, drawChart(results, about(options, results)));
  for (const [name, problem] of failed) process.stderr.write(`${name} failed: ${problem}\n`);
  return failed.size === 0 ? 0 : 1;
}

/** How it was measured, in a line. */
function about({ rows, shape }: BenchOptions, results: readonly Result[]): string {
  const rounds = Math.min(...results.map((result) => result.rounds));
  const machine = `${cpus().length} cores`;
  const how = rounds === 1 ? "one round" : `medians of ${rounds} interleaved rounds`;
  return `${rows.toLocaleString("en")} ${shape} rows, ${how} on ${machine}; Postgres 18 and the program under test share them`;
}

function chosen(only: readonly string[]): readonly Case[] {
  for (const prefix of only) {
    if (!CASES.some(({ name }) => name.startsWith(prefix))) throw new Error(`no case begins with ${prefix}`);
  }
  return CASES.filter(({ name }) => only.length === 0 || only.some((prefix) => name.startsWith(prefix)));
}

/** Fills `samples`; returns the cases that failed, with the reason. They are not tried again. */
async function measureAll(
  { rows, shape, rounds, minutes }: BenchOptions,
  samples: ReadonlyMap<Case, Sample[]>,
): Promise<Map<string, string>> {
  const failed = new Map<string, string>();
  const lastBegin = performance.now() + minutes * 60_000;
  const folder = await mkdtemp(join(tmpdir(), "firnline-bench-"));
  // The server's watchdog ends the server; what cases wrote would stay.
  const interrupt = (): void => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    await using server = await BenchServer.start(shape);
    const bench = new Bench({ server, rows, shape, folder });
    for (let round = 1; round <= rounds; round += 1) {
      for (const [one, list] of samples) {
        if (failed.has(one.name) || performance.now() > lastBegin) continue;
        progress(`round ${round} of ${rounds}: ${one.name}`);
        try {
          list.push(await one.measure(bench));
        } catch (error) {
          failed.set(one.name, (error as Error).message);
        }
        await rm(bench.outputs, { recursive: true, force: true });
      }
    }
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    progress("");
    await rm(folder, { recursive: true, force: true });
  }
  return failed;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text}`);
}

process.exitCode = await main(process.argv.slice(2));
