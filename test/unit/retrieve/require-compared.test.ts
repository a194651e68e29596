/** Rows without a key are not given out while nobody knows whether they are in both tiers. */
import { expect, test } from "vitest";
import type { ReadableSegment } from "../../../src/catalog/port.ts";
import type { SourceTable } from "../../../src/hot/port.ts";
import { requireCompared } from "../../../src/retrieve/retrievable.ts";

const source = (keyColumns: readonly number[]): SourceTable =>
  ({ keyColumns, leaves: [{ oid: "7", schema: "public", name: "day_10" }] }) as unknown as SourceTable;
const segment = (rowsUnknown: bigint, oid: string): ReadableSegment =>
  ({
    record: { segment: "s1", rowsUnknown, leaf: { oid, schema: "public", name: "day_10" } },
    prunedChunks: [0],
  }) as unknown as ReadableSegment;

test("a segment of unknown rows whose leaf is there is refused, for a table without a key alone", () => {
  expect(() => requireCompared(source([]), [segment(0n, "7"), segment(60n, "7")])).toThrow(
    /^E_CATALOG segment s1: nobody has compared it with public\.day_10 since the catalog was rebuilt/,
  );
  expect(() => requireCompared(source([]), [segment(0n, "7"), segment(60n, "8")])).not.toThrow();
  expect(() => requireCompared(source([1]), [segment(60n, "7")])).not.toThrow();
});
