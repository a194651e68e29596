/**
 * The merge row by row, as it was before runs: each row is looked at, and awaited, on its own. The merge in runs is held
 * against it, for any sources.
 */
import type { MergeCounts } from "../../src/retrieve/merge.ts";
import type { Column } from "../../src/rows/column.ts";
import { type FieldIndex, indexFields, type RawRows } from "../../src/rows/copy-binary.ts";
import { compareFields } from "../../src/rows/key-range.ts";
import type { OrderColumns } from "../../src/rows/row-order.ts";

export interface SourceByRow {
  readonly notBefore: bigint;
  open(): Promise<readonly CursorByRow[]>;
}

export class CursorByRow implements AsyncDisposable {
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
  compare(other: CursorByRow): number {
    for (const column of [this.#order.timeColumn, ...this.#order.keyColumns]) {
      const { kind } = this.#order.columns[column] as Column;
      const difference = compareFields(kind, this.#place(column), other.#place(column));
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** Whether every field of the two current rows is the same, byte for byte. */
  sameContent(other: CursorByRow): boolean {
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
    if (bytes === undefined) throw new Error(`there is no column ${column} at the cursor`);
    return bytes;
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

export async function* mergeByRow(
  sources: readonly SourceByRow[],
  counts: MergeCounts,
): AsyncGenerator<CursorByRow, void, undefined> {
  const waiting = [...sources].sort((left, right) => compareBigint(left.notBefore, right.notBefore));
  const active: CursorByRow[] = [];
  await using disposer = new AsyncDisposableStack();
  for (;;) {
    let first = smallest(active);
    while (waiting[0] !== undefined && (first === undefined || waiting[0].notBefore <= first.time())) {
      for (const opened of await (waiting.shift() as SourceByRow).open()) {
        const cursor = disposer.use(opened);
        if (await cursor.next()) active.push(cursor);
      }
      first = smallest(active);
    }
    if (first === undefined) return;
    const ties = active.filter((cursor) => cursor === first || cursor.compare(first) === 0);
    const distinct: CursorByRow[] = [];
    for (const cursor of ties) {
      if (cursor.hasKey && distinct.some((given) => given.sameContent(cursor))) counts.collapsed += 1n;
      else distinct.push(cursor);
    }
    if (first.hasKey && distinct.length > 1) counts.conflicting += BigInt(distinct.length);
    yield* distinct;
    for (const cursor of ties) {
      if (!(await cursor.next())) {
        active.splice(active.indexOf(cursor), 1);
        await cursor[Symbol.asyncDispose]();
      }
    }
  }
}

function smallest(cursors: readonly CursorByRow[]): CursorByRow | undefined {
  let first = cursors[0];
  for (const cursor of cursors) {
    if (first !== undefined && cursor !== first && cursor.compare(first) < 0) first = cursor;
  }
  return first;
}

const compareBigint = (left: bigint, right: bigint): number => (left < right ? -1 : left > right ? 1 : 0);
