/** Plays a story in a world of its own, and holds everything that happens against what Firnline promises. */
import { strict as assert } from "node:assert";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ErrorCode, FirnlineError, FirnlineErrors } from "../../src/errors.ts";
import { collectGarbage } from "../../src/repair/collect.ts";
import { rebuildCatalog } from "../../src/repair/rebuild.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import { retrieveRange } from "../../src/retrieve/retrieve-range.ts";
import { type DayUtc, type EpochMicros, formatDay } from "../../src/rows/day.ts";
import { runPipeline, type RunOptions, type RunSummary } from "../../src/stages/run-pipeline.ts";
import { isSooner, lastDueDay, policyOf, ruleOf, TABLE, type Terms, TERMS } from "../model/terms.ts";
import { Application, type View } from "./application.ts";
import type { State } from "./database.ts";
import { hotOf, Ledger, type MayGo, pipelineOf } from "./ledger.ts";
import { dayOfLine, lineOfAnswer, parseLine } from "./rows.ts";
import { Crash, type Fault, Process } from "./scheduler.ts";
import type { Actor, Range, Step, Story } from "./steps.ts";
import { EMPTY, World } from "./world.ts";

const HOUR_MS = 3_600_000;
const BEGINNING_MS = Date.UTC(2026, 2, 1);
/** Runs until everything is at rest. */
const RUNS_MAX = 8;

/** What a process was told: its policy, and the instant that ages are counted from. */
interface Role {
  readonly terms: Terms;
  readonly asOfMs: number;
}

export type Seen = ReadonlyMap<string, number>;

interface Outcome {
  readonly actor: Actor["who"];
  readonly met: readonly Fault[];
  readonly error: unknown;
  readonly summary: RunSummary | undefined;
  /** Of a run that is to be refused. */
  readonly isUnconfirmed: boolean;
}

export class History {
  readonly seen = new Map<string, number>();
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #application: Application;
  readonly #folder: string;
  readonly #states: State[] = [];
  /** What each process was told. */
  readonly #roles = new Map<Process, Role>();
  /** What was applied, by the entry that holds it. */
  readonly #applied = new Map<string, Terms>();
  /** Numbers of processes that have ended, one way or another. */
  readonly #ended = new Set<number>();
  #now: Terms = TERMS.usual;
  #processes = 0;

  constructor(story: Story, folder: string) {
    this.#folder = folder;
    const ledger: Ledger = new Ledger({
      mayGo: (line, process) => this.#mayGo(line, process),
      store: () => this.#world.store.memory,
      now: () => this.#world.scheduler.now,
    });
    this.#ledger = ledger;
    this.#world = new World({
      seed: story.seed,
      now: BEGINNING_MS,
      sizes: story.sizes,
      witness: {
        created: (_, key, bytes, isDamaged) => ledger.created(key, bytes, isDamaged),
        removed: (_, object) => ledger.removed(this.#world.database.state, object),
      },
    });
    this.#world.database.onCommit = (commit) => ledger.committed(commit);
    this.#world.scheduler.onQuiet = () => {
      if (ledger.failure !== undefined) throw ledger.failure;
    };
    this.#application = new Application(() => this.#view);
  }

  async play({ rows, steps }: Story): Promise<void> {
    const writes = rows.map((write) => ({ after: 0, write }));
    await this.#act([{ who: "application", after: 0, writes, isOne: false }]);
    for (const step of steps) {
      await this.#take(step);
      this.#look();
    }
    await this.#settle();
    for (const { event } of this.#ledger.objects.journal) this.#count(`journal: ${event.type}`);
  }

  async #take(step: Step): Promise<void> {
    this.#count(step.step);
    const { database, scheduler } = this.#world;
    switch (step.step) {
      case "wait":
        scheduler.now += step.hours * HOUR_MS;
        return;
      case "terms":
        this.#now = TERMS[step.terms];
        return await this.#requireConfirmation();
      case "restore": {
        const state = this.#states.at(-1 - step.back) ?? this.#states[0];
        if (state === undefined || pipelineOf(state) === undefined) return;
        return await this.#replaceDatabase(state);
      }
      case "lose the catalog": {
        if (this.#ledger.objects.journal.length === 0) return;
        const lost = new Map(EMPTY).set(TABLE, database.state.get(TABLE) ?? new Map());
        return await this.#replaceDatabase(lost);
      }
      case "play":
        await this.#act(step.actors);
    }
  }

  /** I12: a policy that lets go of rows sooner than the last one did is refused until somebody confirms it. */
  async #requireConfirmation(): Promise<void> {
    const { database } = this.#world;
    const last = this.#ledger.policies(database.state).at(-1);
    const applied = last === undefined ? undefined : this.#applied.get(last);
    if (applied === undefined || !isSooner(applied, this.#now)) return;
    const before = database.state.get(TABLE);
    const [outcome] = await this.#act([{ ...RUN, isUnconfirmed: true }]);
    assert.equal(
      codeOf(outcome?.error),
      "E_POLICY",
      "I12: a policy that lets go sooner needs a confirmation",
    );
    assert.equal(database.state.get(TABLE), before, "I12: a run without a confirmation changed the table");
  }

  /**
   * What a person does who has restored a database, or lost the control schema: a rebuild, and a run that finds out the
   * rest. Until then everything is refused, and nothing moves.
   */
  async #replaceDatabase(state: State): Promise<void> {
    const { database } = this.#world;
    const ledger = this.#ledger;
    const isOlder = ledger.isOlder(state);
    const { mayBe } = ledger.begin(state, isOlder);
    database.restore(state);
    if (!isOlder) return ledger.settle(state, new Set());
    for (const actor of [RUN, RETRIEVE]) {
      const before = database.state.get(TABLE);
      const [outcome] = await this.#act([actor]);
      assert(outcome?.error !== undefined, `I8: with an older catalog, or none, a ${actor.who} went on`);
      assert.equal(database.state.get(TABLE), before, "I9: what was refused changed the table");
    }
    for (const actor of [{ who: "rebuild", after: 0, faults: [] } as const, RUN]) {
      const [outcome] = await this.#act([actor]);
      if (outcome?.error !== undefined) throw outcome.error;
    }
    ledger.settle(database.state, mayBe);
  }

  async #act(actors: readonly Actor[]): Promise<Outcome[]> {
    const { scheduler } = this.#world;
    const outcomes: Outcome[] = [];
    const hasRun = pipelineOf(this.#world.database.state) !== undefined;
    const works = actors.map(async (actor) => {
      this.#processes += 1;
      const run =
        actor.who === "application" || actor.who === "retrieve" ? null : `${actor.who}-${this.#processes}`;
      const process = new Process({
        name: actor.who,
        number: this.#processes,
        run,
        clockMs: actor.who === "run" ? actor.clock * HOUR_MS : 0,
        faults: "faults" in actor ? actor.faults : [],
      });
      this.#roles.set(process, { terms: this.#now, asOfMs: 0 });
      let error: unknown;
      let summary: RunSummary | undefined;
      try {
        for (let turn = 0; turn < actor.after; turn += 1) await scheduler.turn(process);
        summary = await this.#work(actor, process);
      } catch (reason) {
        error = reason;
      }
      this.#ended.add(process.number);
      const isUnconfirmed = actor.who === "run" && actor.isUnconfirmed === true;
      outcomes.push({ actor: actor.who, met: process.met, error, summary, isUnconfirmed });
    });
    await scheduler.play(() => outcomes.length === works.length);
    await scheduler.drain();
    for (const outcome of outcomes) this.#judge(outcome, outcomes, hasRun);
    for (const entry of this.#ledger.policies(this.#world.database.state))
      if (!this.#applied.has(entry)) this.#applied.set(entry, this.#now);
    return outcomes;
  }

  async #work(actor: Actor, process: Process): Promise<RunSummary | undefined> {
    const { database, scheduler } = this.#world;
    switch (actor.who) {
      case "application":
        await this.#application.act(database.session(process), scheduler, process, actor);
        return undefined;
      case "retrieve":
        await this.#retrieve(process, actor.range);
        return undefined;
      case "run":
        return await this.#run(process, actor);
      case "collect":
        await collectGarbage(this.#environment(process), { ...this.#lease(process), isDryRun: false });
        return undefined;
      case "rebuild":
        await rebuildCatalog(this.#environment(process), {
          ...this.#lease(process),
          adopts: false,
          isConfirmed: true,
        });
        return undefined;
    }
  }

  #environment(process: Process) {
    return this.#world.environment(process, policyFor(this.#roles.get(process)?.terms as Terms));
  }

  #lease(process: Process): Pick<RunOptions, "run" | "holder" | "isDead" | "signal"> {
    const { scheduler } = this.#world;
    return {
      run: process.run as string,
      holder: { host: "here", pid: process.number, space: "" },
      // A process that stands still is taken for dead, which must do no harm.
      isDead: ({ pid }) =>
        this.#ended.has(pid) ||
        [...this.#roles.keys()].some(
          ({ number, frozenUntil }) => number === pid && frozenUntil > scheduler.now,
        ),
      signal: new AbortController().signal,
    };
  }

  async #run(
    process: Process,
    { retryQuarantined, isUnconfirmed = false }: Extract<Actor, { who: "run" }>,
  ): Promise<RunSummary> {
    const environment = this.#environment(process);
    const asOfMs = environment.clock.now();
    this.#roles.set(process, { terms: this.#now, asOfMs });
    const options = {
      ...this.#lease(process),
      asOf: (BigInt(Math.trunc(asOfMs)) * 1000n) as EpochMicros,
      backfill: true,
      retryQuarantined,
      confirmSooner: !isUnconfirmed,
    };
    return await runPipeline(environment, options);
  }

  async #retrieve(process: Process, range: Range): Promise<void> {
    const { day } = this.#view;
    const from = range === null ? null : day + range.from;
    const to = from === null ? null : from + (range?.days ?? 0);
    const text = (days: number | null, otherwise: string): string =>
      days === null ? otherwise : formatDay(days as DayUtc);
    const out = join(this.#folder, `answer-${process.number}.ndjson`);
    const first = this.#ledger.versions.length - 1;
    const result = await retrieveRange(this.#environment(process), {
      request: parseRange(text(from, "0001-01-01"), text(to, "9999-12-31"), []),
      out,
      format: "ndjson",
      requestedBy: "the simulation",
      prices: null,
      terms: { allow: "any" },
      temporary: this.#folder,
      signal: new AbortController().signal,
    });
    const lines = (await readFile(out, "utf8")).split("\n").filter((line) => line !== "");
    for (const file of [out, result.evidence]) await rm(file);
    const found = lines.map(lineOfAnswer).sort();
    assert.equal(new Set(found).size, found.length, "I8: an answer has a row twice");
    const isIn = (line: string): boolean =>
      from === null || to === null || (dayOfLine(line) >= from && dayOfLine(line) <= to);
    const right = this.#ledger.versions
      .slice(first)
      .map((version) => [...new Set(version.filter(isIn))].sort());
    const isRight = right.some(
      (one) => one.length === found.length && one.every((line, at) => line === found[at]),
    );
    if (!isRight) assert.deepEqual(found, right.at(-1), "I8: an answer is exactly the rows of its range");
  }

  /** What may be thrown, and by whom. */
  #judge(
    { actor, error, met, summary, isUnconfirmed }: Outcome,
    all: readonly Outcome[],
    hasRun: boolean,
  ): void {
    this.#count(`${actor}: ${error === undefined ? (summary?.state ?? "done") : codeOf(error)}`);
    for (const { what } of met) this.#count(`${actor} met: ${what}`);
    if (error === undefined || error instanceof Crash || isUnconfirmed) return;
    if (!(error instanceof FirnlineError || error instanceof FirnlineErrors)) throw error;
    const hasRival = all.filter((one) => one.actor !== "application").length > 1;
    const codes = new Set<ErrorCode>(met.length > 0 ? ["E_DATABASE", "E_ARCHIVE"] : []);
    // A lock is waited for in vain where its holder stands still.
    if (all.some((one) => one.met.length > 0)) codes.add("E_DATABASE");
    if (hasRival) for (const code of ["E_LOCKED", "E_COLD"] as const) codes.add(code);
    // Only from one that stood still for long enough is a lease taken.
    const stoodStill = met.some(({ what }) => what === "freeze");
    if (hasRival && stoodStill) for (const code of ["E_STALE", "E_OWNER"] as const) codes.add(code);
    // Such an object is given up, by this run or by the next one.
    if (this.#ledger.damaged.size > 0) codes.add("E_VERIFY");
    if (this.#ledger.isForeign) for (const code of ["E_OWNER", "E_CATALOG"] as const) codes.add(code);
    if (actor === "retrieve" && !hasRun) codes.add("E_CATALOG");
    if (all.some((one) => one.actor === "application")) codes.add("E_SOURCE");
    if (!codes.has(codeOf(error) as ErrorCode)) throw error;
  }

  /** The end of every history: Firnline comes to rest, and everything that is due is where it belongs. */
  async #settle(): Promise<void> {
    await this.#rest();
    if (this.#now.prune === "off") {
      this.#now = TERMS.usual;
      await this.#rest();
    }
    const due = [...hotOf(this.#world.database.state)].filter((line) =>
      this.#isDue(line, this.#now, this.#world.scheduler.now),
    );
    assert.deepEqual(due, [], "progress: what is due has left the table");
    await this.#calm(RETRIEVE);
  }

  async #rest(): Promise<void> {
    let before: RunSummary | undefined;
    for (let runs = 1; ; runs += 1) {
      assert(runs <= RUNS_MAX, "progress: a bounded number of runs comes to rest");
      const summary = await this.#calm({ ...RUN, retryQuarantined: true });
      const steps = summary?.plan.steps ?? [];
      if (before?.state === "done") assert.deepEqual(steps, [], "I7: a second run moves nothing");
      if (summary !== undefined && steps.length === 0) return;
      before = summary;
    }
  }

  /** One process alone, with which nothing goes wrong. */
  async #calm(actor: Actor): Promise<RunSummary | undefined> {
    const [outcome] = await this.#act([actor]);
    const isGivenUp = this.#ledger.damaged.size > 0 && codeOf(outcome?.error) === "E_VERIFY";
    if (outcome?.error !== undefined && !isGivenUp) throw outcome.error;
    this.#look();
    return outcome?.summary;
  }

  #look(): void {
    const { state } = this.#world.database;
    this.#states.push(state);
    this.#ledger.guard(() => this.#ledger.inspect(state));
    this.#ledger.inspectJournal(state);
    if (this.#ledger.failure !== undefined) throw this.#ledger.failure;
  }

  /** What the process' policy says of the row, at the instant that it counts ages from. */
  #mayGo(line: string, process: Process): ReturnType<MayGo> {
    const role = this.#roles.get(process);
    if (process.run === null || role === undefined || role.terms.prune === "off") return "stay";
    if (!this.#isDue(line, role.terms, role.asOfMs)) return "stay";
    return ruleOf({ action: parseLine(line).action }, role.terms) === "denied" ? "deleted" : "archived";
  }

  #isDue(line: string, terms: Terms, nowMs: number): boolean {
    const rule = ruleOf({ action: parseLine(line).action }, terms);
    const days =
      rule === "denied" ? terms.denied : rule === "billing" ? (terms.billing ?? terms.hot) : terms.hot;
    return (dayOfLine(line) + 1 + days) * 24 * HOUR_MS <= nowMs;
  }

  get #view(): View {
    const { state } = this.#world.database;
    const byTime = (lines: Iterable<string>): string[] =>
      [...lines].sort((left, right) => {
        const [a, b] = [parseLine(left), parseLine(right)];
        return a.ts === b.ts ? Number(a.id) - Number(b.id) : a.ts < b.ts ? -1 : 1;
      });
    return {
      day: lastDueDay(this.#now, Math.floor(this.#world.scheduler.now / HOUR_MS)),
      hot: byTime(hotOf(state)),
      archived: byTime(this.#ledger.archived(state)),
    };
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}

const RUN = { who: "run", after: 0, faults: [], clock: 0, retryQuarantined: false } as const satisfies Actor;
const RETRIEVE = { who: "retrieve", after: 0, faults: [], range: null } as const satisfies Actor;

/** Reading one takes longer than a run of it. */
const policies = new Map<Terms, Policy>();
function policyFor(terms: Terms): Policy {
  const known = policies.get(terms) ?? policyOf(terms, false);
  policies.set(terms, known);
  return known;
}

function codeOf(error: unknown): string {
  if (error === undefined) return "";
  if (error instanceof FirnlineErrors) return error.errors[0]?.code ?? "E_?";
  return error instanceof FirnlineError ? error.code : (error as Error).constructor.name;
}
