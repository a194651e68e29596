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
import { isUtf8 } from "node:buffer";
import type { Column, ValueKind } from "../../rows/column.ts";
import { AnswerBytes } from "./answer-bytes.ts";
import type { AnswerWriter } from "./answer-writer.ts";
import { PUT_VALUES, type PutValue } from "./value-bytes.ts";
import { shownColumns, VALUE_TEXTS } from "./value-text.ts";

const LINE_END = "\r\n";
const encoder = new TextEncoder();
const LINE_END_BYTES = encoder.encode(LINE_END);
const COMMA = Uint8Array.of(0x2c);
const [QUOTE, APOSTROPHE, BACKSLASH, FULL_STOP] = [0x22, 0x27, 0x5c, 0x2e];

/** `= + - @`, tab and line breaks, and the full-width forms that spreadsheets take for the same. */
const FORMULA_START = /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/;

/** `\.` alone in a line ends the data of a COPY. */
const NEEDS_QUOTES = /[",\r\n]|^$|^\\\.$/;

/** The same by bytes: the first one of a formula, those to be quoted for, and the last two of U+FFxx. */
const [STARTS_FORMULA, WANTS_QUOTES] = ["=+-@\t\r\n", '",\r\n'].map((characters) => {
  const table = new Uint8Array(256);
  for (const byte of encoder.encode(characters)) table[byte] = 1;
  return table;
}) as [Uint8Array, Uint8Array];
const FULL_WIDTH_FORMULAS: readonly number[] = [0xbc9d, 0xbc8b, 0xbc8d, 0xbca0];

const guarded = (text: string): string => (FORMULA_START.test(text) ? `'${text}` : text);

const cell = (text: string): string => (NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function startsFormula(bytes: Uint8Array, start: number, length: number): boolean {
  if (length === 0) return false;
  if (STARTS_FORMULA[bytes[start] as number] === 1) return true;
  if (bytes[start] !== 0xef || length < 3) return false;
  return FULL_WIDTH_FORMULAS.includes(((bytes[start + 1] as number) << 8) | (bytes[start + 2] as number));
}

/** Appends a text that somebody else has chosen, from `skip` bytes on; `raw` leaves the guard against formulas out. */
function textCell(kind: "text" | "json" | "jsonb", raw: boolean): PutValue {
  const skip = kind === "jsonb" ? 1 : 0;
  const textOf = VALUE_TEXTS[kind];
  return (into, { bytes }, fieldStart, fieldLength) => {
    const start = fieldStart + skip;
    const end = fieldStart + fieldLength;
    const length = Math.max(0, end - start);
    let all = 0;
    let quotes = 0;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at] as number;
      all |= byte;
      quotes |= WANTS_QUOTES[byte] as number;
    }
    if (all >= 0x80 && !isUtf8(bytes.subarray(start, end))) {
      const text = textOf(bytes.subarray(fieldStart, end));
      return into.put(encoder.encode(cell(raw ? text : guarded(text))));
    }
    const isFormula = !raw && startsFormula(bytes, start, length);
    const endsCopy =
      length === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === FULL_STOP && !isFormula;
    const isQuoted = quotes === 1 || length === 0 || endsCopy;
    let at = into.room((quotes === 1 ? 2 * length : length) + 3);
    const to = into.bytes;
    if (isQuoted) to[at++] = QUOTE;
    if (isFormula) to[at++] = APOSTROPHE;
    for (let index = start; index < end; index += 1) {
      const byte = bytes[index] as number;
      if (byte === QUOTE) to[at++] = QUOTE;
      to[at++] = byte;
    }
    if (isQuoted) to[at++] = QUOTE;
    into.at = at;
  };
}

/** The kinds that are not texts have nothing to quote either. */
function renderer(kind: ValueKind, raw: boolean): PutValue {
  return kind === "text" || kind === "json" || kind === "jsonb" ? textCell(kind, raw) : PUT_VALUES[kind];
}

export function csvWriter(columns: readonly Column[], { raw }: { readonly raw: boolean }): AnswerWriter {
  const out = new AnswerBytes();
  const shown = shownColumns(columns).map(({ name, index, kind }) => ({
    title: cell(raw ? name : guarded(name)),
    column: index,
    put: renderer(kind, raw),
  }));
  return {
    header: () => shown.map(({ title }) => title).join(",") + LINE_END,
    take(rows, from, to) {
      const cells = shown.map(({ column, put }) => ({ put, column: rows.column(column) }));
      let row = from;
      do {
        for (let index = 0; index < cells.length; index += 1) {
          const { column, put } = cells[index] as (typeof cells)[number];
          if (index > 0) out.put(COMMA);
          const length = column.lengths[row] as number;
          if (length >= 0) put(out, column, column.starts[row] as number, length);
        }
        out.put(LINE_END_BYTES);
        row += 1;
      } while (row < to && !out.isFull);
      return row;
    },
    get isFull() {
      return out.isFull;
    },
    piece: () => out.take(),
    end: () => out.take(),
  };
}
