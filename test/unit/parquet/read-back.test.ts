/**
 * Whatever columns, chunks and row groups there are: they are read back byte for byte, as a whole and in parts; nothing
 * that a segment holds is pruned away; and its index is proved. For our encoder's files and those of hyparquet-writer.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { proveRowGroup } from "../../../src/parquet/prove-index.ts";
import { chunksThatMayHold, readIndex, type SegmentIndex } from "../../../src/parquet/read-index.ts";
import { decodeSelected, selectedRanges } from "../../../src/parquet/read-pages.ts";
import type { SegmentLayout } from "../../../src/parquet/read-segment.ts";
import type { NewSegmentEncoder } from "../../../src/parquet/segment-encoder.ts";
import { type Column, VALUE_KINDS } from "../../../src/rows/column.ts";
import type { RawRows } from "../../../src/rows/copy-binary.ts";
import { type FieldBytes, fieldsOf, rawRows } from "../../support/copy-stream.ts";
import { newHyparquetEncoder } from "../../support/hyparquet-encoder.ts";
import { columnFor, decimalField, FIELDS } from "../../support/random-fields.ts";
import {
  columnOf,
  decodeSegment,
  encodeSegment,
  layoutOf,
  newEncoder,
  type SegmentBytes,
} from "../../support/segment-bytes.ts";

interface RandomColumn {
  readonly column: Column;
  readonly field: fc.Arbitrary<Uint8Array>;
}

const decimals: readonly [precision: number, scale: number][] = [
  [4, 0],
  [9, 2],
  [18, 5],
  [38, 38],
];

const columns: readonly RandomColumn[] = [
  ...VALUE_KINDS.map((kind) => ({ column: columnFor(kind, kind), field: FIELDS[kind] })),
  ...decimals.map(([precision, scale]) => ({
    column: columnOf(`decimal ${precision} ${scale}`, "decimal", [precision, scale]),
    field: decimalField(precision, scale),
  })),
];

/** Values that repeat, that all differ, or that are mostly not there. */
const fieldsArbitrary = (field: fc.Arbitrary<Uint8Array>, rows: number): fc.Arbitrary<FieldBytes[]> => {
  const orNull = (weight: number): fc.Arbitrary<FieldBytes> =>
    fc.oneof({ weight: 10 - weight, arbitrary: field }, { weight, arbitrary: fc.constant(null) });
  const exactly = { minLength: rows, maxLength: rows };
  return fc.oneof(
    fc.array(field, exactly),
    fc.array(orNull(2), exactly),
    fc.array(orNull(9), exactly),
    fc
      .tuple(fc.array(orNull(1), { minLength: 1, maxLength: 3 }), fc.array(fc.nat({ max: 2 }), exactly))
      .map(([few, picks]) => picks.map((pick) => few[pick % few.length] as FieldBytes)),
  );
};

/** Row groups of chunks of the columns. */
const groupsArbitrary = (chosen: readonly RandomColumn[]): fc.Arbitrary<RawRows[][]> => {
  const chunk = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 20, max: 50 })).chain((rows) =>
    fc.tuple(...chosen.map(({ field }) => fieldsArbitrary(field, rows))).map((fields) =>
      rawRows(
        chosen.length,
        Array.from({ length: rows }, (_, row) => fields.map((column) => column[row] ?? null)),
      ),
    ),
  );
  return fc.array(fc.array(chunk, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 });
};

const encoders: readonly (readonly [string, NewSegmentEncoder])[] = [
  ["our encoder", newEncoder],
  ["hyparquet-writer", newHyparquetEncoder],
];

interface Opened {
  readonly segment: SegmentBytes;
  readonly layout: SegmentLayout;
  readonly index: SegmentIndex;
}

async function open(segment: SegmentBytes): Promise<Opened> {
  const layout = await layoutOf(segment);
  const start = Number(segment.manifest.index?.start);
  return { segment, layout, index: readIndex(segment.manifest, layout, segment.bytes.slice(start)) };
}

/** Reads a selection from no more bytes than it asks for. */
function readSelected({ segment, layout, index }: Opened, group: number, chunks: number[], wanted: number[]) {
  const selection = { group, chunks, columns: wanted };
  const pieces = selectedRanges(segment.manifest, layout, index, selection).map(({ start, end }) => ({
    start,
    bytes: segment.bytes.slice(start, end),
  }));
  return decodeSelected(segment.manifest, layout, index, selection, pieces);
}

describe.each(encoders)("a segment of %s", (name, encoder) => {
  describe.each(columns)("with a column of $column.name", (random) => {
    const { column } = random;
    const groups = groupsArbitrary([random]);

    it("is read back, is proved, and loses nothing to pruning", async () => {
      await fc.assert(
        fc.asyncProperty(groups, async (expected) => {
          const opened = await open(
            await encodeSegment([column], expected, { newEncoder: encoder, bloomFilters: [column.name] }),
          );
          const { segment, layout, index } = opened;
          expect(await decodeSegment(segment)).toEqual(expected.flat());
          for (const [number, group] of layout.rowGroups.entries()) {
            const bytes = segment.bytes.slice(group.start, group.end);
            expect(await proveRowGroup(segment.manifest, layout, index, number, bytes)).toEqual({
              chunks: expected[number],
              problem: null,
            });
            for (const [
              at,
              {
                rows,
                columns: [raw],
              },
            ] of (expected[number] as RawRows[]).entries()) {
              for (const field of fieldsOf(raw as Uint8Array, rows)) {
                const found = chunksThatMayHold(segment.manifest, layout, index, number, 0, field);
                expect(found).toContain(group.chunkFrom + at);
              }
            }
          }
        }),
        { numRuns: 20 },
      );
    });
  });

  it("with several columns is read in parts", async () => {
    const few = fc.shuffledSubarray([...columns], { minLength: 2, maxLength: 4 });
    const parts = fc.array(fc.boolean(), { minLength: 16, maxLength: 16 });
    await fc.assert(
      fc.asyncProperty(
        few.chain((chosen) => fc.tuple(fc.constant(chosen), groupsArbitrary(chosen))),
        parts,
        parts,
        async ([chosen, expected], chunkPicks, columnPicks) => {
          const opened = await open(
            await encodeSegment(
              chosen.map(({ column }) => column),
              expected,
              { newEncoder: encoder },
            ),
          );
          const wanted = [...chosen.keys()].filter((column) => columnPicks[column]);
          for (const [number, group] of opened.layout.rowGroups.entries()) {
            const chunks = [...(expected[number] as RawRows[]).keys()]
              .filter((chunk) => chunkPicks[number * 4 + chunk])
              .map((chunk) => chunk + group.chunkFrom);
            expect(readSelected(opened, number, chunks, wanted)).toEqual(
              chunks.map((chunk) => {
                const { rows, columns: raw } = expected.flat()[chunk] as RawRows;
                return { chunk, rows, columns: raw.map((one, at) => (wanted.includes(at) ? one : null)) };
              }),
            );
          }
        },
      ),
      { numRuns: name === "our encoder" ? 50 : 15 },
    );
  });
});
