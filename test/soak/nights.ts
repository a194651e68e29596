/** Nightly runs back to back, some of them killed, and `verify` and `collect` now and then. */
import { setTimeout as sleep } from "node:timers/promises";
import { formatInstant } from "../../src/rows/day.ts";
import type { Chance } from "../simulation/chance.ts";
import type { Ending } from "../support/firnline-process.ts";
import type { Calendar } from "./calendar.ts";
import type { Gate } from "./gate.ts";
import type { Stage } from "./stage.ts";

const KILLED_OF_TEN = 3;
const VERIFY_EVERY = 5;
const COLLECT_EVERY = 6;

export interface NightCounts {
  runs: number;
  done: number;
  /** Exit code 3: some partitions kept their rows. */
  partly: number;
  failed: number;
  killed: number;
  verified: number;
  collected: number;
  objectsRemoved: number;
}

export class Nights {
  readonly counts: NightCounts = {
    runs: 0,
    done: 0,
    partly: 0,
    failed: 0,
    killed: 0,
    verified: 0,
    collected: 0,
    objectsRemoved: 0,
  };
  /** What runs that failed or did a part said, with how often. */
  readonly complaints = new Map<string, number>();
  /** What `verify` found, and what is a fault of ours: then the soak has failed. */
  readonly faults: string[] = [];
  readonly #stage: Stage;
  readonly #calendar: Calendar;
  readonly #chance: Chance;
  readonly #gate: Gate;
  /** What a run takes, to kill it somewhere in between. */
  #runMs = 1_500;

  constructor(stage: Stage, calendar: Calendar, chance: Chance, gate: Gate) {
    this.#stage = stage;
    this.#calendar = calendar;
    this.#chance = chance;
    this.#gate = gate;
  }

  async play(signal: AbortSignal): Promise<void> {
    for (let night = 1; !signal.aborted; night += 1) {
      await this.run(night === 1 || this.#chance.below(10) < KILLED_OF_TEN);
      if (night % VERIFY_EVERY === 0) await this.#verify();
      if (night % COLLECT_EVERY === 0) await this.collect();
    }
  }

  /** Runs until nothing is left to do; throws where that does not come about. */
  async settle(): Promise<void> {
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      const { code, stdout, stderr } = await this.run(false);
      const run = lastRun(stdout);
      if (code === 0 && run?.["exported"] === "0" && run["pruned"] === "0" && run["steps"] === 0) return;
      if (attempt === 10) throw new Error(`runs do not come to an end: ${stdout}${stderr}`);
    }
  }

  async run(isKilled: boolean): Promise<Ending> {
    const asOf = formatInstant(this.#calendar.now());
    const started = performance.now();
    await using child = this.#stage.spawn(["run", "--backfill", "--json", "--as-of", asOf]);
    const ended = child.ended;
    if (isKilled) {
      const isOver = await Promise.race([
        ended.then(() => true),
        sleep(this.#chance.below(this.#runMs), false),
      ]);
      if (!isOver) child.signal("SIGKILL");
    }
    const ending = await ended;
    this.counts.runs += 1;
    if (ending.signal !== null) this.counts.killed += 1;
    else if (ending.code === 0) this.counts.done += 1;
    else this.#complain(ending);
    if (ending.signal === null)
      this.#runMs = Math.round(0.8 * this.#runMs + 0.25 * (performance.now() - started));
    return ending;
  }

  async verify(...args: readonly string[]): Promise<void> {
    await using child = this.#stage.spawn(["verify", ...args, "--json"]);
    const { code, stdout, stderr } = await child.ended;
    this.counts.verified += 1;
    if (code !== 0) this.faults.push(`verify: ${stdout}${stderr}`.trim());
  }

  /** Right after a run that was not killed: what is under way is no finding. */
  async #verify(): Promise<void> {
    const { code } = await this.run(false);
    if (code === 0) await this.verify("--sample", "20");
  }

  /** Once, and once more when what it saw is older than the recovery window. In two weeks every retrieval of now has ended. */
  async collect(): Promise<void> {
    await this.#gate.alone(async () => {
      for (const isLater of [false, true]) {
        if (isLater) await this.#stage.ageGarbage();
        await using child = this.#stage.spawn(["collect", "--json"]);
        const { code, stdout, stderr } = await child.ended;
        this.counts.collected += 1;
        if (code !== 0) this.faults.push(`collect: ${stdout}${stderr}`.trim());
        const removed = /"removed":\{"objects":(\d+)/.exec(stdout)?.[1];
        this.counts.objectsRemoved += Number(removed ?? 0);
      }
    });
  }

  #complain({ code, stdout, stderr }: Ending): void {
    if (code === 3) this.counts.partly += 1;
    else this.counts.failed += 1;
    const codes = [
      ...`${stdout}${stderr}`.matchAll(/"code":"(E_[A-Z_]+)","subject":"[^"]*","problem":"([^"]{0,80})/g),
    ];
    const said =
      codes.length === 0
        ? [`exit ${code}`]
        : codes.map(([, name, problem]) => `${name} ${plain(problem ?? "")}`);
    for (const one of new Set(said)) this.complaints.set(one, (this.complaints.get(one) ?? 0) + 1);
    if (said.some((one) => one.startsWith("E_INTERNAL") || one.startsWith("E_VERIFY"))) {
      this.faults.push(`run: ${stdout}${stderr}`.trim());
    }
  }
}

/** Without what differs from time to time, so that the same things are counted together. */
function plain(text: string): string {
  return text.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12,}\b|\d+/g, "N");
}

function lastRun(stdout: string): Record<string, unknown> | undefined {
  return stdout
    .split("\n")
    .filter((line) => line.includes('"run":{'))
    .map((line) => (JSON.parse(line) as { run: Record<string, unknown> }).run)
    .at(-1);
}
