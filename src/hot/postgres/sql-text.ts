/**
 * SQL over the source table. Column lists are explicit, every identifier is quoted, the table is schema-qualified and
 * addressed with ONLY (hazards 9, 17, 19). COPY takes no parameters, so values are quoted literals with their type.
 */
import type { Column, Selection, ValueKind } from "../../rows/column.ts";
import { type EpochMicros, formatPostgresTimestamp, POSTGRES_EPOCH_MICROS } from "../../rows/day.ts";
import type { Bound, KeyRange } from "../../rows/key-range.ts";
import { invariant } from "../../errors.ts";
import { quoteIdentifier, quoteLiteral, quoteTable } from "../../postgres/quote.ts";
import type { Leaf, SourceTable, TableName } from "../port.ts";

const CASTS: Readonly<Partial<Record<ValueKind, string>>> = {
  int2: "pg_catalog.int2",
  int4: "pg_catalog.int4",
  int8: "pg_catalog.int8",
  uuid: "pg_catalog.uuid",
  text: "pg_catalog.text",
  bytea: "pg_catalog.bytea",
  date: "pg_catalog.date",
  time: "pg_catalog.time",
  timestamp: "pg_catalog.timestamp",
  timestamptz: "pg_catalog.timestamptz",
};

function columnOf(source: SourceTable, index: number): Column {
  const column = source.columns[index];
  invariant(column !== undefined, source.table.name, `there is no column ${index}`);
  return column;
}

export function timeIdentifier(source: SourceTable): string {
  return quoteIdentifier(columnOf(source, source.timeColumn).attribute);
}

/** An expression as COPY is asked for it; `CopyBinaryDecoder` makes texts of inets. */
export function selected(select: Selection, expression: string): string {
  return select === "text" ? `${expression}::pg_catalog.text` : expression;
}

/** What COPY and RETURNING list: the same for export and delete, so that the same row gives the same bytes. */
export function selectList(source: SourceTable): string {
  return source.columns
    .map(({ attribute, name, select }) => {
      const expression = selected(select, quoteIdentifier(attribute));
      return select === "text" ? `${expression} AS ${quoteIdentifier(name)}` : expression;
    })
    .join(", ");
}

/** How the columns of `selectList` become those of the archive. */
export function selectionsOf(source: SourceTable): Selection[] {
  return source.columns.map(({ select }) => select);
}

/** A key column as it is compared and sorted: text by its bytes, whatever the database's collation. */
function keyExpression({ attribute, kind }: Column): string {
  const identifier = quoteIdentifier(attribute);
  return kind === "text" ? `${identifier}::pg_catalog.text COLLATE pg_catalog."C"` : identifier;
}

function literal({ kind }: Column, text: string): string {
  const cast = CASTS[kind];
  invariant(cast !== undefined, "literal", `no literal of kind ${kind}`);
  // A timestamptz is written in UTC; the zone makes it so whatever the session thinks (I11).
  const zoned = kind === "timestamptz" ? withZone(text) : text;
  return `${quoteLiteral(zoned)}::${cast}`;
}

function withZone(text: string): string {
  if (text.endsWith("infinity")) return text;
  return text.endsWith(" BC") ? `${text.slice(0, -3)}+00 BC` : `${text}+00`;
}

/**
 * Time, then key. Without a key the texts of all columns: rows that are still alike then are alike in the archive, or
 * show as drift.
 */
export function orderBy(source: SourceTable): string {
  const keys = source.keyColumns.map((index) => keyExpression(columnOf(source, index)));
  const texts = attributesOf(source).map((name) => `${name}::pg_catalog.text COLLATE pg_catalog."C"`);
  return [timeIdentifier(source), ...(keys.length > 0 ? keys : texts)].join(", ");
}

/** Each column of the table once, quoted. */
function attributesOf(source: SourceTable): string[] {
  return [...new Set(source.columns.map(({ attribute }) => attribute))].map(quoteIdentifier);
}

/** `>= bound` or `< bound` over (time, key). The condition on time alone lets an index on time be used. */
function sqlBound(source: SourceTable, bound: Bound, side: "from" | "to"): string {
  const time = timeIdentifier(source);
  const timeLiteral = literal(columnOf(source, source.timeColumn), bound.time);
  const operator = side === "from" ? ">=" : "<";
  if (bound.key === null) return `${time} ${operator} ${timeLiteral}`;
  const keys = source.keyColumns.map((index) => columnOf(source, index));
  invariant(keys.length === bound.key.length, source.table.name, "a bound has another number of key columns");
  const left = [time, ...keys.map(keyExpression)].join(", ");
  const right = [timeLiteral, ...keys.map((column, at) => literal(column, bound.key?.[at] as string))].join(
    ", ",
  );
  return `${time} ${side === "from" ? ">=" : "<="} ${timeLiteral} AND (${left}) ${operator} (${right})`;
}

export function sqlRange(source: SourceTable, range: KeyRange): string {
  return `${sqlBound(source, range.from, "from")} AND ${sqlBound(source, range.to, "to")}`;
}

export function sqlWhere(source: SourceTable, range: KeyRange, predicate: string | null): string {
  return predicate === null ? sqlRange(source, range) : `${sqlRange(source, range)} AND (${predicate})`;
}

/** One table that holds rows, and nothing that inherits from it. */
export function only(table: TableName): string {
  return `ONLY ${quoteTable(table)}`;
}

/**
 * All rows of the source. A plain table is addressed with ONLY (hazard 9); FROM ONLY on a partitioned one would read
 * nothing (hazard 17), and its partitions can have no columns of their own.
 */
export function whole(source: SourceTable): string {
  return source.isPartitioned ? quoteTable(source.table) : only(source.table);
}

/** The same for a FROM, together with leaves that are not attached any more and hold rows of the source still. */
export function rowsOf(source: SourceTable, apart: readonly TableName[]): string {
  if (apart.length === 0) return whole(source);
  const list = ["tableoid", ...attributesOf(source)].join(", ");
  const parts = [whole(source), ...apart.map(only)].map((table) => `SELECT ${list} FROM ${table}`);
  return `(${parts.join(" UNION ALL ")}) AS firnline_rows`;
}

/** Rows of `from`, which `only` or `rowsOf` wrote. */
export function sqlExport(
  source: SourceTable,
  from: string,
  range: KeyRange,
  predicate: string | null,
): string {
  return (
    `COPY (SELECT ${selectList(source)} FROM ${from} ` +
    `WHERE ${sqlWhere(source, range, predicate)} ORDER BY ${orderBy(source)}) TO STDOUT (FORMAT binary)`
  );
}

/** The proof-carrying delete: it hands back exactly the bytes that the export's COPY gave. */
export function sqlDelete(
  source: SourceTable,
  leaf: Leaf,
  range: KeyRange,
  predicate: string | null,
): string {
  return (
    `COPY (DELETE FROM ${only(leaf)} WHERE ${sqlWhere(source, range, predicate)} ` +
    `RETURNING ${selectList(source)}) TO STDOUT (FORMAT binary)`
  );
}

/**
 * Numbers of the keys, given column by column as arrays of texts, that none of `rows` has. Equality is the type's
 * own, so that the key's index is used; of texts the bytes count besides, whatever the column's collation takes for equal.
 */
export function sqlMissingKeys(source: SourceTable, rows: string): string {
  const columns = source.keyColumns.map((index) => columnOf(source, index));
  const arrays = columns.map((_, at) => `$${at + 1}::text[]`).join(", ");
  const names = columns.map((_, at) => `k${at}`);
  const equals = columns.map((column, at) => {
    // A timestamptz's text is in UTC, like the session.
    const key = `firnline_keys.${names[at]}`;
    const equal = `${quoteIdentifier(column.attribute)} = ${key}::${CASTS[column.kind]}`;
    return column.kind === "text" ? `${equal} AND ${keyExpression(column)} = ${key}` : equal;
  });
  return `SELECT n - 1 AS missing FROM unnest(${arrays}) WITH ORDINALITY AS firnline_keys(${names.join(", ")}, n)
    WHERE NOT EXISTS (SELECT FROM ${rows} WHERE ${equals.join(" AND ")}) ORDER BY n`;
}

/** A value of the time column, as microseconds since 2000, in the form of a bound. */
export function timeBound(micros: bigint): Bound {
  return { time: formatPostgresTimestamp((micros + POSTGRES_EPOCH_MICROS) as EpochMicros), key: null };
}

/** Which rule a row belongs to, as its index in the policy. */
export function ruleExpression(source: SourceTable): string {
  const cases = source.rules
    .filter(({ predicate }) => predicate !== null)
    .map(({ predicate }, index) => `WHEN (${predicate}) THEN ${index}`);
  return cases.length === 0 ? "0" : `CASE ${cases.join(" ")} ELSE ${source.rules.length - 1} END`;
}
