/** The type table of DESIGN section 6 as a function; with real tables it is in `test/postgres/types-*.test.ts`. */
import { describe, expect, it } from "vitest";
import { FirnlineError } from "../../../src/errors.ts";
import { type AttributeFacts, mapColumn, mapColumns, numericModifier } from "../../../src/rows/column.ts";

interface Facts {
  name?: string;
  type?: string;
  base?: Partial<AttributeFacts["base"]>;
  generated?: string;
  contains?: string[];
  unstable?: string[];
}

function attribute(facts: Facts): AttributeFacts {
  const base = { name: "text", schema: "pg_catalog", kind: "b", modifier: -1, ...facts.base };
  return {
    attnum: 3,
    name: facts.name ?? "v",
    type: facts.type ?? base.name,
    base,
    generated: facts.generated ?? "",
    notNull: false,
    contains: facts.contains ?? [base.name],
    unstable: facts.unstable ?? [],
  };
}

/** The type modifier of `numeric(precision, scale)`. */
const modifierOf = (precision: number, scale: number): number => ((precision << 16) | (scale & 0x7ff)) + 4;

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof FirnlineError) return `${error.code} ${error.subject}: ${error.problem}`;
    throw error;
  }
  return "not refused";
}

describe("the column of an attribute", () => {
  it.each([
    ["bool", "bool"],
    ["int2", "int2"],
    ["int4", "int4"],
    ["int8", "int8"],
    ["float4", "float4"],
    ["float8", "float8"],
    ["timestamptz", "timestamptz"],
    ["timestamp", "timestamp"],
    ["date", "date"],
    ["time", "time"],
    ["uuid", "uuid"],
    ["bytea", "bytea"],
    ["text", "text"],
    ["varchar", "text"],
    ["bpchar", "text"],
    ["name", "text"],
    ["json", "json"],
    ["jsonb", "jsonb"],
  ])("of %s is its own value, of kind %s", (name, kind) => {
    expect(mapColumn("public.t", attribute({ name: "a b", base: { name } }))).toEqual([
      {
        name: "a b",
        attribute: "a b",
        attnum: 3,
        type: name,
        select: "value",
        kind,
        precision: null,
        scale: null,
      },
    ]);
  });

  it.each(["interval", "money", "timetz"])("of %s is its bytes, with a text beside it", (name) => {
    const columns = mapColumn("public.t", attribute({ base: { name } }));
    expect(columns.map(({ name: named, kind, select }) => [named, kind, select])).toEqual([
      ["v", "binary", "value"],
      ["v__text", "text", "text"],
    ]);
    expect(columns.map((column) => column.attribute)).toEqual(["v", "v"]);
  });

  it.each(["_int4", "cidr", "int4range", "point", "char", "oid", "xml", "tsvector", "bit"])(
    "of %s is its text",
    (name) => {
      const [column, ...more] = mapColumn("public.t", attribute({ base: { name } }));
      expect([column?.name, column?.kind, column?.select, more.length]).toEqual(["v", "text", "text", 0]);
    },
  );

  it("of inet is its text without the mask of a host", () => {
    const [column] = mapColumn("public.t", attribute({ base: { name: "inet" } }));
    expect(column).toMatchObject({ name: "v", kind: "text", select: "inet" });
  });

  it("of an enum is its label", () => {
    const base = { name: "mood", schema: "public", kind: "e" };
    expect(mapColumn("public.t", attribute({ base }))[0]).toMatchObject({ kind: "text", select: "value" });
  });

  it("goes by the type's schema, so that a user's own `bool` or `json` is not taken for the system's", () => {
    for (const name of ["bool", "json", "numeric", "interval"]) {
      const columns = mapColumn("public.t", attribute({ base: { name, schema: "public" } }));
      expect(columns.map(({ kind, select }) => [kind, select])).toEqual([["text", "text"]]);
    }
  });

  it.each([
    [1, 0, true],
    [9, 9, true],
    [10, 2, true],
    [18, 0, true],
    [19, 19, true],
    [38, 0, true],
    [38, 38, true],
    [39, 0, false],
    [1_000, 500, false],
    [5, -2, false],
    [3, 5, false],
    [1_000, -1_000, false],
  ])("of numeric(%i,%i) is a DECIMAL: %s", (precision, scale, decimal) => {
    const modifier = modifierOf(precision, scale);
    expect(numericModifier(modifier)).toEqual({ precision, scale });
    const [column] = mapColumn("public.t", attribute({ base: { name: "numeric", modifier } }));
    expect([column?.kind, column?.precision, column?.scale]).toEqual(
      decimal ? ["decimal", precision, scale] : ["numeric", null, null],
    );
  });

  it("of a numeric without digits is a STRING", () => {
    expect(numericModifier(-1)).toBeNull();
    expect(mapColumn("public.t", attribute({ base: { name: "numeric" } }))[0]?.kind).toBe("numeric");
  });
});

describe("a type that cannot be archived", () => {
  it.each<[string, Facts, string]>([
    ["a virtual generated column", { generated: "v" }, "no stored bytes"],
    [
      "a regclass",
      { base: { name: "regclass" } },
      "type regclass refers to rows of this database's catalog (found regclass)",
    ],
    [
      "an array of one",
      { base: { name: "_regrole" }, type: "regrole[]", contains: ["_regrole", "regrole"] },
      "type regrole refers to rows of this database's catalog (found regrole[])",
    ],
    [
      "a large object",
      { base: { name: "oid" }, type: "public.lo", contains: ["public.lo", "oid"] },
      "type public.lo refers to rows of this database's catalog (found public.lo)",
    ],
    [
      "a volatile text form",
      { base: { name: "odd", schema: "public" }, unstable: ["odd"] },
      "the text form of type odd is volatile",
    ],
  ])("is %s", (_, facts, problem) => {
    const text = refusal(() => mapColumn("public.t", attribute(facts)));
    expect(text).toMatch(/^E_TYPE public\.t\.v: /);
    expect(text).toContain(problem);
  });

  it("is not a user's own type whose name merely begins like one of the catalog's", () => {
    for (const name of ["region", "register", "regclass"]) {
      const base = { name, schema: "public", kind: "e" };
      expect(mapColumn("public.t", attribute({ base, contains: [`public.${name}`] }))).toHaveLength(1);
    }
  });

  it("is not a stored generated column", () => {
    expect(mapColumn("public.t", attribute({ generated: "s" }))).toHaveLength(1);
  });
});

describe("the columns of a table", () => {
  it("keep the order of the attributes, a text right behind its binary form", () => {
    const columns = mapColumns("public.t", [
      attribute({ name: "b" }),
      attribute({ name: "a", base: { name: "interval" } }),
      attribute({ name: "__proto__" }),
    ]);
    expect(columns.map((column) => column.name)).toEqual(["b", "a", "a__text", "__proto__"]);
  });

  it("refuse a column that has the name of another one's text", () => {
    const clash = [attribute({ name: "d", base: { name: "interval" } }), attribute({ name: "d__text" })];
    const message = "E_TYPE public.t.d__text: the archive's column d__text would stand for two columns";
    expect(refusal(() => mapColumns("public.t", clash))).toContain(message);
    expect(refusal(() => mapColumns("public.t", clash.toReversed()))).toContain(message);
  });
});
