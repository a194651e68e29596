/**
 * A cursor over chunks of raw rows in (time, key) order; the merge looks at its current row. All cursors of a merge have
 * the same columns, those of the answer (`united-columns.ts`). Rows that nobody asked for are passed over here, before
 * the merge: what it counts does not depend on which chunks of other rows had to be read.
 */
import type { RawRows } from "../rows/copy-binary.ts";
import type { OrderColumns } from "../rows/row-order.ts";
import { compareRows, compareTimes, IndexedRows, sameContent } from "./indexed-rows.ts";

/** The first row from `from` on that is wanted, and the end of the wanted rows that follow it; null at the chunk's end. */
export type WantedRows = (
  rows: IndexedRows,
  from: number,
) => { readonly from: number; readonly to: number } | null;

const everyRow: WantedRows = ({ count }, from) => (from < count ? { from, to: count } : null);

const NO_ROWS = new IndexedRows({ rows: 0, columns: [] });

export class RowCursor implements AsyncDisposable {
  /** Where the rows come from, for evidence: `hot`, or a segment's id. */
  readonly origin: string;
  readonly #order: OrderColumns;
  readonly #chunks: AsyncIterator<RawRows>;
  readonly #wanted: WantedRows;
  #rows: IndexedRows = NO_ROWS;
  #row = 0;
  #end = 0;

  constructor(
    origin: string,
    order: OrderColumns,
    chunks: AsyncIterable<RawRows>,
    wanted: WantedRows = everyRow,
  ) {
    this.origin = origin;
    this.#order = order;
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#wanted = wanted;
  }

  /** The chunk of the current row. */
  get rows(): IndexedRows {
    return this.#rows;
  }

  /** The current row's number in its chunk. */
  get row(): number {
    return this.#row;
  }

  /** The current row and those up to here are wanted and at hand; equal to `row` when `load` is due. */
  get end(): number {
    return this.#end;
  }

  /** Goes on at this row, which is at most `end`. False when what follows must be awaited with `load`. */
  moveTo(row: number): boolean {
    this.#row = row;
    return row < this.#end || this.#find(row);
  }

  /** Takes the next chunk that has a wanted row; false at the end. */
  async load(): Promise<boolean> {
    for (;;) {
      const result = await this.#chunks.next();
      if (result.done === true) {
        this.#clear();
        return false;
      }
      this.#rows = new IndexedRows(result.value);
      if (this.#find(0)) return true;
    }
  }

  /** The time column's value, in microseconds since 2000. */
  time(): bigint {
    const { view, starts } = this.#rows.column(this.#order.timeColumn);
    return view.getBigInt64(starts[this.#row] as number);
  }

  /** Whether two rows of one key are the same row. Without a key there is nothing to tell it by. */
  get hasKey(): boolean {
    return this.#order.keyColumns.length > 0;
  }

  /** Order by (time, key). */
  compare(other: RowCursor): number {
    return compareRows(this.#order, this.#rows, this.#row, other.#rows, other.#row);
  }

  /** Whether every field of the two current rows is the same, byte for byte. */
  sameContent(other: RowCursor): boolean {
    return sameContent(this.#rows, this.#row, other.#rows, other.#row);
  }

  /**
   * The end of the rows at hand that come before `other`'s current row and before `time` (8 bytes, big-endian, as in a
   * field); null stands for no bound. The current row is taken to be one of them. Row by row, so that nothing hangs on
   * the order of rows within a chunk.
   */
  runEnd(other: RowCursor | null, time: DataView | null): number {
    if (other === null && time === null) return this.#end;
    const { view, starts } = this.#rows.column(this.#order.timeColumn);
    let to = this.#row + 1;
    for (; to < this.#end; to += 1) {
      if (time !== null && compareTimes(view, starts[to] as number, time, 0) >= 0) break;
      if (other !== null && compareRows(this.#order, this.#rows, to, other.#rows, other.#row) >= 0) break;
    }
    return to;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clear();
    await this.#chunks.return?.();
  }

  /** Lets go of the last chunk: whoever holds on to a cursor holds no rows. */
  #clear(): void {
    this.#rows = NO_ROWS;
    this.#row = this.#end = 0;
  }

  #find(from: number): boolean {
    const found = this.#wanted(this.#rows, from);
    if (found === null) return false;
    this.#row = found.from;
    this.#end = found.to;
    return true;
  }
}
