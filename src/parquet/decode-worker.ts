/** The other side of `decode-pool.ts`: decodes one row group after the other, in a thread of its own. */
import { createHash } from "node:crypto";
import { parentPort } from "node:worker_threads";
import { isFirnlineError } from "../errors.ts";
import { decodeGroup, type GroupJob } from "./decode-group.ts";
import type { WorkerAnswer } from "./decode-pool.ts";

async function answer(job: GroupJob): Promise<WorkerAnswer> {
  try {
    return { is: "decoded", decoded: await decodeGroup(() => createHash("sha256"), job) };
  } catch (error) {
    if (!isFirnlineError(error)) return { is: "failed", message: String((error as Error).stack ?? error) };
    const { code, subject, problem, hint, op, key } = error;
    const where = { ...(op !== undefined && { op }), ...(key !== undefined && { key }) };
    return { is: "refused", details: { code, subject, problem, hint, ...where } };
  }
}

/** A column may be a part of a larger buffer, and several of one; nothing that is sent is used here any more. */
function buffersOf(sent: WorkerAnswer): ArrayBuffer[] {
  if (sent.is !== "decoded") return [];
  const columns = sent.decoded.chunks.flatMap((chunk) => chunk.columns);
  return [...new Set(columns.map(({ buffer }) => buffer as ArrayBuffer))];
}

parentPort?.on("message", (job: GroupJob) => {
  void answer(job).then((sent) => parentPort?.postMessage(sent, buffersOf(sent)));
});
