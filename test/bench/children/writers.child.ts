/** pgbench as the application, alone or beside a move, and the latencies of its transactions. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { work } from "./child.ts";
import type { FirnlineJob } from "./firnline.child.ts";

export interface WritersJob {
  readonly url: string;
  readonly folder: string;
  /** How long pgbench writes. */
  readonly seconds: number;
  /** The instant after which rows are inserted, in seconds since 1970. */
  readonly noon: number;
  /** What goes on meanwhile. */
  readonly move: FirnlineJob | null;
}

const CLIENTS = 4;
/** Of an INSERT and an UPDATE, each with a commit of its own. */
const TRANSACTIONS_PER_SECOND = 200;
/** Connections and caches are warm then. */
const WARM_UP_MS = 1_000;

const SCRIPT = fileURLToPath(new URL("../sql/writer.sql", import.meta.url));
const FIRNLINE = fileURLToPath(new URL("./firnline.child.ts", import.meta.url));

await work<WritersJob>(({ url, folder, seconds, noon, move }) => async () => {
  const prefix = join(folder, "pgbench");
  const how = ["-n", "-c", `${CLIENTS}`, "-R", `${TRANSACTIONS_PER_SECOND}`, "-T", `${seconds}`];
  const what = ["-l", `--log-prefix=${prefix}`, "-D", `noon=${noon}`, "-f", SCRIPT];
  const pgbench = spawn("pgbench", [...how, ...what, url], { stdio: ["ignore", "ignore", "pipe"] });
  const startedMs = Date.now();
  const pgbenchEnded = ended(pgbench, "pgbench");
  const moved = move === null ? null : await runMove(move);
  await pgbenchEnded;
  const [fromMs, toMs] = moved ?? [startedMs + WARM_UP_MS, Date.now()];
  const latencies = readLatencies(folder, fromMs, toMs).sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor((latencies.length - 1) * share)] ?? Number.NaN;
  return {
    rows: latencies.length,
    isOfPrograms: true,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    moveSeconds: moved === null ? null : (toMs - fromMs) / 1_000,
  };
});

/** Returns when it began and when it ended, by the wall clock that pgbench's log goes by. */
async function runMove(move: FirnlineJob): Promise<[fromMs: number, toMs: number]> {
  const child = spawn(process.execPath, [FIRNLINE, JSON.stringify(move)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const done = ended(child, "the move");
  let fromMs = Number.NaN;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== "ready") continue;
    fromMs = Date.now();
    child.stdin.write("go\n");
  }
  await done;
  return [fromMs, Date.now()];
}

/** In milliseconds, from when each was due. Source: pgbench, "Per-Transaction Logging". */
function readLatencies(folder: string, fromMs: number, toMs: number): number[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith("pgbench."))
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"))
    .map((line) => line.split(" ").map(Number))
    .filter(([, , , , epoch = Number.NaN, micros = Number.NaN]) => {
      const ms = epoch * 1_000 + micros / 1_000;
      return ms >= fromMs && ms <= toMs;
    })
    .map(([, , latencyMicros = Number.NaN]) => latencyMicros / 1_000);
}

async function ended(child: ChildProcess, name: string): Promise<void> {
  let complaint = "";
  child.stderr?.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-2_000)));
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${complaint}`);
}
