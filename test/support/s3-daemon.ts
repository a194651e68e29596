/** What a test server is made of: programs that are run to their end, and daemons that end with this process. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { access, constants, readFile, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { endsWithin, hasEnded, Watchdog } from "../../src/demo/server-process.ts";

const START_MS_MAX = 60_000;

type Environ = Readonly<Record<string, string | undefined>>;

/** Runs a program to its end and returns what it printed; throws with its last words when it fails. */
export async function run(program: string, args: readonly string[], env: Environ = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...args], {
    env: { ...process.env, ...env },
    maxBuffer: 64 * 1024 * 1024,
    timeout: 15 * 60_000,
  });
  return stdout;
}

/** The path of a program, or null where the PATH has none of that name. */
export async function findProgram(name: string): Promise<string | null> {
  // Debian keeps daemons where only root's PATH leads.
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/bin"]) {
    const path = join(folder, name);
    const isProgram = await access(path, constants.X_OK).then(
      async () => (await stat(path)).isFile(),
      () => false,
    );
    if (folder !== "" && isProgram) return path;
  }
  return null;
}

/** A server in the foreground, as a child of ours. It is ended when this process goes, even by SIGKILL. */
export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #watchdog: Watchdog;
  readonly #log: string;

  /** Everything it prints goes to the file `log`; `folder` is its own, and goes with the last daemon in it. */
  constructor(command: readonly [string, ...string[]], log: string, folder: string, env: Environ = {}) {
    const [program, ...args] = command;
    this.#log = log;
    this.#watchdog = new Watchdog(folder, "remove");
    const output = openSync(log, "a");
    this.#child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    this.#child.on("error", () => {}); // told by `until`, which never comes true
    this.#child.unref();
    this.#watchdog.guard(this.#child);
  }

  /** Waits until `isReady`; throws with the end of the log when the daemon ends first, or takes too long. */
  async until(isReady: () => Promise<boolean>): Promise<void> {
    for (const deadline = performance.now() + START_MS_MAX; performance.now() < deadline;) {
      if (hasEnded(this.#child)) break;
      if (await isReady().catch(() => false)) return;
      await sleep(25);
    }
    const log = await readFile(this.#log, "utf8").catch(() => "");
    throw new Error(`${this.#child.spawnfile} did not start: ${log.slice(-2_000)}`);
  }

  /** At once: what these servers hold is worth nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await endsWithin(this.#child, START_MS_MAX);
    this.#watchdog.dismiss();
  }
}

/** Whether anything answers HTTP there. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return true;
}
