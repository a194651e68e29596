/**
 * The numbers by which Parquet's Thrift definitions name things, as far as the encoder writes them.
 * Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */
export const PHYSICAL_TYPES: Readonly<Record<string, number>> = {
  BOOLEAN: 0,
  INT32: 1,
  INT64: 2,
  FLOAT: 4,
  DOUBLE: 5,
  BYTE_ARRAY: 6,
  FIXED_LEN_BYTE_ARRAY: 7,
};

export const CONVERTED_TYPES: Readonly<Record<string, number>> = {
  UTF8: 0,
  DECIMAL: 5,
  DATE: 6,
  TIMESTAMP_MICROS: 10,
  INT_16: 16,
};

export const ENCODING = {
  plain: 0,
  rle: 3,
  deltaBinaryPacked: 5,
  deltaLengthByteArray: 6,
  rleDictionary: 8,
} as const;
export type Encoding = (typeof ENCODING)[keyof typeof ENCODING];

export const PAGE = { dictionary: 2, dataV2: 3 } as const;
export const ZSTD = 6;
export const OPTIONAL = 1;
export const BOUNDARY_ORDER = { unordered: 0, ascending: 1, descending: 2 } as const;
export type BoundaryOrder = (typeof BOUNDARY_ORDER)[keyof typeof BOUNDARY_ORDER];
export const MAGIC = Uint8Array.of(0x50, 0x41, 0x52, 0x31);
