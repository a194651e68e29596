/**
 * The cells of one column of one row group, on their way from COPY layout to pages: levels for all rows, and the values
 * that are there, densely. Buffers are the encoder's own and are used again for the next column.
 *
 * A value of a fixed width is `width / 4` words of 32 bits, which are the bytes that PLAIN wants on a little-endian
 * machine. A value of another length stays where it is in its chunk: `starts` and `lengths` point into `source`.
 */
import { endianness } from "node:os";
import { FirnlineError, invariant } from "../../errors.ts";
import { toHex } from "../../rows/hex.ts";
import type { FieldException } from "../../segment/manifest.ts";

invariant(endianness() === "LE", "parquet", "words are bytes in the order of Parquet");

/** A chunk's part of the row group's cells. */
export interface ChunkCells {
  readonly rows: number;
  /** Of its first row, among the row group's. */
  readonly firstRow: number;
  /** Its values are `firstValue` to `endValue` of the row group's. */
  readonly firstValue: number;
  readonly endValue: number;
  /** The bytes that `starts` point into. */
  readonly source: Uint8Array;
}

export class ColumnCells {
  /** 1 where a row has a value, 0 where it is null. */
  levels = new Int32Array(0);
  words = new Int32Array(0);
  bytes = new Uint8Array(0);
  starts = new Int32Array(0);
  lengths = new Int32Array(0);
  /** Numbers of dictionary entries, one a value. */
  indexes = new Int32Array(0);

  /** Makes room for a row group of so many rows. */
  reserve(rows: number): void {
    if (rows <= this.levels.length) return;
    this.levels = new Int32Array(rows);
    this.words = new Int32Array(rows * 4);
    this.bytes = new Uint8Array(this.words.buffer);
    this.starts = new Int32Array(rows);
    this.lengths = new Int32Array(rows);
    this.indexes = new Int32Array(rows);
  }
}

/** The fields of a chunk that Parquet cannot hold, columns in order. */
export type ExceptionList = FieldException[];

/** A column that is infinity all the way down is one exception a chunk, not one a row (I10). */
export function addException(
  exceptions: ExceptionList,
  column: number,
  row: number,
  bytes: Uint8Array,
): void {
  const field = toHex(bytes);
  const last = exceptions.at(-1);
  if (last?.column === column && last.field === field && last.row + last.rows === row) last.rows += 1;
  else exceptions.push({ column, row, rows: 1, field });
}

/** One column of one chunk, to be taken apart. */
export interface RawCells {
  /** The column's index. */
  readonly column: number;
  readonly raw: Uint8Array;
  readonly view: DataView;
  readonly rows: number;
  readonly firstRow: number;
  readonly firstValue: number;
  readonly exceptions: ExceptionList;
}

/** The error for fields that do not end where the column does, as `indexFields` says it. */
export function brokenColumn({ raw, rows }: RawCells, row: number): FirnlineError {
  return new FirnlineError({
    code: "E_DATABASE",
    subject: "COPY stream",
    problem: `a raw column of ${rows} rows and ${raw.length} bytes is broken at row ${row}`,
    hint: "Nothing was deleted; run again, and report it if it comes back",
    op: "parquet.encode",
  });
}
