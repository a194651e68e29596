/**
 * The footer of a Parquet file, as far as our reader needs it: schema, row groups, where things lie, and the statistics as
 * the bytes that they are. Nothing in it is trusted here; `read-segment.ts` holds it against the manifest.
 * Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */
import {
  binary,
  flag,
  integer,
  list,
  struct,
  ThriftReader,
  type ThriftStruct,
  type ThriftValue,
} from "./thrift.ts";

const TYPES = [
  "BOOLEAN",
  "INT32",
  "INT64",
  "INT96",
  "FLOAT",
  "DOUBLE",
  "BYTE_ARRAY",
  "FIXED_LEN_BYTE_ARRAY",
] as const;
const REPETITIONS = ["REQUIRED", "OPTIONAL", "REPEATED"] as const;

export interface FooterElement {
  readonly name: string;
  readonly type: (typeof TYPES)[number] | undefined;
  readonly typeLength: number | undefined;
  readonly repetition: (typeof REPETITIONS)[number] | undefined;
  readonly children: number;
}

/** A place in the object. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** Bounds in PLAIN encoding, without the length in front of a byte string; undefined where there are none. */
export interface FooterStatistics {
  readonly nulls: number | undefined;
  readonly min: Uint8Array | undefined;
  readonly max: Uint8Array | undefined;
  /** Whether the bound is a value of the column, and not only below or above all of them. */
  readonly isMinExact: boolean;
  readonly isMaxExact: boolean;
}

export interface FooterColumn {
  readonly type: (typeof TYPES)[number] | undefined;
  readonly path: readonly string[];
  readonly codec: number | undefined;
  /** Set when the column is in another file. */
  readonly filePath: Uint8Array | undefined;
  readonly bytes: number | undefined;
  readonly dataPageOffset: number | undefined;
  readonly dictionaryPageOffset: number | undefined;
  readonly statistics: FooterStatistics;
  readonly columnIndex: Extent | null;
  readonly offsetIndex: Extent | null;
  /** Some writers leave the length out; ours do not. */
  readonly bloomFilter: Extent | null;
}

/** The rows of a row group are in the order of this column, those of equal values in that of the next one. */
export interface SortingColumn {
  readonly column: number;
  readonly isDescending: boolean;
}

export interface FooterRowGroup {
  readonly rows: number;
  readonly sortedBy: readonly SortingColumn[];
  readonly columns: readonly FooterColumn[];
}

export interface Footer {
  readonly schema: readonly FooterElement[];
  /** How many there are. */
  readonly rowGroups: number;
  /** Read from the footer's bytes anew: of thousands of row groups all that they say would be megabytes (I10). */
  readonly rowGroup: (number: number) => FooterRowGroup;
}

/** Some forty of a column chunk are ours; other writers, and later versions of the format, may say more. */
const COLUMN_CHUNK_VALUES_MAX = 128;
const COLUMN_VALUES_MAX = 32;
/** Besides: texts that a writer adds. */
const VALUES_MAX = 4_096;

// A byte order mark in front of a name belongs to it.
const asText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads the footer's bytes, without its length and the PAR1 behind. `columns` and `columnChunks` are as many as there can
 * be. Throws an `Error` when they are none.
 */
export function readFooter(bytes: Uint8Array, columns: number, columnChunks: number): Footer {
  const valuesMax = VALUES_MAX + columns * COLUMN_VALUES_MAX + columnChunks * COLUMN_CHUNK_VALUES_MAX;
  const { fields, starts } = new ThriftReader(bytes, valuesMax).outline(4);
  if (fields.has(4)) throw new Error("field 4 is no list");
  return {
    schema: structs(fields, 2).map((element) => ({
      name: text(binary(element, 4)),
      type: TYPES[integer(element, 1) ?? -1],
      typeLength: integer(element, 2),
      repetition: REPETITIONS[integer(element, 3) ?? -1],
      children: integer(element, 5) ?? 0,
    })),
    rowGroups: starts.length,
    rowGroup: (number) => readRowGroup(new ThriftReader(bytes, valuesMax, starts[number]).struct(1)),
  };
}

function readRowGroup(group: ThriftStruct): FooterRowGroup {
  return {
    rows: integer(group, 3) ?? -1,
    sortedBy: structs(group, 4).map((sorting) => ({
      column: integer(sorting, 1) ?? -1,
      isDescending: flag(sorting, 2) ?? false,
    })),
    columns: structs(group, 1).map(readColumn),
  };
}

function readColumn(chunk: ThriftStruct): FooterColumn {
  const metadata = struct(chunk, 3) ?? (new Map() as ThriftStruct);
  const statistics = struct(metadata, 12) ?? (new Map() as ThriftStruct);
  return {
    type: TYPES[integer(metadata, 1) ?? -1],
    path: (list(metadata, 3) ?? []).map(text),
    codec: integer(metadata, 4),
    filePath: binary(chunk, 1),
    bytes: integer(metadata, 7),
    dataPageOffset: integer(metadata, 9),
    dictionaryPageOffset: integer(metadata, 11),
    statistics: {
      nulls: integer(statistics, 3),
      min: binary(statistics, 6),
      max: binary(statistics, 5),
      isMinExact: flag(statistics, 8) ?? false,
      isMaxExact: flag(statistics, 7) ?? false,
    },
    columnIndex: extent(integer(chunk, 6), integer(chunk, 7)),
    offsetIndex: extent(integer(chunk, 4), integer(chunk, 5)),
    bloomFilter: extent(integer(metadata, 14), integer(metadata, 15)),
  };
}

function extent(offset: number | undefined, length: number | undefined): Extent | null {
  return offset === undefined || length === undefined ? null : { offset, length };
}

function structs(from: ThriftStruct, field: number): ThriftStruct[] {
  return (list(from, field) ?? []).map((value) => {
    if (!(value instanceof Map)) throw new Error(`an element of field ${field} is no structure`);
    return value;
  });
}

function text(value: ThriftValue | undefined): string {
  if (!(value instanceof Uint8Array)) throw new Error("a name that is no text");
  return asText.decode(value);
}
