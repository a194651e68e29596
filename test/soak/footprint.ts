/** What processes take of the machine, as Linux tells it in /proc; nothing elsewhere. */
import { readdir, readFile, readlink } from "node:fs/promises";
import type pg from "pg";

/** The most memory that any process of a command has had, in MiB. */
export class PeakMemory {
  readonly byCommand = new Map<string, number>();
  readonly #watched = new Map<number, string>();
  readonly #timer = setInterval(() => void this.#look(), 100);

  watch(pid: number, command: string): void {
    this.#watched.set(pid, command);
  }

  forget(pid: number): void {
    this.#watched.delete(pid);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    for (const [pid, command] of this.#watched) {
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      const kib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
      this.byCommand.set(command, Math.max(this.byCommand.get(command) ?? 0, Math.round(kib / 1024)));
    }
  }
}

/** What a process that lives for long, and its database, have open. */
export interface Handles {
  readonly files: number;
  readonly sockets: number;
  /** Sessions in the database, this process's and those of the writers among them. */
  readonly backends: number;
}

export async function readHandles(client: pg.Client): Promise<Handles> {
  const names = await readdir("/proc/self/fd").catch(() => []);
  const targets = await Promise.all(
    names.map(async (name) => await readlink(`/proc/self/fd/${name}`).catch(() => null)),
  );
  const open = targets.filter((target) => target !== null);
  const sockets = open.filter((target) => target.startsWith("socket:")).length;
  const { rows } = await client.query(
    "SELECT count(*)::int AS backends FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'",
  );
  return { files: open.length - sockets, sockets, backends: Number(rows[0].backends) };
}
