/** What is read before it is asked for: a bounded number, in order, and never behind the back of a reader who has stopped. */
import { describe, expect, it } from "vitest";

import { type AbortableSource, ahead, OpenedAhead } from "../../../src/retrieve/ahead.ts";
import { KeptManifests } from "../../../src/retrieve/kept-manifests.ts";
import { type LazySource, mergeRows } from "../../../src/retrieve/merge.ts";
import { RowCursor } from "../../../src/retrieve/row-cursor.ts";
import type { RawRows } from "../../../src/rows/copy-binary.ts";
import { rawRows } from "../../support/copy-stream.ts";
import { SealedArchive, sealSegment } from "../../support/sealed-segments.ts";
import { column, int8 } from "./value-fields.ts";

const ORDER = { columns: [column("ts", "timestamptz")], timeColumn: 0, keyColumns: [0] };
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
};

class Log {
  readonly lines: string[] = [];
  async *items(count: number, name = ""): AsyncGenerator<number> {
    try {
      for (let item = 0; item < count; item += 1) {
        this.lines.push(`${name}made ${item}`);
        yield item;
      }
    } finally {
      this.lines.push(`${name}closed`);
    }
  }
}

describe("a sequence", () => {
  it("is one item ahead of its reader, from the start", async () => {
    const log = new Log();
    const items = ahead(log.items(4));
    await turns();
    expect(log.lines).toEqual(["made 0"]);
    const found: number[] = [];
    for await (const item of items) {
      await turns();
      expect(log.lines.filter((line) => line.startsWith("made"))).toHaveLength(Math.min(4, item + 2));
      found.push(item);
    }
    expect(found).toEqual([0, 1, 2, 3]);
    expect(log.lines.at(-1)).toBe("closed");
  });

  it("is closed when its reader stops, with what was on its way", async () => {
    const log = new Log();
    for await (const _ of ahead(log.items(9))) break;
    expect(log.lines).toEqual(["made 0", "made 1", "closed"]);
  });

  it("fails where it failed, and not before", async () => {
    const failing = ahead(
      (async function* () {
        yield 1;
        throw new Error("no more");
      })(),
    );
    await turns();
    expect(await failing.next()).toEqual({ done: false, value: 1 });
    await turns();
    await expect(failing.next()).rejects.toThrow("no more");
    await expect(failing.next()).rejects.toThrow("no more");
  });
});

describe("sources", () => {
  const chunkOf = (time: number): RawRows => rawRows(1, [[int8(BigInt(time))]]);

  function sourcesOf(count: number, log: string[], failsAt = -1): AbortableSource[] {
    return Array.from({ length: count }, (_, at) => ({
      notBefore: BigInt(at * 10),
      open: async (signal: AbortSignal) => {
        log.push(`open ${at}`);
        signal.addEventListener("abort", () => log.push(`abort ${at}`));
        await turns();
        if (at === failsAt) throw new Error(`source ${at} is damaged`);
        const rows = (async function* () {
          try {
            yield chunkOf(at * 10);
          } finally {
            log.push(`close ${at}`);
          }
        })();
        // Its first rows are on their way before they are asked for, as those of a segment are.
        return [new RowCursor(`s${at}`, ORDER, ahead(rows))];
      },
    }));
  }

  async function timesOf(sources: readonly LazySource[]): Promise<bigint[]> {
    const times: bigint[] = [];
    for await (const runs of mergeRows(sources, { collapsed: 0n, conflicting: 0n })) {
      for (const { rows, from } of runs) {
        const { view, starts } = rows.column(0);
        times.push(view.getBigInt64(starts[from] as number));
      }
    }
    return times;
  }

  it("are opened together with the one that is due, so many and no more", async () => {
    const log: string[] = [];
    await using opened = new OpenedAhead(sourcesOf(6, log), 2, new AbortController().signal);
    expect(log).toEqual([]);
    await opened.sources[0]?.open();
    expect(log).toEqual(["open 0", "open 1", "open 2"]);
    await opened.sources[1]?.open();
    expect(log).toEqual(["open 0", "open 1", "open 2", "open 3"]);
  });

  it("give the same rows, once, and are all closed", async () => {
    const log: string[] = [];
    {
      await using opened = new OpenedAhead(sourcesOf(6, log).toReversed(), 3, new AbortController().signal);
      expect(await timesOf(opened.sources)).toEqual([0n, 10n, 20n, 30n, 40n, 50n]);
    }
    for (const what of ["open", "close"]) {
      expect(log.filter((line) => line.startsWith(what)).sort()).toEqual(
        [0, 1, 2, 3, 4, 5].map((at) => `${what} ${at}`),
      );
    }
  });

  it("that fail are told when they are due; the others are ended and closed", async () => {
    const log: string[] = [];
    {
      await using opened = new OpenedAhead(sourcesOf(9, log, 2), 3, new AbortController().signal);
      await expect(timesOf(opened.sources)).rejects.toThrow("source 2 is damaged");
      // The rows before it were given out.
      expect(log).toContain("close 1");
    }
    const openedThen = log.filter((line) => line.startsWith("open"));
    expect(openedThen).toEqual([0, 1, 2, 3, 4, 5].map((at) => `open ${at}`));
    expect(log.filter((line) => line.startsWith("close")).sort()).toEqual(
      [0, 1, 3, 4, 5].map((at) => `close ${at}`),
    );
    expect(log).toContain("abort 5");
  });
});

describe("manifests", () => {
  it("that were looked at are not read again, as far as there is room", async () => {
    const columns = [column("id", "int8"), column("ts", "timestamptz")];
    const segments = await Promise.all(
      ["a", "b", "c"].map(
        async (name) =>
          await sealSegment({
            name,
            day: "2026-01-03",
            columns,
            rowGroups: [[rawRows(2, [[int8(1n), int8(820_540_800_000_000n)]])]],
          }),
      ),
    );
    const archive = new SealedArchive(segments);
    const bytes = Number(segments[0]?.segment.record.manifest?.bytes);
    const kept = new KeptManifests(archive.reader(), bytes * 2 + 1);
    for (const { segment, manifest } of segments) expect(await kept.look(segment.record)).toEqual(manifest);
    expect(archive.reads).toHaveLength(3);
    for (const { segment, manifest } of segments) expect(await kept.take(segment.record)).toEqual(manifest);
    // The third did not fit in.
    expect(archive.reads.map(({ key }) => key.at(-6))).toEqual(["a", "b", "c", "c"]);
    // It is kept for one reading.
    await kept.take((segments[0] as (typeof segments)[number]).segment.record);
    expect(archive.reads).toHaveLength(5);
  });
});
