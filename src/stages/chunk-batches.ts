/** Which chunks a deleting transaction takes. */

export interface BatchLimits {
  /** Chunks in one transaction. */
  readonly pruneChunksMax: number;
  /** What a transaction should take at most, in milliseconds. */
  readonly pruneTargetMs: number;
}

/** In order, and those of a refused batch one by one before the others. Batches grow while they are quick. */
export class ChunkBatches {
  readonly #limits: BatchLimits;
  readonly #todo: readonly number[];
  #at = 0;
  #size = 1;
  #alone: number[] = [];

  constructor(todo: readonly number[], limits: BatchLimits) {
    this.#todo = todo;
    this.#limits = limits;
  }

  /** Null: all have been given out. */
  next(): readonly number[] | null {
    const alone = this.#alone.shift();
    if (alone !== undefined) return [alone];
    if (this.#at >= this.#todo.length) return null;
    const batch = this.#todo.slice(this.#at, this.#at + this.#size);
    this.#at += batch.length;
    return batch;
  }

  refused(batch: readonly number[]): void {
    this.#alone.push(...batch);
    this.#size = 1;
  }

  /** A batch's transaction took so long: larger ones next, or at once smaller ones, so that writers barely notice. */
  pruned(tookMs: number): void {
    const { pruneChunksMax, pruneTargetMs } = this.#limits;
    if (tookMs < pruneTargetMs / 2) this.#size = Math.min(this.#size * 2, pruneChunksMax);
    else if (tookMs > pruneTargetMs) this.#size = Math.max(1, Math.floor(this.#size / 2));
  }
}
