/** `--where column=value`: for hot and archived rows alike it finds what Postgres finds. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { moved, Scenario } from "../support/scenario.ts";

const ids = (lines: readonly string[]): number[] =>
  lines.map((line) => (JSON.parse(line) as { id: number }).id);

describe("--where", () => {
  const COLUMNS: Readonly<Record<string, readonly [type: string, values: readonly string[]]>> = {
    b: ["boolean", ["true", "false"]],
    i2: ["smallint", ["-32768", "7"]],
    i4: ["integer", ["-2147483648", "7"]],
    i8: ["bigint", ["9007199254740993", "-9223372036854775808"]],
    f4: ["real", ["0", "-0", "NaN", "1.1"]],
    f8: ["double precision", ["0", "-0", "NaN", "Infinity", "0.1"]],
    d: ["numeric(12,2)", ["1.50", "-0.01"]],
    num: ["numeric", ["1.500", "1e30", "NaN"]],
    tz: ["timestamptz", ["2026-01-01 00:00:00.000001+00", "infinity"]],
    tl: ["timestamp", ["2026-01-01 00:00:00.5", "-infinity"]],
    day: ["date", ["2026-02-28", "0044-03-15 BC"]],
    t: ["time", ["13:05:00.000001", "24:00:00"]],
    u: ["uuid", ["6F9619FF-8B86-D011-B42D-00C04FC964FF"]],
    bytes: ["bytea", ["\\x00ff", ""]],
    txt: ["text", ["a=b", "", "ä 'quoted' \"\\", "NULL"]],
    v3: ["varchar(3)", ["abc", "äöü"]],
    c5: ["character(5)", ["ab", "abcde"]],
    bp: ["bpchar", ["ab ", "ab", "abcde"]],
    code: ["public.code", ["ab", "abcde"]],
    mood: ["public.mood", ["calm", "it's"]],
    ip: ["inet", ["10.0.0.1/32", "fe80::1/64"]],
  };
  /** Asked for besides the values that are there: must be as absent, or as present, as Postgres says. */
  const MORE: Readonly<Record<string, readonly string[]>> = {
    v3: ["abcd", "abc "],
    c5: ["ab   ", "abcdef", "abcde "],
    bp: ["ab   "],
    code: ["ab   ", "abc"],
    d: ["1.5", "1.504", "01.50"],
    num: ["1.5", "1000000000000000000000000000000.0"],
    i4: [" 7", "8"],
    b: ["t", "no"],
    tz: ["2026-01-01T01:00:00.000001+01:00"],
    ip: ["10.0.0.1"],
    txt: ["a", "null"],
    f8: ["1e-1", "-inf"],
  };
  let scenario: Scenario;

  beforeAll(async () => {
    const list = Object.entries(COLUMNS).map(([name, [type]]) => `${name} ${type}`);
    scenario = await Scenario.create({
      ddl: `CREATE TYPE public.mood AS ENUM ('calm', 'it''s'); CREATE DOMAIN public.code AS character(5);
        CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ts timestamptz NOT NULL, ${list.join(", ")})`,
    });
    let id = 1;
    for (const day of ["2026-01-10", "2026-02-20"]) {
      for (let index = 0; index < 5; index += 1) {
        // The last row of a day has nothing but NULLs.
        const values = Object.values(COLUMNS).map(([type, all]) => {
          const value = index === 4 ? undefined : all[index % all.length];
          return value === undefined ? `NULL::${type}` : `'${value.replaceAll("'", "''")}'::${type}`;
        });
        await scenario.insert(`VALUES (${id}, '${day} 10:00+00'::timestamptz, ${values.join(", ")})`);
        id += 1;
      }
    }
    expect(moved(await scenario.run())).toMatchObject({ pruned: 5 });
  });

  afterAll(async () => await scenario[Symbol.asyncDispose]());

  const cases = Object.entries(COLUMNS).flatMap(([name, [, values]]) =>
    [...values, ...(MORE[name] ?? [])].map((value) => ({ name, value })),
  );
  test.each(cases)("$name=$value finds what Postgres finds, hot and archived", async ({ name, value }) => {
    const expected = await scenario.query(
      `SELECT id::int FROM truth.rows WHERE ${name} = '${value.replaceAll("'", "''")}' ORDER BY ts, id`,
    );
    const { lines } = await scenario.retrieve({ where: [`${name}=${value}`] });
    expect(ids(lines)).toEqual(expected.map(({ id }) => Number(id)));
  });

  test("takes several, of which all must hold", async () => {
    const { lines } = await scenario.retrieve({ where: ["i2=7", "txt="] });
    expect(ids(lines)).toEqual(
      (await scenario.query("SELECT id::int FROM truth.rows WHERE i2 = 7 AND txt = ''")).map(({ id }) => id),
    );
  });

  test.each([
    ["nothing=1", /no such column/],
    ["i4=seven", /not a value of type integer/],
    ["u=1", /not a value of type uuid/],
    ["mood=angry", /not a value/],
    ["i4=1); DROP TABLE public.audit_logs; --", /not a value/],
  ])("refuses %s", async (where, message) => {
    const error = await scenario.retrieve({ where: [where] }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "E_INPUT" });
    expect((error as Error).message).toMatch(message);
    expect(await scenario.count()).toBe(5);
  });
});
