/**
 * What the application committed, and when that was sure. A retrieval looks at one moment between its start and its end,
 * and nobody knows which one: a row that was there all the while must be in the answer, in one of the states that it had
 * meanwhile; one that came or went meanwhile may be.
 */
import type { RowState } from "./rows.ts";

/** A state of a row, and when it was to be seen. Milliseconds of the shared clock; Infinity: not yet. */
interface Life extends RowState {
  /** The statement that made it was sent. */
  readonly begunMs: number;
  /** Its COMMIT was answered. */
  sureMs: number;
  /** The statement that ended it was sent, and answered. */
  endingMs: number;
  endedMs: number;
}

interface History {
  readonly lives: Life[];
  /** Whether the last life ended with a DELETE. */
  isDeleted: boolean;
}

export interface Range {
  /** Microseconds since 1970; `to` is out. */
  readonly from: bigint;
  readonly to: bigint;
}

/** Between two moments of the shared clock. */
export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}

export interface Difference {
  /** Ids of rows that must be in the answer and are not. */
  readonly lost: readonly number[];
  /** That are there twice. */
  readonly duplicated: readonly number[];
  /** That are there in a state which they did not have, or should not be there. */
  readonly altered: readonly number[];
}

export class Model {
  readonly #histories = new Map<number, History>();

  insertSent(state: RowState, atMs: number): void {
    this.#histories.set(state.id, { lives: [life(state, atMs)], isDeleted: false });
  }

  inserted(id: number, atMs: number): void {
    this.#last(id).sureMs = atMs;
  }

  updateSent(state: RowState, atMs: number): void {
    const history = this.#history(state.id);
    this.#last(state.id).endingMs = atMs;
    history.lives.push(life(state, atMs));
  }

  /** `isDone` is false where there was no such row in the table any more. */
  updated(id: number, isDone: boolean, atMs: number): void {
    const { lives } = this.#history(id);
    const [before, after] = lives.slice(-2) as [Life, Life];
    if (isDone) [before.endedMs, after.sureMs] = [atMs, atMs];
    else {
      lives.pop();
      before.endingMs = Number.POSITIVE_INFINITY;
    }
  }

  deleteSent(id: number, atMs: number): void {
    this.#last(id).endingMs = atMs;
    this.#history(id).isDeleted = true;
  }

  deleted(id: number, isDone: boolean, atMs: number): void {
    const last = this.#last(id);
    if (isDone) last.endedMs = atMs;
    else {
      last.endingMs = Number.POSITIVE_INFINITY;
      this.#history(id).isDeleted = false;
    }
  }

  /** Rows that are there now. */
  get size(): number {
    let size = 0;
    for (const { isDeleted } of this.#histories.values()) if (!isDeleted) size += 1;
    return size;
  }

  /** `answer` in any order. */
  compare(answer: Iterable<RowState>, range: Range, window: Window): Difference {
    const seen = new Map<number, RowState>();
    const duplicated: number[] = [];
    for (const row of answer) {
      if (seen.has(row.id)) duplicated.push(row.id);
      seen.set(row.id, row);
    }
    const lost: number[] = [];
    const altered: number[] = [];
    for (const [id, history] of this.#histories) {
      const states = history.lives.filter(
        ({ begunMs, endedMs }) => begunMs <= window.endMs && endedMs >= window.startMs,
      );
      const found = seen.get(id);
      if (found === undefined) {
        if (states.length > 0 && !mayLack(history, states, range, window)) lost.push(id);
        continue;
      }
      seen.delete(id);
      if (!states.some((one) => isIn(one, range) && isSame(one, found))) altered.push(id);
    }
    return { lost, duplicated, altered: [...altered, ...seen.keys()] };
  }

  #history(id: number): History {
    const history = this.#histories.get(id);
    if (history === undefined) throw new Error(`the model knows no row ${id}`);
    return history;
  }

  #last(id: number): Life {
    return this.#history(id).lives.at(-1) as Life;
  }
}

function life(state: RowState, atMs: number): Life {
  const never = Number.POSITIVE_INFINITY;
  return { ...state, begunMs: atMs, sureMs: never, endingMs: never, endedMs: never };
}

const isIn = ({ time }: RowState, { from, to }: Range): boolean => time >= from && time < to;
const isSame = (left: RowState, right: RowState): boolean =>
  left.version === right.version && left.time === right.time;

/** Whether there may have been a moment in the window at which the row was not in the range. */
function mayLack(
  { lives, isDeleted }: History,
  states: readonly Life[],
  range: Range,
  { startMs, endMs }: Window,
): boolean {
  const [first, last] = [lives[0] as Life, lives.at(-1) as Life];
  const isNew = first.sureMs > startMs;
  const isGone = isDeleted && last.endingMs <= endMs;
  return isNew || isGone || states.some((one) => !isIn(one, range));
}
