/** One at a time a key, within this process; between processes the lease of a run keeps writers apart. */
export class KeyLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` after everything that was asked for this key before. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const { promise: tail, resolve: release } = Promise.withResolvers<void>();
    const before = this.#tails.get(key);
    this.#tails.set(key, tail);
    try {
      await before;
      return await work();
    } finally {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
