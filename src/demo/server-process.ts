/** What any server that runs beside us needs: a port, a bounded wait for its end, and an end when we are killed. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Writable } from "node:stream";

/** A port that was free a moment ago. Whoever takes it first has it, so the caller must be ready to try another. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

/** True also of a process that could not be started. */
export function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

/** False when `waitMs` have passed or `signal` was aborted first. */
export async function endsWithin(
  child: ChildProcess,
  waitMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  if (hasEnded(child)) return true;
  const timeout = AbortSignal.timeout(waitMs);
  child.ref(); // the wait, unlike the child, keeps this process alive
  try {
    await once(child, "exit", {
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
  } catch {
    // Out of time, aborted, or a failed kill: the state decides.
  } finally {
    child.unref();
  }
  return hasEnded(child);
}

/**
 * $1 is the server's folder, $2 its fate. The standard input ends when the process that holds the other end has gone,
 * however it went. The last line read names the server; an empty line says that none runs.
 */
const SCRIPT = `
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
  seconds=0
  while kill -0 "$pid" 2>/dev/null && [ $seconds -lt 10 ]; do sleep 1; seconds=$((seconds + 1)); done
  kill -KILL "$pid" 2>/dev/null
fi
[ "$2" = keep ] || rm -rf "$1"
`;

/**
 * A shell that outlives this process only to end its server and to remove its folder: after SIGKILL, or a signal that
 * nobody handles, no `exit` event comes. Costs under 1 MB; does nothing on a system without /bin/sh.
 */
export class Watchdog {
  readonly #shell: ChildProcessByStdio<Writable, null, null>;

  constructor(folder: string, fate: "keep" | "remove") {
    this.#shell = spawn("/bin/sh", ["-c", SCRIPT, "firnline-watchdog", folder, fate], {
      cwd: "/",
      detached: true, // out of reach of Ctrl-C
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#shell.on("error", () => {});
    this.#shell.stdin.on("error", () => {});
    this.#shell.unref();
    (this.#shell.stdin as Socket).unref();
  }

  guard(server: ChildProcess): void {
    if (server.pid === undefined) return;
    this.#shell.stdin.write(`${server.pid}\n`);
    server.once("exit", () => this.#shell.stdin.write("\n"));
  }

  /** To be called once the server has been ended by other means. */
  dismiss(): void {
    this.#shell.kill("SIGKILL");
  }
}
