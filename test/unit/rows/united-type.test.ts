/** Which type holds the values of two, and that the order in which segments are met does not matter. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type ColumnType, isBlankPadded, unitedType } from "../../../src/rows/united-type.ts";
import { BINARY, columnType, INET, SAMPLES, TEXT_FORMS } from "./column-types.ts";

const of = (name: string): ColumnType => {
  const found = SAMPLES[name];
  if (found === undefined) throw new Error(`no sample ${name}`);
  return found;
};

/** What the type is called, and its kind; null: refused. */
function united(left: ColumnType, right: ColumnType): string | null {
  const type = unitedType(left, right);
  if (type === null) return null;
  expect(type).toEqual(unitedType(right, left));
  expect(type.kind === "decimal").toBe(type.precision !== null && type.scale !== null);
  return `${type.type} as ${type.kind}`;
}

describe("the united type of", () => {
  it.each([
    ["smallint", "integer", "integer as int4"],
    ["smallint", "bigint", "bigint as int8"],
    ["integer", "bigint", "bigint as int8"],
    ["real", "double precision", "double precision as float8"],
    ["date", "timestamp without time zone", "timestamp without time zone as timestamp"],
    ["date", "timestamp(3) without time zone", "timestamp without time zone as timestamp"],
    [
      "timestamp(3) without time zone",
      "timestamp without time zone",
      "timestamp without time zone as timestamp",
    ],
    ["timestamp(0) with time zone", "timestamp with time zone", "timestamp with time zone as timestamptz"],
    ["time(3) without time zone", "time without time zone", "time without time zone as time"],
    ["json", "jsonb", "json as json"],
  ])("%s and %s is %s", (left, right, expected) => {
    expect(united(of(left), of(right))).toBe(expected);
  });

  it.each([
    ["smallint", "numeric(4,2)", "numeric(7,2) as decimal"],
    ["integer", "numeric(12,2)", "numeric(12,2) as decimal"],
    ["integer", "numeric(6,2)", "numeric(12,2) as decimal"],
    ["bigint", "numeric(12,2)", "numeric(21,2) as decimal"],
    ["bigint", "numeric(38,20)", "numeric as numeric"],
    ["bigint", "numeric", "numeric as numeric"],
    ["numeric(6,2)", "numeric(12,2)", "numeric(12,2) as decimal"],
    ["numeric(12,2)", "numeric(6,4)", "numeric(14,4) as decimal"],
    ["numeric(38,20)", "numeric(38,0)", "numeric as numeric"],
    ["numeric(12,2)", "numeric", "numeric as numeric"],
    ["numeric(50,2)", "numeric(60,2)", "numeric as numeric"],
    ["numeric(50,2)", "numeric(12,2)", "numeric as numeric"],
    ["numeric(5,-2)", "integer", "numeric as numeric"],
  ])("%s and %s holds the digits of both: %s", (left, right, expected) => {
    expect(united(of(left), of(right))).toBe(expected);
  });

  it.each([
    ["text", "character varying(10)", "text as text"],
    ["text", "character(5)", "text as text"],
    ["text", "public.mood", "text as text"],
    ["text", "name", "text as text"],
    ["public.mood", "public.feeling", "text as text"],
    ["public.mood", "character varying(10)", "text as text"],
    ["character varying(10)", "character varying(20)", "character varying(20) as text"],
    ["character varying(10)", "character varying", "character varying as text"],
    ["character varying(10)", "character(5)", "text as text"],
    ["character(5)", "character(10)", "character(10) as text"],
    ["character(5)", "bpchar", "bpchar as text"],
  ])("%s and %s, which are sent as texts, is %s", (left, right, expected) => {
    expect(united(of(left), of(right))).toBe(expected);
  });

  it.each([
    ["interval", "interval(3)", "interval as binary"],
    ["interval day to second(3)", "interval", "interval as binary"],
    ["time(3) with time zone", "time with time zone", "time with time zone as binary"],
    ["money", "money", "money as binary"],
    ["public.span", "public.span", "public.span as binary"],
    ["public.span", "interval", null],
    ["interval", "money", null],
  ])("the binary %s and %s is %s", (left, right, expected) => {
    expect(united(BINARY(left), BINARY(right))).toBe(expected);
    const texts = united(TEXT_FORMS(left), TEXT_FORMS(right));
    expect(texts).toBe(expected?.replace("binary", "text") ?? null);
  });

  it.each([
    ["integer[]", "integer[]", "integer[] as text"],
    ["numeric(6,2)[]", "numeric(8,4)[]", "numeric[] as text"],
    ["bit varying(5)", "bit varying(8)", "bit varying as text"],
    ["timestamp(3) with time zone[]", "timestamp with time zone[]", "timestamp with time zone[] as text"],
    ["public.geometry(Point,4326)", "public.geometry", "public.geometry as text"],
    ['public."odd(1)"', 'public."odd(2)"', null],
    ["integer[]", "bigint[]", null],
    ["public.place", "public.spot", null],
  ])("%s and %s, which are archived as their text, is %s", (left, right, expected) => {
    expect(united(TEXT_FORMS(left), TEXT_FORMS(right))).toBe(expected);
  });

  it.each([
    ["integer", "text"],
    ["integer", "real"],
    ["bigint", "double precision"],
    ["numeric", "double precision"],
    ["boolean", "smallint"],
    ["boolean", "text"],
    ["uuid", "text"],
    ["bytea", "text"],
    ["jsonb", "text"],
    ["date", "text"],
    ["timestamp with time zone", "timestamp without time zone"],
    ["date", "timestamp with time zone"],
    ["time without time zone", "timestamp without time zone"],
    ["uuid", "bytea"],
  ])("%s and %s is refused", (left, right) => {
    expect(united(of(left), of(right))).toBeNull();
  });

  it("a text and a type that is archived as its text is refused, whatever they are called", () => {
    expect(united(of("text"), TEXT_FORMS("integer[]"))).toBeNull();
    expect(united(TEXT_FORMS("text"), of("text"))).toBeNull();
    expect(united(INET("inet"), TEXT_FORMS("cidr"))).toBeNull();
  });

  it("an inet and a domain over it is an inet", () => {
    expect(united(INET("inet"), INET("public.address"))).toBe("inet as text");
  });

  it.each([
    [9, 4, "numeric(9,4)"],
    [8, 2, "numeric(8,2)"],
    [6, 4, "numeric(8,4)"],
  ])("two domains of one name, (6,2) and (%d,%d), is %s", (precision, scale, type) => {
    const before = { ...columnType("decimal", "public.price"), precision: 6, scale: 2 };
    expect(unitedType(before, { ...before, precision, scale })?.type).toBe(type);
    expect(unitedType(before, before)).toEqual(before);
  });
});

describe("uniting", () => {
  const any = fc.oneof(
    fc.constantFrom(...Object.values(SAMPLES)),
    fc.constantFrom("interval", "interval(3)", "money", "public.span").map(BINARY),
    fc.constantFrom("integer[]", "numeric(6,2)[]", "numeric(8,4)[]", "interval", "bit(3)").map(TEXT_FORMS),
    fc.constantFrom("inet", "public.address").map(INET),
    fc.tuple(fc.nat({ max: 38 }), fc.nat({ max: 38 })).map(([whole, scale]) => {
      const precision = Math.min(38, Math.max(1, whole + scale));
      const digits = { precision, scale: Math.min(scale, precision) };
      return { ...columnType("decimal", `numeric(${precision},${digits.scale})`), ...digits };
    }),
  );
  const all = (types: readonly ColumnType[]): ColumnType | null =>
    types.reduce<ColumnType | null>(
      (sum, type) => (sum === null ? null : unitedType(sum, type)),
      types[0] as ColumnType,
    );

  it("gives the same for every order and any repetition", () => {
    fc.assert(
      fc.property(
        fc
          .array(any, { minLength: 1, maxLength: 5 })
          .chain((types) =>
            fc.tuple(
              fc.constant(types),
              fc.shuffledSubarray([...types, ...types], { minLength: 2 * types.length }),
            ),
          ),
        ([types, shuffled]) => {
          expect(all(shuffled)).toEqual(all(types));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("with a type that it made itself changes nothing", () => {
    fc.assert(
      fc.property(any, any, (left, right) => {
        const type = unitedType(left, right);
        fc.pre(type !== null);
        expect(unitedType(type, left)).toEqual(type);
        expect(unitedType(type, right)).toEqual(type);
      }),
      { numRuns: 1_000 },
    );
  });
});

it.each([
  ["character(5)", true],
  ["bpchar", true],
  ["character varying(5)", false],
  ["public.character(5)", false],
  ["text", false],
])("blanks at the end of a %s are padding: %s", (type, expected) => {
  expect(isBlankPadded(type)).toBe(expected);
});
