/** The byte writers of NDJSON and CSV print exactly what the texts of the values are, whatever the fields hold. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { AnswerWriter } from "../../../src/retrieve/formats/answer-writer.ts";
import { csvWriter } from "../../../src/retrieve/formats/csv.ts";
import { ndjsonWriter } from "../../../src/retrieve/formats/ndjson.ts";
import { type Column, VALUE_KINDS, type ValueKind } from "../../../src/rows/column.ts";
import { encodeNumeric } from "../../../src/rows/numeric.ts";
import { csvText, type Fields, ndjsonText } from "../../support/row-texts.ts";
import { column, type Field, FIELDS, int4, int8, rowsOf, textOf, utf8 } from "./value-fields.ts";

type RowText = (row: Fields) => string;

const WRITERS: readonly [
  name: string,
  writer: (columns: readonly Column[]) => AnswerWriter,
  text: (columns: readonly Column[]) => RowText,
][] = [
  ["ndjson", ndjsonWriter, ndjsonText],
  ["csv", (columns) => csvWriter(columns, { raw: false }), (columns) => csvText(columns, false)],
  ["csv-raw", (columns) => csvWriter(columns, { raw: true }), (columns) => csvText(columns, true)],
];

const sized = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
/** Around the places where a double loses a microsecond, a year its four digits, a number a digit. */
const EDGES = [
  0n,
  10n,
  999_999_999n,
  1_000_000_000n,
  86_400_000_000n,
  9_007_199_254_740_991n,
  -946_684_800_000_000n,
  252_455_615_999_999_999n,
  -63_082_281_600_000_000n,
];
const wholes = fc
  .oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }),
    fc.tuple(fc.constantFrom(...EDGES), fc.bigInt({ min: -3n, max: 3n })).map(([edge, off]) => edge + off),
  )
  .map(int8);
const days = fc
  .oneof(
    fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
    fc.integer({ min: -731_000, max: 2_930_000 }),
    fc.tuple(fc.constantFrom(-730_119, 2_921_939, 0), fc.integer({ min: -2, max: 2 })).map(([a, b]) => a + b),
  )
  .map(int4);
const PIECES = ["=", "+", "-", "@", "\t", "\r", "\n", '"', "\\", ".", ",", "＝", "＠", "é", "😀", "\u0001"];
const texts = fc.oneof(
  fc.string({ unit: "binary" }).map(utf8),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }).map((pieces) => utf8(pieces.join(""))),
  // What is no UTF-8, and ends in the middle of a character.
  fc.uint8Array({ maxLength: 12 }),
  fc.string({ unit: "binary" }).map((text) => utf8(`é${text}😀`).subarray(0, -1)),
);
/** Of any size and scale; and with a byte changed, as no Postgres writes them. */
const numerics = fc.oneof(
  fc
    .tuple(
      fc.oneof(
        fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }),
        fc.bigInt({ min: -(10n ** 150n), max: 10n ** 150n }),
      ),
      fc.integer({ min: 0, max: 140 }),
    )
    .map(([unscaled, scale]) => encodeNumeric({ unscaled, scale })),
  fc
    .tuple(
      fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
      fc.nat({ max: 9 }),
      fc.nat(),
      fc.nat({ max: 255 }),
    )
    .map(([unscaled, scale, at, byte]) => {
      const field = encodeNumeric({ unscaled, scale });
      field[at % field.length] = byte;
      return field;
    }),
);
const json = texts.map((text) => Uint8Array.of(1, ...text));

const ANY: Readonly<Partial<Record<ValueKind, fc.Arbitrary<Uint8Array>>>> = {
  int2: sized(2),
  int4: fc.oneof(sized(4), days),
  int8: wholes,
  float4: sized(4),
  float8: sized(8),
  decimal: numerics,
  numeric: numerics,
  timestamptz: wholes,
  timestamp: wholes,
  date: days,
  time: fc.oneof(fc.bigInt({ min: 0n, max: 86_400_000_000n }).map(int8), wholes),
  uuid: sized(16),
  bytea: fc.uint8Array({ maxLength: 40 }),
  binary: fc.uint8Array({ maxLength: 40 }),
  text: texts,
  json: texts,
  jsonb: fc.oneof(json, fc.constant(new Uint8Array(0))),
};

const cells = (kind: ValueKind): fc.Arbitrary<Field> =>
  fc.option(fc.oneof(ANY[kind] ?? fc.constantFrom(...FIELDS[kind]), fc.constantFrom(...FIELDS[kind])), {
    nil: null,
    freq: 8,
  });

describe.each(WRITERS)("%s", (_name, newWriter, newText) => {
  it.each(VALUE_KINDS)("prints any value of kind %s as its text", (kind) => {
    const columns = [column("c", kind), column("n", "int2"), column("d", kind)];
    const rows = fc.array(fc.tuple(cells(kind), cells("int2"), cells(kind)), { maxLength: 8 });
    const [writer, print] = [newWriter(columns), newText(columns)];
    fc.assert(
      fc.property(rows, (some) => {
        expect(textOf(writer, some)).toBe(some.map(print).join(""));
      }),
      { numRuns: 100 },
    );
  });

  it("prints rows of every kind at once, in runs and pieces of any length", () => {
    const columns = VALUE_KINDS.map((kind) => column(`the ${kind}`, kind));
    const row = fc.tuple(...VALUE_KINDS.map(cells));
    const [writer, print] = [newWriter(columns), newText(columns)];
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        (some, run) => {
          const chunk = rowsOf(some);
          for (let at = 0; at < some.length;) at = writer.take(chunk, at, Math.min(some.length, at + run));
          expect(Buffer.from(writer.end() as Uint8Array).toString()).toBe(some.map(print).join(""));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("prints a text of megabytes, and stops where a piece is full", () => {
    const columns = [column("c", "text"), column("j", "jsonb"), column("b", "bytea")];
    const large = (one: string): Uint8Array => utf8(one.repeat(400_000));
    const rows = ['é"', "\u0001", "\n"].map((one): Fields => [
      large(one),
      utf8(`\u0001${one.repeat(400_000)}`),
      large(one),
    ]);
    const writer = newWriter(columns);
    expect(writer.take(rowsOf(rows), 0, rows.length)).toBe(1);
    expect(writer.isFull).toBe(true);
    const print = newText(columns);
    expect(Buffer.from(writer.piece() as Uint8Array).toString()).toBe(print(rows[0] as Fields));
    expect(writer.isFull).toBe(false);
    expect(textOf(writer, rows)).toBe(rows.map(print).join(""));
  });

  it("leaves a piece alone while the next one is made", () => {
    const columns = [column("c", "text")];
    const writer = newWriter(columns);
    const print = newText(columns);
    const rows = ["first", "second", "third", "fourth"].map((text): Fields => [utf8(text)]);
    let before: { bytes: Uint8Array; text: string } = { bytes: new Uint8Array(0), text: "" };
    for (const row of rows) {
      writer.take(rowsOf([row]), 0, 1);
      expect(Buffer.from(before.bytes).toString()).toBe(before.text);
      const bytes = writer.piece() as Uint8Array;
      expect(Buffer.from(before.bytes).toString()).toBe(before.text);
      before = { bytes, text: print(row) };
    }
  });
});
