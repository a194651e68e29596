/**
 * Any history of a table's definition: between nights columns are added, dropped, renamed, widened and narrowed again,
 * labels of an enum are added and renamed, and rows come into any day. The answer over all of it is what Postgres' own
 * casts make of every row that ever went in. A failure prints its seed.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { quoteLiteral } from "../../src/postgres/quote.ts";
import { Scenario } from "../support/scenario.ts";

/** Types that a column may have, each wider than the one before; the first letter of a name says which of them. */
const LADDERS: Readonly<Record<string, readonly string[]>> = {
  i: ["integer", "bigint"],
  n: ["smallint", "integer", "bigint", "numeric(24,2)", "numeric"],
  v: ["varchar(4)", "varchar(8)", "text"],
  c: ["char(4)", "char(6)", "text"],
  f: ["real", "double precision"],
  d: ["date", "timestamp"],
  // Labels change, and the type stays; in the answer they are texts.
  m: ["text"],
};
const VALUES: Readonly<Record<string, readonly string[]>> = {
  smallint: ["0", "-32768", "32767", "7"],
  integer: ["-2147483648", "2147483647", "7"],
  bigint: ["-9223372036854775808", "9223372036854775807", "7"],
  "numeric(24,2)": ["0.01", "-1.5", "NaN", "7"],
  numeric: ["1.500", "-1e-20", "1e30", "NaN"],
  "varchar(4)": ["", "abcd", "äöü"],
  "varchar(8)": ["ab  ", "äöüäöü", "7"],
  "char(4)": ["", "ab", "é☃"],
  "char(6)": ["ab", "abcdef"],
  text: ["", "ab   ", "a longer text"],
  real: ["1.1", "-0", "NaN", "1e-45", "-Infinity"],
  "double precision": ["1.1", "-0", "5e-324", "Infinity"],
  date: ["2026-02-28", "1969-12-31", "infinity"],
  timestamp: ["2026-02-28 01:02:03.000004", "2026-02-28", "-infinity"],
};
/** What every rung of a ladder holds: rows that stay hot, and defaults, live through any change. */
const SAFE: Readonly<Record<string, string>> = { n: "7", v: "ab", c: "ab", f: "1.5", d: "2026-01-01" };
const NAMES = ["n1", "n2", "v1", "v2", "c1", "c2", "f1", "f2", "d1", "d2"];
const DAYS = ["2026-01-03", "2026-01-04", "2026-01-05"];

interface Column {
  readonly name: string;
  readonly rung: number;
}

type Change = readonly [what: "add" | "drop" | "rename" | "retype" | "label", which: number, to: number];

/** Between two nights: what changes, and the rows of days that are due, by their day and what picks their values. */
interface Era {
  readonly changes: readonly Change[];
  readonly rows: readonly (readonly [day: number, seed: number])[];
}

const eras: fc.Arbitrary<Era[]> = fc.array(
  fc.record({
    changes: fc.array(
      fc.tuple(
        fc.constantFrom("add", "drop", "rename", "retype", "retype", "label"),
        fc.nat({ max: 99 }),
        fc.nat({ max: 99 }),
      ) as fc.Arbitrary<Change>,
      { maxLength: 5 },
    ),
    rows: fc.array(fc.tuple(fc.nat({ max: DAYS.length - 1 }), fc.nat({ max: 99 })), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  { minLength: 2, maxLength: 4 },
);

const ladderOf = (name: string): readonly string[] => LADDERS[name[0] as string] as readonly string[];
const typeAt = ({ name, rung }: Column): string => ladderOf(name)[rung] as string;
const pick = <T>(list: readonly T[], seed: number): T => list[seed % list.length] as T;

/** The table as it should be by now, and every row that went into the archive. */
class Model {
  columns: Column[] = ["i", "n1", "v1", "c1", "f1", "d1", "m"].map((name) => ({ name, rung: 0 }));
  labels = ["calm", "alarmed"];
  /** Columns and places of the archived segments: a day of an era is one. */
  readonly segments: { readonly day: number; readonly era: number; readonly columns: readonly Column[] }[] =
    [];
  /** A value as a typed literal by its column. */
  readonly archived: ReadonlyMap<string, string>[] = [];
  #ids = 100;
  #fresh = 0;

  /** The statement for a change, or null where there is nothing to change. */
  apply([what, which, to]: Change): string | null {
    const changeable = this.columns.filter(({ name }) => name !== "m" && name !== "i");
    const unused = NAMES.filter((name) => !this.columns.some((column) => column.name === name));
    const table = "ALTER TABLE public.audit_logs";
    if (what === "label") {
      this.#fresh += 1;
      const label = `label ${this.#fresh}`;
      const old = pick(this.labels, which);
      this.labels =
        to % 2 === 0 ? [...this.labels, label] : this.labels.map((one) => (one === old ? label : one));
      return to % 2 === 0
        ? `ALTER TYPE public.mood ADD VALUE ${quoteLiteral(label)}`
        : `ALTER TYPE public.mood RENAME VALUE ${quoteLiteral(old)} TO ${quoteLiteral(label)}`;
    }
    if (what === "add") {
      if (unused.length === 0) return null;
      const name = pick(unused, which);
      const column = { name, rung: to % ladderOf(name).length };
      this.columns = [...this.columns, column];
      const fallback = to % 2 === 0 ? ` DEFAULT ${quoteLiteral(SAFE[name[0] as string] as string)}` : "";
      return `${table} ADD COLUMN ${name} ${typeAt(column)}${fallback}`;
    }
    const targets = what === "retype" ? this.columns.filter(({ name }) => name !== "m") : changeable;
    if (targets.length === 0) return null;
    const { name, rung } = pick(targets, which);
    const replace = (column: Column): void => {
      this.columns = this.columns.map((one) => (one.name === name ? column : one));
    };
    if (what === "drop") {
      this.columns = this.columns.filter((column) => column.name !== name);
      return `${table} DROP COLUMN ${name}`;
    }
    if (what === "rename") {
      const other = unused.find((one) => one[0] === name[0]);
      if (other === undefined) return null;
      replace({ name: other, rung });
      return `${table} RENAME COLUMN ${name} TO ${other}`;
    }
    const column = { name, rung: to % ladderOf(name).length };
    replace(column);
    return `${table} ALTER COLUMN ${name} DROP DEFAULT, ALTER COLUMN ${name} TYPE ${typeAt(column)}
            USING ${name}::${typeAt(column)}`;
  }

  /** The INSERT of an era's rows. */
  insert(era: number, rows: Era["rows"]): string {
    const values = rows.map(([day, seed]) => {
      const fields = new Map<string, string>([
        ["ts", `'${pick(DAYS, day)} 0${seed % 10}:00+00'::timestamptz`],
      ]);
      for (const [at, column] of this.columns.entries()) {
        const type = column.name === "m" ? "text" : typeAt(column);
        const list = column.name === "m" ? this.labels : (VALUES[type] as readonly string[]);
        const value =
          column.name === "i"
            ? quoteLiteral(String((this.#ids += 1)))
            : (seed + at) % 4 === 0
              ? "NULL"
              : quoteLiteral(pick(list, seed + at));
        fields.set(column.name, `${value}::${type}`);
      }
      this.archived.push(fields);
      if (!this.segments.some((one) => one.day === day && one.era === era))
        this.segments.push({ day, era, columns: this.columns });
      return `(${[...fields].map(([name, value]) => (name === "m" ? `${value}::public.mood` : value)).join(", ")})`;
    });
    const names = ["ts", ...this.columns.map(({ name }) => name)];
    return `INSERT INTO public.audit_logs (${names.join(", ")}) VALUES ${values.join(", ")}`;
  }

  /** The answer's columns with their types, in order: the table's, then those of older segments by their day. */
  united(): Column[] {
    const all = new Map<string, number>();
    const ordered = this.segments.toSorted((left, right) => left.day - right.day || left.era - right.era);
    for (const { name, rung } of [this.columns, ...ordered.map(({ columns }) => columns)].flat()) {
      all.set(name, Math.max(rung, all.get(name) ?? 0));
    }
    return [...all].map(([name, rung]) => ({ name, rung }));
  }
}

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({
    ddl: `CREATE TYPE public.mood AS ENUM ('calm', 'alarmed');
          CREATE TABLE public.audit_logs (i integer PRIMARY KEY, n1 smallint, v1 varchar(4), c1 char(4), f1 real, d1 date,
            m public.mood, ts timestamptz NOT NULL)`,
    source: { key: ["i"] },
  });
  await template.query(`DROP TABLE truth.rows;
    INSERT INTO public.audit_logs VALUES (1, 7, 'ab', 'ab', 1.5, '2026-01-01', 'calm', '2026-02-20 00:00+00'),
                                         (2, NULL, NULL, NULL, NULL, NULL, NULL, '2026-02-21 00:00+00')`);
});
afterAll(async () => await template[Symbol.asyncDispose]());

async function expectAnswerIsTruth(scenario: Scenario, model: Model): Promise<void> {
  const united = model.united();
  const list = [...united.map((column) => `${column.name} ${typeAt(column)}`), "ts timestamptz"];
  const hot = united.map((column) => {
    const isThere = model.columns.some(({ name }) => name === column.name);
    return isThere ? `${column.name}::${typeAt(column)}` : "NULL";
  });
  const old = model.archived.map((fields) => {
    const values = united.map((column) => {
      const value = fields.get(column.name);
      return value === undefined ? "NULL" : `${value}::${typeAt(column)}`;
    });
    return `(${[...values, fields.get("ts")].join(", ")})`;
  });
  await scenario.query(`
    CREATE TABLE truth.united (${list.join(", ")});
    INSERT INTO truth.united SELECT ${hot.join(", ")}, ts FROM public.audit_logs;
    INSERT INTO truth.united VALUES ${old.join(", ")}`);
  const { lines, result } = await scenario.retrieve();
  expect(result).toMatchObject({ collapsed: 0n, conflicting: 0n });
  const [difference] = await scenario.query(
    `WITH answer AS (SELECT json_populate_record(NULL::truth.united, line::json)::text AS row FROM unnest($1::text[]) line),
          truth AS (SELECT the_row::text AS row FROM truth.united the_row)
     SELECT ARRAY(SELECT row FROM truth EXCEPT ALL SELECT row FROM answer) AS lost,
            ARRAY(SELECT row FROM answer EXCEPT ALL SELECT row FROM truth) AS invented`,
    [lines],
  );
  expect(difference).toEqual({ lost: [], invented: [] });
  const rows = lines.map((line) => JSON.parse(line) as { ts: string; i: number });
  const inTable = await scenario.query(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = 'public.audit_logs'::regclass
     AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
  );
  const names = [...inTable.map(({ name }) => name), ...united.map(({ name }) => name)];
  for (const row of rows) expect(Object.keys(row)).toEqual([...new Set(names)]);
  expect(rows).toEqual(
    rows.toSorted((left, right) => (left.ts < right.ts ? -1 : left.ts > right.ts ? 1 : left.i - right.i)),
  );
}

it("is answered whole", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(eras, async (history) => {
      await using scenario = await template.copy();
      const model = new Model();
      for (const [index, { changes, rows }] of history.entries()) {
        for (const change of changes) {
          const statement = model.apply(change);
          if (statement !== null) await scenario.query(statement);
        }
        await scenario.query(model.insert(index, rows));
        expect((await scenario.run()).pruned).toBe(BigInt(rows.length));
      }
      await expectAnswerIsTruth(scenario, model);
    }),
    { numRuns: 10 },
  );
});
