/** Lets many through at once, or one alone. */
export class Gate {
  #inside = 0;
  #alone: Promise<void> | null = null;
  #left: (() => void) | null = null;

  async through<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone !== null) await this.#alone;
    this.#inside += 1;
    try {
      return await work();
    } finally {
      this.#inside -= 1;
      if (this.#inside === 0) this.#left?.();
    }
  }

  async alone<T>(work: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#alone = promise;
    try {
      if (this.#inside > 0) await new Promise<void>((left) => void (this.#left = left));
      return await work();
    } finally {
      this.#left = null;
      this.#alone = null;
      resolve();
    }
  }
}
