/**
 * A scenario over an archive in memory that has versions and Object Lock, with a policy that locks and a clock that the test
 * sets: what a bucket does, without a bucket.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { type MemoryArchive, openMemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { Hold } from "../../src/catalog/holds.ts";
import type { Environment } from "../../src/environment.ts";
import type { FirnlineError } from "../../src/errors.ts";
import type { PolicyLock } from "../../src/policy/policy.ts";
import type { Transaction } from "../../src/postgres/database.ts";
import { collectGarbage, type CollectResult } from "../../src/repair/collect.ts";
import { rebuildCatalog } from "../../src/repair/rebuild.ts";
import { verifyPipeline } from "../../src/repair/verify.ts";
import { type EpochMs, parseDay } from "../../src/rows/day.ts";
import { type ChangedHold, PipelineHolds } from "../../src/stages/hold.ts";
import { runPipeline, type RunSummary } from "../../src/stages/run-pipeline.ts";
import { systemClock, wire, type Wired } from "../../src/wiring.ts";
import { instantOf, Scenario, type ScenarioOptions } from "./scenario.ts";

export const COMPLIANCE: PolicyLock = { mode: "COMPLIANCE", keepDays: 100 };

export interface LockedOptions extends ScenarioOptions {
  /** Null: the store has locks, and the policy asks for none. */
  readonly lock?: PolicyLock | null;
  readonly locks?: boolean;
}

const HOLDER = { holder: { host: "test", pid: 1, space: "test" }, isDead: () => true };

export class LockedScenario implements AsyncDisposable {
  readonly scenario: Scenario;
  readonly archive: MemoryArchive;
  /** The wall clock, for locks and entries; ages are counted from it too. */
  now = "2026-03-01";
  lock: PolicyLock | null;
  readonly #wired: Wired;

  private constructor(scenario: Scenario, { lock = COMPLIANCE, locks = true }: LockedOptions) {
    this.scenario = scenario;
    this.lock = lock;
    this.#wired = wire({
      policy: scenario.policy,
      connectionString: scenario.url,
      settings: scenario.settings(),
    });
    this.archive = openMemoryArchive({
      now: () => this.clockMs(),
      random: (bytes) => randomBytes(bytes),
      restoreDelayMs: 0,
      versioned: true,
      locks,
    });
  }

  static async create(options: LockedOptions = {}): Promise<LockedScenario> {
    return new LockedScenario(await Scenario.create(options), options);
  }

  clockMs(): EpochMs {
    return Number(instantOf(this.now) / 1_000n) as EpochMs;
  }

  environment(changes: Partial<Environment<Transaction>> = {}): Environment<Transaction> {
    const { environment } = this.#wired;
    const { policy } = environment;
    return {
      ...environment,
      archive: this.archive,
      policy: { ...policy, archive: { ...policy.archive, lock: this.lock } },
      clock: { ...systemClock, now: () => this.clockMs() },
      ...changes,
    };
  }

  async run(changes: Partial<Environment<Transaction>> = {}, confirmSooner = false): Promise<RunSummary> {
    return await runPipeline(this.environment(changes), {
      ...HOLDER,
      run: randomUUID(),
      asOf: instantOf(this.now),
      backfill: true,
      confirmSooner,
      retryQuarantined: false,
      signal: new AbortController().signal,
    });
  }

  async hold(from: string, to = from, changes: Partial<Environment<Transaction>> = {}): Promise<Hold> {
    const days = { dayFrom: parseDay(from), dayTo: parseDay(to) };
    const reason = "case 17";
    return (await this.#holds(changes).place({ ...days, reason, placedBy: "jane" })).hold;
  }

  async release({ hold }: Hold): Promise<ChangedHold> {
    return await this.#holds().release({ hold, reason: "settled", releasedBy: "joe" });
  }

  /** `CODE subject: what is wrong`, in order. */
  async findings(): Promise<string[]> {
    const found: FirnlineError[] = [];
    const { signal } = new AbortController();
    const onFinding = (one: FirnlineError): number => found.push(one);
    await verifyPipeline(this.environment(), { deep: true, seed: 0, onFinding, signal });
    return found.map(({ code, subject, problem }) => `${code} ${subject}: ${problem}`).sort();
  }

  async rebuild(): Promise<void> {
    const { signal } = new AbortController();
    const request = { ...HOLDER, run: `rebuild ${randomUUID()}`, adopts: false, isConfirmed: true, signal };
    await rebuildCatalog(this.environment(), request);
  }

  async collect(): Promise<CollectResult> {
    const { signal } = new AbortController();
    const request = { ...HOLDER, run: `collect ${randomUUID()}`, isDryRun: false, signal };
    return await collectGarbage(this.environment(), request);
  }

  /** Every object's last name with `lock` and legal hold, e.g. `.parquet COMPLIANCE 2026-05-10 held`. */
  async protection(ending: string): Promise<string[]> {
    const shown: string[] = [];
    for await (const { key, versionId } of this.archive.listVersions("")) {
      if (!key.endsWith(ending)) continue;
      const head = await this.archive.head({ key, versionId });
      const lock = head?.retention ?? null;
      const until =
        lock === null ? "unlocked" : `${lock.mode} ${new Date(lock.until).toISOString().slice(0, 10)}`;
      shown.push(`${until}${head?.isHeld === true ? " held" : ""}`);
    }
    return shown;
  }

  async events(type: string): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = [];
    for (const [key, bytes] of this.archive.snapshot()) {
      if (!key.includes("/journal/")) continue;
      const { event } = JSON.parse(Buffer.from(bytes).toString("utf8")) as { event: Record<string, unknown> };
      if (event["type"] === type) found.push(event);
    }
    return found;
  }

  async states(): Promise<string[]> {
    const rows = await this.scenario.query(
      "SELECT day_from::text AS day, state FROM firnline.segment ORDER BY day_from, segment",
    );
    return rows.map(({ day, state }) => `${day} ${state}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wired[Symbol.asyncDispose]();
    await this.scenario[Symbol.asyncDispose]();
  }

  #holds(changes: Partial<Environment<Transaction>> = {}): PipelineHolds<Transaction> {
    return new PipelineHolds(this.environment(changes), async () => {});
  }
}
