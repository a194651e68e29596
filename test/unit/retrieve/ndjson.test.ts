/**
 * How a value is printed. The exact text of every kind is in `test/golden/ndjson-values.txt`; that it means what
 * Postgres means is checked against a real one in `test/postgres/ndjson.test.ts`.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ndjsonWriter } from "../../../src/retrieve/formats/ndjson.ts";
import { type Column, VALUE_KINDS } from "../../../src/rows/column.ts";
import { encodeNumeric } from "../../../src/rows/numeric.ts";
import {
  bytes,
  column,
  type Field,
  FIELDS,
  float4,
  float8,
  hex,
  INT64_MAX,
  INT64_MIN,
  int8,
  textOf,
  utf8,
} from "./value-fields.ts";

/** The line of a row with these fields. */
function lineOf(columns: readonly Column[], fields: readonly Field[]): string {
  return textOf(ndjsonWriter(columns), [fields]);
}

describe("an NDJSON value", () => {
  it("of every kind is printed as written down", async () => {
    const sections: string[] = [];
    for (const kind of VALUE_KINDS) {
      const lines = [`## ${kind}`, "NULL  null"];
      for (const value of FIELDS[kind]) {
        const line = lineOf([column("c", kind)], [value]);
        expect(line).toMatch(/^\{"c":.*\}\n$/s);
        lines.push(`${hex(value)}  ${line.slice(5, -2)}`);
      }
      expect(lineOf([column("c", kind)], [null])).toBe('{"c":null}\n');
      sections.push(`${lines.join("\n")}\n`);
    }
    await expect(sections.join("\n")).toMatchFileSnapshot("../../golden/ndjson-values.txt");
  });

  it("is valid JSON on one line, whatever its kind", () => {
    for (const kind of VALUE_KINDS) {
      for (const value of FIELDS[kind]) {
        const line = lineOf([column("c", kind)], [value]);
        expect(line.indexOf("\n")).toBe(line.length - 1);
        expect(line).not.toContain("\r");
        expect(Object.keys(JSON.parse(line) as object)).toEqual(["c"]);
      }
    }
  });

  it("of text is the text, whatever is in it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const line = lineOf([column("c", "text")], [utf8(text)]);
        expect(line.trimEnd().split("\n")).toHaveLength(1);
        expect(JSON.parse(line)).toEqual({ c: text });
      }),
    );
  });

  it("of a float is read back as the same float", () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        (double, single) => {
          const line = lineOf(
            [column("d", "float8"), column("s", "float4")],
            [float8(double), float4(single)],
          );
          const { d, s } = JSON.parse(line) as { d: number; s: number };
          expect(d).toBe(double);
          expect(Math.fround(s)).toBe(single);
        },
      ),
    );
  });

  it("of an integer or a numeric keeps every digit", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
        fc.bigInt(),
        fc.nat({ max: 30 }),
        (whole, unscaled, scale) => {
          const number = encodeNumeric({ unscaled, scale });
          const line = lineOf([column("i", "int8"), column("n", "numeric")], [int8(whole), number]);
          const [, i, n] = /^\{"i":(-?\d+),"n":(-?\d+(?:\.\d+)?)\}\n$/.exec(line) as unknown as string[];
          expect(BigInt(i as string)).toBe(whole);
          expect(n?.split(".")[1]?.length ?? 0).toBe(scale);
          expect(BigInt((n as string).replace(".", ""))).toBe(unscaled);
        },
      ),
    );
  });
});

describe("an NDJSON row", () => {
  it("has the columns of the table in their order, with names escaped", () => {
    const columns = [column("id", "int8"), column('we"ird\n', "text"), column("__proto__", "bool")];
    expect(lineOf(columns, [int8(1n), utf8("x"), bytes(1)])).toBe(
      String.raw`{"id":1,"we\"ird\n":"x","__proto__":true}` + "\n",
    );
  });

  it("shows the text of an interval instead of its bytes, once, in the column's place", () => {
    const columns = [
      column("id", "int8"),
      column("took", "binary"),
      column("took__text", "text", { attribute: "took", select: "text" }),
      column("last", "bool"),
    ];
    const line = lineOf(columns, [int8(1n), bytes(9), utf8("1 day"), bytes(0)]);
    expect(line).toBe('{"id":1,"took":"1 day","last":false}\n');
    expect(lineOf(columns, [int8(1n), null, null, null])).toBe('{"id":1,"took":null,"last":null}\n');
  });

  it("shows a column that is archived as its text under its own name", () => {
    const columns = [column("ip", "text", { select: "text", type: "inet" })];
    expect(lineOf(columns, [utf8("10.0.0.0/8")])).toBe('{"ip":"10.0.0.0/8"}\n');
  });
});
