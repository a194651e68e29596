/**
 * The port of a Parquet encoder: chunks of raw columns in, the bytes of a file out. A row group holds whole chunks, and a
 * data page never has rows of two of them, so that one chunk can be read and verified without its neighbours.
 */
import type { Column } from "../rows/column.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import type { FieldException } from "../segment/manifest.ts";

export interface EncodedRowGroup {
  /** The next bytes of the file, in the order of the calls. */
  readonly bytes: Uint8Array;
  /** For each chunk, the fields that Parquet cannot hold. */
  readonly exceptions: FieldException[][];
}

export interface SegmentEncoder {
  /**
   * May be called again before the last one's promise is settled: pages are compressed in other threads. The chunks'
   * buffers belong to the encoder until then.
   */
  rowGroup(chunks: readonly RawRows[]): Promise<EncodedRowGroup>;
  /** The rest of the file: indexes, bloom filters and footer. Nothing may follow. */
  finish(): Promise<Uint8Array>;
}

export interface EncoderOptions {
  /** Names of columns whose values get a bloom filter; those that are not there are none's concern. */
  readonly bloomFilters?: readonly string[];
}

export type NewSegmentEncoder = (
  columns: readonly Column[],
  metadata: Readonly<Record<string, string>>,
  options?: EncoderOptions,
) => SegmentEncoder;
