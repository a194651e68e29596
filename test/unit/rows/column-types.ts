/** Types of columns as `mapColumn` would give them, by their declared type. */
import type { ValueKind } from "../../../src/rows/column.ts";
import type { ColumnType } from "../../../src/rows/united-type.ts";

export const columnType = (kind: ValueKind, type: string): ColumnType => ({
  type,
  select: "value",
  kind,
  precision: null,
  scale: null,
});

const decimal = (precision: number, scale: number): ColumnType => ({
  ...columnType("decimal", `numeric(${precision},${scale})`),
  precision,
  scale,
});

export const BINARY = (type: string): ColumnType => columnType("binary", type);
export const TEXT_FORMS = (type: string): ColumnType => ({ ...columnType("text", type), select: "text" });
export const INET = (type: string): ColumnType => ({ ...columnType("text", type), select: "inet" });

const KINDS: Readonly<Partial<Record<ValueKind, readonly string[]>>> = {
  bool: ["boolean"],
  int2: ["smallint"],
  int4: ["integer", "public.level"],
  int8: ["bigint"],
  float4: ["real"],
  float8: ["double precision"],
  numeric: ["numeric", "numeric(50,2)", "numeric(60,2)", "numeric(5,-2)"],
  timestamptz: ["timestamp with time zone", "timestamp(0) with time zone"],
  timestamp: ["timestamp without time zone", "timestamp(3) without time zone"],
  date: ["date"],
  time: ["time without time zone", "time(3) without time zone"],
  uuid: ["uuid"],
  bytea: ["bytea"],
  json: ["json"],
  jsonb: ["jsonb"],
  text: [
    "text",
    "name",
    "bpchar",
    "character(5)",
    "character(10)",
    "character varying",
    "character varying(10)",
    "character varying(20)",
    "public.mood",
    "public.feeling",
  ],
};

/** Those selected as they are, by their declared type. */
export const SAMPLES: Readonly<Record<string, ColumnType>> = Object.fromEntries(
  [
    ...Object.entries(KINDS).flatMap(([kind, types]) =>
      types.map((type) => columnType(kind as ValueKind, type)),
    ),
    ...[
      [4, 2],
      [6, 2],
      [6, 4],
      [12, 2],
      [12, 4],
      [38, 0],
      [38, 20],
    ].map(([precision, scale]) => decimal(precision as number, scale as number)),
  ].map((type) => [type.type, type]),
);
