/** Tables with other keys and names than source 1's. Many rows share a time, so that the key alone decides the order. */
import { describe, expect, test } from "vitest";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { moved, Scenario, type ScenarioOptions } from "../support/scenario.ts";

const DAY = "2026-01-10";
/** Seven different times over 120 rows. */
const TS = `'${DAY} 23:59:59.999994+00'::timestamptz - (n % 7) * interval '1 microsecond'`;
const ROWS = 120;

interface Variant extends ScenarioOptions {
  readonly name: string;
  readonly columns: string;
  /** The SELECT list over `n`, from 0 to 119. */
  readonly values: string;
}

/** Texts that a collation, a quote, an escape or a decoder could get wrong. */
const TEXTS = `(ARRAY['', ' ', 'a', 'A', 'b', 'ä', 'Z', 'z', '_', 'é', 'e', U&'e\\0301', 'ß', 'ss', U&'\\FEFF', U&'\\+01F600',
  U&'\\FFFD', '''', '"', '\\', '\\x00', E'\\n', E'\\t', 'NULL', '%', '$1', '{}', '--', U&'\\0130', 'I', 'ı', 'i'])[1 + n % 32] || n / 32`;

const VARIANTS: readonly Variant[] = [
  {
    name: "a composite key",
    columns: "tenant int, seq bigint, ts timestamptz NOT NULL, PRIMARY KEY (tenant, seq)",
    values: `n % 3 - 1, n * 4611686018427387, ${TS}`,
  },
  {
    name: "a composite key in another order than its index has",
    columns: "tenant int NOT NULL, seq bigint NOT NULL, ts timestamptz NOT NULL, UNIQUE (tenant, seq)",
    source: { key: ["seq", "tenant"] },
    values: `n % 3, n / 3, ${TS}`,
  },
  {
    name: "a key of whole numbers at their limits",
    columns: "a smallint, b int, c bigint, ts timestamptz NOT NULL, PRIMARY KEY (a, b, c)",
    values: `(ARRAY[-32768, 32767, 0, -1])[1 + n % 4], (ARRAY[-2147483648, 2147483647, 0, -1, 1])[1 + n % 5],
      (ARRAY[-9223372036854775808, 9223372036854775807, 0])[1 + n % 3]::bigint + (n / 60) * CASE WHEN n % 3 = 1 THEN -1 ELSE 1 END, ${TS}`,
  },
  {
    name: "a text key",
    columns: "k text PRIMARY KEY, ts timestamptz NOT NULL",
    values: `${TEXTS}, ${TS}`,
  },
  {
    name: "a text key in a linguistic collation",
    columns: `k text COLLATE "de-x-icu" PRIMARY KEY, ts timestamptz NOT NULL`,
    values: `${TEXTS}, ${TS}`,
  },
  {
    name: "a text key whose collation takes different texts for equal",
    ddl: `CREATE COLLATION public.insensitive (provider = icu, locale = 'und-u-ks-level1', deterministic = false);`,
    columns: `k text COLLATE public.insensitive, n int, ts timestamptz NOT NULL, PRIMARY KEY (k, n)`,
    values: `${TEXTS}, n, ${TS}`,
  },
  {
    name: "a varchar key under a domain",
    ddl: "CREATE DOMAIN public.code AS varchar(64) CHECK (VALUE <> 'never');",
    columns: "k public.code PRIMARY KEY, ts timestamptz NOT NULL",
    values: `${TEXTS}, ${TS}`,
  },
  {
    name: "an enum key, whose order is not that of its labels",
    ddl: "CREATE TYPE public.level AS ENUM ('warn', 'debug', 'error', 'Z', 'a');",
    columns: "k public.level, n int, ts timestamptz NOT NULL, PRIMARY KEY (k, n)",
    values: `(ARRAY['warn', 'debug', 'error', 'Z', 'a'])[1 + n % 5]::public.level, n, ${TS}`,
  },
  {
    name: "a uuid key",
    columns: "k uuid PRIMARY KEY, ts timestamptz NOT NULL",
    values: `md5(n::text)::uuid, ${TS}`,
  },
  {
    name: "a bytea key",
    columns: "k bytea PRIMARY KEY, ts timestamptz NOT NULL",
    values: `substring(decode(md5(n::text), 'hex') FOR n % 9) || decode(lpad(to_hex(n), 4, '0'), 'hex'), ${TS}`,
  },
  {
    name: "a key that contains the time",
    columns: "ts timestamptz, n int, PRIMARY KEY (ts, n)",
    values: `${TS}, n`,
  },
  {
    name: "a key of a date and a time of day",
    columns: "d date, t time, ts timestamptz NOT NULL, PRIMARY KEY (d, t)",
    values: `'2000-01-01'::date + (n % 4 - 2) * 1000, '00:00'::time + n * interval '720.000001 seconds', ${TS}`,
  },
  {
    name: "a unique index beside the primary key",
    columns: "id bigint PRIMARY KEY, other text NOT NULL UNIQUE, ts timestamptz NOT NULL",
    source: { key: ["other"] },
    values: `n, 'x' || (n * 37 % 120), ${TS}`,
  },
  {
    name: "names that are SQL",
    table: `"we""ird schema"."a""; drop table x; --"`,
    ddl: `CREATE SCHEMA "we""ird schema"; CREATE TABLE public.x (id int);`,
    columns: `"select" bigint, "from" text, "order" timestamptz NOT NULL, "t" int, "a"";b" text, "Ünï ©" text, "$1" int, "'" text,
      PRIMARY KEY ("select")`,
    source: { time: '"order"' },
    rules: [{ name: "gone", when: `"t" = 3 AND "a"";b" <> ''''`, hot: "30d", archive: false }],
    values: `n, 'from', ${TS}, n % 4, 'x"', '', n, ''''`,
  },
  {
    name: "names that Firnline uses itself",
    table: "public.oldest",
    columns: `firnline_row bigint PRIMARY KEY, firnline_time timestamptz NOT NULL, oldest int, deleted text, ctid_ text, one int,
      day date, rule text, any_ text, "rows" int`,
    source: { time: "firnline_time" },
    rules: [{ name: "gone", when: "oldest = 3 AND firnline_row < 100", hot: "30d", archive: false }],
    values: `n, ${TS}, n % 4, 'd', 'c', n, '2020-01-01'::date, 'r', 'a', n`,
  },
  {
    name: "a time column with the name of Firnline's alias for a row",
    columns: "id bigint PRIMARY KEY, firnline_row timestamptz NOT NULL, t int",
    source: { time: "firnline_row" },
    rules: [{ name: "gone", when: "t = 3", hot: "30d", archive: false }],
    values: `n, ${TS}, n % 4`,
  },
];

describe("a table with", () => {
  test.concurrent.each(VARIANTS)(
    "$name moves without loss",
    async ({ columns, values, ddl = "", ...options }) => {
      const table = options.table ?? "public.audit_logs";
      await using scenario = await Scenario.create({
        ...options,
        ddl: `${ddl} CREATE TABLE ${table} (${columns})`,
        // Chunks of seven rows, so that many bounds lie between rows of one time.
        environ: { FIRNLINE_CHUNK_ROWS: "7", FIRNLINE_SEGMENT_MIB: "1024" },
      });
      await scenario.insert(`SELECT ${values} FROM generate_series(0, ${ROWS - 1}) n ORDER BY hashint4(n)`);
      const deletable = options.rules === undefined ? "false" : String(options.rules[0]?.["when"]);
      const gone = await scenario.count(deletable);
      expect(moved(await scenario.run())).toEqual({
        exported: ROWS - gone,
        pruned: ROWS - gone,
        deleted: gone,
        cooled: 0,
      });
      expect(await scenario.count()).toBe(0);
      await expectNothingLost(scenario, { deletable });
      await expectSettled(scenario);
    },
  );
});
