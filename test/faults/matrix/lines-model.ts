/** Line 44: histories by chance against a model. Each of them ends with its own oracle, runs to the end, and one of nothing. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { expect } from "vitest";
import type { FaultLine } from "./line.ts";

const SEEDS = 500;
const TEST = resolve(import.meta.dirname, "../..");

/** Runs it to its end; returns what it printed. */
async function histories(main: string, keep: (child: AsyncDisposable) => unknown): Promise<string> {
  const args = [main, "--seeds", String(SEEDS), ...(main.includes("simulation") ? [] : ["--jobs", "1"])];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit");
  keep({
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (piece: string) => (printed += piece));
  const [code] = (await ended) as [number | null];
  expect(code, printed.slice(-4_000)).toBe(0);
  return printed;
}

export const MODEL_LINES: readonly FaultLine[] = [
  {
    number: 44,
    fault: `${SEEDS} random histories`,
    stage: "all",
    expected: "OK",
    async run(bench) {
      const simulation = join(TEST, "simulation/main.ts");
      const main = existsSync(simulation) ? simulation : join(TEST, "model/main.ts");
      const printed = await histories(main, (child) => bench.keep(child));
      const closing = /\d+ passed, \d+ failed.*/.exec(printed)?.[0] ?? printed.trim().split("\n").at(-1);
      return `${relative(TEST, main)}: ${closing}`;
    },
  },
];
