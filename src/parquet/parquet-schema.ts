/**
 * The Parquet type of each kind of column. Every column is OPTIONAL, NOT NULL ones too: a value that Parquet cannot
 * hold is written as null and kept as an exception in the manifest.
 * Source: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md
 */
import type { SchemaElement } from "hyparquet";
import type { Column, ValueKind } from "../rows/column.ts";

const INT32_DECIMAL_DIGITS = 9;
const INT64_DECIMAL_DIGITS = 18;
/** 16 bytes hold every DECIMAL of up to 38 digits. */
export const DECIMAL_BYTES = 16;

export type DecimalWidth = "int32" | "int64" | "fixed";

export function decimalWidth(precision: number): DecimalWidth {
  if (precision <= INT32_DECIMAL_DIGITS) return "int32";
  return precision <= INT64_DECIMAL_DIGITS ? "int64" : "fixed";
}

type Physical = Omit<SchemaElement, "name" | "repetition_type">;

const STRING: Physical = { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } };

const timestamp = (isAdjustedToUTC: boolean): Physical => ({
  type: "INT64",
  ...(isAdjustedToUTC ? { converted_type: "TIMESTAMP_MICROS" as const } : {}),
  logical_type: { type: "TIMESTAMP", isAdjustedToUTC, unit: "MICROS" },
});

const PHYSICAL: Readonly<Record<Exclude<ValueKind, "decimal">, Physical>> = {
  bool: { type: "BOOLEAN" },
  int2: {
    type: "INT32",
    converted_type: "INT_16",
    logical_type: { type: "INTEGER", bitWidth: 16, isSigned: true },
  },
  int4: { type: "INT32" },
  int8: { type: "INT64" },
  float4: { type: "FLOAT" },
  float8: { type: "DOUBLE" },
  numeric: STRING,
  timestamptz: timestamp(true),
  timestamp: timestamp(false),
  date: { type: "INT32", converted_type: "DATE", logical_type: { type: "DATE" } },
  time: { type: "INT64", logical_type: { type: "TIME", isAdjustedToUTC: false, unit: "MICROS" } },
  uuid: { type: "FIXED_LEN_BYTE_ARRAY", type_length: 16, logical_type: { type: "UUID" } },
  bytea: { type: "BYTE_ARRAY" },
  text: STRING,
  // A string is what all readers take.
  json: STRING,
  jsonb: STRING,
  binary: { type: "BYTE_ARRAY" },
};

function physical(column: Column): Physical {
  if (column.kind !== "decimal") return PHYSICAL[column.kind];
  const precision = column.precision as number;
  const scale = column.scale as number;
  const decimal = {
    converted_type: "DECIMAL" as const,
    precision,
    scale,
    logical_type: { type: "DECIMAL" as const, precision, scale },
  };
  const width = decimalWidth(precision);
  if (width === "int32") return { type: "INT32", ...decimal };
  if (width === "int64") return { type: "INT64", ...decimal };
  return { type: "FIXED_LEN_BYTE_ARRAY", type_length: DECIMAL_BYTES, ...decimal };
}

export function parquetSchema(columns: readonly Column[]): SchemaElement[] {
  return [
    { name: "root", num_children: columns.length },
    ...columns.map((column) => ({
      name: column.name,
      repetition_type: "OPTIONAL" as const,
      ...physical(column),
    })),
  ];
}
