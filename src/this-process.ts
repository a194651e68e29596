/** This process as the holder of a lease, and whether the process that holds another one is known to be dead. */
import { readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { LeaseHolder } from "./catalog/port.ts";

export interface ThisProcess {
  readonly holder: LeaseHolder;
  /** True only where nobody can have it: a process of this host, and of this space of process ids, that is gone. */
  readonly isDead: (holder: LeaseHolder) => boolean;
}

export function thisProcess(): ThisProcess {
  const here = { host: hostname(), space: processSpace() };
  return {
    holder: { ...here, pid: process.pid },
    isDead: ({ host, pid, space }) =>
      host === here.host && space === here.space && pid !== process.pid && !isAlive(pid),
  };
}

/** The space of process ids that this process sees; empty where the system has only one. */
function processSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
