/** What a format of answers is: bytes before the rows, for each row, and after them. */

/** The current row of a cursor: its fields are gone when the next row comes. */
export interface AnswerRow {
  /** True for NULL. */
  isNull(column: number): boolean;
  /** The bytes of a field that is not NULL, in COPY's binary form. */
  field(column: number): Uint8Array;
}

/** The next bytes of the file; a text stands for its UTF-8. */
export type Piece = string | Uint8Array;

/**
 * Writes one answer: `header`, then `row` for each row in order, then `end`, each awaited before the next call. An
 * answer of no rows is a valid file too. A writer holds a bounded number of rows (I10).
 */
export interface AnswerWriter {
  header(): Piece;
  /** What is ready after this row; empty while rows are gathered. */
  row(row: AnswerRow): Piece | Promise<Piece>;
  end(): Piece | Promise<Piece>;
}
