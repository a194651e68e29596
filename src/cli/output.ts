/**
 * Standard output and standard error. Answers go to the one, everything for people alone to the other; a line of
 * progress is drawn on a terminal only, and wiped before anything else is written.
 */
import { createInterface } from "node:readline";
import type { Writable } from "node:stream";

const WIPE = "\r\u001b[2K";
/** Drawing more often than this costs time and shows nothing more. */
const PROGRESS_EVERY_MS = 50;

export class Output {
  readonly #json: boolean;
  readonly #isTerminal = process.stderr.isTTY;
  #isProgressShown = false;
  #progressAt = Number.NEGATIVE_INFINITY;
  #failure: Error | undefined;

  constructor(json: boolean) {
    this.#json = json;
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      // `| head -1` has read enough. What is being done goes on, and its exit code still counts.
      if (error.code !== "EPIPE") this.#failure ??= error;
    });
    // There is no place left to complain about this one.
    process.stderr.on("error", () => {});
  }

  /** One line of the answer. */
  readonly print = (line: string): void => {
    this.wipe();
    process.stdout.write(`${line}\n`);
  };

  /** One line for people beside the answer; nothing with `--json`. */
  readonly note = (line: string): void => {
    if (!this.#json) this.complain(line);
  };

  /** One line to standard error, with `--json` too. */
  complain(line: string): void {
    this.wipe();
    process.stderr.write(`${line}\n`);
  }

  /** A line that the next one replaces; only on a terminal. */
  readonly progress = (line: string): void => {
    if (this.#json || !this.#isTerminal) return;
    const now = performance.now();
    if (this.#isProgressShown && now - this.#progressAt < PROGRESS_EVERY_MS) return;
    const width = (process.stderr.columns || 80) - 1;
    process.stderr.write(`${WIPE}${line.slice(0, width)}`);
    this.#isProgressShown = true;
    this.#progressAt = now;
  };

  /** Whether there is a person who can be asked. */
  get canAsk(): boolean {
    return !this.#json && this.#isTerminal && process.stdin.isTTY;
  }

  /** True for y and yes, false for anything else, and where the input ends or `signal` aborts. */
  async ask(question: string, signal: AbortSignal): Promise<boolean> {
    this.wipe();
    // Not in raw mode: Ctrl-C stays a signal, which main.ts heeds.
    const lines = createInterface({ input: process.stdin, terminal: false });
    try {
      process.stderr.write(`${question} [y/N] `);
      return await new Promise<boolean>((resolve) => {
        lines.once("line", (line) => resolve(/^\s*y(es)?\s*$/i.test(line)));
        lines.once("close", () => resolve(false));
        signal.addEventListener("abort", () => resolve(false), { once: true });
      });
    } finally {
      lines.close();
      process.stdin.pause().unref?.();
    }
  }

  wipe(): void {
    if (this.#isProgressShown) process.stderr.write(WIPE);
    this.#isProgressShown = false;
  }

  /** Waits until all is written; returns why standard output could not take it, if it could not. */
  async finish(): Promise<Error | undefined> {
    this.wipe();
    await Promise.all([written(process.stdout), written(process.stderr)]);
    return this.#failure;
  }
}

/** Resolves when what was written so far has been taken, or refused. */
async function written(stream: Writable): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.write("", () => resolve());
  });
}
