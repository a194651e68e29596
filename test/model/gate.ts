/**
 * Ports with a gate before and after each call, where a history makes things happen: the process dies, a call fails or
 * its answer is lost, the application writes, somebody retrieves, another run takes over. Between two gates the real
 * code of the stages runs undisturbed, so that a history of gates is every interleaving that a single process can have.
 */
import type { Environment } from "../../src/environment.ts";
import { FirnlineError } from "../../src/errors.ts";
import type { FailpointName } from "../../src/failpoint.ts";

type Ports = Pick<
  Environment<unknown>,
  "hot" | "leafDrop" | "presentRows" | "catalog" | "detaching" | "upkeep" | "archive"
>;
/** A method of a port, as `catalog.published`. */
export type Call = { [Port in keyof Ports]: `${Port}.${keyof Ports[Port] & string}` }[keyof Ports];

/** A call of a port, as `catalog.published before`, or a failpoint, as `failpoint prune.deleted`. */
export type Place = string;

/** Unlike any error of the product: nothing may handle it. */
export class Crash extends Error {
  constructor(place: Place) {
    super(`the process died at ${place}`);
  }
}

export interface Happening {
  readonly at: Place;
  /** At this passage of the place in a run, counted from 1, and at so many in all. */
  readonly hit: number;
  readonly times: number;
}

/** What to do there. `isNested`: within a transaction that deletes, so that whoever needs its locks must not be waited for. */
export type Act<H extends Happening> = (happening: H, isNested: boolean) => Promise<void>;

const DELETING: ReadonlySet<string> = new Set<Call>([
  "hot.prune",
  "hot.deleteOnly",
  "hot.readRange",
  "leafDrop.drop",
]);
/** The heartbeat calls it whenever it likes. */
const UNCOUNTED: ReadonlySet<string> = new Set<Call>(["catalog.renewLease"]);

export class Gate<H extends Happening> {
  readonly #happenings: readonly H[];
  readonly #act: Act<H>;
  readonly #passed = new Map<Place, number>();
  /** Happenings that came about. */
  readonly met = new Set<H>();
  #deleting = 0;
  #crash: Crash | undefined;

  constructor(happenings: readonly H[], act: Act<H>) {
    this.#happenings = happenings;
    this.#act = act;
  }

  get crash(): Crash | undefined {
    return this.#crash;
  }

  /** From now on the process does nothing any more. */
  die(place: Place): Crash {
    this.#crash ??= new Crash(place);
    return this.#crash;
  }

  /** The same environment, seen through the gate. */
  around<Tx>(environment: Environment<Tx>): Environment<Tx> {
    const { hot, leafDrop, presentRows, catalog, detaching, upkeep, restores, archive } = environment;
    return {
      ...environment,
      hot: this.#watch("hot", hot),
      leafDrop: this.#watch("leafDrop", leafDrop),
      presentRows: this.#watch("presentRows", presentRows),
      catalog: this.#watch("catalog", catalog),
      detaching: this.#watch("detaching", detaching),
      upkeep: this.#watch("upkeep", upkeep),
      restores: this.#watch("restores", restores),
      archive: this.#watch("archive", archive),
      failpoint: (name) => this.#failpoint(name),
    };
  }

  #failpoint(name: FailpointName): void {
    const place = `failpoint ${name}`;
    // No awaiting here: a failpoint can only be a place to die at.
    if (this.#due(place).length > 0) throw this.die(place);
  }

  async #reach(place: Place): Promise<void> {
    if (this.#crash !== undefined) throw this.#crash;
    for (const happening of this.#due(place)) await this.#act(happening, this.#deleting > 0);
    if (this.#crash !== undefined) throw this.#crash;
  }

  #due(place: Place): H[] {
    const count = (this.#passed.get(place) ?? 0) + 1;
    this.#passed.set(place, count);
    const due = this.#happenings.filter(
      ({ at, hit, times }) => at === place && count >= hit && count < hit + times,
    );
    for (const happening of due) this.met.add(happening);
    return due;
  }

  #watch<P extends object>(name: string, port: P): P {
    return new Proxy(port, {
      get: (target, property) => {
        const member: unknown = Reflect.get(target, property, target);
        if (typeof member !== "function" || typeof property === "symbol") return member;
        const call = `${name}.${property}`;
        const invoke = (args: unknown[]): unknown => Reflect.apply(member, target, args);
        if (UNCOUNTED.has(call)) return (...args: unknown[]) => invoke(args);
        if (call === "archive.read" || call === "archive.list") {
          return (...args: unknown[]) => this.#stream(call, () => invoke(args) as AsyncIterable<unknown>);
        }
        return async (...args: unknown[]) => await this.#call(call, () => invoke(args));
      },
    });
  }

  async #call(call: string, invoke: () => unknown): Promise<unknown> {
    await this.#reach(`${call} before`);
    const depth = DELETING.has(call) ? 1 : 0;
    this.#deleting += depth;
    let result: unknown;
    try {
      result = await invoke();
    } finally {
      this.#deleting -= depth;
    }
    await this.#reach(`${call} after`);
    return result;
  }

  async *#stream(call: string, open: () => AsyncIterable<unknown>): AsyncGenerator<unknown, void, undefined> {
    await this.#reach(`${call} before`);
    yield* open();
    await this.#reach(`${call} after`);
  }
}

/** A failure that the adapters could report: before the call it did not happen, after it only the answer is lost. */
export function failureAt(place: Place, retryable: boolean): FirnlineError {
  return new FirnlineError({
    code: place.startsWith("archive") ? "E_ARCHIVE" : "E_DATABASE",
    subject: place,
    problem: "it failed, as the history wants it",
    hint: "Run again",
    retryable,
  });
}
