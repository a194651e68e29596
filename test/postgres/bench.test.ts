/** That `npm run bench` runs at all, and what it makes of its measurements. Its figures are nobody's business here. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { Case, Sample } from "../bench/bench.ts";
import { drawChart } from "../bench/chart.ts";
import { readOptions } from "../bench/options.ts";
import { summarise } from "../bench/result.ts";
import { formatTable } from "../bench/table.ts";

const MAIN = fileURLToPath(new URL("../bench/main.ts", import.meta.url));
const run = promisify(execFile);

const measured = (name: string, seconds: readonly number[], extra: object = {}): [Case, Sample[]] => [
  { name, isThroughput: !name.startsWith("writers."), measure: () => Promise.reject(new Error("unused")) },
  seconds.map((one, round) => ({
    rows: 1_000,
    bytes: 10,
    seconds: one,
    cpuNodeSeconds: one,
    cpuPostgresSeconds: null,
    peakRssBytes: round * 1_000_000,
    ...extra,
  })),
];

describe("the bench", () => {
  it("takes medians, and compares rows a second with the floor of the same run", () => {
    const results = summarise(
      new Map([measured("floor.copy-zstd", [2, 1, 100]), measured("firnline.export", [4, 4, 1])]),
    );
    expect(results.map((result) => [result.case, result.rowsPerSecond, result.ratioToFloor])).toEqual([
      ["floor.copy-zstd", 500, 1],
      ["firnline.export", 250, 0.5],
    ]);
    expect(results[0]).toMatchObject({ seconds: 2, secondsMin: 1, secondsMax: 100, rounds: 3 });
    // The highest of all rounds: a peak that shows once is there.
    expect(results[0]?.peakRssBytes).toBe(2_000_000);
  });

  it("has no ratio without a floor, and none for a case without rows a second", () => {
    const results = summarise(new Map([measured("firnline.export", [1]), measured("writers.alone", [1])]));
    expect(results.map(({ ratioToFloor }) => ratioToFloor)).toEqual([null, null]);
    expect(results[1]?.rowsPerSecond).toBeNull();
  });

  it("compares a prune with plain DELETEs, and writers beside a move with writers alone", () => {
    const results = summarise(
      new Map([
        measured("firnline.prune", [3]),
        measured("plain.delete", [2]),
        measured("writers.alone", [1], { p99Ms: 10 }),
        measured("writers.move", [1], { p99Ms: 12 }),
      ]),
    );
    expect(results[0]?.["timesPlainDelete"]).toBe(1.5);
    expect(results[3]?.["p99TimesAlone"]).toBe(1.2);
  });

  it("prints and draws every case that was measured", () => {
    const results = summarise(
      new Map([
        measured("floor.copy-zstd", [1]),
        measured("firnline.move", [2]),
        measured("peer.duckdb", [3]),
      ]),
    );
    const chart = drawChart(results, "some rows & < 2 cores");
    for (const { case: name } of results) {
      expect(formatTable(results)).toContain(name);
      expect(chart).toContain(`>${name}</text>`);
    }
    expect(chart).toContain("some rows &amp; &lt; 2 cores");
    expect(chart).toContain("prefers-color-scheme: dark");
  });

  it("refuses arguments that it does not know", () => {
    for (const argv of [["--rows", "many"], ["--shape", "round"], ["--rounds", "0"], ["--fast"]])
      expect(() => readOptions(argv)).toThrow(argv[0]);
  });

  it("measures cases in processes of their own, and prints nothing but a line for each", async () => {
    const argv = ["--rows", "2000", "--rounds", "1", "--json", "--only", "firnline.export,plain.delete"];
    const { stdout, stderr } = await run(process.execPath, [MAIN, ...argv]);
    expect(stderr).toBe("");
    const lines = stdout.trimEnd().split("\n");
    const results = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(results.map((result) => [result["case"], result["rows"]])).toEqual([
      ["firnline.export", 2_000],
      ["plain.delete", 2_000],
    ]);
    for (const result of results) {
      for (const field of ["rowsPerSecond", "seconds", "peakRssBytes"])
        expect(result[field]).toBeGreaterThan(0);
      expect(result["ratioToFloor"]).toBeNull();
    }
  });
});
