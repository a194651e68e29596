/**
 * What our encoder writes is what hyparquet-writer wrote, byte-level code or not: the same exceptions, and the same values
 * for hyparquet, DuckDB and Rust's reader, whichever encodings it chose.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newHyparquetEncoder } from "../../support/hyparquet-encoder.ts";
import { DuckDbFile, physicalRows, rewrittenByRust } from "../../support/outside-readers.ts";
import { RANDOM_COLUMNS, randomRowGroups } from "../../support/random-chunks.ts";
import { encodeSegment } from "../../support/segment-bytes.ts";

/** DECIMALs of more than 18 digits: Rust's writer takes fewer bytes for them than we do. */
const WIDE = RANDOM_COLUMNS.flatMap(({ kind, precision }, index) =>
  kind === "decimal" && (precision as number) > 18 ? [index] : [],
);

const unscaled = (bytes: Uint8Array): bigint =>
  BigInt.asIntN(
    bytes.length * 8,
    bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n),
  );

const withoutWidths = (rows: readonly unknown[][]): unknown[][] =>
  rows.map((row) =>
    row.map((value, index) =>
      WIDE.includes(index) && value !== null ? unscaled(value as Uint8Array) : value,
    ),
  );

describe("a segment of our encoder", () => {
  it("has the exceptions and the physical values of hyparquet-writer's, and Rust reads the same", async () => {
    await fc.assert(
      fc.asyncProperty(randomRowGroups, async (groups) => {
        const ours = await encodeSegment(RANDOM_COLUMNS, groups);
        const theirs = await encodeSegment(RANDOM_COLUMNS, groups, { newEncoder: newHyparquetEncoder });
        expect(ours.manifest.chunks).toEqual(theirs.manifest.chunks);
        const rows = await physicalRows(ours.bytes);
        expect(rows).toEqual(await physicalRows(theirs.bytes));
        expect(withoutWidths(await physicalRows(rewrittenByRust(ours.bytes)))).toEqual(withoutWidths(rows));
      }),
      { numRuns: 25 },
    );
  });

  it("is read by DuckDB as hyparquet-writer's is", async () => {
    await fc.assert(
      fc.asyncProperty(randomRowGroups, async (groups) => {
        const ours = await encodeSegment(RANDOM_COLUMNS, groups);
        const theirs = await encodeSegment(RANDOM_COLUMNS, groups, { newEncoder: newHyparquetEncoder });
        await using our = await DuckDbFile.of(ours.bytes);
        await using their = await DuckDbFile.of(theirs.bytes);
        expect(await our.query("SELECT * FROM FILE")).toEqual(await their.query("SELECT * FROM FILE"));
      }),
      { numRuns: 15 },
    );
  });
});
