/**
 * The encoder of Firnline's first segments, which drives hyparquet-writer with node's zstd: the oracle that the archive's own
 * encoder is held against, and the maker of older objects that must stay readable.
 */
import { zstdCompressSync } from "node:zlib";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { ValueKind } from "../../src/rows/column.ts";
import type { FieldException } from "../../src/segment/manifest.ts";
import { encodeColumn, type PhysicalValue } from "./encode-values.ts";
import { parquetSchema } from "../../src/parquet/parquet-schema.ts";
import type { NewSegmentEncoder } from "../../src/parquet/segment-encoder.ts";

/** The writer's dictionary merges 0 and -0, and floats rarely repeat: write their bits as they are. */
const PLAIN_KINDS: ReadonlySet<ValueKind> = new Set<ValueKind>(["float4", "float8"]);

/** Bounds of page statistics; longer ones only make the footer larger. */
const PAGE_BYTES = 1024 * 1024;

/** Collects what the writer appends; `drain` hands it over and keeps the writer's offset, which counts the whole file. */
class DrainingWriter extends ByteWriter {
  drain(): Uint8Array {
    const bytes = this.getBytes().slice();
    this.index = 0;
    return bytes;
  }
}

/** Bounds are truncated to 16 bytes when they are written; a longer prefix changes nothing in the file. */
const BOUND_BYTES = 64;

const detached = (bound: unknown): unknown =>
  bound instanceof Uint8Array ? bound.slice(0, isRoundable(bound) ? BOUND_BYTES : undefined) : bound;

/**
 * The writer rounds a truncated maximum up. It keeps one whole that begins with nothing but the largest byte or the
 * largest code point, U+10FFFF, as nothing short is above it: a prefix of ours would then be a bound that is too low,
 * and a reader would skip the row.
 */
function isRoundable(bound: Uint8Array): boolean {
  const largest = [0xff, 0xf4, 0x8f, 0xbf];
  return bound.subarray(0, 12).some((byte) => !largest.includes(byte));
}

/**
 * The writer keeps each row group's bounds until the end, as views into our columns: one short view holds on to
 * megabytes. Copies of a few bytes let the columns go (I10).
 */
function detachBounds(indexes: ParquetWriter["pendingIndexes"]): void {
  for (const { chunk, columnIndex } of indexes) {
    const bounds = chunk.meta_data?.statistics as { min_value?: unknown; max_value?: unknown } | undefined;
    if (bounds !== undefined) {
      bounds.min_value = detached(bounds.min_value);
      bounds.max_value = detached(bounds.max_value);
    }
    if (columnIndex !== undefined) {
      columnIndex.min_values = columnIndex.min_values.map(detached) as typeof columnIndex.min_values;
      columnIndex.max_values = columnIndex.max_values.map(detached) as typeof columnIndex.max_values;
    }
  }
}

export const newHyparquetEncoder: NewSegmentEncoder = (columns, metadata) => {
  const writer = new DrainingWriter(1024 * 1024);
  const schema = parquetSchema(columns);
  // It gives the width of a logical INTEGER as an i32: DuckDB and all readers built on Thrift's generated code then refuse
  // the whole file.
  for (const element of schema) if (element.logical_type?.type === "INTEGER") delete element.logical_type;
  const parquet = new ParquetWriter({
    writer,
    schema,
    codec: "ZSTD",
    compressors: { ZSTD: (input: Uint8Array) => zstdCompressSync(input) },
    kvMetadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    createdBy: "firnline",
  });
  return {
    async rowGroup(chunks) {
      const exceptions: FieldException[][] = chunks.map(() => []);
      const rows = chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
      const columnData = columns.map((column, columnIndex) => {
        let data: PhysicalValue[] = [];
        for (const [index, chunk] of chunks.entries()) {
          const raw = chunk.columns[columnIndex] as Uint8Array;
          const encoded = encodeColumn(column, columnIndex, raw, chunk.rows);
          data = data.length === 0 ? encoded.values : data.concat(encoded.values);
          exceptions[index]?.push(...encoded.exceptions);
        }
        // Bounds leave NaN out, which is above all numbers for Postgres and most engines: with bounds, a reader that
        // looks for large values would skip it.
        const bounded = !PLAIN_KINDS.has(column.kind) || !data.some(Number.isNaN);
        return {
          name: column.name,
          data,
          statistics: bounded,
          columnIndex: bounded,
          ...(PLAIN_KINDS.has(column.kind) ? { encoding: "PLAIN" as const } : {}),
        };
      });
      const written = parquet.pendingIndexes.length;
      await parquet.write({ columnData, rowGroupSize: rows, pageSize: PAGE_BYTES });
      detachBounds(parquet.pendingIndexes.slice(written));
      return { bytes: writer.drain(), exceptions };
    },
    async finish() {
      await parquet.finish();
      return writer.drain();
    },
  };
};
