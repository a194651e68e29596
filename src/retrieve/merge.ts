/**
 * Merges hot rows and archived chunks into one sequence in (time, key) order. Sources are opened when their first day
 * is reached, so that a range of years holds few of them open.
 *
 * A row that comes from two places with the same content is given out once (a table restored from a backup holds rows
 * that are archived too). The same key with two contents is given out twice and counted: nothing is hidden (hazard 15).
 * Contents are compared in the answer's columns: a column that was added later is NULL in an archived row, so a row that
 * came back to the table since, with the column's default, is another content. Rows without a key are all given out:
 * two rows that look alike may be two rows.
 *
 * Rows go out in runs: as long as one source's rows come before all others', they are one run, found without a step of
 * their own. Runs are gathered until something must be awaited, so a row costs no promise.
 */
import type { RowRun } from "./indexed-rows.ts";
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
): AsyncGenerator<readonly RowRun[], void, undefined> {
  const waiting = [...sources].sort((left, right) => compareBigint(left.notBefore, right.notBefore));
  const active: RowCursor[] = [];
  const open = new Set<RowCursor>();
  // As soon as it is through: a range of years has thousands, and each has a chunk (I10).
  const close = async (cursor: RowCursor): Promise<void> => {
    open.delete(cursor);
    await cursor[Symbol.asyncDispose]();
  };
  let runs: RowRun[] = [];
  try {
    for (;;) {
      let first = smallest(active, null);
      while (waiting[0] !== undefined && (first === null || waiting[0].notBefore <= first.time())) {
        // What is ready goes out before anything is awaited.
        if (runs.length > 0) yield runs;
        runs = [];
        const opened = await (waiting.shift() as LazySource).open();
        for (const cursor of opened) open.add(cursor);
        for (const cursor of opened) {
          if (await cursor.load()) active.push(cursor);
          else await close(cursor);
        }
        first = smallest(active, null);
      }
      if (first === null) break;
      for (const cursor of takeRuns(first, active, waiting[0]?.notBefore ?? null, counts, runs)) {
        if (runs.length > 0) yield runs;
        runs = [];
        if (await cursor.load()) continue;
        active.splice(active.indexOf(cursor), 1);
        await close(cursor);
      }
    }
    if (runs.length > 0) yield runs;
  } finally {
    // Why it ended matters more than how the rest of it closes.
    await Promise.allSettled([...open].map(close));
  }
}

/** Takes runs from `first`, the smallest cursor, or from all that stand at its row. Returns the cursors that must be loaded. */
function takeRuns(
  first: RowCursor,
  active: readonly RowCursor[],
  notBefore: bigint | null,
  counts: MergeCounts,
  runs: RowRun[],
): RowCursor[] {
  const second = smallest(active, first);
  if (second === null || first.compare(second) < 0) {
    const to = first.runEnd(second, notBefore === null ? null : timeField(notBefore));
    runs.push({ origin: first.origin, rows: first.rows, from: first.row, to });
    return first.moveTo(to) ? [] : [first];
  }
  const ties = active.filter((cursor) => cursor === first || cursor.compare(first) === 0);
  const distinct: RowCursor[] = [];
  for (const cursor of ties) {
    if (cursor.hasKey && distinct.some((given) => given.sameContent(cursor))) counts.collapsed += 1n;
    else distinct.push(cursor);
  }
  if (first.hasKey && distinct.length > 1) counts.conflicting += BigInt(distinct.length);
  for (const { origin, rows, row } of distinct) runs.push({ origin, rows, from: row, to: row + 1 });
  return ties.filter((cursor) => !cursor.moveTo(cursor.row + 1));
}

/** The first of those that stand at the smallest row, `but` left out. */
function smallest(cursors: readonly RowCursor[], but: RowCursor | null): RowCursor | null {
  let first: RowCursor | null = null;
  for (const cursor of cursors) {
    if (cursor !== but && (first === null || cursor.compare(first) < 0)) first = cursor;
  }
  return first;
}

function timeField(time: bigint): DataView {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, time);
  return view;
}

const compareBigint = (left: bigint, right: bigint): number => (left < right ? -1 : left > right ? 1 : 0);
