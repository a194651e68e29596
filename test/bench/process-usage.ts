/** CPU time and memory of processes, from Linux' /proc. Source: proc(5). Elsewhere everything is unknown: null. */
import { readFileSync } from "node:fs";

/** `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface CpuSeconds {
  readonly own: number;
  /** Of children that ended and were waited for, with theirs. */
  readonly waitedFor: number;
}

export function processCpuSeconds(pid: number | "self"): CpuSeconds | null {
  const text = read(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The second field is a name in brackets that may hold blanks; `state`, the third, follows it.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const seconds = (first: number): number =>
    ((fields[first - 3] ?? 0) + (fields[first - 2] ?? 0)) / TICKS_PER_SECOND;
  return { own: seconds(14), waitedFor: seconds(16) };
}

export function childProcesses(pid: number | "self"): number[] {
  const own = pid === "self" ? process.pid : pid;
  const text = read(`/proc/${own}/task/${own}/children`) ?? "";
  return text.split(" ").filter(Boolean).map(Number);
}

/** The most memory that a process has ever had, since it began to run its program. */
export function peakRssBytes(pid: number | "self"): number | null {
  const kib = /^VmHWM:\s*(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

const POLL_MS = 20;

/** Peak memory of the programs that this process starts, theirs included: the sum of each one's own peak. */
export class DescendantsPeak implements Disposable {
  readonly #peaks = new Map<number, number>();
  readonly #timer = setInterval(() => this.#look("self"), POLL_MS);

  get bytes(): number {
    return [...this.#peaks.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  #look(pid: number | "self"): void {
    for (const child of childProcesses(pid)) {
      this.#peaks.set(child, Math.max(this.#peaks.get(child) ?? 0, peakRssBytes(child) ?? 0));
      this.#look(child);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
