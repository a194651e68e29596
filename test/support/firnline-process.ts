/** `firnline ...` as a process of its own, to be killed, stopped, raced and continued. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { waitUntil } from "./wait-until.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Those that have not ended. A test run that is stopped takes them along, even those that stand still. */
const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

export class FirnlineProcess implements AsyncDisposable {
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;

  constructor(args: readonly string[], environ: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"], ...environ },
      stdio: ["ignore", "pipe", "pipe"],
    });
    living.add(this.#child);
    const read = async (stream: Readable): Promise<string> => {
      let text = "";
      for await (const piece of stream.setEncoding("utf8")) text += piece as string;
      return text;
    };
    const exited = new Promise<Pick<Ending, "code" | "signal">>((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("exit", (code, signal) => {
        living.delete(this.#child);
        resolve({ code, signal });
      });
    });
    this.ended = Promise.all([exited, read(this.#child.stdout), read(this.#child.stderr)]).then(
      ([exit, stdout, stderr]) => ({ ...exit, stdout, stderr }),
    );
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits until the kernel says that the process is stopped (SIGSTOP); throws if it ends first. */
  async stopped(): Promise<void> {
    let ending: Ending | undefined;
    void this.ended.then((how) => (ending = how));
    await waitUntil(async () => {
      if (ending !== undefined) throw new Error(`it ended first: ${JSON.stringify(ending)}`);
      return (await this.#state()) === "T";
    }, "the process stops");
  }

  /** Lets a stopped process go on. */
  resume(): void {
    this.#child.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** The state letter: after the command's name, which stands in parentheses and may hold anything. */
  async #state(): Promise<string> {
    const stat = await readFile(`/proc/${this.pid}/stat`, "utf8").catch(() => ") gone");
    return stat.slice(stat.lastIndexOf(")") + 2)[0] as string;
  }
}
