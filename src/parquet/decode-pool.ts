/**
 * Threads that decode and hash row groups, beside the one that talks to Postgres and to the store. They are started when
 * there is work for them, and there are few: each has a row group in memory, packed and unpacked (I10).
 *
 * A thread that ends while it is at a row group, most likely for want of memory, is that row group's failure
 * (`E_CAPACITY`) and nobody else's: another thread takes its place. When that happens again and again, no more are started.
 */
import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
import { type ErrorCode, type ErrorDetails, FirnlineError } from "../errors.ts";
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
  /** For the objects of one thread; the bytes of pages and columns are no part of it. */
  readonly heapMibMax: number;
}

/** What is young dies with its row group. Left alone, V8 lets this grow to 192 MiB in a thread that goes on for long (I10). */
const YOUNG_MIB_MAX = 24;

/** So many ends in a row without an answer are not the row groups' fault. */
const ENDS_IN_A_ROW_MAX = 4;

/** The same file beside this one, whether it runs as it was written or was built. */
const WORKER = new URL(
  `./decode-worker${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url,
);

/** The thread is gone, and with it the row group that it was at. */
class ThreadEnded extends Error {}

export class DecodePool implements AsyncDisposable {
  readonly #options: DecodePoolOptions;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  readonly #waiting: PromiseWithResolvers<Worker>[] = [];
  #endsInARow = 0;
  #isClosed = false;

  constructor(options: DecodePoolOptions) {
    this.#options = options;
  }

  readonly decode = async (job: GroupJob): Promise<DecodedGroup> => {
    if (job.bytes.length < this.#options.threadBytesMin) {
      return await decodeGroup(() => createHash("sha256"), job);
    }
    try {
      return await this.#decodeApart(job);
    } catch (error) {
      if (error instanceof FirnlineError) throw error;
      if (this.#isClosed) throw given(job, "E_INTERRUPTED", "the pipeline was closed meanwhile", "Run again");
      if (!(error instanceof ThreadEnded)) throw given(job, "E_INTERNAL", (error as Error).message, REPORT);
      throw given(job, "E_CAPACITY", error.message, "Give this process more memory, then run again");
    }
  };

  async #decodeApart(job: GroupJob): Promise<DecodedGroup> {
    const worker = await this.#take();
    let isFit = false;
    try {
      const answer = await ask(worker, job);
      this.#endsInARow = 0;
      isFit = answer.is !== "failed";
      if (answer.is === "decoded") return answer.decoded;
      throw answer.is === "refused" ? new FirnlineError(answer.details) : new Error(answer.message);
    } catch (error) {
      if (error instanceof ThreadEnded) this.#endsInARow += 1;
      throw error;
    } finally {
      if (isFit && !this.#isClosed) this.#giveBack(worker);
      else await this.#end(worker);
    }
  }

  async #take(): Promise<Worker> {
    if (this.#isClosed) throw new Error("closed");
    if (this.#endsInARow >= ENDS_IN_A_ROW_MAX) throw hopeless();
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.ref();
      return idle;
    }
    if (this.#all.size < this.#options.threads) return this.#start();
    const waiter = Promise.withResolvers<Worker>();
    this.#waiting.push(waiter);
    return await waiter.promise;
  }

  #start(): Worker {
    const worker = new Worker(WORKER, {
      resourceLimits: {
        maxOldGenerationSizeMb: this.#options.heapMibMax,
        maxYoungGenerationSizeMb: YOUNG_MIB_MAX,
      },
    });
    worker.on("error", () => {}); // whoever waits for it hears of it; idle, it is nobody's concern
    worker.on("exit", () => this.#forget(worker)); // idle ones end too
    this.#all.add(worker);
    return worker;
  }

  #giveBack(worker: Worker): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return next.resolve(worker);
    // It must not keep a process alive that has nothing to do.
    worker.unref();
    this.#idle.push(worker);
  }

  async #end(worker: Worker): Promise<void> {
    await worker.terminate();
    this.#forget(worker);
  }

  /** Another one takes its place, where one is waited for. */
  #forget(worker: Worker): void {
    if (!this.#all.delete(worker)) return;
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#endsInARow >= ENDS_IN_A_ROW_MAX) return this.#rejectWaiting(hopeless());
    const next = this.#waiting.shift();
    if (next === undefined) return;
    try {
      next.resolve(this.#start());
    } catch (error) {
      next.reject(error);
    }
  }

  #rejectWaiting(error: Error): void {
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }

  /** What is not decoded yet is `E_INTERRUPTED`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#rejectWaiting(new Error("closed"));
    await Promise.all([...this.#all].map(async (worker) => await this.#end(worker)));
  }
}

/** Rejects with `ThreadEnded` when the thread ends without an answer. */
async function ask(worker: Worker, job: GroupJob): Promise<WorkerAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<WorkerAnswer>();
  const onError = (error: Error): void => reject(new ThreadEnded(`its thread ended: ${error.message}`));
  const onExit = (code: number): void => reject(new ThreadEnded(`its thread ended with code ${code}`));
  worker.once("message", resolve);
  worker.once("messageerror", reject);
  worker.once("error", onError);
  worker.once("exit", onExit);
  try {
    // A view of a larger buffer is copied: the rest of it is somebody else's.
    const isWhole = job.bytes.byteLength === job.bytes.buffer.byteLength;
    worker.postMessage(job, isWhole ? [job.bytes.buffer as ArrayBuffer] : []);
    return await promise;
  } finally {
    worker.off("message", resolve);
    worker.off("messageerror", reject);
    worker.off("error", onError);
    worker.off("exit", onExit);
  }
}

const hopeless = (): ThreadEnded => new ThreadEnded(`${ENDS_IN_A_ROW_MAX} threads ended one after the other`);

const REPORT = "Please report it with the output of --debug";

function given(job: GroupJob, code: ErrorCode, problem: string, hint: string): FirnlineError {
  const { key } = job.manifest.object;
  return new FirnlineError({
    code,
    subject: key,
    problem: `a row group could not be decoded (${problem.replace(/[.\s]+$/, "")})`,
    hint: `Nothing was deleted by this step. ${hint}`,
    op: "parquet.decode",
    key,
  });
}
