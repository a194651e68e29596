/** Hot rows and archived chunks become one sequence: complete, in order, and nothing hidden (I8, hazard 15). */
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type LazySource, type MergeCounts, mergeRows } from "../../../src/retrieve/merge.ts";
import { IndexedRows, type RowRun } from "../../../src/retrieve/indexed-rows.ts";
import { RowCursor, type WantedRows } from "../../../src/retrieve/row-cursor.ts";
import type { Column, ValueKind } from "../../../src/rows/column.ts";
import { type RawRows, RawColumnWriter } from "../../../src/rows/copy-binary.ts";
import type { OrderColumns } from "../../../src/rows/row-order.ts";
import { rawRows } from "../../support/copy-stream.ts";
import { CursorByRow, mergeByRow } from "../../support/merge-by-row.ts";

/** Time and key decide the order; `content` is all that is left of a row. */
interface Row {
  readonly time: number;
  readonly key: number;
  readonly content: string | null;
}

const column = (name: string, kind: ValueKind): Column => ({
  name,
  attribute: name,
  attnum: 1,
  type: kind,
  select: "value",
  kind,
  precision: null,
  scale: null,
});
const ORDER: OrderColumns = {
  columns: [column("key", "int4"), column("time", "timestamptz"), column("content", "text")],
  timeColumn: 1,
  keyColumns: [0],
};

function chunkOf(rows: readonly Row[]): RawRows {
  const [keys, times, contents] = [new RawColumnWriter(), new RawColumnWriter(), new RawColumnWriter()];
  for (const { time, key, content } of rows) {
    const ofKey = keys.reserve(4);
    ofKey.view.setInt32(ofKey.at, key);
    const ofTime = times.reserve(8);
    ofTime.view.setBigInt64(ofTime.at, BigInt(time));
    if (content === null) contents.null();
    else contents.field(new TextEncoder().encode(content));
  }
  return { rows: rows.length, columns: [keys.take(), times.take(), contents.take()] };
}

function rowOf(rows: IndexedRows, row: number): Row {
  const [key, time] = [rows.field(0, row), rows.field(1, row)];
  return {
    time: Number(new DataView(time.buffer, time.byteOffset, 8).getBigInt64(0)),
    key: new DataView(key.buffer, key.byteOffset, 4).getInt32(0),
    content: rows.isNull(2, row) ? null : new TextDecoder().decode(rows.field(2, row)),
  };
}

const rowsOf = ({ rows, from, to }: RowRun): Row[] =>
  Array.from({ length: to - from }, (_, at) => rowOf(rows, from + at));

const byPlace = (left: Row, right: Row): number => left.time - right.time || left.key - right.key;

/** What happened to the sources, in order: `open hot`, `close hot`. */
class Log {
  readonly lines: string[] = [];
  count(what: string): number {
    return this.lines.filter((line) => line.startsWith(what)).length;
  }
}

/** Chunks of one to three rows, and an empty one in between. */
async function* chunksOf(rows: readonly Row[], name: string, log: Log): AsyncGenerator<RawRows> {
  log.lines.push(`open ${name}`);
  try {
    for (let at = 0, size = 1; at < rows.length; at += size, size = (size % 3) + 1) {
      yield chunkOf(rows.slice(at, at + size));
      yield chunkOf([]);
    }
  } finally {
    log.lines.push(`close ${name}`);
  }
}

/** Chunks of these sizes, again and again; of two rows where all of them are empty. */
async function* inChunks(rows: readonly Row[], sizes: readonly number[]): AsyncGenerator<RawRows> {
  const usable = sizes.some((size) => size > 0) ? sizes : [2];
  for (let at = 0, turn = 0; at < rows.length; turn += 1) {
    const size = usable[turn % usable.length] as number;
    yield chunkOf(rows.slice(at, at + size));
    at += size;
  }
}

function sourceOf(
  name: string,
  notBefore: number,
  rows: readonly Row[],
  log = new Log(),
  order = ORDER,
): LazySource {
  return {
    notBefore: BigInt(notBefore),
    open: async () => [new RowCursor(name, order, chunksOf(rows.toSorted(byPlace), name, log))],
  };
}

async function merged(sources: readonly LazySource[]): Promise<{ rows: Row[]; counts: MergeCounts }> {
  const counts: MergeCounts = { collapsed: 0n, conflicting: 0n };
  const rows: Row[] = [];
  for await (const runs of mergeRows(sources, counts)) rows.push(...runs.flatMap(rowsOf));
  return { rows, counts };
}

const row = (time: number, key: number, content: string | null = "x"): Row => ({ time, key, content });

describe("a merge", () => {
  it("of nothing is nothing", async () => {
    expect((await merged([])).rows).toEqual([]);
    expect((await merged([sourceOf("hot", 0, []), sourceOf("s1", 5, [])])).rows).toEqual([]);
  });

  it("is in order of time, then of key, negative ones first", async () => {
    const { rows } = await merged([
      sourceOf("hot", -9, [row(2, 1), row(-3, 5), row(2, -1)]),
      sourceOf("s1", -9, [row(-3, -7), row(0, 0), row(2, 0)]),
    ]);
    expect(rows).toEqual([row(-3, -7), row(-3, 5), row(0, 0), row(2, -1), row(2, 0), row(2, 1)]);
  });

  it("gives a row once that comes from two places, and counts it", async () => {
    const { rows, counts } = await merged([
      sourceOf("hot", 0, [row(1, 1), row(2, 2)]),
      sourceOf("s1", 0, [row(1, 1), row(3, 3)]),
      sourceOf("s2", 0, [row(1, 1)]),
    ]);
    expect(rows).toEqual([row(1, 1), row(2, 2), row(3, 3)]);
    expect(counts).toEqual({ collapsed: 2n, conflicting: 0n });
  });

  it("gives a key with two contents twice, and counts both: nothing is hidden (hazard 15)", async () => {
    const { rows, counts } = await merged([
      sourceOf("hot", 0, [row(1, 1, "new")]),
      sourceOf("s1", 0, [row(1, 1, "old")]),
      sourceOf("s2", 0, [row(1, 1, "old")]),
    ]);
    expect(rows.map(({ content }) => content).sort()).toEqual(["new", "old"]);
    expect(counts).toEqual({ collapsed: 1n, conflicting: 2n });
  });

  it("tells NULL from an empty text", async () => {
    const { rows, counts } = await merged([
      sourceOf("hot", 0, [row(1, 1, null)]),
      sourceOf("s1", 0, [row(1, 1, "")]),
    ]);
    expect(rows).toHaveLength(2);
    expect(counts).toEqual({ collapsed: 0n, conflicting: 2n });
  });

  it("of a table without a key gives every row: two that look alike may be two rows", async () => {
    const keyless = (name: string, rows: readonly Row[]): LazySource =>
      sourceOf(name, 0, rows, new Log(), { ...ORDER, keyColumns: [] });
    const { rows, counts } = await merged([
      keyless("hot", [row(1, 1), row(1, 1), row(2, 1, "new")]),
      keyless("s1", [row(1, 1), row(2, 1, "old"), row(3, 1)]),
      keyless("s2", [row(0, 9), row(2, 1, "old")]),
    ]);
    expect(rows.map(({ time, content }) => [time, content])).toEqual([
      [0, "x"],
      [1, "x"],
      [1, "x"],
      [1, "x"],
      [2, "new"],
      [2, "old"],
      [2, "old"],
      [3, "x"],
    ]);
    expect(counts).toEqual({ collapsed: 0n, conflicting: 0n });
  });

  it("says of each row where it came from", async () => {
    const counts = { collapsed: 0n, conflicting: 0n };
    const origins: string[] = [];
    const sources = [sourceOf("s1", 0, [row(1, 1)]), sourceOf("hot", 0, [row(2, 1)])];
    for await (const runs of mergeRows(sources, counts)) origins.push(...runs.map(({ origin }) => origin));
    expect(origins).toEqual(["s1", "hot"]);
  });
});

describe("sources", () => {
  it("are opened when their first day is reached, and closed when they end", async () => {
    const log = new Log();
    const days = [0, 10, 20, 30].map((start) =>
      sourceOf(`s${start}`, start, [row(start + 1, 1), row(start + 2, 1)], log),
    );
    const counts = { collapsed: 0n, conflicting: 0n };
    for await (const runs of mergeRows(days.toReversed(), counts)) {
      log.lines.push(...runs.flatMap(rowsOf).map(({ time }) => `row ${time}`));
      expect(log.count("open") - log.count("close")).toBe(1);
    }
    expect(log.lines.filter((line) => !line.startsWith("row"))).toEqual(
      [0, 10, 20, 30].flatMap((start) => [`open s${start}`, `close s${start}`]),
    );
  });

  it("are all closed when the reader stops early", async () => {
    const log = new Log();
    const sources = ["s1", "s2", "s3"].map((name, index) =>
      sourceOf(name, index === 2 ? 99 : 0, [row(1, index), row(2, index)], log),
    );
    for await (const _ of mergeRows(sources, { collapsed: 0n, conflicting: 0n })) break;
    expect(log.lines.toSorted()).toEqual(["close s1", "close s2", "open s1", "open s2"]);
  });

  it("that fail end the merge with their error, and the others are closed", async () => {
    const log = new Log();
    async function* failing(): AsyncGenerator<RawRows> {
      yield chunkOf([row(1, 7)]);
      throw new Error("the object is not the one that was sealed");
    }
    const sources = [
      sourceOf("s1", 0, [row(1, 1), row(2, 2), row(3, 3)], log),
      { notBefore: 0n, open: async () => [new RowCursor("s2", ORDER, failing())] },
    ];
    await expect(merged(sources)).rejects.toThrow("the object is not the one that was sealed");
    expect(log.lines).toEqual(["open s1", "close s1"]);
  });
});

describe("for any sources", () => {
  const rows = fc.uniqueArray(
    fc.record({
      time: fc.integer({ min: -4, max: 4 }),
      key: fc.integer({ min: -1, max: 1 }),
      content: fc.constantFrom("", "a", "b", null),
    }),
    // A key is unique within the table, and within a segment.
    { selector: ({ time, key }) => `${time} ${key}`, maxLength: 12 },
  );
  const sources = fc.array(fc.record({ rows, slack: fc.integer({ min: 0, max: 3 }) }), { maxLength: 6 });

  it("the merge is the sorted multiset, where same place and same content are one row", async () => {
    await fc.assert(
      fc.asyncProperty(sources, async (some) => {
        const log = new Log();
        const starts = some.map(
          ({ rows: own, slack }) => Math.min(5, ...own.map(({ time }) => time)) - slack,
        );
        const lazy = some.map(({ rows: own }, index) =>
          sourceOf(`s${index}`, starts[index] as number, own, log),
        );
        const counts: MergeCounts = { collapsed: 0n, conflicting: 0n };
        const found: Row[] = [];
        for await (const runs of mergeRows(lazy, counts)) {
          const given = runs.flatMap(rowsOf);
          found.push(...given);
          // Lazy: nothing is open whose first day has not come.
          const opened = starts.filter((_, index) => log.lines.includes(`open s${index}`));
          expect(Math.max(...opened)).toBeLessThanOrEqual(Math.max(...given.map(({ time }) => time)));
        }
        const all = some.flatMap(({ rows: own }) => own);
        const text = (one: Row): string => JSON.stringify([one.time, one.key, one.content]);
        const distinct = [...new Set(all.map(text))];
        expect(found.map(text).sort()).toEqual(distinct.toSorted());
        expect(found).toEqual(found.toSorted(byPlace));
        const places = Map.groupBy(
          distinct.map((one) => JSON.parse(one) as unknown[]),
          ([time, key]) => `${time} ${key}`,
        );
        const conflicting = [...places.values()].filter((group) => group.length > 1).flat().length;
        expect(counts).toEqual({
          collapsed: BigInt(all.length - distinct.length),
          conflicting: BigInt(conflicting),
        });
        expect(log.count("open")).toBe(log.count("close"));
      }),
      { numRuns: 300 },
    );
  });

  const chunks = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
  /** Rows as they lie in a source: in order, or, as a damaged one might be, in any. */
  const anySource = fc.record({ rows, chunks, inOrder: fc.boolean(), slack: fc.integer({ min: 0, max: 3 }) });

  it("the merge in runs is the merge row by row, whether a source has a key, and is in order, or not", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anySource, { maxLength: 6 }), fc.boolean(), async (some, hasKey) => {
        const order = hasKey ? ORDER : { ...ORDER, keyColumns: [] };
        const lazy = some.map(({ rows: own, chunks: sizes, inOrder, slack }, index) => {
          const sorted = inOrder ? own.toSorted(byPlace) : own;
          const notBefore = BigInt(Math.min(5, ...own.map(({ time }) => time)) - slack);
          return { name: `s${index}`, notBefore, chunks: () => inChunks(sorted, sizes) };
        });
        const byRow: (Row & { origin: string })[] = [];
        const [expected, counts] = [
          { collapsed: 0n, conflicting: 0n },
          { collapsed: 0n, conflicting: 0n },
        ];
        const oldSources = lazy.map(({ name, notBefore, chunks: open }) => ({
          notBefore,
          open: async () => [new CursorByRow(name, order, open())],
        }));
        for await (const cursor of mergeByRow(oldSources, expected)) {
          const fields = order.columns.map((_, at) => (cursor.isNull(at) ? null : cursor.field(at).slice()));
          byRow.push({ ...rowOf(new IndexedRows(rawRows(3, [fields])), 0), origin: cursor.origin });
        }
        const inRuns: (Row & { origin: string })[] = [];
        const sources_ = lazy.map(({ name, notBefore, chunks: open }) => ({
          notBefore,
          open: async () => [new RowCursor(name, order, open())],
        }));
        for await (const runs of mergeRows(sources_, counts)) {
          inRuns.push(...runs.flatMap((run) => rowsOf(run).map((one) => ({ ...one, origin: run.origin }))));
        }
        expect(inRuns).toEqual(byRow);
        expect(counts).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("only wanted rows are merged and counted, in runs of those that lie together", async () => {
    const isWanted = ({ content }: Row): boolean => content === "a" || content === null;
    await fc.assert(
      fc.asyncProperty(sources, async (some) => {
        const opened = (onlyWanted: boolean): LazySource[] =>
          some.map(({ rows: own }, index) => {
            const sorted = own.toSorted(byPlace);
            const kept = onlyWanted ? sorted : sorted.filter(isWanted);
            const open = async (): Promise<RowCursor[]> => [
              new RowCursor(`s${index}`, ORDER, inChunks(kept, [3]), onlyWanted ? wanted : undefined),
            ];
            return { notBefore: -9n, open };
          });
        const wanted: WantedRows = (chunk, from) => {
          let first = from;
          while (first < chunk.count && !isWanted(rowOf(chunk, first))) first += 1;
          let to = first;
          while (to < chunk.count && isWanted(rowOf(chunk, to))) to += 1;
          return first === to ? null : { from: first, to };
        };
        expect(await merged(opened(true))).toEqual(await merged(opened(false)));
      }),
    );
  });
});

describe("memory of a merge (I10)", () => {
  it("holds no chunk of a source that is through, however many there were", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const buffers: WeakRef<ArrayBufferLike>[] = [];
    const sources = Array.from({ length: 40 }, (_, time): LazySource => ({
      notBefore: BigInt(time),
      open: async () => {
        const chunk = chunkOf([{ time, key: 1, content: "x".repeat(1_000) }]);
        buffers.push(...chunk.columns.map(({ buffer }) => new WeakRef(buffer)));
        const chunks = (async function* () {
          yield chunk;
        })();
        return await Promise.resolve([new RowCursor(String(time), ORDER, chunks)]);
      },
    }));
    let seen = 0;
    for await (const runs of mergeRows(sources, { collapsed: 0n, conflicting: 0n })) {
      seen += runs.length;
      if (seen < 35) continue;
      // Looking at a WeakRef keeps it alive until the turn ends, so nothing is looked at before all is collected.
      for (let turn = 0; turn < 5; turn += 1) {
        await setImmediate();
        collect();
      }
      const alive = buffers.filter((buffer) => buffer.deref() !== undefined).length;
      expect(alive).toBeLessThan(20);
      return;
    }
    expect.unreachable();
  });
});
