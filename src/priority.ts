/** The priority of this process among all of its host: a nightly run gives way to the database beside it. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

/**
 * Lowers the priority of this process to `nice`, from 0 (nothing is changed) to 19, as `nice(1)` counts; never raises it.
 * A system that does not let us is left as it is: nothing depends on it but others' speed.
 *
 * On Linux it is the threads that have one, and those to come take after the one that starts them; and a session's
 * processes share what all of them may have, so where it is this process' own session, as of a service's or a container's,
 * its share is lowered too. Source: sched(7), "The autogroup feature".
 */
export function lowerPriority(nice: number): void {
  if (nice === 0) return;
  for (const thread of threads()) {
    attempt(() => {
      if (getPriority(thread) < nice) setPriority(thread, nice);
    });
  }
  attempt(() => {
    if (isSessionLeader()) writeFileSync("/proc/self/autogroup", String(nice));
  });
}

/** The calling one first: 0. */
function threads(): number[] {
  try {
    return [0, ...readdirSync("/proc/self/task").map(Number)];
  } catch {
    return [0];
  }
}

/** Source: proc_pid_stat(5); the name before the fields may have any character in it. */
function isSessionLeader(): boolean {
  const stat = readFileSync("/proc/self/stat", "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[SESSION] === String(process.pid);
}

/** Counted from the field after the name. */
const SESSION = 3;

function attempt(change: () => void): void {
  try {
    change();
  } catch {
    // A thread that has ended, or a system without such a thing.
  }
}
