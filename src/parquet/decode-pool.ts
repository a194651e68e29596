/**
 * Threads that decode and hash row groups, beside the one that talks to Postgres and to the store. They are started when
 * there is work for them, and there are few: each has a row group in memory, packed and unpacked (I10).
 */
import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
import { type ErrorDetails, FirnlineError } from "../errors.ts";
import { type DecodedGroup, decodeGroup, type GroupJob } from "./decode-group.ts";

/** What a thread sends back for a job. */
export type WorkerAnswer =
  | { readonly is: "decoded"; readonly decoded: DecodedGroup }
  | { readonly is: "refused"; readonly details: ErrorDetails }
  | { readonly is: "failed"; readonly message: string };

export interface DecodePoolOptions {
  readonly threads: number;
  /** Smaller row groups are decoded at once: a thread takes some 100 ms to start, and a message some time to send. */
  readonly threadBytesMin: number;
}

/** The same file beside this one, whether it runs as it was written or was built. */
const WORKER = new URL(
  `./decode-worker${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url,
);

export class DecodePool implements AsyncDisposable {
  readonly #options: DecodePoolOptions;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  readonly #waiting: ((worker: Worker) => void)[] = [];

  constructor(options: DecodePoolOptions) {
    this.#options = options;
  }

  readonly decode = async (job: GroupJob): Promise<DecodedGroup> => {
    if (job.bytes.length < this.#options.threadBytesMin) {
      return await decodeGroup(() => createHash("sha256"), job);
    }
    const worker = await this.#take();
    let isAlive = true;
    try {
      const answer = await ask(worker, job);
      if (answer.is === "decoded") return answer.decoded;
      throw answer.is === "refused" ? new FirnlineError(answer.details) : lost(job, answer.message);
    } catch (error) {
      isAlive = error instanceof FirnlineError;
      throw isAlive ? error : lost(job, (error as Error).message);
    } finally {
      if (isAlive) this.#giveBack(worker);
      else await this.#end(worker);
    }
  };

  async #take(): Promise<Worker> {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.ref();
      return idle;
    }
    if (this.#all.size >= this.#options.threads) {
      return await new Promise((resolve) => void this.#waiting.push(resolve));
    }
    const worker = new Worker(WORKER);
    worker.on("error", () => {}); // whoever waits for it hears of it; idle, it is nobody's concern
    this.#all.add(worker);
    return worker;
  }

  #giveBack(worker: Worker): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return next(worker);
    // It must not keep a process alive that has nothing to do.
    worker.unref();
    this.#idle.push(worker);
  }

  async #end(worker: Worker): Promise<void> {
    this.#all.delete(worker);
    await worker.terminate();
    const next = this.#waiting.shift();
    if (next !== undefined) next(await this.#take());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all].map(async (worker) => await worker.terminate()));
    this.#all.clear();
    this.#idle.length = 0;
  }
}

/** Rejects when the thread ends without an answer. */
async function ask(worker: Worker, job: GroupJob): Promise<WorkerAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<WorkerAnswer>();
  const onExit = (code: number): void => reject(new Error(`its thread ended with code ${code}`));
  worker.once("message", resolve);
  worker.once("messageerror", reject);
  worker.once("error", reject);
  worker.once("exit", onExit);
  try {
    // A view of a larger buffer is copied: the rest of it is somebody else's.
    const isWhole = job.bytes.byteLength === job.bytes.buffer.byteLength;
    worker.postMessage(job, isWhole ? [job.bytes.buffer as ArrayBuffer] : []);
    return await promise;
  } finally {
    worker.off("message", resolve);
    worker.off("messageerror", reject);
    worker.off("error", reject);
    worker.off("exit", onExit);
  }
}

function lost(job: GroupJob, problem: string): FirnlineError {
  const { key } = job.manifest.object;
  return new FirnlineError({
    code: "E_INTERNAL",
    subject: key,
    problem: `a row group could not be decoded (${problem})`,
    hint: "Nothing was deleted by this step; please report it with the output of --debug",
    key,
  });
}
