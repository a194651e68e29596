/** The library's face: one object a pipeline, with a method for everything that a person can ask for. */
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import type { RestoreRecord } from "./catalog/restores.ts";
import { readConnection, readSettings, type Settings } from "./config.ts";
import { diagnose, type Diagnosis, requireSound } from "./doctor.ts";
import type { SourceTable } from "./hot/port.ts";
import type { PriceList } from "./plan/cost.ts";
import type { Plan } from "./plan/step.ts";
import type { Policy } from "./policy/policy.ts";
import { addDays, dayOf, type EpochMicros, microsFromMs } from "./rows/day.ts";
import { formatOfFile } from "./retrieve/formats/answer-format.ts";
import { listRestores } from "./retrieve/list-restores.ts";
import { quoteRange, type RangeRestore, rehydrateRange, type RehydrateResult } from "./retrieve/rehydrate.ts";
import type { RestoreQuote } from "./retrieve/restore-quote.ts";
import { retrieveRange, type RetrieveResult } from "./retrieve/retrieve-range.ts";
import type { RangeRequest } from "./retrieve/request.ts";
import { sweepSpools } from "./retrieve/sweep-spools.ts";
import type {
  EstimateOptions,
  PlanOptions,
  RehydrateOptions,
  RepairOptions,
  RetrieveOptions,
  Status,
  StatusOptions,
} from "./pipeline-options.ts";
import { pricesOf, readPrices } from "./price-file.ts";
import { collectGarbage, type CollectResult, windowStart } from "./repair/collect.ts";
import { rebuildCatalog, type RebuildResult } from "./repair/rebuild.ts";
import { verifyPipeline, type VerifyOptions, type VerifyResult } from "./repair/verify.ts";
import { type EstimatedPlan, estimatePlan } from "./stages/estimate-plan.ts";
import { PipelineHolds } from "./stages/hold.ts";
import { planPipeline } from "./stages/plan-input.ts";
import { runPipeline, type RunSummary } from "./stages/run-pipeline.ts";
import { thisProcess } from "./this-process.ts";
import { readPolicy, wire, type Wired, type WireOptions } from "./wiring.ts";

export type OpenOptions = WireOptions;

/**
 * A pipeline on its database and its archive: what the command line, the demo and programs use. Close it with
 * `await using`. Nothing is connected before the first call. Rows and bytes are bigints, days count from 1970-01-01,
 * instants are microseconds since then (`formatDay`, `parseInstant` and the like convert them).
 *
 * What goes wrong is a `FirnlineError` with a `code`, or `FirnlineErrors` with all findings at once. Every method may
 * throw `E_DATABASE`, and what the table is refused for: `E_KEY`, `E_TYPE`, `E_RELATION`, `E_SERVER`, `E_VISIBILITY`,
 * `E_SIDE_EFFECT`, `E_POLICY`.
 */
export class Pipeline implements AsyncDisposable {
  readonly policy: Policy;
  /** Days of which nothing is removed, whatever the policy says, until somebody releases them. */
  readonly holds: PipelineHolds;
  readonly #settings: Settings;
  readonly #wired: Wired;
  readonly #environment: Wired["environment"];

  constructor(options: OpenOptions) {
    this.policy = options.policy;
    this.#settings = options.settings;
    this.#wired = wire(options);
    this.#environment = this.#wired.environment;
    this.holds = new PipelineHolds(this.#environment, async () => await this.#wired.requireSchema("run"));
  }

  /**
   * What a run would do at `asOf`, step by step and with the reason of each, and what it would leave where it is. Touches
   * nothing. A run that would refuse to start has `blockers`; they are not thrown here.
   */
  async plan(options: PlanOptions = {}): Promise<Plan> {
    const source = await this.#environment.hot.describe();
    return await planPipeline(this.#environment, source, this.#planOptions(options));
  }

  /** The same, with rows, bytes and money before and after, the time it takes, and what to think about. */
  async estimate(options: EstimateOptions = {}): Promise<EstimatedPlan> {
    const prices = await this.#prices(options.prices);
    const source = await this.#environment.hot.describe();
    return await estimatePlan(this.#environment, source, this.#planOptions(options), prices);
  }

  /** Everything that can be known to be wrong before anything moves. Touches nothing. */
  async doctor(options: { asOf?: EpochMicros } = {}): Promise<Diagnosis> {
    const { asOf } = this.#planOptions(options);
    return await diagnose(this.#environment, { asOf, temporary: this.#settings.temporary ?? tmpdir() });
  }

  /**
   * Moves everything that is due: export, seal, prune, transition, expire. Returns what it moved, in rows, and the plan that it
   * followed; state `partly` means that some partitions failed or drifted, are named, and kept their rows.
   *
   * Throws `E_LOCKED` while another run is at it, `E_CATALOG` before `migrateDatabase`, `E_OWNER` where the archive is
   * another database's, `E_POLICY` for what `backfill` or `confirmSooner` must allow, `E_INTERRUPTED` after `signal`.
   * Whatever is thrown, what was done stays done, nothing is half done, and the next run goes on from there.
   */
  async run(options: PlanOptions & { signal?: AbortSignal } = {}): Promise<RunSummary> {
    await this.#wired.requireSchema("run");
    const asked = this.#planOptions(options);
    await requireSound(this.#environment, asked.asOf);
    return await runPipeline(this.#environment, {
      ...asked,
      run: randomUUID(),
      ...thisProcess(),
      signal: options.signal ?? never(),
    });
  }

  /**
   * Writes all rows of the range to `out`, in the order of time and key, wherever they are now; or throws, and leaves no
   * file (I8). Restores cold segments first, and waits for that; called anew, it joins what is under way. The result has
   * the rows, by the tier that they came from, and the SHA-256 of the file.
   *
   * Throws `E_CATALOG` before the first run, `E_INPUT` for a restore that nobody agreed to, a file that cannot be written
   * or a filter that no column can have, `E_VERIFY` and `E_ARCHIVE` for an archive that is damaged or out of reach, `E_SCHEMA` for columns of different
   * years that cannot be united, `E_TYPE` for a value that Parquet cannot hold.
   */
  async retrieve(request: RangeRequest, options: RetrieveOptions): Promise<RetrieveResult> {
    return await retrieveRange(this.#environment, {
      ...(await this.#restoring(request, options)),
      out: options.out,
      format: options.format ?? formatOfFile(options.out),
      temporary: this.#settings.temporary ?? tmpdir(),
    });
  }

  /** What a retrieval of the range would restore, for how much, and how long that takes. Touches nothing. */
  async quote(request: RangeRequest, options: RehydrateOptions): Promise<RestoreQuote> {
    return await quoteRange(this.#environment, await this.#restoring(request, options));
  }

  /** Asks for copies of the range's cold segments, to be read later, and does not wait for them. Throws as `retrieve`. */
  async rehydrate(request: RangeRequest, options: RehydrateOptions): Promise<RehydrateResult> {
    return await rehydrateRange(this.#environment, await this.#restoring(request, options));
  }

  /** Restored copies that were asked for, newest first, as they are now; those that have ended too with `all`. */
  async restores(options: { all?: boolean; signal?: AbortSignal } = {}): Promise<RestoreRecord[]> {
    await this.#wired.requireSchema("retrieve");
    const { all = false, signal = never() } = options;
    return await listRestores(this.#environment, { all, countMax: RESTORES_MAX, signal });
  }

  /** How things are: the tiers, what waits for the next run, the last runs, and the history if asked for. Counts rows. */
  async status(options: StatusOptions = {}): Promise<Status> {
    const { catalog, clock, hot } = this.#environment;
    const { historyDays } = options;
    const today = dayOf(microsFromMs(clock.now()));
    const source: SourceTable = await hot.describe("read");
    return {
      pipeline: this.policy.pipeline,
      table: `${source.table.schema}.${source.table.name}`,
      census: await hot.census(source),
      totals: await catalog.totals(this.policy.pipeline),
      holds: await this.holds.list(),
      runs: await catalog.runs(this.policy.pipeline, options.runsMax ?? 5),
      plan: await planPipeline(
        this.#environment,
        source,
        this.#planOptions({ ...options, backfill: true, confirmSooner: true }),
      ),
      ...(historyDays === undefined
        ? {}
        : { history: await catalog.history(this.policy.pipeline, addDays(today, 1 - historyDays)) }),
    };
  }

  /**
   * Archive against journal against catalog against table; touches nothing. Each finding is told as it is found; nothing is
   * wrong if there is none. Cold objects that would have to be restored first are counted as unverified.
   */
  async verify(
    options: Pick<VerifyOptions, "onFinding"> & Partial<Omit<VerifyOptions, "onFinding">>,
  ): Promise<VerifyResult> {
    await this.#wired.requireSchema();
    return await verifyPipeline(this.#environment, { deep: false, seed: 0, signal: never(), ...options });
  }

  /**
   * Writes the catalog anew from the archive alone: after the control schema was lost, or the database was restored from a
   * backup. The next run then finds out where the rows are that only the lost catalog knew of. Touches no row and nothing
   * in the archive. Throws `E_INPUT` where a catalog would be replaced and `isConfirmed` does not say so, `E_OWNER` where
   * the archive is another database's, `E_LOCKED` during a run, `E_VERIFY` where the journal or a manifest is damaged.
   */
  async rebuildCatalog(options: RepairOptions = {}): Promise<RebuildResult> {
    return await this.#rebuild("rebuild", false, options);
  }

  /**
   * Takes an archive over that belongs to another database, or to an earlier state of this one: a failover, a restored copy,
   * a clone that is to go on. Rebuilds the catalog and adds an entry to the journal, at which the other database stops with
   * `E_OWNER`. Of two that adopt at once, one wins. Always needs `isConfirmed`.
   */
  async adopt(options: RepairOptions = {}): Promise<RebuildResult> {
    return await this.#rebuild("adopt", true, options);
  }

  /** Removes objects that nothing has named for the recovery window, and what killed processes left of their work. */
  async collect(
    options: { isDryRun?: boolean; signal?: AbortSignal } = {},
  ): Promise<CollectResult & { readonly spools: number }> {
    await this.#wired.requireSchema("collect");
    const { isDryRun = false, signal = never() } = options;
    const request = { run: `collect ${randomUUID()}`, ...thisProcess(), isDryRun, signal };
    const result = await collectGarbage(this.#environment, request);
    const temporary = this.#settings.temporary ?? tmpdir();
    const before = windowStart(this.#environment);
    return { ...result, spools: isDryRun ? 0 : await sweepSpools(temporary, before) };
  }

  async #rebuild(name: string, adopts: boolean, options: RepairOptions): Promise<RebuildResult> {
    await this.#wired.requireSchema();
    const { isConfirmed = false, signal = never() } = options;
    const request = { run: `${name} ${randomUUID()}`, ...thisProcess(), adopts, isConfirmed, signal };
    return await rebuildCatalog(this.#wired.forRebuild, request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wired[Symbol.asyncDispose]();
  }

  async #prices(own: PriceList | undefined): Promise<PriceList | null> {
    const { prices: file } = this.#settings;
    return pricesOf(this.policy.archive, own ?? (file === null ? null : await readPrices(file)));
  }

  async #restoring(request: RangeRequest, options: RehydrateOptions): Promise<RangeRestore> {
    await this.#wired.requireSchema("retrieve");
    const { requestedBy, restore: terms = {}, signal = never() } = options;
    return { request, requestedBy, terms, prices: await this.#prices(terms.prices), signal };
  }

  #planOptions(options: PlanOptions): Required<PlanOptions> {
    return {
      asOf: options.asOf ?? microsFromMs(this.#environment.clock.now()),
      backfill: options.backfill ?? false,
      confirmSooner: options.confirmSooner ?? false,
      retryQuarantined: options.retryQuarantined ?? false,
    };
  }
}

export interface OpenPipelineOptions extends Pick<WireOptions, "report" | "clock"> {
  /** Where the connection that the policy names, and the `FIRNLINE_*` settings, are looked up; `process.env`. */
  readonly environ?: Readonly<Record<string, string | undefined>>;
}

/**
 * The pipeline of a policy file, with connection and settings from the environment, as on the command line. Throws
 * `FirnlineErrors` of `E_POLICY` for a file with mistakes, and `E_INPUT` for one that cannot be read, a variable that is
 * not set, or a setting that is not known.
 */
export async function openPipeline(
  policyFile: string,
  { environ = process.env, ...options }: OpenPipelineOptions = {},
): Promise<Pipeline> {
  const policy = await readPolicy(policyFile);
  const connectionString = readConnection(environ, policy.source.connectionVariable);
  return new Pipeline({ ...options, policy, connectionString, settings: readSettings(environ) });
}

/** Of those that have ended; more than a person reads. */
const RESTORES_MAX = 1_000;

const never = (): AbortSignal => new AbortController().signal;
