/** Child processes that print one JSON line a step, to be killed, starved and raced. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** What works on a file archive: `node <CHILD> <root> <mode> <key>`. */
export const CHILD = path.join(import.meta.dirname, "file-archive.child.ts");

type Line = Readonly<Record<string, unknown>>;

export interface Child {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  readonly lines: readonly Line[];
  readonly ended: Promise<void>;
  /** Waits for a line; rejects when the process ends without one. */
  until(wanted: (line: Line) => boolean): Promise<void>;
}

/** Starts a command; its stderr is ours. */
export function start([command, ...args]: readonly string[]): Child {
  const child = spawn(command as string, args, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => {}); // a killed child does not read
  const lines: Line[] = [];
  const waiting = new Set<() => void>();
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => {
    lines.push(JSON.parse(line) as Line);
    for (const wake of waiting) wake();
  });
  const ended = Promise.all([
    new Promise((resolve) => child.once("exit", resolve)),
    new Promise((resolve) => reader.once("close", resolve)),
  ]).then(() => {});
  return {
    process: child,
    lines,
    ended,
    until: async (wanted) =>
      await new Promise((resolve, reject) => {
        const look = (): void => {
          if (!lines.some(wanted)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
        ended.then(() => reject(new Error(`the child ended first: ${JSON.stringify(lines)}`)), reject);
      }),
  };
}
