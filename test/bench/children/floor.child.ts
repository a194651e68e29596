/** The floor: one backend's COPY BINARY through psql, thrown away or through zstd into a file. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { work } from "./child.ts";

interface Job {
  readonly url: string;
  readonly rows: number;
  /** The compressed file; null throws the rows away. */
  readonly out: string | null;
}

const COPY = 'psql -X -q -d "$URL" -c "COPY public.audit TO STDOUT (FORMAT binary)"';

await work<Job>(({ url, rows, out }) => async () => {
  // The shell's own pipe: one of Node's would be a pair of sockets.
  const command = out === null ? `${COPY} > /dev/null` : `set -o pipefail; ${COPY} | zstd -3 -q -c > "$OUT"`;
  const shell = spawn("bash", ["-c", command], {
    env: { ...process.env, URL: url, OUT: out ?? "" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = (await once(shell, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
  return { rows, isOfPrograms: true, bytes: out === null ? null : statSync(out).size };
});
