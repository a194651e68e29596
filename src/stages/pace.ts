/**
 * The pace of a run: while others write to the same server, its stages take turns, and have a share of the time only, so
 * that their transactions find a core and a quiet log, and within a turn the server is never kept busy without a pause
 * (`Hot.giveWay`). Where nobody else writes, nothing waits.
 *
 * Others are counted, and not timed. How long the database takes to answer says as much about our own load as about theirs,
 * and a run that gives way to itself would be slow on a server with nobody to give way to.
 */
import { checkpoint, type Environment } from "../environment.ts";
import type { WriteCount } from "../hot/port.ts";
import { Gate } from "./overlap.ts";

/** How often others are looked for; what is between the first two looks holds up the first turn. */
const LOOK_MS = 500;
const FIRST_LOOK_MS = 250;
/** Who wrote a moment ago will write again. */
const BUSY_MS = 10_000;
/** The longest rest after one turn. */
const REST_MS_MAX = 60_000;

export interface Pace {
  /**
   * Has the database work, or the cores. While others write, turns come one after the other, each after a rest that the
   * one before has earned; so nothing that somebody may wait for, as a deleting transaction, may be open between two.
   * Throws what stops the run meanwhile. A turn within a turn would wait for itself.
   */
  turn<T>(work: () => Promise<T>): Promise<T>;
  /** The same items, each received in a turn. */
  each<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined>;
}

/** Looks for others until it is disposed of. `signal` ends rests. */
export function startPace<Tx>(
  { clock, hot, limits }: Pick<Environment<Tx>, "clock" | "hot" | "limits">,
  signal: AbortSignal,
): Pace & AsyncDisposable {
  const { paceShare, paceWrites } = limits;
  const gate = new Gate();
  const stop = new AbortController();
  const isAlways = paceShare < 1 && paceWrites === 0;
  let busyUntilMs = isAlways ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  let restUntilMs = Number.NEGATIVE_INFINITY;
  const isBusy = (): boolean => clock.monotonicMs() < busyUntilMs;
  let givesWay = false;
  const giveWay = (isNeeded: boolean): void => {
    if (isNeeded !== givesWay) hot.giveWay(isNeeded);
    givesWay = isNeeded;
  };
  if (isAlways) giveWay(true);

  const look = async (): Promise<{ readonly atMs: number; readonly writes: WriteCount } | null> => {
    // Out of reach, the database says so to the stages too.
    const writes = await hot.writes().catch(() => null);
    return writes === null ? null : { atMs: clock.monotonicMs(), writes };
  };
  const known = Promise.withResolvers<void>();
  const watch = async (): Promise<void> => {
    let before = await look();
    for (let waitMs = FIRST_LOOK_MS; !stop.signal.aborted; waitMs = LOOK_MS) {
      await clock.sleep(waitMs, stop.signal).catch(() => {});
      if (stop.signal.aborted) break;
      const found = await look();
      if (before !== null && found !== null && found.atMs > before.atMs) {
        const perSecond =
          (Number(writesOfOthers(before.writes, found.writes)) * 1_000) / (found.atMs - before.atMs);
        if (perSecond >= paceWrites) busyUntilMs = found.atMs + BUSY_MS;
      }
      before = found;
      giveWay(isBusy());
      known.resolve();
    }
    known.resolve();
  };
  const isWatched = paceShare < 1 && paceWrites > 0;
  if (!isWatched) known.resolve();
  const watching = isWatched ? watch() : Promise.resolve();

  const pacedTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    const restMs = restUntilMs - clock.monotonicMs();
    // An aborted rest rejects in the timer's own words; say it in ours.
    if (restMs > 0) await clock.sleep(restMs, signal).catch(() => {});
    checkpoint(signal);
    const startedMs = clock.monotonicMs();
    try {
      return await work();
    } finally {
      const endedMs = clock.monotonicMs();
      restUntilMs = endedMs + Math.min(REST_MS_MAX, (endedMs - startedMs) * (1 / paceShare - 1));
    }
  };
  const turn: Pace["turn"] = async (work) => {
    await known.promise;
    if (!isBusy()) return await work();
    return await gate.pass(async () => await pacedTurn(work));
  };
  return {
    turn,
    async *each(items) {
      const iterator = items[Symbol.asyncIterator]();
      try {
        for (;;) {
          const next = await turn(async () => await iterator.next());
          if (next.done === true) return;
          yield next.value;
        }
      } finally {
        await iterator.return?.();
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
      giveWay(false);
    },
  };
}

/** Encoding and decoding, each row group in a turn: on the database's own host they take cores from it. */
export function inTurns<Tx>(
  { decodeGroup, newEncoder }: Pick<Environment<Tx>, "decodeGroup" | "newEncoder">,
  pace: Pace,
): Pick<Environment<Tx>, "decodeGroup" | "newEncoder"> {
  return {
    decodeGroup: async (job) => await pace.turn(async () => await decodeGroup(job)),
    newEncoder: (...args) => {
      const encoder = newEncoder(...args);
      return {
        rowGroup: async (chunks) => await pace.turn(async () => await encoder.rowGroup(chunks)),
        finish: async () => await encoder.finish(),
      };
    },
  };
}

/** At least so many: all of our own that may have been counted are taken off, whether they wrote or not. */
export function writesOfOthers(before: WriteCount, after: WriteCount): bigint {
  const others = after.all - before.all - (after.begun - before.ended);
  return others > 0n ? others : 0n;
}
