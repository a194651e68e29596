/**
 * Exported chunks, gathered to row groups. One group is gathered ahead of the one that is being encoded, so that Postgres
 * goes on sending meanwhile; that is all that is held (I10).
 */
import { invariant } from "../errors.ts";
import type { ExportedChunk } from "../hot/port.ts";
import type { Bound } from "../rows/key-range.ts";

export interface RowGroupLimits {
  readonly rowGroupRowsMax: number;
  readonly rowGroupBytesMax: number;
}

export interface GatheredChunk extends Pick<ExportedChunk, "rows" | "release"> {
  /** Where the next chunk begins; after the last one, where the range ends. */
  readonly to: Bound;
}

export class RowGroupQueue {
  readonly #chunks: AsyncIterator<ExportedChunk>;
  readonly #end: Bound;
  readonly #limits: RowGroupLimits;
  readonly #onReceived: () => void;
  /** The first chunk that is in no group yet: a chunk ends where the next one begins. */
  #following: Promise<IteratorResult<ExportedChunk>> | null = null;
  #group: Promise<GatheredChunk[] | null> | null = null;

  /** `onReceived` is called once the last chunk has come. */
  constructor(
    chunks: AsyncIterable<ExportedChunk>,
    end: Bound,
    limits: RowGroupLimits,
    onReceived: () => void = () => {},
  ) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#end = end;
    this.#limits = limits;
    this.#onReceived = onReceived;
  }

  /** Begins to gather the next group, and gives it without taking it; null at the end. */
  peek(): Promise<GatheredChunk[] | null> {
    if (this.#group === null) {
      this.#group = this.#gather();
      // Whoever takes it hears of it; a segment that fails meanwhile has an error of its own.
      this.#group.catch(() => {});
    }
    return this.#group;
  }

  async take(): Promise<GatheredChunk[]> {
    const group = await this.peek();
    invariant(group !== null, "export", "there is no row group left");
    this.#group = null;
    return group;
  }

  async close(): Promise<void> {
    // A generator that is still at work would not be ended by `return`, but wait for it.
    await this.#group?.catch(() => {});
    await this.#chunks.return?.();
  }

  async #gather(): Promise<GatheredChunk[] | null> {
    const { rowGroupBytesMax, rowGroupRowsMax } = this.#limits;
    const group: GatheredChunk[] = [];
    let rows = 0;
    let bytes = 0;
    let next = await this.#peekChunk();
    while (next !== null) {
      const size = next.rows.columns.reduce((sum, column) => sum + column.length, 0);
      const isFull = rows + next.rows.rows > rowGroupRowsMax || bytes + size > rowGroupBytesMax;
      if (group.length > 0 && isFull) break;
      this.#following = null;
      const following = await this.#peekChunk();
      const { rows: chunk, release } = next;
      group.push({ rows: chunk, release, to: following?.first ?? this.#end });
      rows += next.rows.rows;
      bytes += size;
      next = following;
    }
    return group.length === 0 ? null : group;
  }

  async #peekChunk(): Promise<ExportedChunk | null> {
    this.#following ??= this.#chunks.next();
    const result = await this.#following;
    if (result.done !== true) return result.value;
    this.#onReceived();
    return null;
  }
}
