/** A bucket's lifecycle rules in memory, for tests. */
import type { BucketRules, BucketRulesFound } from "../bucket-rules.ts";

export interface MemoryBucketRules extends BucketRules {
  /** How often rules were written. */
  readonly writes: number;
}

export interface MemoryBucketRulesOptions {
  readonly rules?: BucketRulesFound;
  /** What the bucket makes of rules that are written. */
  readonly store?: (written: BucketRulesFound) => BucketRulesFound;
  /** How many reads after a write still see the rules of before. */
  readonly staleReads?: number;
}

export function openMemoryBucketRules(options: MemoryBucketRulesOptions = {}): MemoryBucketRules {
  return new HeldRules(options);
}

class HeldRules implements MemoryBucketRules {
  readonly url = "s3://memory";
  writes = 0;
  readonly #options: MemoryBucketRulesOptions;
  #rules: BucketRulesFound | null;
  #before: BucketRulesFound | null;
  #stale = 0;

  constructor(options: MemoryBucketRulesOptions) {
    this.#options = options;
    this.#rules = options.rules ?? null;
    this.#before = this.#rules;
  }

  async read(): Promise<BucketRulesFound | null> {
    if (this.#stale === 0) return this.#rules;
    this.#stale -= 1;
    return this.#before;
  }

  async write(rules: BucketRulesFound): Promise<void> {
    const { staleReads = 0, store = (written) => written } = this.#options;
    this.writes += 1;
    this.#before = this.#rules;
    this.#stale = staleReads;
    this.#rules = store(rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
