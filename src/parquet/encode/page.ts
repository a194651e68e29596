/**
 * Pages before they have a place in the file: what their headers say, and their compressed bytes.
 * Source: https://github.com/apache/parquet-format/blob/master/README.md, "Data Pages"
 */
import { type Encoding, ENCODING, PAGE } from "./parquet-format.ts";
import type { PageStatistics } from "./statistics.ts";
import { ThriftWriter } from "./thrift-writer.ts";

export interface DictionaryPage {
  readonly values: number;
  readonly rawBytes: number;
  readonly compressed: Promise<Uint8Array>;
}

export interface DataPage {
  readonly statistics: PageStatistics;
  readonly encoding: Encoding;
  /** Definition levels, which are not compressed. */
  readonly levels: Uint8Array;
  /** The values, and what they were before they were compressed. */
  readonly rawBytes: number;
  readonly compressed: Promise<Uint8Array>;
}

export function dictionaryPageHeader(page: DictionaryPage, compressedBytes: number): Uint8Array {
  const thrift = new ThriftWriter(32);
  thrift.i32(1, PAGE.dictionary);
  thrift.i32(2, page.rawBytes);
  thrift.i32(3, compressedBytes);
  thrift.struct(7);
  thrift.i32(1, page.values);
  thrift.i32(2, ENCODING.plain);
  thrift.end();
  thrift.end();
  return thrift.take();
}

export function dataPageHeader(page: DataPage, compressedBytes: number): Uint8Array {
  const { rows, nulls } = page.statistics;
  const thrift = new ThriftWriter(48);
  thrift.i32(1, PAGE.dataV2);
  thrift.i32(2, page.levels.length + page.rawBytes);
  thrift.i32(3, page.levels.length + compressedBytes);
  thrift.struct(8);
  thrift.i32(1, rows);
  thrift.i32(2, nulls);
  thrift.i32(3, rows);
  thrift.i32(4, page.encoding);
  thrift.i32(5, page.levels.length);
  thrift.i32(6, 0);
  thrift.bool(7, true);
  thrift.end();
  thrift.end();
  return thrift.take();
}
