/**
 * Stages of several partitions at once: while one partition's rows are exported, the segment before it is sealed and those
 * before that are pruned. Partitions come to a stage in the order of the plan, and each goes through its stages one after
 * the other, so that the protocol's order within a segment stays what it is.
 */

/** Lets so many pieces of work in at a time, in the order in which they came. */
export class Gate {
  readonly #width: number;
  readonly #waiting: { readonly needs: number; readonly enter: () => void }[] = [];
  #inside = 0;

  constructor(width = 1) {
    this.#width = width;
  }

  readonly pass = async <T>(work: () => Promise<T>): Promise<T> => await this.#pass(1, work);

  /** Waits until nobody is inside, and keeps the others out. */
  readonly passAlone = async <T>(work: () => Promise<T>): Promise<T> => await this.#pass(this.#width, work);

  /** Resolves to the way out, which may be taken more than once. */
  async enter(needs = 1): Promise<() => void> {
    await new Promise<void>((enter) => {
      this.#waiting.push({ needs, enter });
      this.#letIn();
    });
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.#inside -= needs;
      this.#letIn();
    };
  }

  async #pass<T>(needs: number, work: () => Promise<T>): Promise<T> {
    const leave = await this.enter(needs);
    try {
      return await work();
    } finally {
      // The next one comes in whatever became of this one.
      leave();
    }
  }

  #letIn(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      // Whoever came later does not overtake: one that must be alone would wait for ever.
      if (this.#inside + next.needs > this.#width) return;
      this.#inside += next.needs;
      this.#waiting.shift();
      next.enter();
    }
  }
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
