/**
 * Partitions are exported one after the other, and at the seam two at once: while the last rows of one are encoded, compressed
 * and uploaded, the next one's are on their way already. What that holds in memory is one row group more (I10).
 */
import type { StageGate } from "./attempts.ts";
import { Gate } from "./overlap.ts";

/** One whose last rows have come, and the next one. */
export const EXPORTS_MAX = 2;

export class ExportGate {
  readonly #stage: Pick<StageGate, "pass">;
  readonly #receiving = new Gate();

  /** `stage` lets in `EXPORTS_MAX`. */
  constructor(stage: Pick<StageGate, "pass">) {
    this.#stage = stage;
  }

  /** `work` says when its last row has come; the next one begins then. */
  async pass<T>(work: (onReceived: () => void) => Promise<T>): Promise<T> {
    return await this.#stage.pass(async () => {
      const leave = await this.#receiving.enter();
      try {
        return await work(leave);
      } finally {
        leave();
      }
    });
  }
}
