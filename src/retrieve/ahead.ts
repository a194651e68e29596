/**
 * What is read before it is asked for, so that the store's answers and the work on rows take their time together. Each has a
 * bound, and nobody reads on when its reader has stopped.
 */
import type { LazySource } from "./merge.ts";
import type { RowCursor } from "./row-cursor.ts";

/** The same items; the next one is on its way from the start, and always one ahead of the reader. */
export function ahead<T>(items: AsyncIterable<T>): AsyncIterableIterator<T, void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  const start = (): Promise<IteratorResult<T>> => {
    const item = iterator.next();
    // Whoever takes it is told why it failed; until then nobody may be waiting.
    item.catch(() => {});
    return item;
  };
  let next = start();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const item = await next;
      if (item.done === true) return { done: true, value: undefined };
      next = start();
      return item;
    },
    async return() {
      // A generator ends what it is at before it closes.
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}

export interface AbortableSource extends Pick<LazySource, "notBefore"> {
  /** The signal ends what the source is waiting for. */
  open(signal: AbortSignal): Promise<readonly RowCursor[]>;
}

/** Sources of which the next few are opened together with the one that is due. */
export class OpenedAhead implements AsyncDisposable {
  /** In the order of what they have first, which is that of the merge. */
  readonly sources: readonly LazySource[];
  readonly #stop = new AbortController();
  /** Opened, and not taken by the merge yet. */
  readonly #opened = new Map<AbortableSource, Promise<readonly RowCursor[]>>();

  constructor(sources: readonly AbortableSource[], countMax: number, signal: AbortSignal) {
    const ordered = sources.toSorted((left, right) =>
      left.notBefore < right.notBefore ? -1 : left.notBefore > right.notBefore ? 1 : 0,
    );
    const either = AbortSignal.any([signal, this.#stop.signal]);
    let reached = 0;
    this.sources = ordered.map((source, index) => ({
      notBefore: source.notBefore,
      open: async () => {
        for (const last = index + countMax; reached <= last && reached < ordered.length; reached += 1) {
          this.#open(ordered[reached] as AbortableSource, either);
        }
        const cursors = await (this.#opened.get(source) as Promise<readonly RowCursor[]>);
        // From here on they are the merge's.
        this.#opened.delete(source);
        return cursors;
      },
    }));
  }

  /** Ends what is waited for: a restored copy may take days, and the answer has failed. */
  stop(): void {
    this.#stop.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    for (const opening of this.#opened.values()) {
      const cursors = await opening.catch(() => []);
      for (const cursor of cursors) await cursor[Symbol.asyncDispose]();
    }
    this.#opened.clear();
  }

  #open(source: AbortableSource, signal: AbortSignal): void {
    const opening = source.open(signal);
    opening.catch(() => {});
    this.#opened.set(source, opening);
  }
}
