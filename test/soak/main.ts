/**
 * `npm run test:soak -- [--minutes 10] [--seed N] [--archive folder|s3]`: an application that writes all the while, nightly
 * runs back to back of which some are killed, retrievals that are compared with what was committed, `verify` and `collect`;
 * first the writers alone, then all of it. Every process has the database role that is meant for it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { Chance } from "../simulation/chance.ts";
import { Application } from "./application.ts";
import { Calendar, monotonicMs } from "./calendar.ts";
import { PeakMemory, readHandles } from "./footprint.ts";
import { Gate } from "./gate.ts";
import { Model } from "./model.ts";
import { Nights } from "./nights.ts";
import { readOptions, type SoakOptions, USAGE } from "./options.ts";
import { faultsOf, printReport, type Result } from "./report.ts";
import { Retrievals } from "./retrievals.ts";
import { Stage } from "./stage.ts";

/** How long a day of the calendar lasts. */
const DAY_MS = 5_000;
const ALONE_SHARE = 0.2;

async function soak(options: SoakOptions): Promise<Result> {
  const { archive, minutes, rate, seed, writers } = options;
  const memory = new PeakMemory();
  await using stage = await Stage.set(archive, memory);
  const client = new pg.Client(stage.adminUrl);
  await client.connect();
  const plan = { beganMs: monotonicMs(), dayMs: DAY_MS };
  const calendar = new Calendar(plan);
  const model = new Model();
  const writing = { url: stage.adminUrl, calendar: plan, seed, rate, writers };
  await using application = await Application.begin(model, writing);
  const before = await readHandles(client);

  const totalMs = minutes * 60_000;
  const began = performance.now();
  const progress = new Progress(totalMs);
  await progress.wait(totalMs * ALONE_SHARE, () => "writers alone", application.failed);
  const alone = await application.measure();

  const gate = new Gate();
  const nights = new Nights(stage, calendar, new Chance(seed), gate);
  const retrievals = new Retrievals(stage, calendar, application, model, gate);
  // Before the first run there is nothing to retrieve from.
  await nights.run(false);
  const pipeline = stage.open("retriever");
  const stop = new AbortController();
  const playing = Promise.all([
    nights.play(stop.signal),
    retrievals.playAsProcesses(new Chance(seed + 1), stop.signal),
    retrievals.playWithin(pipeline, new Chance(seed + 2), stop.signal),
  ]);
  const state = (): string =>
    `${application.written.inserted} rows in, ${nights.counts.runs} runs, ${nights.counts.killed} killed, ` +
    `${retrievals.counts.answers} answers, ${nights.faults.length + retrievals.faults.length} faults`;
  await progress.wait(
    totalMs - (performance.now() - began),
    state,
    Promise.race([application.failed, playing.then(async () => await never(stop.signal))]),
  );
  const together = await application.measure();
  stop.abort();
  await playing;
  progress.clear();

  // As before: the writers have their sessions still, and nothing else of ours is left.
  await pipeline[Symbol.asyncDispose]();
  const after = await settledHandles(client, before);
  await application.end();
  calendar.stop();
  await nights.settle();
  await nights.collect();
  await nights.verify("--deep");
  await retrievals.askForAll();
  const { rows } = await client.query("SELECT count(*)::int AS hot FROM public.audit_logs");
  await client.end();
  memory.stop();
  const result = {
    options,
    version: stage.version,
    written: application.written,
    archived: model.size - Number(rows[0].hot),
    rows: model.size,
    nights,
    retrievals,
    alone,
    together,
    memory: memory.byCommand,
    before,
    after,
  };
  if (faultsOf(result).length > 0) stage.keep();
  return result;
}

/** A socket that was closed a moment ago may still be listed: looks again for a while, until nothing is left over. */
async function settledHandles(
  client: pg.Client,
  before: Awaited<ReturnType<typeof readHandles>>,
): Promise<Awaited<ReturnType<typeof readHandles>>> {
  for (let attempt = 1; ; attempt += 1) {
    const now = await readHandles(client);
    const isSettled =
      now.sockets <= before.sockets && now.files <= before.files && now.backends <= before.backends;
    if (isSettled || attempt === 50) return now;
    await sleep(100);
  }
}

/** Rejects never, resolves with the signal: what plays ends only when it is told to, or fails. */
async function never(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) throw new Error("the runs and retrievals ended by themselves");
  return await new Promise(() => {});
}

/** One line that is written over, on a terminal. */
class Progress {
  readonly #began = performance.now();
  readonly #totalMs: number;

  constructor(totalMs: number) {
    this.#totalMs = totalMs;
  }

  async wait(ms: number, state: () => string, failed: Promise<unknown>): Promise<void> {
    const until = performance.now() + ms;
    while (performance.now() < until) {
      this.#show(state());
      await Promise.race([sleep(Math.min(500, Math.max(1, until - performance.now()))), failed]);
    }
  }

  clear(): void {
    if (process.stdout.isTTY) process.stdout.write("\r\u001B[K");
  }

  #show(state: string): void {
    if (!process.stdout.isTTY) return;
    const seconds = Math.round((performance.now() - this.#began) / 1000);
    process.stdout.write(`\r\u001B[K${seconds} of ${Math.round(this.#totalMs / 1000)} s: ${state}`);
  }
}

const options = readOptions(process.argv.slice(2));
if (options === "help") console.log(USAGE);
else {
  process.once("SIGINT", () => process.exit(130));
  console.log(
    `seed ${options.seed}, ${options.minutes} minutes, archive in ${options.archive === "s3" ? "a bucket" : "a folder"}`,
  );
  const result = await soak(options);
  printReport(result);
  const faults = faultsOf(result);
  for (const fault of faults) console.log(`\nFAULT ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
  console.log(faults.length === 0 ? "\n1 passed, 0 failed" : "\n0 passed, 1 failed");
}
