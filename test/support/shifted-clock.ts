/** Another clock for a process of its own: what it takes for now, from its start or from SIGUSR2 on. */
import type { Environ } from "./scenario.ts";

export interface ShiftedClock {
  /** Milliseconds that it is ahead from the start. */
  readonly startMs?: number;
  /** Milliseconds that it is ahead once the process has got SIGUSR2. */
  readonly laterMs?: number;
}

/** For the environment of the process: a module that Node loads before all others. */
export function clockEnviron({ startMs = 0, laterMs = 0 }: ShiftedClock): Environ {
  const module = `
    const now = Date.now.bind(Date);
    let ahead = ${startMs};
    Date.now = () => now() + ahead;
    process.on("SIGUSR2", () => { ahead = ${laterMs}; });`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(module)}` };
}
