/** Numbers, sizes and tables for people; JSON for machines. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  COLUMNS_MAX,
  decimalOf,
  formatBytes,
  formatCount,
  formatDays,
  formatMoney,
  formatNames,
  formatSeconds,
  formatTable,
  jsonLine,
  plural,
  wrapLine,
} from "../../src/cli/format.ts";
import { parseDay } from "../../src/rows/day.ts";

describe("a size", () => {
  it.each([
    [0n, "0 B"],
    [1n, "1 B"],
    [999n, "999 B"],
    [1_000n, "1.0 KiB"],
    [1_024n, "1.0 KiB"],
    [1_536n, "1.5 KiB"],
    [102_348n, "99.9 KiB"],
    [102_399n, "100 KiB"],
    [131_072n, "128 KiB"],
    [1_023_000n, "999 KiB"],
    [1_023_999n, "1.0 MiB"],
    [1_048_576n, "1.0 MiB"],
    [5_368_709_120n, "5.0 GiB"],
    [1_125_899_906_842_624n, "1.0 PiB"],
    [9_223_372_036_854_775_807n, "8192 PiB"],
  ])("of %i bytes reads %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
    expect(formatBytes(Number(bytes))).toBe(text);
  });

  it("has at most three digits, and is right within half of the last one", () => {
    const factor = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, PiB: 2 ** 50 };
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 0, max: 52 }), (nat, shift) => {
        const bytes = Math.floor(nat / 2 ** shift);
        const [number, unit] = formatBytes(bytes).split(" ") as [string, keyof typeof factor];
        expect(number).toMatch(/^(\d{1,3}|\d{1,2}\.\d)$/);
        const half = number.includes(".") ? 0.05 : unit === "B" ? 0 : 0.5;
        expect(Math.abs(Number(number) - bytes / factor[unit])).toBeLessThanOrEqual(half + 1e-9);
      }),
    );
  });
});

describe("a count", () => {
  it.each([
    [0n, "0"],
    [999n, "999"],
    [1_000n, "1,000"],
    [1_234_567n, "1,234,567"],
    [12_345_678_901_234_567_890n, "12,345,678,901,234,567,890"],
  ])("%i is grouped by thousands", (count, text) => expect(formatCount(count)).toBe(text));

  it("has its word in the plural unless it is one", () => {
    expect([0n, 1n, 2n, 1_000n].map((count) => plural(count, "row"))).toEqual([
      "0 rows",
      "1 row",
      "2 rows",
      "1,000 rows",
    ]);
    expect(plural(1, "day")).toBe("1 day");
  });
});

describe("days", () => {
  it("are one day or a span", () => {
    const [first, last] = [parseDay("2026-01-31"), parseDay("2026-02-01")];
    expect(formatDays(first, first)).toBe("2026-01-31");
    expect(formatDays(first, last)).toBe("2026-01-31 .. 2026-02-01");
  });
});

describe("a table", () => {
  it("is as wide as its widest cells, numbers to the right, nothing at the end of a line", () => {
    expect(
      formatTable(
        ["day", "rows", "why"],
        [
          ["a", "1,000", "because"],
          ["longer", "1", ""],
          ["b", "22", "x"],
        ],
        [1],
      ),
    ).toEqual([
      "day      rows  why",
      "------  -----  -------",
      "a       1,000  because",
      "longer      1",
      "b          22  x",
    ]);
  });

  it("without rows is its header, and takes rows that are too short", () => {
    expect(formatTable(["a", "bb"], [])).toEqual(["a  bb", "-  --"]);
    expect(formatTable(["a", "bb"], [["xyz"]])).toEqual(["a    bb", "---  --", "xyz"]);
  });
});

describe("a JSON line", () => {
  it("holds bigints as decimal strings at any depth, and is one line", () => {
    const line = jsonLine({ rows: 9_007_199_254_740_993n, list: [{ n: -1n }], text: "a\nb", none: null });
    expect(line).toBe(String.raw`{"rows":"9007199254740993","list":[{"n":"-1"}],"text":"a\nb","none":null}`);
  });
});

describe("money", () => {
  it.each([
    [0n, "$0", "0"],
    [1n, "< $0.01", "0.000000001"],
    [990_000n, "< $0.01", "0.00099"],
    [4_999_999n, "< $0.01", "0.004999999"],
    [5_000_000n, "$0.01", "0.005"],
    [314_000_000n, "$0.31", "0.314"],
    [999_995_000_000n, "$1,000", "999.995"],
    [50_220_000_000n, "$50.22", "50.22"],
    [1_234_567_890_000_000n, "$1,234,568", "1234567.89"],
    [10_000_000_000n, "$10.00", "10"],
  ])("of %i billionths reads %s, and %s to a machine", (value, text, decimal) => {
    expect(formatMoney(value, "USD")).toBe(text);
    expect(formatMoney(value, "EUR")).toBe(text.replace("$", "EUR "));
    expect(decimalOf(value)).toBe(decimal);
  });

  it("is exact as a decimal, whatever its size and sign", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), (value) => {
        const [whole = "", part = ""] = decimalOf(value < 0n ? -value : value).split(".");
        expect(BigInt(whole + part.padEnd(9, "0"))).toBe(value < 0n ? -value : value);
        expect(decimalOf(value).startsWith("-")).toBe(value < 0n);
        expect(decimalOf(value)).not.toMatch(/\.$|\.\d*0$/);
      }),
    );
  });
});

describe("a time to wait", () => {
  it.each([
    [0.2, "a second"],
    [1, "1 s"],
    [14, "14 s"],
    [89.4, "89 s"],
    [90, "2 min"],
    [3_600, "60 min"],
    [5_400, "1 h 30 min"],
    [7_200, "2 h"],
    [15_600, "4 h 20 min"],
    [172_800, "2 d"],
    [190_800, "2 d 5 h"],
  ])("of %d seconds reads %s", (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
});

describe("names", () => {
  it("are told up to three, and the others are counted", () => {
    const list = (count: number): string[] => Array.from({ length: count }, (_, index) => `r${index}`);
    expect(formatNames(list(1), "rule")).toBe("rule r0");
    expect(formatNames(list(3), "rule")).toBe("rules r0, r1, r2");
    expect(formatNames(list(20), "rule")).toBe("rules r0, r1, r2 and 17 more");
  });
});

describe("a long line", () => {
  it("is broken at spaces, and no word is lost", () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(words, fc.integer({ min: 0, max: 4 }), (list, indent) => {
        const lines = wrapLine(`${" ".repeat(indent)}${list.join(" ")}`);
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(COLUMNS_MAX);
        expect(lines.map((line) => line.trim()).join(" ")).toBe(list.join(" "));
        for (const line of lines.slice(1)) expect(line).toMatch(new RegExp(`^ {${indent + 2}}[a-z]`));
      }),
    );
  });

  it("stays whole where it has no space to be broken at", () => {
    expect(wrapLine(`  ${"x".repeat(300)}`)).toEqual([`  ${"x".repeat(300)}`]);
    expect(wrapLine(`  a ${"x".repeat(300)} b`)).toEqual(["  a", `    ${"x".repeat(300)}`, "    b"]);
  });
});
