/**
 * `npm run test:faults -- [--only 6,13] [--archive folder|s3] [--lanes 2] [--lines FILE]`: the fault matrix, line by line,
 * on servers of its own. Each line brings a fault about, and then come the oracle, a rerun, the oracle again and a run that
 * must do nothing. Exit code 1 if a line failed, 2 for wrong arguments. FIRNLINE_TEST_INSTALL=1 installs the S3 servers;
 * without them their lines are skipped. `--archive s3` puts the archives of all other lines into buckets too, which
 * lines 8 and 9 cannot use: they need a store that restores. `--lines` names a module with other lines, for the harness's own test.
 */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { startRun } from "../support/broker.ts";
import { hasBroker } from "../support/broker-address.ts";
import type { ArchiveKind } from "./matrix/bench.ts";
import type { FaultLine } from "./matrix/line.ts";
import { closingLines, runLines, Table } from "./matrix/runner.ts";

const LINE_MS_MAX = 900_000;

interface Options {
  readonly only: readonly number[];
  readonly archive: ArchiveKind;
  readonly lanes: number;
  readonly lines: string;
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      archive: { type: "string", default: "folder" },
      lanes: { type: "string", default: "2" },
      lines: { type: "string", default: join(import.meta.dirname, "matrix/lines.ts") },
    },
  });
  const { archive, lanes, lines, only } = values;
  const numbers = only === undefined ? [] : only.split(",").map(Number);
  if (numbers.some((one) => !Number.isSafeInteger(one)))
    throw new Error(`--only ${only}: not numbers of lines`);
  if (archive !== "folder" && archive !== "s3")
    throw new Error(`--archive ${archive}: neither folder nor s3`);
  if (!/^[1-8]$/.test(lanes)) throw new Error(`--lanes ${lanes}: not a number from 1 to 8`);
  return { only: numbers, archive, lanes: Number(lanes), lines: resolve(lines) };
}

async function chosenLines({ lines, only }: Options): Promise<readonly FaultLine[]> {
  const { LINES } = (await import(pathToFileURL(lines).href)) as { LINES: readonly FaultLine[] };
  const unknown = only.filter((one) => !LINES.some(({ number }) => number === one));
  if (unknown.length > 0) throw new Error(`--only: there is no line ${unknown.join(", ")}`);
  return LINES.filter(({ number }) => only.length === 0 || only.includes(number));
}

async function main(args: string[]): Promise<number> {
  let options: Options;
  let lines: readonly FaultLine[];
  try {
    options = readOptions(args);
    lines = await chosenLines(options);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  const interrupt = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    // A second one ends this process at once; servers end with it, and processes too.
    process.on(name, () => (interrupt.signal.aborted ? process.exit(130) : interrupt.abort()));
  }
  const run = hasBroker() ? null : await startRun();
  try {
    const table = new Table(lines);
    console.log(table.header());
    const results = await runLines(lines, {
      ...options,
      lineMsMax: LINE_MS_MAX,
      onResult: (result) => console.log(table.row(result)),
      signal: interrupt.signal,
    });
    if (interrupt.signal.aborted) return 130;
    console.log(`\n${closingLines(results).join("\n")}`);
    return results.some(({ outcome }) => outcome === "failed") ? 1 : 0;
  } finally {
    await run?.[Symbol.asyncDispose]();
  }
}

// Not left to the event loop: a line that was given up may still hold a connection.
process.exit(await main(process.argv.slice(2)));
