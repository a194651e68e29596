/**
 * The lines of an answer built from the texts of its values, as they were printed before they were written byte by byte.
 * The writers of NDJSON and CSV are held against them.
 */
import { shownColumns, VALUE_TEXTS, type ValueText } from "../../src/retrieve/formats/value-text.ts";
import type { Column, ValueKind } from "../../src/rows/column.ts";

/** One row, NULL as null. */
export type Fields = readonly (Uint8Array | null)[];

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

export function ndjsonText(columns: readonly Column[]): (row: Fields) => string {
  const rendered = shownColumns(columns).map(({ name, index, kind }, at) => ({
    column: index,
    prefix: `${at === 0 ? "{" : ","}${JSON.stringify(name)}:`,
    render: renderer(kind),
  }));
  return (row) => {
    let line = "";
    for (const { column, prefix, render } of rendered) {
      line += prefix + (row[column] ? render(row[column]) : "null");
    }
    return `${line}}\n`;
  };
}

const LINE_END = "\r\n";

/** The other kinds have nothing to quote either. */
const CHOSEN_BY_OTHERS: ReadonlySet<ValueKind> = new Set<ValueKind>(["text", "json", "jsonb"]);

/** `= + - @`, tab and line breaks, and the full-width forms that spreadsheets take for the same. */
const FORMULA_START = /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/;

/** `\.` alone in a line ends the data of a COPY. */
const NEEDS_QUOTES = /[",\r\n]|^$|^\\\.$/;

const guarded = (text: string): string => (FORMULA_START.test(text) ? `'${text}` : text);

const cell = (text: string): string => (NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export function csvText(columns: readonly Column[], raw: boolean): (row: Fields) => string {
  const shown = shownColumns(columns).map(({ index, kind }) => {
    const textOf = VALUE_TEXTS[kind];
    const chosen: ValueText = raw ? (field) => cell(textOf(field)) : (field) => cell(guarded(textOf(field)));
    return { column: index, render: CHOSEN_BY_OTHERS.has(kind) ? chosen : textOf };
  });
  return (row) =>
    shown.map(({ column, render }) => (row[column] ? render(row[column]) : "")).join(",") + LINE_END;
}
