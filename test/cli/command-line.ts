/** `firnline ...` as a person or a script starts it: in a folder, as a user, through a shell, on a terminal. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { vi } from "vitest";

export const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export type Environ = Readonly<Record<string, string>>;

export interface How {
  readonly cwd?: string;
  readonly environ?: Environ;
  readonly uid?: number;
  readonly gid?: number;
  /** The program to run with `args`; default: node with Firnline's main file. */
  readonly program?: readonly string[];
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class CommandLine implements AsyncDisposable {
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  stdout = "";
  stderr = "";

  constructor(args: readonly string[], how: How = {}) {
    const { cwd, environ, uid, gid, program = [process.execPath, MAIN] } = how;
    const [file, ...before] = program as readonly [string, ...string[]];
    this.#child = spawn(file, [...before, ...args], {
      env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"], ...environ },
      stdio: ["ignore", "pipe", "pipe"],
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (piece: string) => (this.stdout += piece));
    this.#child.stderr?.setEncoding("utf8").on("data", (piece: string) => (this.stderr += piece));
    this.ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) =>
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }),
      );
    });
    this.ended.catch(() => {}); // told to whoever waits for it
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits for a condition, and gives up when the process ends without it. */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    let ending: Ending | undefined;
    void this.ended.then((how) => (ending = how));
    await vi.waitUntil(
      async () => {
        if (await condition()) return true;
        if (ending !== undefined) throw new Error(`it ended first: ${JSON.stringify(ending)}`);
        return false;
      },
      { timeout: 60_000, interval: 10 },
    );
  }

  /** Waits until a failpoint `pause` has stopped it. */
  async stopped(): Promise<void> {
    await this.until(async () => (await stateOf(this.pid)) === "T");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended.catch(() => {});
  }
}

export async function firnline(args: readonly string[], how: How = {}): Promise<Ending> {
  return await new CommandLine(args, how).ended;
}

/** The state letter of a process: after its name, which stands in parentheses and may hold anything. */
async function stateOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") gone");
  return stat.slice(stat.lastIndexOf(")") + 2)[0] as string;
}

/** Every line as JSON; throws if one is not, which names the line. */
export function jsonLines(output: string): Record<string, unknown>[] {
  const lines = output.split("\n");
  if (lines.pop() !== "") throw new Error(`the output does not end with a line: ${output.slice(-200)}`);
  return lines.map((line) => {
    try {
      return JSON.parse(line) as Record<string, unknown>;
    } catch (cause) {
      throw new Error(`not JSON: ${line}`, { cause });
    }
  });
}

/** What a line of progress begins with. */
const WIPE = "\r\u001b[2K";

/** What stands on a terminal in the end: a wiped line is gone. */
export function screen(output: string): string {
  return output
    .split("\n")
    .map((line) => line.split(WIPE).at(-1) as string)
    .join("\n");
}

/** The lines of progress that were drawn on a terminal. */
export function drawn(output: string): string[] {
  return output.split("\n").flatMap((line) => line.split(WIPE).slice(1, -1));
}
