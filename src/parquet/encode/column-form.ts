/** How the columns of a kind are taken apart, ordered and encoded. */
import type { Column, ValueKind } from "../../rows/column.ts";
import type { Order } from "./bounds.ts";
import { gatherBytes, gatherJsonb } from "./byte-cells.ts";
import type { ColumnCells, RawCells } from "./column-cells.ts";
import { decimalWords, gatherDecimal } from "./decimal-cells.ts";
import { gatherFixed, isFixedKind, wordsOf } from "./fixed-cells.ts";
import { gatherNumeric, type NumericTexts } from "./numeric-cells.ts";

export interface ColumnForm {
  readonly column: Column;
  /** The column's number. */
  readonly index: number;
  /** Words of a value; 0 where values are of any length. */
  readonly words: 0 | 1 | 2 | 4;
  readonly order: Order;
  readonly isText: boolean;
  /** Whether a value may stand in a dictionary: floats rarely repeat, and a boolean is a bit already. */
  readonly hasDictionary: boolean;
  /** Whether differences may be packed: integers and what counts days or microseconds. */
  readonly hasDelta: boolean;
  readonly hasBloomFilter: boolean;
  /** Whether a row group may be said to be sorted by it. */
  readonly isTime: boolean;
}

const BYTES: ReadonlySet<ValueKind> = new Set<ValueKind>([
  "numeric",
  "bytea",
  "text",
  "json",
  "jsonb",
  "binary",
]);
const TEXTS: ReadonlySet<ValueKind> = new Set<ValueKind>(["numeric", "text", "json", "jsonb"]);
const FLOATS: ReadonlySet<ValueKind> = new Set<ValueKind>(["float4", "float8"]);
const TIMES: ReadonlySet<ValueKind> = new Set<ValueKind>(["timestamptz", "timestamp", "date"]);

const wordsIn = (column: Column): 0 | 1 | 2 | 4 => {
  if (BYTES.has(column.kind)) return 0;
  return isFixedKind(column.kind) ? wordsOf(column.kind) : decimalWords(column);
};

function orderOf({ kind }: Column, words: 0 | 1 | 2 | 4): Order {
  if (kind === "bool") return "boolean";
  if (kind === "float4") return "float";
  if (kind === "float8") return "double";
  if (kind === "uuid") return "unsigned16";
  return ({ 0: "bytes", 1: "int32", 2: "int64", 4: "signed16" } as const)[words];
}

export function columnForm(column: Column, index: number, bloomFilters: readonly string[]): ColumnForm {
  const { kind } = column;
  const words = wordsIn(column);
  const isPlain = kind === "bool" || FLOATS.has(kind);
  return {
    column,
    index,
    words,
    order: orderOf(column, words),
    isText: TEXTS.has(kind),
    hasDictionary: !isPlain,
    hasDelta: !isPlain && (words === 1 || words === 2),
    hasBloomFilter: !isPlain && bloomFilters.includes(column.name),
    isTime: TIMES.has(kind),
  };
}

/** Takes a chunk's fields of the column apart: the number of values, and the bytes that starts point into. */
export function gather({ column }: ColumnForm, from: RawCells, cells: ColumnCells): NumericTexts {
  const { kind } = column;
  const source = from.raw;
  if (kind === "numeric") return gatherNumeric(from, cells);
  if (kind === "jsonb") return { values: gatherJsonb(from, cells), source };
  if (kind === "decimal") return { values: gatherDecimal(column, from, cells), source };
  return { values: isFixedKind(kind) ? gatherFixed(kind, from, cells) : gatherBytes(from, cells), source };
}
