/**
 * The pages of a column chunk, one after the other: header checked, values inflated. Nothing that a header says is
 * believed: counts are held against the rows that are expected, sizes against the bytes that are there. Two flipped bits
 * are enough to ask a trusting reader for a billion values, and the process is gone before any digest is compared.
 *
 * What is read: dictionary pages, and data pages v2 of flat OPTIONAL columns, with ZSTD or not compressed.
 * Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */
import { zstdDecompressSync } from "node:zlib";
import { flag, integer, struct, ThriftReader, type ThriftStruct } from "./thrift.ts";

const PAGE_BYTES_MAX = 1024 * 1024 * 1024;
/** Output is taken in one piece up to this size; a header may ask for no more before there is something to show. */
const INFLATE_PIECE_BYTES = 16 * 1024 * 1024;

/** A header has some twenty, with statistics. */
const HEADER_VALUES_MAX = 64;

const [PLAIN, PLAIN_DICTIONARY] = [0, 2];
const ENCODINGS: Readonly<Record<number, string>> = {
  [PLAIN]: "PLAIN",
  [PLAIN_DICTIONARY]: "PLAIN_DICTIONARY",
  3: "RLE",
  5: "DELTA_BINARY_PACKED",
  6: "DELTA_LENGTH_BYTE_ARRAY",
  7: "DELTA_BYTE_ARRAY",
  8: "RLE_DICTIONARY",
  9: "BYTE_STREAM_SPLIT",
};

export interface DictionaryPage {
  readonly kind: "dictionary";
  readonly count: number;
  /** PLAIN. */
  readonly values: Uint8Array;
}

export interface DataPage {
  readonly kind: "data";
  /** Where it begins and ends in the bytes that are read, its header included. */
  readonly start: number;
  readonly end: number;
  readonly rows: number;
  readonly nulls: number;
  /** Its name, or the number of one that has none here. */
  readonly encoding: string;
  /** Definition levels, runs of one bit each. */
  readonly levels: Uint8Array;
  readonly values: Uint8Array;
}

/** Reads `bytes` page by page; `rows` are those of all the pages that can come. */
export class PageReader {
  readonly #bytes: Uint8Array;
  readonly #rows: number;
  #at = 0;

  constructor(bytes: Uint8Array, rows: number) {
    this.#bytes = bytes;
    this.#rows = rows;
  }

  /** The next page, null at the end; throws an `Error` that says what is wrong with it. */
  next(): DictionaryPage | DataPage | null {
    const bytes = this.#bytes;
    if (this.#at >= bytes.length) return null;
    const start = this.#at;
    const reader = new ThriftReader(bytes, HEADER_VALUES_MAX, start);
    const header = reader.struct();
    const inflated = integer(header, 2) ?? -1;
    const size = integer(header, 3) ?? -1;
    if (!(size >= 0 && size <= bytes.length - reader.at)) throw new Error("a page runs over its end");
    if (!(inflated >= 0 && inflated <= PAGE_BYTES_MAX)) throw new Error(`a page of ${inflated} bytes`);
    this.#at = reader.at + size;
    const body = bytes.subarray(reader.at, this.#at);
    const dictionary = struct(header, 7);
    const data = struct(header, 8);
    const type = integer(header, 1);
    if (type === 2 && dictionary !== undefined)
      return dictionaryPage(dictionary, body, inflated, start === 0 ? this.#rows : 0);
    if (type === 3 && data !== undefined)
      return { ...dataPage(data, body, inflated, this.#rows), start, end: this.#at };
    throw new Error(`a page of type ${type}`);
  }
}

/** A dictionary comes first, and has no more values than there are rows. */
function dictionaryPage(
  header: ThriftStruct,
  body: Uint8Array,
  inflated: number,
  countMax: number,
): DictionaryPage {
  const count = integer(header, 1) ?? -1;
  if (!(count >= 0 && count <= countMax)) throw new Error(`a dictionary of ${count} values`);
  const encoding = integer(header, 2);
  if (encoding !== PLAIN && encoding !== PLAIN_DICTIONARY)
    throw new Error(`a dictionary in encoding ${encoding}`);
  return { kind: "dictionary", count, values: inflate(body, inflated) };
}

function dataPage(
  header: ThriftStruct,
  body: Uint8Array,
  inflated: number,
  rowsMax: number,
): Omit<DataPage, "start" | "end"> {
  const [count = -1, nulls = -1, rows = -1] = [integer(header, 1), integer(header, 2), integer(header, 3)];
  const [levels = -1, repetitions = -1] = [integer(header, 5), integer(header, 6)];
  if (!(count > 0 && count <= rowsMax && rows === count)) throw new Error(`a page of ${count} values`);
  if (!(nulls >= 0 && nulls <= count)) throw new Error(`a page of ${nulls} nulls among ${count} values`);
  if (!(levels >= 0 && levels <= body.length && levels <= inflated))
    throw new Error(`${levels} bytes of levels`);
  if (repetitions !== 0) throw new Error("a page that is nested");
  const values = body.subarray(levels);
  const isCompressed = flag(header, 7) ?? true;
  if (!isCompressed && values.length !== inflated - levels)
    throw new Error(`a page of ${values.length} bytes that should be ${inflated - levels}`);
  const encoding = integer(header, 4) ?? -1;
  return {
    kind: "data",
    rows,
    nulls,
    encoding: ENCODINGS[encoding] ?? String(encoding),
    levels: body.subarray(0, levels),
    values: isCompressed ? inflate(values, inflated - levels) : values,
  };
}

/** Node's zstd, stopped where the header says that the page ends: one that goes on is damaged, or a bomb. */
function inflate(input: Uint8Array, bytesExpected: number): Uint8Array {
  // A page of nothing but nulls may have no frame at all.
  if (bytesExpected === 0) return new Uint8Array(0);
  const inflated = zstdDecompressSync(input, {
    maxOutputLength: bytesExpected,
    // With room to spare the output is not copied once more.
    chunkSize: Math.min(bytesExpected + 64, INFLATE_PIECE_BYTES),
  });
  if (inflated.length !== bytesExpected)
    throw new Error(`a page that inflates to ${inflated.length} bytes, not to ${bytesExpected}`);
  return inflated;
}
