/** Chunks of a partition are full, or of about equal size where the last one would have only a few rows. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evenChunks } from "../../src/stages/even-chunks.ts";

const MIB = 1024 * 1024;
const rowsMaxOf = (rowsMax: number, rows: bigint): number =>
  evenChunks({ rowsMax, bytesMax: MIB }, rows).rowsMax;

describe("a partition's chunks", () => {
  it("are made even where the last one would be a crumb", () => {
    expect(rowsMaxOf(5000, 20_003n)).toBe(4001);
    expect(rowsMaxOf(5000, 5001n)).toBe(2501);
    expect(rowsMaxOf(5000, 250_029n)).toBe(4903);
  });

  it("are full where they come out even, or the last one has rows enough", () => {
    for (const rows of [0n, 1n, 4999n, 5000n, 5500n, 20_000n, 20_500n, 24_999n])
      expect(rowsMaxOf(5000, rows)).toBe(5000);
    for (let rows = 0n; rows < 10n; rows += 1n) expect(rowsMaxOf(1, rows)).toBe(1);
  });

  it("are no larger than the limits, as many as before, and none is much smaller than the others", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.bigInt({ min: 0n, max: 10n ** 12n }),
        (max, rows) => {
          const even = rowsMaxOf(max, rows);
          expect(even).toBeLessThanOrEqual(max);
          expect(even).toBeGreaterThanOrEqual(1);
          const chunks = (size: number): bigint => (rows + BigInt(size) - 1n) / BigInt(size);
          if (even === max) return;
          expect(chunks(even)).toBe(chunks(max));
          expect(even * 2).toBeGreaterThanOrEqual(max);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
