/**
 * NDJSON: one JSON object a line, as Postgres' own `to_jsonb` would print the row, so that a consumer sees the same
 * whether a row was hot, warm or cold. Written for speed: bytes to bytes, a renderer a column, no row object.
 */
import type { Column, ValueKind } from "../../rows/column.ts";
import { AnswerBytes } from "./answer-bytes.ts";
import type { AnswerWriter } from "./answer-writer.ts";
import { putNumeric } from "./numeric-bytes.ts";
import { embeddedJson, jsonString } from "./text-bytes.ts";
import { PUT_VALUES, type PutValue } from "./value-bytes.ts";
import { shownColumns, VALUE_TEXTS } from "./value-text.ts";

const NUMBER_START = /^-?\d/;
const encoder = new TextEncoder();
const QUOTE = Uint8Array.of(0x22);
const NULL = encoder.encode("null");
const LINE_END = encoder.encode("}\n");

/** The text in quotes; it has nothing to escape. */
function quoted(put: PutValue): PutValue {
  return (into, column, start, length) => {
    into.put(QUOTE);
    put(into, column, start, length);
    into.put(QUOTE);
  };
}

/** A JSON number, except for what is none: NaN, infinities, broken bytes. */
function numberOrString(kind: ValueKind): PutValue {
  const textOf = VALUE_TEXTS[kind];
  const isNumeric = kind === "numeric" || kind === "decimal";
  return (into, column, start, length) => {
    if (isNumeric && putNumeric(into, column, start, length)) return;
    const text = textOf(column.bytes.subarray(start, start + length));
    into.ascii(NUMBER_START.test(text) ? text : JSON.stringify(text));
  };
}

function renderer(kind: ValueKind): PutValue {
  switch (kind) {
    case "bool":
    case "int2":
    case "int4":
    case "int8":
      return PUT_VALUES[kind];
    case "timestamptz":
    case "timestamp":
    case "date":
    case "time":
    case "uuid":
      return quoted(PUT_VALUES[kind]);
    case "text":
      return jsonString(VALUE_TEXTS.text);
    case "json":
      return embeddedJson(0, VALUE_TEXTS.json);
    case "jsonb":
      return embeddedJson(1, VALUE_TEXTS.jsonb);
    case "bytea":
    case "binary":
      return jsonHex;
    default:
      return numberOrString(kind);
  }
}

/** The backslash of `\x00ff` is the one character to escape. */
const jsonHex: PutValue = (into, column, start, length) => {
  into.ascii('"\\');
  PUT_VALUES.bytea(into, column, start, length);
  into.put(QUOTE);
};

export function ndjsonWriter(columns: readonly Column[]): AnswerWriter {
  const out = new AnswerBytes();
  const shown = shownColumns(columns).map(({ name, index, kind }, at) => ({
    column: index,
    prefix: encoder.encode(`${at === 0 ? "{" : ","}${JSON.stringify(name)}:`),
    put: renderer(kind),
  }));
  return {
    header: () => "",
    take(rows, from, to) {
      const cells = shown.map(({ column, ...cell }) => ({ ...cell, column: rows.column(column) }));
      let row = from;
      do {
        for (let index = 0; index < cells.length; index += 1) {
          const { column, prefix, put } = cells[index] as (typeof cells)[number];
          out.put(prefix);
          const length = column.lengths[row] as number;
          if (length < 0) out.put(NULL);
          else put(out, column, column.starts[row] as number, length);
        }
        out.put(LINE_END);
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
