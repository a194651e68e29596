/**
 * A cursor over chunks of raw rows in (time, key) order; the merge looks at its current row. All cursors of a merge have
 * the same columns, those of the answer (`united-columns.ts`).
 */
import { FirnlineError } from "../errors.ts";
import { type FieldIndex, indexFields, type RawRows } from "../rows/copy-binary.ts";
import type { Column } from "../rows/column.ts";
import { compareFields } from "../rows/key-range.ts";
import type { OrderColumns } from "../rows/row-order.ts";

export class RowCursor implements AsyncDisposable {
  /** Where the rows come from, for evidence: `hot`, or a segment's id. */
  readonly origin: string;
  readonly #order: OrderColumns;
  readonly #chunks: AsyncIterator<RawRows>;
  #rows: RawRows | null = null;
  #fields: FieldIndex[] = [];
  #row = 0;

  constructor(origin: string, order: OrderColumns, chunks: AsyncIterable<RawRows>) {
    this.origin = origin;
    this.#order = order;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Moves to the next row; false at the end. */
  async next(): Promise<boolean> {
    this.#row += 1;
    while (this.#rows === null || this.#row >= this.#rows.rows) {
      const result = await this.#chunks.next();
      if (result.done === true) return false;
      const rows = result.value;
      this.#rows = rows;
      this.#fields = rows.columns.map((column) => indexFields(column, rows.rows));
      this.#row = 0;
    }
    return true;
  }

  /** True for NULL. */
  isNull(column: number): boolean {
    return (this.#fields[column]?.lengths[this.#row] as number) < 0;
  }

  /** The bytes of a field that is not NULL; valid until the cursor moves. */
  field(column: number): Uint8Array {
    const fields = this.#fields[column] as FieldIndex;
    const start = fields.starts[this.#row] as number;
    return this.#raw(column).subarray(start, start + Math.max(0, fields.lengths[this.#row] as number));
  }

  /** The time column's value, in microseconds since 2000. */
  time(): bigint {
    const bytes = this.#raw(this.#order.timeColumn);
    const start = this.#fields[this.#order.timeColumn]?.starts[this.#row] as number;
    return new DataView(bytes.buffer, bytes.byteOffset + start, 8).getBigInt64(0);
  }

  /** Whether two rows of one key are the same row. Without a key there is nothing to tell it by. */
  get hasKey(): boolean {
    return this.#order.keyColumns.length > 0;
  }

  /** Order by (time, key). */
  compare(other: RowCursor): number {
    for (const column of [this.#order.timeColumn, ...this.#order.keyColumns]) {
      const { kind } = this.#order.columns[column] as Column;
      const difference = compareFields(kind, this.#place(column), other.#place(column));
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** Whether every field of the two current rows is the same, byte for byte. */
  sameContent(other: RowCursor): boolean {
    for (const column of this.#order.columns.keys()) {
      const [left, right] = [this.#place(column), other.#place(column)];
      if (left.length !== right.length) return false;
      for (let at = 0; at < left.length; at += 1) {
        if (left.bytes[left.start + at] !== right.bytes[right.start + at]) return false;
      }
    }
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }

  #raw(column: number): Uint8Array {
    const bytes = this.#rows?.columns[column];
    if (bytes !== undefined) return bytes;
    throw new FirnlineError({
      code: "E_INTERNAL",
      subject: this.origin,
      problem: `there is no column ${column} at the cursor`,
      hint: "Please report it with the output of --debug",
    });
  }

  #place(column: number): { bytes: Uint8Array; start: number; length: number } {
    const fields = this.#fields[column] as FieldIndex;
    return {
      bytes: this.#raw(column),
      start: fields.starts[this.#row] as number,
      length: fields.lengths[this.#row] as number,
    };
  }
}
