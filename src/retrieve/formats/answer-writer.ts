/** What a format of answers is: bytes before the rows, for runs of rows, and after them. */
import type { IndexedRows } from "../indexed-rows.ts";

/** The next bytes of the file; a text stands for its UTF-8. */
export type Piece = string | Uint8Array;

/**
 * Writes one answer: `header`, then rows in order, then `end`, each awaited before the next call. An answer of no rows is a
 * valid file too. A writer holds a bounded number of rows (I10).
 */
export interface AnswerWriter {
  header(): Piece;
  /**
   * Takes rows from `from` on, up to `to` or until it is full, at least one. Returns the first row that it did not take.
   * What it needs of them is copied.
   */
  take(rows: IndexedRows, from: number, to: number): number;
  /** Whether `piece` must be asked for before the next rows. */
  readonly isFull: boolean;
  /**
   * What is ready of the rows taken so far; may be nothing while it is being made. The bytes are good until the next piece
   * was taken and rows are taken again: one piece may be on its way while the next is made.
   */
  piece(): Piece | Promise<Piece>;
  /** All that is left. */
  end(): Piece | Promise<Piece>;
}
