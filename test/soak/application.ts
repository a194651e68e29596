/** The writers' process as the soak sees it: what they tell goes into the model. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Model } from "./model.ts";
import type { FromWriters, SentRow, Told, ToWriters, Verb, WritersPlan } from "./writers.child.ts";

const CHILD = fileURLToPath(new URL("./writers.child.ts", import.meta.url));

export interface Written {
  inserted: number;
  late: number;
  changed: number;
  deleted: number;
  transactions: number;
}

export class Application implements AsyncDisposable {
  readonly written: Written = { inserted: 0, late: 0, changed: 0, deleted: 0, transactions: 0 };
  /** Rejects when the writers fail. */
  readonly failed: Promise<never>;
  readonly #child: ChildProcess;
  readonly #model: Model;
  readonly #open = new Map<number, { readonly verb: Verb; readonly rows: readonly SentRow[] }>();
  readonly #waiting = new Map<number | "ready" | "ended", (message: FromWriters) => void>();
  #number = 0;
  #hasEnded = false;

  private constructor(model: Model) {
    this.#model = model;
    this.#child = fork(CHILD, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.failed = new Promise((_, reject) => {
      this.#child.on("message", (message: FromWriters) => {
        if (message.say === "failed") reject(new Error(`the writers failed: ${message.message}`));
        else this.#hear(message);
      });
      this.#child.once("error", reject);
      this.#child.once("exit", (code, signal) => {
        if (code !== 0) reject(new Error(`the writers ended (${code ?? signal})`));
      });
    });
    this.failed.catch(() => {}); // told to whoever waits for it
  }

  static async begin(model: Model, plan: WritersPlan): Promise<Application> {
    const application = new Application(model);
    const ready = application.#hears("ready");
    application.#tell({ do: "begin", plan });
    await Promise.race([ready, application.failed]);
    return application;
  }

  /** When this resolves the model knows all that was sent before. */
  async sync(): Promise<void> {
    if (this.#hasEnded) return;
    await this.#ask((number) => ({ do: "sync", number }));
  }

  /** Milliseconds of each transaction since the last call, from when it was due. */
  async measure(): Promise<readonly number[]> {
    const answer = await this.#ask((number) => ({ do: "measure", number }));
    return answer.say === "measured" ? answer.latenciesMs : [];
  }

  /** Lets what is under way be answered, then ends the process. */
  async end(): Promise<void> {
    const ended = this.#hears("ended");
    this.#tell({ do: "end" });
    await Promise.race([ended, this.failed]);
    this.#hasEnded = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await Promise.resolve();
  }

  async #ask(message: (number: number) => ToWriters): Promise<FromWriters> {
    this.#number += 1;
    const answer = this.#hears(this.#number);
    this.#tell(message(this.#number));
    return await Promise.race([answer, this.failed]);
  }

  async #hears(what: number | "ready" | "ended"): Promise<FromWriters> {
    return await new Promise((resolve) => void this.#waiting.set(what, resolve));
  }

  #tell(message: ToWriters): void {
    this.#child.send(message);
  }

  #hear(message: FromWriters): void {
    if (message.say === "told") {
      for (const one of message.list) this.#follow(one);
      return;
    }
    const what = "number" in message ? message.number : message.say;
    this.#waiting.get(what as number)?.(message);
    this.#waiting.delete(what as number);
  }

  #follow(one: Told): void {
    if (one.told === "sent") {
      this.#open.set(one.token, one);
      for (const { id, version, time } of one.rows) {
        if (one.verb === "insert") this.#model.insertSent({ id, version, time: BigInt(time) }, one.atMs);
        else if (one.verb === "update") this.#model.updateSent({ id, version, time: BigInt(time) }, one.atMs);
        else this.#model.deleteSent(id, one.atMs);
      }
      return;
    }
    const sent = this.#open.get(one.token);
    if (sent === undefined) throw new Error(`an answer to transaction ${one.token}, which was not sent`);
    this.#open.delete(one.token);
    this.written.transactions += 1;
    for (const { id, isLate } of sent.rows) {
      if (sent.verb === "insert") {
        this.#model.inserted(id, one.atMs);
        this.written.inserted += 1;
        if (isLate) this.written.late += 1;
      } else if (sent.verb === "update") {
        this.#model.updated(id, one.count === 1, one.atMs);
        this.written.changed += one.count;
      } else {
        this.#model.deleted(id, one.count === 1, one.atMs);
        this.written.deleted += one.count;
      }
    }
  }
}
