/** What a case works with, and what it hands back. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Report } from "./children/report.ts";
import type { Shape } from "./data.ts";
import type { BenchServer } from "./server.ts";

/** One measurement: what the process under test reports, and what Postgres spent meanwhile. */
export interface Sample extends Report {
  readonly cpuPostgresSeconds: number | null;
}

export interface Case {
  readonly name: string;
  /** Whether it has rows a second to compare with the floor. */
  readonly isThroughput: boolean;
  measure(bench: Bench): Promise<Sample>;
}

export class Bench {
  readonly server: BenchServer;
  readonly rows: number;
  readonly shape: Shape;
  /** For archives and outputs; removed at the end. */
  readonly folder: string;
  readonly #remembered = new Map<string, Promise<unknown>>();

  constructor(options: Pick<Bench, "server" | "rows" | "shape" | "folder">) {
    this.server = options.server;
    this.rows = options.rows;
    this.shape = options.shape;
    this.folder = options.folder;
  }

  /** What one measurement writes; removed after it. */
  get outputs(): string {
    return join(this.folder, "outputs");
  }

  newFolder(): string {
    mkdirSync(this.outputs, { recursive: true });
    return mkdtempSync(join(this.outputs, "case-"));
  }

  /** Made once a run of the benchmark: what cases read and do not change. */
  async once<T>(name: string, make: () => Promise<T>): Promise<T> {
    let made = this.#remembered.get(name);
    if (made === undefined) this.#remembered.set(name, (made = make()));
    return (await made) as T;
  }

  /** Runs one of `children/` on a job, in a process of its own. Throws if it fails. */
  async child(name: string, job: unknown): Promise<Sample> {
    const script = fileURLToPath(new URL(`./children/${name}.child.ts`, import.meta.url));
    const child = spawn(process.execPath, [script, JSON.stringify(job)], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4_000)));
    const ended = once(child, "exit") as Promise<[number | null]>;
    let cpuBefore: number | null = null;
    let report: Report | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === "ready") {
        cpuBefore = this.server.cpuSeconds();
        child.stdin.write("go\n");
      } else report = JSON.parse(line) as Report;
    }
    const [code] = await ended;
    if (code !== 0 || report === undefined)
      throw new Error(`${name} ended with ${code}: ${reasonOf(complaint)}`);
    const cpuAfter = this.server.cpuSeconds();
    const cpuPostgresSeconds = cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore;
    return { ...report, cpuPostgresSeconds };
  }
}

/** Of an uncaught error its message; of anything else all that was printed. */
function reasonOf(complaint: string): string {
  const message = /^(?:\w*Error\b.*)(?:\n(?! {2,}at ).*)*/m.exec(complaint)?.[0];
  return (message ?? complaint).trim();
}
