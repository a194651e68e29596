/**
 * Stages of several partitions at once: while one partition's rows are exported, the segment before it is sealed and the one
 * before that is pruned. Each stage has one partition at a time, in the order of the plan, and a partition goes through its
 * stages one after the other, so that the protocol's order within a segment stays what it is.
 */

/** Lets one piece of work in at a time, in the order in which they came. */
export class Gate {
  #last: Promise<unknown> = Promise.resolve();

  readonly pass = async <T>(work: () => Promise<T>): Promise<T> => {
    const result = this.#last.then(work);
    // The next one comes in whatever became of this one.
    this.#last = result.catch(() => {});
    return await result;
  };
}

/** A bounded number of pieces of work, begun in order. */
export class Overlap {
  readonly #max: number;
  readonly #underWay = new Set<Promise<void>>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Waits for room, then begins `work`; resolves when it has begun. `work` never rejects: it keeps its failures. */
  async begin(work: () => Promise<void>): Promise<void> {
    while (this.#underWay.size >= this.#max) await Promise.race(this.#underWay);
    const done = work().finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}
