/** The temporary file of an answer that is being written, and an end for whoever writes it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Ending, FirnlineProcess } from "./firnline-process.ts";
import type { Scenario } from "./scenario.ts";

/** Bytes in the temporary file of `answer.ndjson`; null where there is none. */
export async function partialBytes(scenario: Scenario): Promise<number | null> {
  const partial = (await scenario.answers()).find((name) => /^answer\.ndjson\.[^.]+\.partial$/.test(name));
  return partial === undefined ? null : (await stat(join(scenario.folder, partial))).size;
}

/** Kills the process $1 as soon as a temporary file in $0 has bytes, and ends with the process. */
const KILL_WRITER = `while kill -0 "$1" 2>/dev/null; do
  for file in "$0"/answer.ndjson.*.partial; do [ -s "$file" ] && kill -KILL "$1" && exit; done; done`;

/** Kills it in the middle of its answer. A shell looks: this process may be too busy to come in time. */
export async function killWriter(scenario: Scenario, retrieval: FirnlineProcess): Promise<Ending> {
  const args = ["-c", KILL_WRITER, scenario.folder, String(retrieval.pid)];
  const shell = spawn("/bin/sh", args, { stdio: "ignore" });
  const gone = once(shell, "exit");
  const ending = await retrieval.ended;
  await gone;
  return ending;
}
