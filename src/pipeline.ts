/** The library's face: one object a pipeline, with a method for everything that a person can ask for. */
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import type { HistoryDay } from "./catalog/history-day.ts";
import type { RunRecord, TierTotals } from "./catalog/port.ts";
import { readConnection, readSettings, type Settings } from "./config.ts";
import { diagnose, type Diagnosis, requireSoundSource } from "./doctor.ts";
import type { Census, SourceTable } from "./hot/port.ts";
import type { PriceList } from "./plan/cost.ts";
import type { Plan } from "./plan/step.ts";
import type { Policy } from "./policy/policy.ts";
import { addDays, dayOf, type EpochMicros, microsFromMs } from "./rows/day.ts";
import { type AnswerFormat, formatOfFile } from "./retrieve/formats/answer-format.ts";
import { retrieveRange, type RetrieveResult } from "./retrieve/retrieve-range.ts";
import type { RangeRequest } from "./retrieve/request.ts";
import { sweepSpools } from "./retrieve/sweep-spools.ts";
import { pricesOf, readPrices } from "./price-file.ts";
import { collectGarbage, type CollectResult, windowStart } from "./repair/collect.ts";
import { rebuildCatalog, type RebuildResult } from "./repair/rebuild.ts";
import { verifyPipeline, type VerifyOptions, type VerifyResult } from "./repair/verify.ts";
import { type EstimatedPlan, estimatePlan } from "./stages/estimate-plan.ts";
import { planPipeline, runPipeline, type RunSummary } from "./stages/run-pipeline.ts";
import { thisProcess } from "./this-process.ts";
import { readPolicy, wire, type Wired, type WireOptions } from "./wiring.ts";

export interface PlanOptions {
  /** The instant that ages are counted from; now. */
  readonly asOf?: EpochMicros;
  /** Allow a first run over many days. */
  readonly backfill?: boolean;
  /** Allow deleting sooner than the last applied policy (I12). */
  readonly confirmSooner?: boolean;
  /** Export rows anew that changed again and again, and were quarantined. */
  readonly retryQuarantined?: boolean;
}

export interface EstimateOptions extends PlanOptions {
  /** Prices of the owner's, from `readPrices`; else those of `FIRNLINE_PRICES`, else the built-in ones for S3. */
  readonly prices?: PriceList;
}

export interface RetrieveOptions {
  /** The file; it gets its name only when the answer is complete. `FILE.evidence.json` comes beside it. */
  readonly out: string;
  /** `ndjson`, `csv`, `csv-raw` (no guard against formulas) or `parquet`; else what `out` ends with, else `ndjson`. */
  readonly format?: AnswerFormat;
  /** Who asks: it goes into the evidence, the catalog and the journal. */
  readonly requestedBy: string;
  /** Aborting it ends the retrieval with `E_INTERRUPTED`, and without a file. */
  readonly signal?: AbortSignal;
}

export interface Status {
  readonly pipeline: string;
  /** `schema.name`. */
  readonly table: string;
  /** What is in the table now: rows, bytes with indexes and TOAST, oldest and newest instant, rows that no stage moves. */
  readonly census: Census;
  /** Segments of the archive by state, with their rows and bytes. */
  readonly totals: readonly TierTotals[];
  /** The last ones, newest first. */
  readonly runs: readonly RunRecord[];
  /** What the next run has to do, however much it is. */
  readonly plan: Plan;
  /** The days that had a run, oldest first; only where `historyDays` asked for them. */
  readonly history?: readonly HistoryDay[];
}

export interface StatusOptions {
  /** The instant that ages are counted from; now. */
  readonly asOf?: EpochMicros;
  /** How many of the last runs; 5. */
  readonly runsMax?: number;
  /** How many UTC days of history, up to today; none. The catalog keeps 400 days that had a run. */
  readonly historyDays?: number;
}

export interface RepairOptions {
  /** Whether a catalog may be replaced, or an archive taken from another database. */
  readonly isConfirmed?: boolean;
  readonly signal?: AbortSignal;
}

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
  readonly #settings: Settings;
  readonly #wired: Wired;
  readonly #environment: Wired["environment"];

  constructor(options: OpenOptions) {
    this.policy = options.policy;
    this.#settings = options.settings;
    this.#wired = wire(options);
    this.#environment = this.#wired.environment;
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
    const { prices: file } = this.#settings;
    const own = options.prices ?? (file === null ? null : await readPrices(file));
    const prices = pricesOf(this.policy.archive, own);
    const source = await this.#environment.hot.describe();
    return await estimatePlan(this.#environment, source, this.#planOptions(options), prices);
  }

  /** Everything that can be known to be wrong before anything moves. Touches nothing. */
  async doctor(options: { asOf?: EpochMicros } = {}): Promise<Diagnosis> {
    const { asOf } = this.#planOptions(options);
    return await diagnose(this.#environment, { asOf, temporary: this.#settings.temporary ?? tmpdir() });
  }

  /**
   * Moves everything that is due: export, seal, prune, transition. Returns what it moved, in rows, and the plan that it
   * followed; state `partly` means that some partitions failed or drifted, are named, and kept their rows.
   *
   * Throws `E_LOCKED` while another run is at it, `E_CATALOG` before `migrateDatabase`, `E_OWNER` where the archive is
   * another database's, `E_POLICY` for what `backfill` or `confirmSooner` must allow, `E_INTERRUPTED` after `signal`.
   * Whatever is thrown, what was done stays done, nothing is half done, and the next run goes on from there.
   */
  async run(options: PlanOptions & { signal?: AbortSignal } = {}): Promise<RunSummary> {
    await this.#wired.requireSchema();
    const asked = this.#planOptions(options);
    await requireSoundSource(this.#environment, asked.asOf);
    return await runPipeline(this.#environment, {
      ...asked,
      run: randomUUID(),
      ...thisProcess(),
      signal: options.signal ?? never(),
    });
  }

  /**
   * Writes all rows of the range to `out`, in the order of time and key, wherever they are now; or throws, and leaves no
   * file (I8). Restores cold segments first. The result has the rows, by the tier that they came from, and the SHA-256
   * of the file.
   *
   * Throws `E_CATALOG` before the first run, `E_INPUT` for a file that cannot be written or a filter that no column can
   * have, `E_VERIFY` and `E_ARCHIVE` for an archive that is damaged or out of reach, `E_SCHEMA` for columns of different
   * years that cannot be united, `E_TYPE` for a value that Parquet cannot hold.
   */
  async retrieve(request: RangeRequest, options: RetrieveOptions): Promise<RetrieveResult> {
    await this.#wired.requireSchema();
    return await retrieveRange(this.#environment, {
      request,
      out: options.out,
      format: options.format ?? formatOfFile(options.out),
      requestedBy: options.requestedBy,
      temporary: this.#settings.temporary ?? tmpdir(),
      signal: options.signal ?? never(),
    });
  }

  /** How things are: the tiers, what waits for the next run, the last runs, and the history if asked for. Counts rows. */
  async status(options: StatusOptions = {}): Promise<Status> {
    const { catalog, clock, hot } = this.#environment;
    const { historyDays } = options;
    const today = dayOf(microsFromMs(clock.now()));
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
    await this.#wired.requireSchema();
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

const never = (): AbortSignal => new AbortController().signal;
