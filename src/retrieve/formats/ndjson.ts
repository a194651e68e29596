/**
 * NDJSON: one JSON object a line, as Postgres' own `to_jsonb` would print the row, so that a consumer sees the same
 * whether a row was hot, warm or cold. Written for speed: a renderer a column, no row object.
 */
import type { Column, ValueKind } from "../../rows/column.ts";
import type { AnswerRow, AnswerWriter } from "./answer-writer.ts";
import { shownColumns, VALUE_TEXTS, type ValueText } from "./value-text.ts";

/** The kinds whose text is a JSON value already, except for what is no number: NaN, infinities, broken bytes. */
const NUMBERS: ReadonlySet<ValueKind> = new Set<ValueKind>([
  "int2",
  "int4",
  "int8",
  "float4",
  "float8",
  "decimal",
  "numeric",
]);

/** The kinds whose text has nothing to escape. */
const PLAIN: ReadonlySet<ValueKind> = new Set<ValueKind>([
  "timestamptz",
  "timestamp",
  "date",
  "time",
  "uuid",
]);

const NUMBER_START = /^-?\d/;

/** Valid JSON holds line breaks only between its tokens; there they may be spaces. */
const embedded = (json: string): string => json.replace(/[\r\n]+/g, " ");

function renderer(kind: ValueKind): ValueText {
  const textOf = VALUE_TEXTS[kind];
  if (kind === "bool") return textOf;
  if (kind === "json" || kind === "jsonb") return (field) => embedded(textOf(field));
  if (PLAIN.has(kind)) return (field) => `"${textOf(field)}"`;
  if (!NUMBERS.has(kind)) return (field) => JSON.stringify(textOf(field));
  return (field) => {
    const text = textOf(field);
    return NUMBER_START.test(text) ? text : JSON.stringify(text);
  };
}

/** Prints the current row of a cursor, line break included. */
export function ndjsonRow(columns: readonly Column[]): (row: AnswerRow) => string {
  const rendered = shownColumns(columns).map(({ name, index, kind }, at) => ({
    column: index,
    prefix: `${at === 0 ? "{" : ","}${JSON.stringify(name)}:`,
    render: renderer(kind),
  }));
  return (row) => {
    let line = "";
    for (const { column, prefix, render } of rendered) {
      line += prefix + (row.isNull(column) ? "null" : render(row.field(column)));
    }
    return `${line}}\n`;
  };
}

export function ndjsonWriter(columns: readonly Column[]): AnswerWriter {
  return { header: () => "", row: ndjsonRow(columns), end: () => "" };
}
