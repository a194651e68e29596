/**
 * Merges hot rows and archived chunks into one sequence in (time, key) order. Sources are opened when their first day
 * is reached, so that a range of years holds few of them open.
 *
 * A row that comes from two places with the same content is given out once (a table restored from a backup holds rows
 * that are archived too). The same key with two contents is given out twice and counted: nothing is hidden (hazard 15).
 * Contents are compared in the answer's columns: a column that was added later is NULL in an archived row, so a row that
 * came back to the table since, with the column's default, is another content. Rows without a key are all given out:
 * two rows that look alike may be two rows.
 */
import type { RowCursor } from "./row-cursor.ts";

export interface LazySource {
  /** No row of the source comes before this value of the time column. */
  readonly notBefore: bigint;
  /** Each is in order; what a packed segment holds may be in order only in parts. */
  open(): Promise<readonly RowCursor[]>;
}

export interface MergeCounts {
  /** Rows that came from more than one place, identical. */
  collapsed: bigint;
  /** Rows with the key of another row and other content. */
  conflicting: bigint;
}

export async function* mergeRows(
  sources: readonly LazySource[],
  counts: MergeCounts,
): AsyncGenerator<RowCursor, void, undefined> {
  const waiting = [...sources].sort((left, right) => compareBigint(left.notBefore, right.notBefore));
  const active: RowCursor[] = [];
  await using disposer = new AsyncDisposableStack();
  for (;;) {
    let first = smallest(active);
    while (waiting[0] !== undefined && (first === undefined || waiting[0].notBefore <= first.time())) {
      for (const opened of await (waiting.shift() as LazySource).open()) {
        const cursor = disposer.use(opened);
        if (await cursor.next()) active.push(cursor);
      }
      first = smallest(active);
    }
    if (first === undefined) return;
    const ties = active.filter((cursor) => cursor === first || cursor.compare(first) === 0);
    const distinct: RowCursor[] = [];
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

function smallest(cursors: readonly RowCursor[]): RowCursor | undefined {
  let first = cursors[0];
  for (const cursor of cursors) {
    if (first !== undefined && cursor !== first && cursor.compare(first) < 0) first = cursor;
  }
  return first;
}

const compareBigint = (left: bigint, right: bigint): number => (left < right ? -1 : left > right ? 1 : 0);
