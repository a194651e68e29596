/**
 * The Parquet encoder, behind a narrow port: chunks of raw columns in, bytes out. This one drives hyparquet-writer with
 * node's zstd; a faster one can stand behind the same port. A row group holds whole chunks.
 */
import { zstdCompressSync } from "node:zlib";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { Column, ValueKind } from "../rows/column.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import type { FieldException } from "../segment/manifest.ts";
import { encodeColumn, type PhysicalValue } from "./encode-values.ts";
import { parquetSchema } from "./parquet-schema.ts";

export interface EncodedRowGroup {
  /** The next bytes of the file, to be written before the next call. */
  readonly bytes: Uint8Array;
  /** For each chunk, the fields that Parquet cannot hold. */
  readonly exceptions: FieldException[][];
}

export interface SegmentEncoder {
  rowGroup(chunks: readonly RawRows[]): Promise<EncodedRowGroup>;
  /** The rest of the file: indexes and footer. Nothing may follow. */
  finish(): Promise<Uint8Array>;
}

export type NewSegmentEncoder = (
  columns: readonly Column[],
  metadata: Readonly<Record<string, string>>,
) => SegmentEncoder;

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

export const newHyparquetEncoder: NewSegmentEncoder = (columns, metadata) => {
  const writer = new DrainingWriter(1024 * 1024);
  const schema = parquetSchema(columns);
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
        return {
          name: column.name,
          data,
          columnIndex: true,
          ...(PLAIN_KINDS.has(column.kind) ? { encoding: "PLAIN" as const } : {}),
        };
      });
      await parquet.write({ columnData, rowGroupSize: rows, pageSize: PAGE_BYTES });
      return { bytes: writer.drain(), exceptions };
    },
    async finish() {
      await parquet.finish();
      return writer.drain();
    },
  };
};
