/** pgbench as the application, alone or beside a move, and the latencies of its transactions. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { work } from "./child.ts";
import type { FirnlineJob } from "./firnline.child.ts";

export interface WritersJob {
  readonly url: string;
  readonly folder: string;
  /** How long pgbench writes; beside a move it is ended with it. */
  readonly seconds: number;
  /** The instant after which rows are inserted, in seconds since 1970. */
  readonly noon: number;
  /** What goes on meanwhile. */
  readonly move: FirnlineJob | null;
  /** `FIRNLINE_*` for it. */
  readonly environ: Readonly<Record<string, string>>;
}

const CLIENTS = 4;
/** Of an INSERT and an UPDATE, each with a commit of its own. */
const TRANSACTIONS_PER_SECOND = 200;
/** Connections and caches are warm then. */
const WARM_UP_MS = 1_000;

const SCRIPT = fileURLToPath(new URL("../sql/writer.sql", import.meta.url));
const FIRNLINE = fileURLToPath(new URL("./firnline.child.ts", import.meta.url));

await work<WritersJob>(({ url, folder, seconds, noon, move, environ }) => async () => {
  const prefix = join(folder, "pgbench");
  const how = ["-n", "-c", `${CLIENTS}`, "-R", `${TRANSACTIONS_PER_SECOND}`, "-T", `${seconds}`];
  const what = ["-l", `--log-prefix=${prefix}`, "-D", `noon=${noon}`, "-f", SCRIPT];
  // Application and job are services, each with a session of its own: the kernel shares cores out by those.
  const pgbench = spawn("pgbench", [...how, ...what, url], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  const startedMs = Date.now();
  let isOver = false;
  const pgbenchEnded = ended(pgbench, "pgbench", () => isOver);
  const moved = move === null ? null : await runMove(move, environ);
  if (moved !== null) {
    if (pgbench.exitCode !== null) throw new Error("pgbench ended before the move");
    isOver = true;
    await endSessions(url);
  }
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
async function runMove(
  move: FirnlineJob,
  environ: WritersJob["environ"],
): Promise<[fromMs: number, toMs: number]> {
  const child = spawn(process.execPath, [FIRNLINE, JSON.stringify(move)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environ },
    detached: true,
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

/** pgbench tells of the last transactions when it ends, and it ends when it has no sessions any more. */
async function endSessions(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench'",
    );
  } finally {
    await client.end();
  }
}

/** `isStopped`: its end is our doing, whatever it says of it. */
async function ended(child: ChildProcess, name: string, isStopped = (): boolean => false): Promise<void> {
  let complaint = "";
  child.stderr?.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-2_000)));
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0 && !isStopped()) throw new Error(`${name} ended with ${code}: ${complaint}`);
}
