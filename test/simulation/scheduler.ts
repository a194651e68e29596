/**
 * Processes whose every call to the outside waits for its turn. The scheduler takes one at a time, by its seed, when
 * nothing else moves; so a history is an interleaving of effects, and the same seed is the same one. Time is simulated: it
 * goes on a little with each call, and jumps when all that is left to do is to wait.
 */
import type { Chance } from "./chance.ts";

/** What a call does to the outside. */
export const CALLS = [
  "statement",
  "rows",
  "commit",
  "create",
  "look",
  "read",
  "list",
  "change",
  "delete",
] as const;
export type Call = (typeof CALLS)[number];

/**
 * What goes wrong at the `nth` call of a kind: the process dies before or after it takes effect, it is stopped for a while
 * before, it fails without effect, or takes effect and its answer is lost; or it takes effect only later, when the process
 * has been told that the connection broke, or has died (`dies`). What is stored may be damaged on the way.
 */
export type Fault = { readonly at: Call | "any"; readonly nth: number } & (
  | { readonly what: "crash"; readonly after: boolean }
  | { readonly what: "freeze"; readonly ms: number }
  | { readonly what: "fail" | "lose" }
  | { readonly what: "late"; readonly ms: number; readonly dies: boolean }
  | { readonly what: "damage" }
);

const CHANGING: ReadonlySet<Call> = new Set<Call>(["commit", "create", "change", "delete"]);

/** Nothing of the process may handle it, and nothing that it does after it has any effect. */
export class Crash extends Error {
  constructor() {
    super("the process died");
  }
}

export class Process {
  readonly name: string;
  readonly number: number;
  /** The run that it is, by the name that the catalog has. */
  readonly run: string | null;
  isDead = false;
  /** Simulated milliseconds until which it stands still. */
  frozenUntil = 0;
  /** Milliseconds that its own clock is off. */
  readonly clockMs: number;
  /** Whether the object that is being stored is damaged on the way. */
  isDamaging = false;
  readonly faults: Fault[];
  readonly met: Fault[] = [];
  readonly #passed = new Map<string, number>();

  constructor(options: {
    name: string;
    number: number;
    run?: string | null;
    clockMs?: number;
    faults?: readonly Fault[];
  }) {
    this.name = options.name;
    this.number = options.number;
    this.run = options.run ?? null;
    this.clockMs = options.clockMs ?? 0;
    this.faults = [...(options.faults ?? [])];
  }

  /** The fault that is due at this call, once. */
  passes(call: Call): Fault | undefined {
    for (const place of [call, "any"]) this.#passed.set(place, (this.#passed.get(place) ?? 0) + 1);
    const at = this.faults.findIndex((one) => this.#passed.get(one.at) === one.nth);
    const fault = at < 0 ? undefined : this.faults.splice(at, 1)[0];
    if (fault === undefined) return undefined;
    this.met.push(fault);
    // Only a COMMIT or a change of the store can take effect and lose its answer.
    if (CHANGING.has(call) || (fault.what !== "lose" && fault.what !== "late")) return fault;
    return { what: "fail", at: fault.at, nth: fault.nth };
  }
}

/** Brings what was sent and not answered. */
const NETWORK = new Process({ name: "network", number: 0 });

interface Waiting {
  readonly process: Process;
  readonly order: number;
  readonly isReady: () => boolean;
  /** When it goes on though it is not ready; `resolve(false)` then. */
  readonly until: number;
  resolve(isReady: boolean): void;
  reject(error: Error): void;
}

/** More turns than any history takes: something waits for ever. */
const TURNS_MAX = 60_000;
/** Work of this process that is neither done nor waiting for a turn: files of a retrieval's spool. */
const BUSY = new Set(["FSReqPromise", "FSReqCallback", "CloseReq"]);

export class Scheduler {
  /** Simulated milliseconds since 1970. */
  now: number;
  readonly chance: Chance;
  /** Calls of libraries that work in threads of their own, and have not come back. */
  busy = 0;
  turns = 0;
  /** Called when nothing moves, before the next turn. */
  onQuiet: () => void = () => {};
  onTime: () => void = () => {};
  #waiting: Waiting[] = [];
  #order = 0;

  constructor(now: number, chance: Chance) {
    this.now = now;
    this.chance = chance;
  }

  /** One call to the outside: `effect` happens at one instant, or not at all. `onLate`: it is still to come. */
  async call<T>(
    process: Process,
    call: Call,
    effect: () => T,
    failure: (isLost: boolean) => Error,
    onLate: () => void = () => {},
  ): Promise<T> {
    await this.turn(process);
    const fault = process.passes(call);
    if (fault?.what === "freeze") {
      process.frozenUntil = this.now + fault.ms;
      await this.turn(process);
    }
    if (fault?.what === "crash" && !fault.after) this.kill(process);
    if (process.isDead) throw new Crash();
    if (fault?.what === "fail") throw failure(false);
    if (fault?.what === "late") {
      onLate();
      void this.wait(NETWORK, () => false, this.now + fault.ms)
        .then(effect)
        .catch(() => {});
      if (fault.dies) this.kill(process);
      throw fault.dies ? new Crash() : failure(true);
    }
    process.isDamaging = fault?.what === "damage";
    const result = effect();
    process.isDamaging = false;
    if (fault?.what === "crash") {
      this.kill(process);
      throw new Crash();
    }
    if (fault?.what === "lose") throw failure(true);
    return result;
  }

  async turn(process: Process): Promise<void> {
    await this.wait(process, () => true, Number.POSITIVE_INFINITY);
  }

  /** Resolves at a turn after `isReady`, or with false at the instant `until`. */
  async wait(
    process: Process,
    isReady: () => boolean,
    until: number,
    signal?: AbortSignal,
  ): Promise<boolean> {
    if (process.isDead) throw new Crash();
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const waiting: Waiting = { process, order: (this.#order += 1), isReady, until, resolve, reject };
    this.#waiting.push(waiting);
    const onAbort = (): void => {
      this.#forget(waiting);
      reject(new Error("aborted"));
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async sleep(process: Process, ms: number, signal?: AbortSignal): Promise<void> {
    await this.wait(process, () => false, this.now + Math.max(0, ms), signal);
  }

  /** What it waits for never comes, and nothing that it does has an effect any more. */
  onKill: (process: Process) => void = () => {};
  kill(process: Process): void {
    if (process.isDead) return;
    process.isDead = true;
    this.onKill(process);
    for (const one of this.#waiting.filter((waiting) => waiting.process === process)) {
      this.#forget(one);
      one.reject(new Crash());
    }
  }

  /** Plays until `isDone`. */
  async play(isDone: () => boolean): Promise<void> {
    for (;;) {
      await this.#quiet();
      this.onQuiet();
      if (isDone()) return;
      this.turns += 1;
      if (this.turns > TURNS_MAX) throw new Error("stuck: more turns than a history may take");
      const running = this.#waiting.filter(({ process }) => process.frozenUntil <= this.now);
      const ready = running.filter((one) => one.until <= this.now || one.isReady());
      if (ready.length === 0) this.#jump();
      else this.#go(ready);
    }
  }

  /** Lets everything that is on its way arrive. */
  async drain(): Promise<void> {
    await this.play(() => this.#waiting.length === 0);
  }

  #go(ready: readonly Waiting[]): void {
    // By process and in order of arrival, which files of a spool cannot change.
    const sorted = ready.toSorted(
      (left, right) => left.process.number - right.process.number || left.order - right.order,
    );
    const next = sorted.length === 1 ? (sorted[0] as Waiting) : this.chance.pick(sorted);
    this.#forget(next);
    const slow = this.chance.below(200);
    this.now += slow === 0 ? 2_000 : slow < 20 ? 40 : 1;
    this.onTime();
    // A transaction that was thrown out meanwhile is no longer ready for anything.
    next.resolve(next.isReady());
  }

  #jump(): void {
    const instants = this.#waiting.flatMap(({ process, until, isReady }) =>
      process.frozenUntil > this.now
        ? [isReady() ? process.frozenUntil : Math.max(until, process.frozenUntil)]
        : [until],
    );
    const next = Math.min(...instants);
    if (!Number.isFinite(next)) throw new Error("stuck: everybody waits, and nobody will come");
    this.now = Math.max(this.now, next);
    this.onTime();
  }

  #forget(waiting: Waiting): void {
    this.#waiting = this.#waiting.filter((one) => one !== waiting);
  }

  /** Waits until all that can go on by itself has. */
  async #quiet(): Promise<void> {
    do await new Promise((resolve) => void setImmediate(resolve));
    while (this.busy > 0 || process.getActiveResourcesInfo().some((one) => BUSY.has(one)));
  }
}
