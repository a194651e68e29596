/** The pace of a run beside others who write: who is counted, who waits, for how long, and that nobody does for nothing. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Clock, Limits } from "../../src/environment.ts";
import type { Hot, WriteCount } from "../../src/hot/port.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import { startPace, writesOfOthers } from "../../src/stages/pace.ts";

/** All promises that can go on by themselves have. */
const settled = async (): Promise<void> => await new Promise((resolve) => void setImmediate(resolve));

/** Time that goes on when it is told to, and wakes who sleeps on the way. */
class TestClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  now = (): EpochMs => this.#nowMs as EpochMs;
  monotonicMs = (): number => this.#nowMs;

  sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (signal?.aborted === true) throw signal.reason;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { atMs: this.#nowMs + ms, wake: resolve };
    this.#sleepers.add(sleeper);
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    await promise.finally(() => this.#sleepers.delete(sleeper));
  };

  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await settled();
      const [next] = [...this.#sleepers].sort((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
    }
    this.#nowMs = endMs;
    await settled();
  }
}

/** A server that others write to so often in a second. */
interface TestServer {
  perSecond: number;
  looks: number;
  isGivenWay: boolean;
  readonly hot: Pick<Hot<never>, "writes" | "giveWay">;
}

function serverOf(clock: Clock): TestServer {
  let [total, lastMs] = [0, 0];
  const server = {
    perSecond: 0,
    looks: 0,
    isGivenWay: false,
    hot: {
      giveWay: (isNeeded: boolean) => void (server.isGivenWay = isNeeded),
      writes: async (): Promise<WriteCount> => {
        server.looks += 1;
        total += ((clock.monotonicMs() - lastMs) * server.perSecond) / 1_000;
        lastMs = clock.monotonicMs();
        return await Promise.resolve({ all: BigInt(Math.floor(total)), begun: 0n, ended: 0n });
      },
    },
  };
  return server;
}

function paceOf(
  limits: Pick<Limits, "paceShare" | "paceWrites">,
  signal = new AbortController().signal,
): { clock: TestClock; server: ReturnType<typeof serverOf>; pace: ReturnType<typeof startPace> } {
  const clock = new TestClock();
  const server = serverOf(clock);
  const environment = { clock, hot: server.hot, limits } as unknown as Parameters<typeof startPace>[0];
  return { clock, server, pace: startPace(environment, signal) };
}

const ALWAYS = { paceShare: 0.25, paceWrites: 0 };

describe("a pace that is always kept", () => {
  it("rests after a turn for as long as the share says, and not after the last one", async () => {
    const { clock, pace } = paceOf(ALWAYS);
    const begun: number[] = [];
    const turn = async (ms: number): Promise<void> =>
      await pace.turn(async () => {
        begun.push(clock.monotonicMs());
        await clock.sleep(ms);
      });
    const both = turn(100).then(async () => await turn(20));
    await clock.advance(399);
    expect(begun).toEqual([0]);
    await clock.advance(1);
    expect(begun).toEqual([0, 400]);
    await clock.advance(20);
    await both;
    expect(clock.monotonicMs()).toBe(420);
  });

  it("counts what passes between two turns as rest", async () => {
    const { clock, pace } = paceOf(ALWAYS);
    const first = pace.turn(async () => await clock.sleep(10));
    await clock.advance(10);
    await first;
    await clock.advance(30);
    let hasBegun = false;
    const second = pace.turn(async () => void (hasBegun = await Promise.resolve(true)));
    await settled();
    expect(hasBegun).toBe(true);
    await second;
  });

  it("takes no more than its share, one stage at a time, whatever is asked for", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.array(fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 6 }), {
          minLength: 1,
          maxLength: 3,
        }),
        async (paceShare, stages) => {
          const { clock, pace } = paceOf({ paceShare, paceWrites: 0 });
          const turns: { readonly fromMs: number; readonly toMs: number }[] = [];
          const all = Promise.all(
            stages.map(async (lengths) => {
              for (const ms of lengths) {
                await pace.turn(async () => {
                  const fromMs = clock.monotonicMs();
                  await clock.sleep(ms);
                  turns.push({ fromMs, toMs: clock.monotonicMs() });
                });
              }
            }),
          );
          const worked = stages.flat().reduce((sum, ms) => sum + ms, 0);
          await clock.advance(Math.ceil(worked / paceShare) + 1);
          await all;
          expect(turns).toHaveLength(stages.flat().length);
          for (const [index, { fromMs }] of turns.entries()) {
            const last = turns[index - 1];
            if (last === undefined) continue;
            expect(fromMs - last.toMs).toBeGreaterThanOrEqual(
              (last.toMs - last.fromMs) * (1 / paceShare - 1) - 0.001,
            );
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("rests after a failure too, and lets the next one in", async () => {
    const { clock, pace } = paceOf(ALWAYS);
    const failing = pace.turn(async () => {
      await clock.sleep(10);
      throw new Error("broken");
    });
    const next = pace.turn(async () => await Promise.resolve(clock.monotonicMs()));
    failing.catch(() => {}); // it is looked at below
    await clock.advance(40);
    await expect(failing).rejects.toThrow("broken");
    expect(await next).toBe(40);
  });

  it("stops in the middle of a rest when the run has to, and begins nothing more", async () => {
    const stop = new AbortController();
    const { clock, pace } = paceOf(ALWAYS, stop.signal);
    const first = pace.turn(async () => await clock.sleep(1_000));
    await clock.advance(1_000);
    await first;
    let hasBegun = false;
    const next = pace.turn(async () => void (hasBegun = await Promise.resolve(true)));
    await settled();
    stop.abort();
    await expect(next).rejects.toMatchObject({ code: "E_INTERRUPTED" });
    expect(hasBegun).toBe(false);
  });

  it("never looks at the server, and gives way to it until it is over", async () => {
    const { clock, server, pace } = paceOf(ALWAYS);
    expect(server.isGivenWay).toBe(true);
    await clock.advance(10_000);
    await pace[Symbol.asyncDispose]();
    expect(server.looks).toBe(0);
    expect(server.isGivenWay).toBe(false);
  });
});

describe("a pace that is kept while others write", () => {
  const LIMITS = { paceShare: 0.25, paceWrites: 10 };

  /** How long two turns of 10 ms take, one after the other, beside each other or with a rest. */
  async function twoTurns({ clock, pace }: ReturnType<typeof paceOf>, withinMs = 100): Promise<number> {
    const fromMs = clock.monotonicMs();
    let toMs = Number.NaN;
    const both = Promise.all(
      [1, 2].map(async () => {
        await pace.turn(async () => await clock.sleep(10));
        toMs = clock.monotonicMs();
      }),
    );
    await clock.advance(withinMs);
    await both;
    return toMs - fromMs;
  }
  const FREE = 10;
  const PACED = 50;

  it("lets everything go on at once where nobody else writes", async () => {
    const one = paceOf(LIMITS);
    await one.clock.advance(5_000);
    expect(await twoTurns(one)).toBe(FREE);
    expect(one.server.looks).toBeGreaterThan(5);
  });

  it("begins when they do, with the next look", async () => {
    const one = paceOf(LIMITS);
    await one.clock.advance(2_000);
    one.server.perSecond = 10;
    await one.clock.advance(1_000);
    expect(await twoTurns(one)).toBe(PACED);
  });

  it("begins with the first turn, which waits for the second look", async () => {
    const one = paceOf(LIMITS);
    one.server.perSecond = 20;
    expect(await twoTurns(one, 400)).toBe(250 + PACED);
    expect(one.server.looks).toBe(2);
  });

  it("makes nobody wait who comes later", async () => {
    const one = paceOf(LIMITS);
    await one.clock.advance(250);
    expect(await twoTurns(one)).toBe(FREE);
  });

  it("gives way to the server while they write, and to nobody afterwards", async () => {
    const { clock, server, pace } = paceOf(LIMITS);
    await clock.advance(1_000);
    expect(server.isGivenWay).toBe(false);
    server.perSecond = 100;
    await clock.advance(1_000);
    expect(server.isGivenWay).toBe(true);
    server.perSecond = 0;
    await clock.advance(12_000);
    expect(server.isGivenWay).toBe(false);
    server.perSecond = 100;
    await clock.advance(1_000);
    await pace[Symbol.asyncDispose]();
    expect(server.isGivenWay).toBe(false);
  });

  it("leaves those alone who write less often", async () => {
    const one = paceOf(LIMITS);
    one.server.perSecond = 8;
    await one.clock.advance(5_000);
    expect(await twoTurns(one)).toBe(FREE);
  });

  it("goes on for a while after they stopped, and no longer", async () => {
    const one = paceOf(LIMITS);
    one.server.perSecond = 100;
    await one.clock.advance(2_000);
    one.server.perSecond = 0;
    await one.clock.advance(5_000);
    expect(await twoTurns(one)).toBe(PACED);
    await one.clock.advance(10_000);
    expect(await twoTurns(one)).toBe(FREE);
  });

  it("neither looks nor waits at 100 percent", async () => {
    const one = paceOf({ paceShare: 1, paceWrites: 0 });
    await one.clock.advance(2_000);
    expect(await twoTurns(one)).toBe(FREE);
    expect(one.server.looks).toBe(0);
  });

  it("keeps what it knows while the server cannot be asked, and says nothing", async () => {
    const one = paceOf(LIMITS);
    one.server.perSecond = 100;
    await one.clock.advance(2_000);
    one.server.hot.writes = async () => await Promise.reject(new Error("out of reach"));
    await one.clock.advance(2_000);
    expect(await twoTurns(one)).toBe(PACED);
    await one.clock.advance(10_000);
    expect(await twoTurns(one)).toBe(FREE);
  });

  it("looks no more once it is over", async () => {
    const { clock, server, pace } = paceOf(LIMITS);
    await clock.advance(2_000);
    await pace[Symbol.asyncDispose]();
    const { looks } = server;
    await clock.advance(5_000);
    expect(server.looks).toBe(looks);
  });
});

describe("items that are received in turns", () => {
  async function* items(said: string[]): AsyncGenerator<number, void, undefined> {
    try {
      for (let item = 1; item <= 3; item += 1) yield await Promise.resolve(item);
    } finally {
      said.push("closed");
    }
  }

  it("are the same, each in a turn", async () => {
    const { pace } = paceOf({ paceShare: 1, paceWrites: 0 });
    const said: string[] = [];
    expect(await Array.fromAsync(pace.each(items(said)))).toEqual([1, 2, 3]);
    expect(said).toEqual(["closed"]);
  });

  it("are closed by whoever stops early", async () => {
    const { pace } = paceOf({ paceShare: 1, paceWrites: 0 });
    const said: string[] = [];
    for await (const item of pace.each(items(said))) if (item === 2) break;
    expect(said).toEqual(["closed"]);
  });
});

describe("writes of others", () => {
  /**
   * A server that hands out ids as transactions write and knows the last one that ended, and a client that counts its own.
   * What is between two looks is in any order; the client hears later than the server does.
   */
  const step = fc.constantFrom("other", "begin", "write", "commit", "hear");

  it("are never more than there were, and all of them while we write nothing", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 30 }),
        fc.array(step, { maxLength: 60 }),
        (earlier, between) => {
          let [next, latest, others] = [1n, 0n, 0n];
          let [begun, ended] = [0n, 0n];
          const own: { id: bigint | null; isOver: boolean }[] = [];
          const go = (steps: readonly string[]): void => {
            for (const name of steps) {
              const open = own.find(({ isOver }) => !isOver);
              if (name === "other") [latest, next, others] = [next, next + 1n, others + 1n];
              else if (name === "begin") [begun] = [begun + 1n, own.push({ id: null, isOver: false })];
              else if (name === "write" && open !== undefined) open.id ??= next++;
              else if (name === "commit" && open !== undefined) {
                open.isOver = true;
                if (open.id !== null && open.id > latest) latest = open.id;
              } else if (name === "hear") {
                const heard = own.findIndex(({ isOver }) => isOver);
                if (heard >= 0) [ended] = [ended + 1n, own.splice(heard, 1)];
              }
            }
          };
          go(earlier);
          const before = { all: latest + 1n, begun, ended };
          const othersBefore = others;
          go(between);
          const counted = writesOfOthers(before, { all: latest + 1n, begun, ended });
          expect(counted).toBeLessThanOrEqual(others - othersBefore);
          const isQuiet = before.ended === before.begun && begun === before.begun;
          if (isQuiet) expect(counted).toBe(others - othersBefore);
        },
      ),
    );
  });
});
