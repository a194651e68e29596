/** Sparklines, and a history drawn with them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HistoryDay } from "../../src/catalog/history-day.ts";
import { historyFields, historyText } from "../../src/cli/history-text.ts";
import { readsUtf8, sparkline } from "../../src/cli/sparkline.ts";
import { addDays, parseDay } from "../../src/rows/day.ts";

describe("a sparkline", () => {
  it.each([
    [[0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█", "_.:-=+*#"],
    [[7, null, 0], "█ ▁", "# _"],
    [[100, 101], "▁█", "_#"],
    [[0, 0, 0], "▁▁▁", "___"],
    [[5, 5], "▄▄", "--"],
    [[5], "▄", "-"],
    [[null, null], "  ", "  "],
    [[], "", ""],
    [[0, 2 ** 90, 2 ** 89], "▁█▅", "_#="],
  ])("of %j is %s, or %s", (numbers, blocks, ascii) => {
    const values = numbers.map((value) => (value === null ? null : BigInt(value)));
    expect(sparkline(values, { utf8: true })).toBe(blocks);
    expect(sparkline(values, { utf8: false })).toBe(ascii);
  });

  it("has a mark for each number, and a higher one for a higher number", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 80n }), { minLength: 2 }), (values) => {
        const marks = sparkline(values, { utf8: true });
        expect(marks).toMatch(/^[▁-█]+$/);
        expect(marks).toHaveLength(values.length);
        const sorted = values.map((value, at) => [value, marks[at] as string] as const);
        sorted.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
        const found = sorted.map(([, mark]) => mark);
        expect(found).toEqual(found.toSorted());
      }),
    );
  });

  it.each([
    [{ LANG: "en_US.UTF-8" }, true],
    [{ LANG: "C.utf8" }, true],
    [{ LANG: "en_US.UTF-8", LC_CTYPE: "C" }, false],
    [{ LANG: "C", LC_ALL: "de_DE.UTF-8" }, true],
    [{ LANG: "de_DE.ISO-8859-1" }, false],
    [{ LANG: "en_US.UTF-8", LC_ALL: "" }, true],
    [{}, false],
  ])("has blocks only where the locale says that they are read: %j", (environ, expected) => {
    expect(readsUtf8(environ)).toBe(expected);
  });
});

const TODAY = parseDay("2026-03-01");

function dayOf(ago: number, changes: Partial<HistoryDay> = {}): HistoryDay {
  return {
    day: addDays(TODAY, -ago),
    runs: 1,
    archived: 0n,
    pruned: 0n,
    deleted: 0n,
    expired: 0n,
    hot: { rows: 1_000n, bytes: 1n << 20n },
    warmBytes: 0n,
    coldBytes: 0n,
    ...changes,
  };
}

describe("a history", () => {
  it("has a line for each thing, with its least, most and last", () => {
    const history = [
      dayOf(8, { archived: 999n }), // before the days that are asked for
      dayOf(6, { archived: 1_000_000n, pruned: 500_000n, warmBytes: 1n << 30n }),
      dayOf(4, { archived: 5n, pruned: 500_005n, deleted: 7n, warmBytes: 1n << 30n, hot: null }),
      dayOf(1, { hot: { rows: 3_000n, bytes: 3n << 20n }, warmBytes: 3n << 29n, coldBytes: 1n << 31n }),
    ];
    expect(historyText(history, { days: 7, today: TODAY, utf8: true })).toEqual([
      "  history: 2026-02-23 .. 2026-03-01 (UTC), a mark a day",
      "    archived rows  █▁▁▁▁▁▁  min 0  max 1,000,000  last 0",
      "    pruned rows    █▁█▁▁▁▁  min 0  max 500,005  last 0",
      "    deleted rows   ▁▁█▁▁▁▁  min 0  max 7  last 0",
      "    hot rows       ▁    █   min 1,000  max 3,000  last 3,000",
      "    hot size       ▁    █   min 1.0 MiB  max 3.0 MiB  last 3.0 MiB",
      "    warm size      ▁ ▁  █   min 1.0 GiB  max 1.5 GiB  last 1.5 GiB",
      "    cold size      ▁ ▁  █   min 0 B  max 2.0 GiB  last 2.0 GiB",
    ]);
    expect(historyText(history, { days: 7, today: TODAY, utf8: false }).join("\n")).not.toMatch(/[^ -~\n]/);
  });

  it("of many days fits into a terminal: several days in a mark add up, and sizes are the last ones", () => {
    const history = Array.from({ length: 400 }, (_, at) =>
      dayOf(399 - at, { archived: 10n, warmBytes: BigInt(at) }),
    );
    const lines = historyText(history, { days: 400, today: TODAY, utf8: true });
    expect(lines[0]).toBe("  history: 2025-01-26 .. 2026-03-01 (UTC), 7 days a mark");
    // 58 marks: the oldest one has a single day.
    expect(lines[1]).toBe(`    archived rows  ▁${"█".repeat(57)}  min 10  max 70  last 70`);
    expect(lines[6]).toMatch(/ {2}min 0 B {2}max 399 B {2}last 399 B$/);
    const longest = Array.from({ length: 400 }, (_, at) => at + 1).flatMap((days) =>
      historyText(history, { days, today: TODAY, utf8: true }).map((line) => line.length),
    );
    expect(Math.max(...longest)).toBeLessThanOrEqual(120);
  });

  it("says so where nothing ran, and where the table was never measured", () => {
    const nothing = "  history: 2026-02-28 .. 2026-03-01 (UTC), a mark a day: no run in that time";
    expect(historyText([], { days: 2, today: TODAY, utf8: true })).toEqual([nothing]);
    expect(historyText([dayOf(2)], { days: 2, today: TODAY, utf8: true })).toEqual([nothing]);
    const lines = historyText([dayOf(0, { hot: null })], { days: 2, today: TODAY, utf8: true });
    expect(lines[4]).toBe("    hot rows           not known");
  });

  it("for machines has the days that had a run", () => {
    expect(historyFields([dayOf(1, { archived: 3n }), dayOf(0, { hot: null, runs: 2 })])).toEqual([
      {
        day: "2026-02-28",
        runs: 1,
        archived: 3n,
        pruned: 0n,
        deleted: 0n,
        expired: 0n,
        hotRows: 1_000n,
        hotBytes: 1n << 20n,
        warmBytes: 0n,
        coldBytes: 0n,
      },
      {
        day: "2026-03-01",
        runs: 2,
        archived: 0n,
        pruned: 0n,
        deleted: 0n,
        expired: 0n,
        hotRows: null,
        hotBytes: null,
        warmBytes: 0n,
        coldBytes: 0n,
      },
    ]);
  });
});
