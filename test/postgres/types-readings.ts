/** What DuckDB and hyparquet should see of the type table, with values at its edges. */

export interface Reading {
  readonly type: string;
  /** Seven SQL expressions; an eighth row is NULL. */
  readonly values: readonly string[];
  /** As DuckDB's DESCRIBE prints it. */
  readonly duckdb: string;
  /** The value as a text that Postgres and DuckDB print alike, over the column `v`. */
  readonly text?: { readonly postgres: string; readonly duckdb: string };
  /** What hyparquet gives for the value that Postgres prints as `text`. */
  readonly plain: (text: string) => unknown;
  /** Values that are NULL in the file and stand in the manifest. */
  readonly exceptions?: number;
}

const MICROS = {
  postgres: "(extract(epoch FROM v) * 1000000)::bigint::text",
  duckdb: "epoch_us(v)::VARCHAR",
};
const HEX = { postgres: "encode(v, 'hex')", duckdb: "lower(hex(v))" };
const UTF8 = { postgres: "encode(convert_to(v::text, 'UTF8'), 'hex')", duckdb: "lower(hex(encode(v)))" };

const hexBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const hexText = (text: string): string => Buffer.from(text, "hex").toString("utf8");
const milliseconds = (text: string): Date => new Date(Number(BigInt(text) / 1000n));

const INSTANTS = [
  "'2026-01-03 12:34:56.789000+00'",
  "'1970-01-01 00:00+00'",
  "'0001-01-01 00:00+00'",
  "'9999-12-31 23:59:59.999000+00'",
  "'1969-12-31 23:59:59.999000+00'",
] as const;
const DOCUMENT = `'{"a": [1, "ä"], "b": null}'`;

export const READINGS: Readonly<Record<string, Reading>> = {
  bool: {
    type: "bool",
    values: ["true", "false", "true", "true", "false", "false", "true"],
    duckdb: "BOOLEAN",
    plain: (text) => text === "true",
  },
  int2: {
    type: "int2",
    values: ["-32768", "32767", "0", "-1", "1", "255", "256"],
    duckdb: "SMALLINT",
    plain: Number,
  },
  int4: {
    type: "int4",
    values: ["-2147483648", "2147483647", "0", "-1", "1", "7", "8"],
    duckdb: "INTEGER",
    plain: Number,
  },
  int8: {
    type: "int8",
    values: ["'-9223372036854775808'", "9223372036854775807", "0", "-1", "9007199254740993", "1", "2"],
    duckdb: "BIGINT",
    plain: BigInt,
  },
  float4: {
    type: "float4",
    values: ["'NaN'", "1.5", "'-Infinity'", "'-0'", "0.1", "'1e-45'", "3.4e38"],
    duckdb: "FLOAT",
    plain: Number,
  },
  float8: {
    type: "float8",
    values: ["'NaN'", "1.5", "'Infinity'", "'-0'", "0.1", "'5e-324'", "1.7e308"],
    duckdb: "DOUBLE",
    plain: Number,
  },
  decimal_small: {
    type: "numeric(9,2)",
    values: ["9999999.99", "-9999999.99", "0", "0.01", "'NaN'", "-0.5", "1"],
    duckdb: "DECIMAL(9,2)",
    plain: Number,
    exceptions: 1,
  },
  decimal_middle: {
    type: "numeric(18,6)",
    values: ["999999999999.999999", "-999999999999.999999", "0", "0.000001", "-1", "10", "'NaN'"],
    duckdb: "DECIMAL(18,6)",
    plain: Number,
    exceptions: 1,
  },
  decimal_large: {
    type: "numeric(38,10)",
    values: ["9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999"].concat(
      "0",
      "1e-10",
      "-1e-10",
      "-1",
      "256",
    ),
    duckdb: "DECIMAL(38,10)",
    plain: Number,
  },
  numeric: {
    type: "numeric",
    values: ["1e40", "-0.10", "'NaN'", "'Infinity'", "'-Infinity'", "0.000", "10000"],
    duckdb: "VARCHAR",
    plain: String,
    exceptions: 0, // an infinity stands in the manifest and is read all the same
  },
  timestamptz: {
    type: "timestamptz",
    values: [...INSTANTS, "'infinity'", "'294276-12-31 23:59:59.999999+00'"],
    duckdb: "TIMESTAMP WITH TIME ZONE",
    text: MICROS,
    plain: milliseconds,
    exceptions: 2,
  },
  timestamp: {
    type: "timestamp",
    values: [...INSTANTS.map((text) => text.replace("+00", "")), "'-infinity'", "'2000-01-01'"],
    duckdb: "TIMESTAMP",
    text: MICROS,
    plain: milliseconds,
    exceptions: 1,
  },
  date: {
    type: "date",
    values: [
      "'1970-01-01'",
      "'2000-02-29'",
      "'0001-01-01'",
      "'9999-12-31'",
      "'infinity'",
      "'-infinity'",
    ].concat("'1969-12-31'"),
    duckdb: "DATE",
    plain: (text) => new Date(`${text}T00:00:00Z`),
    exceptions: 2,
  },
  time: {
    type: "time",
    values: [
      "'00:00'",
      "'23:59:59.999999'",
      "'24:00'",
      "'12:34:56.789'",
      "'00:00:00.000001'",
      "'1:00'",
      "'2:00'",
    ],
    duckdb: "TIME",
    text: MICROS,
    plain: BigInt,
  },
  uuid: {
    type: "uuid",
    values: [
      "'00000000-0000-0000-0000-000000000000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
      "'80000000-0000-0000-0000-000000000000'",
      "'7fffffff-ffff-ffff-ffff-ffffffffffff'",
      "'00000000-0000-0000-0000-000000000001'",
      "'00000000-0000-0000-0000-000000000002'",
    ],
    duckdb: "UUID",
    plain: String,
  },
  bytea: {
    type: "bytea",
    values: [
      "''",
      "'\\x00'",
      "'\\xff'",
      "decode(repeat('ff', 40), 'hex')",
      "'\\x8000'",
      "'\\x7f'",
      "'\\x00ff'",
    ],
    duckdb: "BLOB",
    text: HEX,
    plain: hexBytes,
  },
  text: {
    type: "text",
    values: ["''", "E'\\uFEFFx'", "repeat(E'\\U0010FFFF', 40)", "'ä'", "repeat('z', 100)", "E'\\n'", "'a'"],
    duckdb: "VARCHAR",
    text: UTF8,
    plain: hexText,
  },
  varchar: {
    type: "varchar(10)",
    values: ["'a'", "'b'", "'c'", "'d'", "'e'", "'f'", "'g'"],
    duckdb: "VARCHAR",
    text: UTF8,
    plain: hexText,
  },
  json: {
    type: "json",
    values: [DOCUMENT, "'1'", "'  [1 , 2]\n'", `'{"a":1,"a":2}'`, "'null'", `'""'`, "'{}'"],
    duckdb: "VARCHAR",
    text: UTF8,
    plain: hexText,
  },
  jsonb: {
    type: "jsonb",
    values: [DOCUMENT, "'1'", "'[1 , 2]'", `'{"a":1,"a":2}'`, "'null'", `'""'`, "'{}'"],
    duckdb: "VARCHAR",
    text: UTF8,
    plain: hexText,
  },
  array: {
    type: "int4[]",
    values: ["'{1,NULL}'", "'{}'", "'{{1,2},{3,4}}'", "'{1}'", "'{2}'", "'{3}'", "'{4}'"],
    duckdb: "VARCHAR",
    plain: String,
  },
  inet: {
    type: "inet",
    values: ["'10.0.0.1'", "'10.0.0.0/8'", "'::1'", "'1.2.3.4'", "'1.2.3.5'", "'1.2.3.6'", "'1.2.3.7'"],
    duckdb: "VARCHAR",
    text: { postgres: "abbrev(v)", duckdb: "v" },
    plain: String,
  },
};
export const NAMES = Object.keys(READINGS);
/** Types that both print alike. */
export const SAME = { postgres: "v::text", duckdb: "v::VARCHAR" };

/** What is NULL in the file: the infinities of times, what the Unix epoch has no room for, NaN in a DECIMAL. */
export function finite(name: string): string {
  if (name.startsWith("decimal")) return "v <> 'NaN'";
  if (name === "timestamptz") return "isfinite(v) AND v < '294247-01-01'";
  if (name === "timestamp" || name === "date") return "isfinite(v)";
  return "true";
}
