/**
 * Standard output and standard error. Answers go to the one, everything for people alone to the other; a line of
 * progress is drawn on a terminal only, and wiped before anything else is written.
 */
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
