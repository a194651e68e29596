/**
 * CSV by RFC 4180: a header row, CRLF after every row, quotes doubled, UTF-8 without a byte order mark. As Postgres'
 * own COPY does it, NULL is an empty cell and the empty string is `""`. A value's text is the one of NDJSON, except
 * that JSON keeps its line breaks.
 *
 * A spreadsheet runs a cell that begins like a formula, so such cells get a `'` in front (HAZARDS section 4; source:
 * OWASP, CSV Injection). That concerns texts only, whose first character somebody could choose: texts and JSON, the
 * text forms of types that have no other, and the names of columns. Numbers, times and bytes are printed by us and stay
 * as they are, -5 and -infinity too. It cannot be undone from the file alone (a text may have begun with a `'`): `raw`
 * leaves every text as it is, for programs.
 */
import type { Column, ValueKind } from "../../rows/column.ts";
import type { AnswerWriter } from "./answer-writer.ts";
import { shownColumns, VALUE_TEXTS, type ValueText } from "./value-text.ts";

const LINE_END = "\r\n";

/** The other kinds have nothing to quote either. */
const CHOSEN_BY_OTHERS: ReadonlySet<ValueKind> = new Set<ValueKind>(["text", "json", "jsonb"]);

/** `= + - @`, tab and line breaks, and the full-width forms that spreadsheets take for the same. */
const FORMULA_START = /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/;

/** `\.` alone in a line ends the data of a COPY. */
const NEEDS_QUOTES = /[",\r\n]|^$|^\\\.$/;

const guarded = (text: string): string => (FORMULA_START.test(text) ? `'${text}` : text);

const cell = (text: string): string => (NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export function csvWriter(columns: readonly Column[], { raw }: { readonly raw: boolean }): AnswerWriter {
  const shown = shownColumns(columns).map(({ name, index, kind }) => {
    const textOf = VALUE_TEXTS[kind];
    const chosen: ValueText = raw ? (field) => cell(textOf(field)) : (field) => cell(guarded(textOf(field)));
    return {
      title: cell(raw ? name : guarded(name)),
      column: index,
      render: CHOSEN_BY_OTHERS.has(kind) ? chosen : textOf,
    };
  });
  return {
    header: () => shown.map(({ title }) => title).join(",") + LINE_END,
    row(row) {
      let line = "";
      for (const [at, { column, render }] of shown.entries()) {
        if (at > 0) line += ",";
        if (!row.isNull(column)) line += render(row.field(column));
      }
      return line + LINE_END;
    },
    end: () => "",
  };
}
