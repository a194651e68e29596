/** The library's face: one object a pipeline, with a method for everything that a person can ask for. */
import { randomUUID } from "node:crypto";
import { readlinkSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import type { RunRecord, TierTotals } from "./catalog/port.ts";
import type { Settings } from "./config.ts";
import type { Census, SourceTable } from "./hot/port.ts";
import type { Plan } from "./plan/plan.ts";
import type { Policy } from "./policy/policy.ts";
import { type EpochMicros, microsFromMs } from "./rows/day.ts";
import { retrieveRange, type RetrieveResult } from "./retrieve/retrieve-range.ts";
import type { RangeRequest } from "./retrieve/request.ts";
import { planPipeline, runPipeline, type RunSummary } from "./stages/run-pipeline.ts";
import { wire, type Wired, type WireOptions } from "./wiring.ts";

export interface PlanOptions {
  /** The instant that ages are counted from; now. */
  readonly asOf?: EpochMicros;
  /** Allow a first run over many days. */
  readonly backfill?: boolean;
  /** Allow deleting sooner than the last applied policy (I12). */
  readonly confirmSooner?: boolean;
}

export interface Status {
  readonly pipeline: string;
  readonly table: string;
  readonly census: Census;
  readonly totals: readonly TierTotals[];
  readonly runs: readonly RunRecord[];
  readonly plan: Plan;
}

export type OpenOptions = WireOptions;

/** A pipeline on its database and its archive: what the command line, the demo and programs use. Close it with `await using`. */
export class Pipeline implements AsyncDisposable {
  readonly policy: Policy;
  readonly #settings: Settings;
  readonly #wired: Wired;
  readonly #environment: Wired["environment"];

  constructor(options: OpenOptions) {
    this.policy = options.policy;
    this.#settings = options.settings;
    this.#wired = wire(options);
    this.#environment = this.#wired.environment;
  }

  /** What a run would do at `asOf`. Touches nothing. */
  async plan(options: PlanOptions = {}): Promise<Plan> {
    const source = await this.#environment.hot.describe();
    return await planPipeline(this.#environment, source, this.#planOptions(options));
  }

  /** Moves everything that is due. Throws `E_LOCKED` while another run is at it. */
  async run(options: PlanOptions & { signal?: AbortSignal } = {}): Promise<RunSummary> {
    await this.#wired.requireSchema();
    return await runPipeline(this.#environment, {
      ...this.#planOptions(options),
      run: randomUUID(),
      holder: { host: hostname(), pid: process.pid, space: processSpace() },
      isDead: ({ host, pid, space }) =>
        host === hostname() && space === processSpace() && pid !== process.pid && !isAlive(pid),
      signal: options.signal ?? new AbortController().signal,
    });
  }

  /** Writes all rows of the range to `out`, or throws. */
  async retrieve(
    request: RangeRequest,
    options: { out: string; requestedBy: string; signal?: AbortSignal },
  ): Promise<RetrieveResult> {
    await this.#wired.requireSchema();
    return await retrieveRange(this.#environment, {
      request,
      out: options.out,
      requestedBy: options.requestedBy,
      temporary: this.#settings.temporary ?? tmpdir(),
      signal: options.signal ?? new AbortController().signal,
    });
  }

  async status(options: { asOf?: EpochMicros; runsMax?: number } = {}): Promise<Status> {
    const { catalog, hot } = this.#environment;
    const source: SourceTable = await hot.describe();
    return {
      pipeline: this.policy.pipeline,
      table: `${source.table.schema}.${source.table.name}`,
      census: await hot.census(source),
      totals: await catalog.totals(this.policy.pipeline),
      runs: await catalog.runs(this.policy.pipeline, options.runsMax ?? 5),
      plan: await planPipeline(
        this.#environment,
        source,
        this.#planOptions({ ...options, backfill: true, confirmSooner: true }),
      ),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wired[Symbol.asyncDispose]();
  }

  #planOptions(options: PlanOptions): Required<PlanOptions> {
    return {
      asOf: options.asOf ?? microsFromMs(this.#environment.clock.now()),
      backfill: options.backfill ?? false,
      confirmSooner: options.confirmSooner ?? false,
    };
  }
}

/** The space of process ids that this process sees; empty where the system has only one. */
function processSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
