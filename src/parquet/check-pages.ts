/**
 * Looks over the pages of a column chunk before hyparquet decodes them. That reader trusts counts and run lengths: two
 * flipped bits are enough for it to fill an array with a billion values, and the process is gone before any digest is
 * compared. Here every count is held against the manifest's rows, so a damaged or crafted object is refused at once.
 *
 * It knows what our encoder writes and nothing else: flat OPTIONAL columns, data pages v2, ZSTD, and the encodings
 * PLAIN, RLE (of booleans) and RLE_DICTIONARY. An encoder that writes more must be let in here.
 * Source: https://github.com/apache/parquet-format/blob/master/Encodings.md
 */
import { zstdDecompressSync } from "node:zlib";
import type { DataPageHeaderV2 } from "hyparquet/src/types.js";
import { parquetHeader } from "hyparquet/src/column.js";

const PAGE_BYTES_MAX = 1024 * 1024 * 1024;
/** A dictionary of 2^24 values does not fit a row group. */
const INDEX_BITS_MAX = 24;

/** Throws an `Error` that says what is wrong with the pages in `bytes`, which should hold `rows` values. */
export function checkPages(bytes: Uint8Array, rows: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let seen = 0;
  for (let at = 0; at < bytes.length;) {
    const reader = { view, offset: at };
    const header = parquetHeader(reader);
    const end = reader.offset + header.compressed_page_size;
    if (!(header.compressed_page_size >= 0 && end <= bytes.length))
      throw new Error("a page runs over its end");
    const inflated = header.uncompressed_page_size;
    if (!(inflated >= 0 && inflated <= PAGE_BYTES_MAX)) throw new Error(`a page of ${inflated} bytes`);
    const page = bytes.subarray(reader.offset, end);
    if (header.type === "DICTIONARY_PAGE") {
      const count = header.dictionary_page_header?.num_values ?? -1;
      if (at !== 0 || !(count >= 0 && count <= rows)) throw new Error(`a dictionary of ${count} values`);
    } else if (header.type === "DATA_PAGE_V2" && header.data_page_header_v2 !== undefined) {
      seen += checkDataPage(page, inflated, header.data_page_header_v2, rows - seen);
    } else {
      throw new Error(`a page of type ${header.type}`);
    }
    at = end;
  }
  if (seen !== rows) throw new Error(`pages of ${seen} values for ${rows} rows`);
}

/** The number of values in the page. */
function checkDataPage(page: Uint8Array, inflated: number, header: DataPageHeaderV2, left: number): number {
  const { num_values: count, num_nulls: nulls, num_rows: rows, encoding, is_compressed: compressed } = header;
  const { definition_levels_byte_length: levels, repetition_levels_byte_length: repetitions } = header;
  if (!(count > 0 && count <= left && rows === count)) throw new Error(`a page of ${count} values`);
  if (!(nulls >= 0 && nulls <= count)) throw new Error(`a page of ${nulls} nulls among ${count} values`);
  if (!(levels >= 0 && levels <= page.length && levels <= inflated))
    throw new Error(`${levels} bytes of levels`);
  if (repetitions !== 0 || compressed === false) throw new Error("a page that is nested or not compressed");
  checkRuns(page.subarray(0, levels), 1, count);
  if (encoding === "PLAIN") return count;
  const values = inflate(page.subarray(levels), inflated - levels);
  if (encoding === "RLE_DICTIONARY") {
    const bits = values[0] ?? 0;
    if (bits > INDEX_BITS_MAX) throw new Error(`indexes of ${bits} bits`);
    checkRuns(values.subarray(1), bits, count - nulls);
  } else if (encoding === "RLE") {
    checkRuns(values.subarray(4), 1, count - nulls);
  } else {
    throw new Error(`the encoding ${encoding}`);
  }
  return count;
}

/** Runs of the RLE and bit-packing hybrid must give `count` values, and no run more than are left. */
function checkRuns(bytes: Uint8Array, bits: number, count: number): void {
  let at = 0;
  for (let left = count; left > 0;) {
    let header = 0;
    let more = true;
    for (let shift = 0; more; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined || shift > 28) throw new Error("a run without a length");
      header += (byte & 0x7f) * 2 ** shift;
      more = byte >= 0x80;
      at += 1;
    }
    const packed = header % 2 === 1;
    const run = packed ? ((header - 1) / 2) * 8 : header / 2;
    // Bit-packed values come in groups of eight, the last of which may be padded.
    if (run === 0 || run > left + (packed ? 7 : 0)) throw new Error(`a run of ${run} where ${left} are left`);
    at += packed ? (run / 8) * bits : Math.ceil(bits / 8);
    if (at > bytes.length) throw new Error("a run that is cut");
    left -= run;
  }
}

/** Node's zstd, stopped where the header says that the page ends: one that goes on is damaged, or a bomb. */
export function inflate(input: Uint8Array, bytesExpected: number): Uint8Array {
  if (bytesExpected > PAGE_BYTES_MAX) throw new Error(`a page of ${bytesExpected} bytes`);
  return zstdDecompressSync(input, { maxOutputLength: Math.max(1, bytesExpected) });
}
