/**
 * A row that comes out of a retrieval means what Postgres says it means: each line is compared, value by value, with
 * what `row_to_json` makes of the same row. Where the two are spelled differently on purpose it stands here.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { SourceTable } from "../../src/hot/port.ts";
import type { PostgresHot } from "../../src/hot/postgres/postgres-hot.ts";
import { ndjsonWriter } from "../../src/retrieve/formats/ndjson.ts";
import { IndexedRows } from "../../src/retrieve/indexed-rows.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { DAY_MAX, DAY_MIN, dayEnd, dayStart, parseInstant } from "../../src/rows/day.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { decoded } from "../unit/retrieve/value-fields.ts";
import { connect, hotOf, openDatabase } from "./connect.ts";

/** Columns with a value each: SQL types, and literals that are easy to get wrong. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  boolean: ["true", "false"],
  smallint: ["0", "32767", "-32768"],
  integer: ["2147483647", "-2147483648"],
  bigint: ["9007199254740993", "9223372036854775807", "-9223372036854775808"],
  real: [
    "0",
    "-0",
    "1.1",
    "0.1",
    "1e30",
    "16777216",
    "3.4028235e38",
    "1.1754944e-38",
    "1e-45",
    "7e-45",
    "9.5367434e-07",
    "NaN",
    "Infinity",
    "-Infinity",
  ],
  "double precision": [
    "-0",
    "0.1",
    "1e300",
    "5e-324",
    "123456789.12345679",
    "1e21",
    "1e-7",
    "NaN",
    "Infinity",
    "-Infinity",
  ],
  "numeric(12,2)": ["0", "1.5", "-9999999999.99", "NaN"],
  numeric: [
    "0",
    "0.00",
    "-1.50",
    "1e30",
    "123456789012345678901234567890.123456789",
    "1e-20",
    "NaN",
    "Infinity",
    "-Infinity",
  ],
  timestamptz: [
    "2026-01-03 04:05:06.000007+00",
    "2026-01-03 04:05:06.5+14",
    "1969-12-31 23:59:59.999999+00",
    "0001-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00",
    "10000-01-01 00:00:00+00",
    "infinity",
    "-infinity",
  ],
  timestamp: [
    "2026-01-03 04:05:06.000007",
    "0001-01-01 00:00:00",
    "294276-12-31 23:59:59.999999",
    "infinity",
    "-infinity",
  ],
  date: ["2026-01-03", "2024-02-29", "0001-01-01", "5874897-12-31", "infinity", "-infinity"],
  time: ["00:00:00", "04:05:06.000007", "23:59:59.999999", "24:00:00"],
  uuid: ["00112233-4455-6677-8899-AABBCCDDEEFF"],
  bytea: ["\\x", "\\x00ff5c"],
  text: [
    "",
    'quote " backslash \\ slash /',
    "line\nbreak\r\ttab",
    "\u001f\u007f",
    "é€😀",
    "\ufeffBOM",
    "\u2028\u2029",
  ],
  "varchar(5)": ["", "abc"],
  "char(5)": ["ab"],
  name: ["n"],
  json: [
    '{"b":1,"a":[1.0,1e400],"b":2}',
    '{\n "a":\r\n"x\\ny"}',
    "null",
    '"\\u0041"',
    "12345678901234567890",
  ],
  jsonb: ['{"b":1,"a":[1.0,12345678901234567890.123]}', "null", '"x"', "[]"],
  interval: ["1 year 2 mons 3 days 04:05:06.7", "-1 day", "0"],
  timetz: ["04:05:06.000007+02", "24:00:00-12:30"],
  money: ["1234.56", "-0.01"],
  inet: ["10.0.0.0/8", "fe80::/10"],
  cidr: ["10.0.0.0/8"],
  macaddr: ["08:00:2b:01:02:03"],
  bit: ["1"],
  "bit varying": ["1010"],
  xml: ["<a>&amp;</a>"],
  int4range: ["[1,5)", "empty"],
  tstzrange: ["[2026-01-01 00:00:00+00,2026-01-02 00:00:00+02)"],
  oid: ["4294967295"],
  "public.mood": ["sad"],
  "public.email": ["a@b"],
  "public.positive": ["5"],
};

const DDL = `
  CREATE TYPE public.mood AS ENUM ('sad', 'happy');
  CREATE DOMAIN public.email AS text;
  CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0);
`;

/** A JSON value whose numbers keep their digits. */
const parse = (text: string): unknown =>
  JSON.parse(text, (_, value: unknown, context?: { source?: string }) =>
    typeof value === "number" ? { digits: context?.source } : value,
  );

/** Digits of a number without exponent, sign of zero or zeros at its end. */
function plain(digits: string): string {
  const [, sign, whole, fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(digits) ?? [];
  const scale = fraction.length - Number(exponent);
  const all = `${whole}${fraction}${"0".repeat(Math.max(0, -scale))}`.padStart(Math.max(0, scale) + 1, "0");
  const point = all.length - Math.max(0, scale);
  const trimmed = `${all.slice(0, point).replace(/^0+(?=\d)/, "")}.${all.slice(point)}`.replace(/\.?0*$/, "");
  return trimmed === "0" ? "0" : `${sign}${trimmed}`;
}

/** One text for one value: numbers without exponents, times with all their digits and in UTC. */
function meaning(type: string, value: unknown): string {
  if (typeof value === "string") {
    if (value.endsWith("infinity")) return value;
    if (type === "timestamptz") return String(parseZoned(value));
    if (type === "timestamp" || type === "time") return value.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  }
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === "object" && item !== null && "digits" in item ? plain(String(item.digits)) : item,
  );
}

/** Years above 9999 are the same text in both, up to the digits of the second. */
const parseZoned = (text: string): bigint | string =>
  text.length > 32 || /^\d{5,}/.test(text)
    ? text.replace(/\.0+Z$/, "Z").replace(/\+00:00$/, "Z")
    : parseInstant(text);

let owned: TestDatabase;

beforeAll(async () => {
  owned = await createDatabase();
  await using client = await connect(owned.url);
  await client.query(DDL);
});
afterAll(async () => await owned[Symbol.asyncDispose]());

/** All rows of the table as Firnline prints them, in order of (ts, id). */
async function printed(hot: PostgresHot): Promise<{ source: SourceTable; lines: string[] }> {
  const source = await hot.describe();
  const range = { from: dayStart(DAY_MIN), to: dayEnd(DAY_MAX) };
  const limits = { rowsMax: 3, bytesMax: 1 << 20 };
  const lines: string[] = [];
  const chunks: RawRows[] = [];
  await hot.readRange(
    source,
    range,
    limits,
    async () => {},
    async (pieces) => {
      for await (const piece of pieces) chunks.push(piece);
    },
  );
  const writer = ndjsonWriter(source.columns);
  for (const chunk of chunks) writer.take(new IndexedRows(chunk), 0, chunk.rows);
  lines.push(...(decoded(writer.end() as Uint8Array).match(/[^\n]*\n/g) ?? []));
  return { source, lines };
}

/** What Postgres makes of the same rows, under the settings that Firnline pins. */
async function rowsToJson(table: string): Promise<string[]> {
  await using client = await connect(owned.url);
  await client.query("SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET lc_monetary = 'C'");
  const { rows } = await client.query(
    `SELECT row_to_json(t)::text AS line FROM public.${table} t ORDER BY ts, id`,
  );
  return rows.map((row: { line: string }) => row.line);
}

describe("a line of NDJSON", () => {
  it.each(Object.entries(VALUES))("holds a value of type %s as row_to_json does", async (type, values) => {
    const table = `t_${type.replaceAll(/\W/g, "_")}`;
    await using client = await connect(owned.url);
    await client.query(
      `CREATE TABLE public.${table} (id int PRIMARY KEY, ts timestamptz NOT NULL DEFAULT '2026-01-03 00:00:00+00', v ${type})`,
    );
    for (const [index, value] of [...values, null].entries()) {
      await client.query(`INSERT INTO public.${table} (id, v) VALUES ($1, $2::text::${type})`, [
        index,
        value,
      ]);
    }
    await using database = openDatabase(owned.url);
    const { lines } = await printed(hotOf(database, table));
    const expected = await rowsToJson(table);
    expect(lines).toHaveLength(values.length + 1);
    for (const [index, line] of lines.entries()) {
      const found = parse(line) as Record<string, unknown>;
      const wanted = parse(expected[index] as string) as Record<string, unknown>;
      expect(Object.keys(found)).toEqual(Object.keys(wanted));
      expect(meaning("integer", found["id"])).toBe(meaning("integer", wanted["id"]));
      expect(meaning("timestamptz", found["ts"])).toBe(meaning("timestamptz", wanted["ts"]));
      expect(meaning(type, found["v"])).toBe(meaning(type, wanted["v"]));
    }
    expect(lines.at(-1)).toContain('"v":null}');
  });

  it("differs for arrays, composites and years before Christ", async () => {
    await using client = await connect(owned.url);
    await client.query(`
      CREATE TYPE public.pair AS (a int, b text);
      CREATE TABLE public.differs (id int PRIMARY KEY, ts timestamptz NOT NULL, list int[], pair public.pair, ip inet, day date);
      INSERT INTO public.differs VALUES (1, '2026-01-03 00:00:00+00', '{1,NULL,3}', '(1,"x y")', '10.0.0.1', '0044-03-15 BC')`);
    await using database = openDatabase(owned.url);
    const { lines } = await printed(hotOf(database, "differs"));
    // The first two are archived as Postgres casts them to text.
    expect(lines).toEqual([
      '{"id":1,"ts":"2026-01-03T00:00:00.000000Z","list":"{1,NULL,3}","pair":"(1,\\"x y\\")","ip":"10.0.0.1","day":"-000043-03-15"}\n',
    ]);
    expect(await rowsToJson("differs")).toEqual([
      '{"id":1,"ts":"2026-01-03T00:00:00+00:00","list":[1,null,3],"pair":{"a":1,"b":"x y"},"ip":"10.0.0.1","day":"0044-03-15 BC"}',
    ]);
  });

  it("names the columns as the table does, whatever they are called", async () => {
    await using client = await connect(owned.url);
    await client.query(`
      CREATE TABLE public.names (id int PRIMARY KEY, ts timestamptz NOT NULL, "We""ird \n Näme" text, "__proto__" int);
      INSERT INTO public.names VALUES (1, '2026-01-03 00:00:00+00', 'x', 2)`);
    await using database = openDatabase(owned.url);
    const { lines } = await printed(hotOf(database, "names"));
    const [expected] = await rowsToJson("names");
    expect(Object.entries(parse(lines[0] as string) as object).slice(2)).toEqual(
      Object.entries(parse(expected as string) as object).slice(2),
    );
  });
});
