/**
 * The encoder of segments: raw columns in COPY layout to Parquet pages, byte by byte, without a JavaScript value a cell.
 * Values are taken apart and encoded here, compressed in other threads; the next row group may be encoded while the
 * last one is compressed. Memory is one row group's dense values, a few pages, and the compressed bytes of the row
 * groups that were asked for (I10).
 */
import type { RawRows } from "../../rows/copy-binary.ts";
import { parquetSchema } from "../parquet-schema.ts";
import type { EncodedRowGroup, NewSegmentEncoder } from "../segment-encoder.ts";
import { ColumnEncoder, type EncodedColumn } from "./column-encoder.ts";
import type { ExceptionList } from "./column-cells.ts";
import { columnForm } from "./column-form.ts";
import { concatenated, FileEnd } from "./footer.ts";
import { MAGIC } from "./parquet-format.ts";
import { placeColumn, type PlacedColumn } from "./placed-column.ts";

/** `createdBy` names the program in the form that readers parse: `name version 1.2.3`. */
export function newParquetEncoder(createdBy: string): NewSegmentEncoder {
  return (columns, metadata, { bloomFilters = [] } = {}) => {
    const schema = parquetSchema(columns);
    const forms = columns.map((column, index) => columnForm(column, index, bloomFilters));
    const encoder = new ColumnEncoder();
    const fileEnd = new FileEnd(schema);
    let end = 0;
    // Row groups are encoded one at a time, as they share buffers, and placed in the order of the calls.
    let encoded: Promise<void> = Promise.resolve();
    let placed: Promise<void> = Promise.resolve();

    async function encodeColumns(
      chunks: readonly RawRows[],
      exceptions: readonly ExceptionList[],
    ): Promise<EncodedColumn[]> {
      const all: EncodedColumn[] = [];
      for (const form of forms) all.push(await encoder.encode(form, chunks, exceptions));
      return all;
    }

    async function place(
      all: readonly EncodedColumn[],
      exceptions: ExceptionList[],
    ): Promise<EncodedRowGroup> {
      const pieces = end === 0 ? [MAGIC] : [];
      let at = end + (pieces[0]?.length ?? 0);
      const start = at;
      const placedColumns: PlacedColumn[] = [];
      for (const column of all) {
        const one = await placeColumn(column, at, pieces);
        placedColumns.push(one);
        at += one.compressedBytes;
      }
      const sortedBy = all.findIndex((column) => column.isSorted);
      fileEnd.add({
        start,
        rows: all[0]?.rows ?? 0,
        bytes: at - start,
        columns: placedColumns,
        sortedBy: sortedBy < 0 ? null : sortedBy,
      });
      end = at;
      return { bytes: concatenated(pieces), exceptions };
    }

    return {
      async rowGroup(chunks) {
        const exceptions: ExceptionList[] = chunks.map(() => []);
        const encoding = encoded.then(async () => await encodeColumns(chunks, exceptions));
        const placing = Promise.all([encoding, placed]).then(async ([all]) => await place(all, exceptions));
        // Without their results, which would be held until the next call. Failures are the caller's, and the next ones'.
        encoded = encoding.then(() => {});
        placed = placing.then(() => {});
        for (const one of [encoded, placed]) one.catch(() => {});
        return await placing;
      },
      async finish() {
        await placed;
        const pieces = end === 0 ? [MAGIC] : [];
        const start = end === 0 ? MAGIC.length : end;
        return fileEnd.bytes(start, pieces, { metadata, createdBy });
      },
    };
  };
}
