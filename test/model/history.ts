/** One history: what the application, the clock, the owner, Firnline and misfortune do to a table, one after another. */
import { strict as assert } from "node:assert";
import type { MemoryArchive } from "../../src/archive/memory/memory-archive.ts";
import type { Environment } from "../../src/environment.ts";
import { FirnlineErrors } from "../../src/errors.ts";
import type { EpochMicros } from "../../src/rows/day.ts";
import { runPipeline, type RunSummary } from "../../src/stages/run-pipeline.ts";
import { type Answer, askFor, expectAnswer, isRefusalExplained } from "./answer.ts";
import { Application, type View } from "./application.ts";
import { ArchiveReading } from "./archive-reading.ts";
import { failureAt, Gate } from "./gate.ts";
import { type Lane, seededRandom } from "./lane.ts";
import { expectExplained, expectMovedNothing } from "./outcome.ts";
import { dayOfRow, lineOf, rowOf } from "./rows.ts";
import { look, type Sight } from "./sight.ts";
import type { Beginning, Happening, Range, Step } from "./steps.ts";
import { type Hours, isDue, isSooner, lastDueDay, ruleOf, TERMS, type Terms } from "./terms.ts";

const FIRST_DAY = Date.UTC(2026, 2, 1) / 86_400_000;

export interface RunOptions {
  readonly happenings?: readonly Happening[];
  readonly retryQuarantined?: boolean;
  /** A policy that deletes sooner than the last one is refused without it. */
  readonly confirmSooner?: boolean;
}

export class History {
  /** How often something came about: events of the journal, happenings, answers. */
  readonly seen = new Map<string, number>();
  readonly #lane: Lane;
  readonly #kind: Omit<Beginning, "rows">;
  readonly #random = seededRandom("history");
  readonly #archive: MemoryArchive;
  readonly #reading = new ArchiveReading();
  readonly #application: Application;
  #sight: Sight | undefined;
  #terms: Terms = TERMS.usual;
  /** As last decided to be journaled: what `--confirm-sooner` is about. */
  #applied: Terms | null = null;
  #asOf: Hours = FIRST_DAY * 24;
  /** Rows that delete-only rules have taken. */
  #deleted = 0;
  #runs = 0;

  private constructor(lane: Lane, kind: Omit<Beginning, "rows">) {
    this.#lane = lane;
    this.#kind = kind;
    this.#archive = lane.newArchive(kind.sizes, this.#random);
    this.#application = new Application(lane, kind.isPartitioned);
  }

  static async begin(lane: Lane, { rows, ...kind }: Beginning): Promise<History> {
    await lane.reset(kind.isPartitioned);
    const history = new History(lane, kind);
    await history.#inspect();
    for (const write of rows) await history.#application.write(write, history.#view);
    await history.#inspect();
    return history;
  }

  async take(step: Step): Promise<void> {
    switch (step.step) {
      case "write":
        await this.#application.write(step.write, this.#view);
        break;
      case "wait":
        this.#asOf += step.hours;
        break;
      case "terms":
        this.#terms = TERMS[step.terms];
        break;
      case "run":
      case "retry quarantined":
        for (const write of step.before) await this.#application.write(write, this.#view);
        await this.#inspect();
        await this.#run({ happenings: step.happenings, retryQuarantined: step.step !== "run" });
        break;
      case "retrieve":
        await this.#retrieve(step.range, step.happenings);
    }
    await this.#inspect();
  }

  /** The end of every history: Firnline comes to rest, and everything that is due is where it belongs. */
  async settle(): Promise<void> {
    await this.#retrieve(null);
    await this.#comeToRest();
    if (this.#terms.prune === "off") {
      this.#terms = TERMS.usual;
      await this.#comeToRest();
    }
    if (this.#now.quarantined > 0 || this.#kind.isPartitioned) {
      this.#count("waited to the end");
      // What a policy keeps hot for longer now, or what waits for the rest of its leaf, goes in its time.
      this.#asOf += 24 * 30;
      await this.#run({ retryQuarantined: true });
      await this.#comeToRest();
    }
    assert.equal(this.#now.quarantined, 0, "nothing stays quarantined when nobody writes");
    assert.deepEqual(this.#stillDue(), [], "everything that is due has left the table");
    await this.#retrieve(null);
    for (const { type, supersedes } of this.#now.events) {
      this.#count(type);
      if ((supersedes as unknown[] | undefined)?.length) this.#count("exported anew");
    }
  }

  async #comeToRest(): Promise<void> {
    await this.#run({});
    const summary = await this.#run({});
    expectMovedNothing(summary);
    const held = new Set(
      summary?.plan.held.filter(({ rows }) => rows > 0n).map(({ rule, day }) => `${rule} ${day}`),
    );
    const left = this.#stillDue().filter((row) => !held.has(`${ruleOf(row, this.#terms)} ${dayOfRow(row)}`));
    if (this.#terms.prune !== "off")
      assert.deepEqual(left, [], "what is due has left, or the plan says why not");
  }

  #stillDue(): Sight["hot"] {
    return this.#now.hot.filter((row) => isDue(row, this.#terms, this.#asOf));
  }

  async #run(options: RunOptions): Promise<RunSummary | undefined> {
    if (options.happenings === undefined && this.#applied !== null && isSooner(this.#applied, this.#terms)) {
      await this.#runOnce({ ...options, confirmSooner: false });
    }
    return await this.#runOnce({ confirmSooner: true, ...options });
  }

  async #runOnce({
    happenings = [],
    retryQuarantined = false,
    confirmSooner = false,
  }: RunOptions): Promise<RunSummary | undefined> {
    const before = this.#now;
    /** What a rival left behind, once there was one. */
    let rival: Sight | undefined;
    const gate: Gate<Happening> = new Gate(happenings, async (happening, isNested) => {
      if (happening.what === "run") {
        if (isNested || this.#application.isWaiting || rival !== undefined) return;
        await this.#runOnce({ confirmSooner: true });
        // Before its own lease a run is no rival: it begins when the other one has ended.
        if (happening.at !== "catalog.acquireLease before") rival = this.#now;
      } else await this.#happen(happening, gate, isNested);
    });
    this.#runs += 1;
    const environment = gate.around(await this.#environment());
    let summary: RunSummary | undefined;
    let failure: unknown;
    try {
      summary = await runPipeline(environment, {
        asOf: (BigInt(this.#asOf) * 3_600_000_000n) as EpochMicros,
        backfill: true,
        confirmSooner,
        retryQuarantined,
        run: `run-${this.#runs}`,
        holder: { host: "here", pid: this.#runs, space: "" },
        isDead: () => true,
        signal: new AbortController().signal,
      });
    } catch (error) {
      failure = error;
    }
    await this.#application.settled();
    for (const { what } of gate.met) this.#count(`met: ${what}`);
    for (const stage of summary?.plan.steps.flatMap(({ stages }) => stages) ?? [])
      this.#count(`stage: ${stage}`);
    await this.#inspect();
    if (policiesOf(this.#now) > policiesOf(before)) this.#applied = this.#terms;
    if (confirmSooner)
      expectExplained({ failure, summary, met: gate.met, quarantined: this.#now.quarantined });
    else assert(isPolicyRefused(failure), "I12: a policy that lets go sooner needs a confirmation");
    if (rival !== undefined) expectSameArchive(rival, this.#now);
    const known = new Set(before.archived.map(lineOf));
    const early = this.#now.archived.filter(
      (row) => !known.has(lineOf(row)) && !isDue(row, this.#terms, this.#asOf),
    );
    assert.deepEqual(early, [], "nothing leaves the table before it is due");
    return summary;
  }

  async #happen(
    happening: Exclude<Happening, { what: "run" }>,
    gate: Gate<Happening>,
    isNested: boolean,
  ): Promise<void> {
    const { at } = happening;
    switch (happening.what) {
      case "crash":
        throw gate.die(at);
      case "failure":
        throw failureAt(at, happening.isRetryable);
      case "write":
        return await this.#application.write(happening.write, this.#view);
      case "look":
      case "retrieve":
        // Whoever waits for a lock may have committed without our having heard of it; a leaf that is dropped is locked.
        if (this.#application.isWaiting || (isNested && this.#kind.isPartitioned)) return;
        await this.#inspect();
        if (happening.what === "retrieve" && !isNested) await this.#retrieve(null);
    }
  }

  async #retrieve(range: Range, happenings: readonly Happening[] = []): Promise<void> {
    const { day } = this.#view;
    const days = range === null ? null : { from: day + range.from, to: day + range.from + range.days };
    const before = this.#now;
    let isRival = false;
    const gate = new Gate<Happening>(happenings, async (happening, isNested) => {
      if (happening.what === "write") await this.#application.write(happening.write, this.#view);
      else if (!isNested && !this.#application.isWaiting) {
        isRival = true;
        await this.#runOnce({ confirmSooner: true });
      }
    });
    const environment = gate.around(await this.#environment());
    const answer = await askFor(environment, this.#lane.folder, days).catch((error: unknown) => error);
    await this.#application.settled();
    if (gate.met.size > 0) await this.#inspect();
    for (const { what } of gate.met) this.#count(`met while retrieving: ${what}`);
    if (!(answer instanceof Error))
      expectAnswer(answer as Answer, gate.met.size > 0 ? [before, this.#now] : [before], days);
    else if (!isRefusalExplained(answer, { hasRun: before.isRegistered, met: gate.met, isRival }))
      throw answer;
    this.#count(answer instanceof Error ? "refused" : "answered");
  }

  /**
   * Where are all rows? Those that the application committed and did not remove are in the table or in the archive (I2),
   * each once, unless a delete-only rule took them.
   */
  async #inspect(): Promise<void> {
    const sight = await look(this.#lane, this.#archive, this.#reading);
    const { rows } = this.#application;
    for (const line of rows.minus(sight.byCatalog)) {
      const row = rowOf(line);
      const mayGo = ruleOf(row, this.#terms) === "denied" && isDue(row, this.#terms, this.#asOf);
      assert(this.#runs > 0 && mayGo && this.#terms.prune !== "off", `I2: lost: ${line}`);
      rows.remove(line);
      this.#application.keysGone.add(row["id"]);
      this.#deleted += 1;
    }
    assert.deepEqual(
      sight.byCatalog.minus(rows),
      [],
      "I2: rows that nobody wrote, or that are in two places",
    );
    assert.deepEqual(sight.byJournal.minus(rows), [], "I2: the journal has rows that nobody wrote, or twice");
    assert.deepEqual(rows.minus(sight.byJournal), [], "I2: the journal lacks rows that the catalog has");
    assert.equal(sight.deleted, this.#deleted, "rows of delete-only rules are counted in the journal");
    const keys = new Set(sight.archived.map(({ id }) => id));
    for (const key of sight.tombstones) {
      const isGone = this.#application.keysGone.has(key) || keys.has(key);
      assert(isGone, `a tombstone of key ${key}, which nobody deleted or moved`);
    }
    this.#sight = sight;
  }

  async #environment(): Promise<Environment<unknown>> {
    return await this.#lane.environment(this.#terms, this.#kind, {
      archive: this.#archive,
      random: this.#random,
    });
  }

  get #now(): Sight {
    assert(this.#sight !== undefined);
    return this.#sight;
  }

  get #view(): View {
    return { ...this.#now, day: lastDueDay(this.#terms, this.#asOf) };
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}

const policiesOf = ({ events }: Sight): number => events.filter(({ type }) => type === "policy").length;

const isPolicyRefused = (error: unknown): boolean =>
  error instanceof FirnlineErrors && error.errors.every(({ code }) => code === "E_POLICY");

/** I6: a run whose lease was taken over changes nothing any more. */
function expectSameArchive(left: Sight, now: Sight): void {
  assert.deepEqual(now.hot, left.hot, "I6: a stale run changed the table");
  assert.deepEqual(now.events, left.events, "I6: a stale run wrote to the journal");
}
