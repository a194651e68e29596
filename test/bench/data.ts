/** The benchmark's tables: their columns by shape, and templates of whole databases that a case takes a copy of. */
import { readFileSync } from "node:fs";
import type pg from "pg";
import { addDays, dayStart, type DayUtc, type EpochMicros, formatDay, parseDay } from "../../src/rows/day.ts";

export const SHAPES = ["narrow", "audit", "wide"] as const;
export type Shape = (typeof SHAPES)[number];

/** What a template's rows look like in time. All of them have the table `public.audit` with an index on `ts`. */
export interface Layout {
  readonly days: number;
  /** Whether each day is a native partition. */
  readonly isPartitioned: boolean;
}

export const LAYOUTS = {
  /** A backfill of some days. */
  days: { days: 4, isPartitioned: false },
  /** A large day. */
  day: { days: 1, isPartitioned: false },
  partitions: { days: 4, isPartitioned: true },
  /** Most of a year, to look for somebody in. */
  history: { days: 300, isPartitioned: false },
} as const satisfies Record<string, Layout>;
export type LayoutName = keyof typeof LAYOUTS;

export const FIRST_DAY: DayUtc = parseDay("2025-01-06");

/** An instant at which all rows of a layout are due for the archive, by a policy that keeps 30 days hot. */
export const dueAt = ({ days }: Layout): EpochMicros => dayStart(addDays(FIRST_DAY, days + 31));

/** Rare enough that most have only a few rows: the n-th acts about n times less than the first. */
const ACTORS = 20_000;

const sql = (name: string): string => readFileSync(new URL(`./sql/${name}`, import.meta.url), "utf8");

interface Column {
  readonly name: string;
  readonly type: string;
  /** As an expression over the columns of `audit-rows.sql`. */
  readonly value: string;
}

const column = (name: string, type: string, value = name): Column => ({ name, type, value });

const NARROW: readonly Column[] = [
  column("id", "bigint"),
  column("ts", "timestamptz NOT NULL"),
  column("actor", "uuid"),
  column("kind", "integer", "bench.pick(id, 1, 30)"),
  column("value", "double precision", "bench.pick(id, 30, 1000000) / 1000.0"),
];

const AUDIT: readonly Column[] = [
  ...NARROW.slice(0, 3),
  column("action", "text"),
  column("resource", "text"),
  column("ip", "inet"),
  column("message", "text"),
  column("details", "jsonb"),
];

/** Every kind of column has NULLs in it: a third of the rows. */
const EXTRAS: readonly { readonly type: string; readonly value: (seed: number) => string }[] = [
  { type: "integer", value: (seed) => `bench.pick(id, ${seed}, 100000)` },
  { type: "text", value: (seed) => `'value ' || bench.pick(id, ${seed}, 5000)` },
  { type: "numeric(12,2)", value: (seed) => `bench.pick(id, ${seed}, 10000000) / 100.0` },
  { type: "timestamptz", value: (seed) => `ts + bench.pick(id, ${seed}, 86400) * interval '1 second'` },
  { type: "boolean", value: (seed) => `bench.pick(id, ${seed}, 2) = 0` },
];

const COLUMNS: Record<Shape, readonly Column[]> = {
  narrow: NARROW,
  audit: AUDIT,
  wide: [
    ...AUDIT,
    ...Array.from({ length: 40 }, (_, index) => {
      const { type, value } = EXTRAS[index % EXTRAS.length] as (typeof EXTRAS)[number];
      const seed = 100 + 2 * index;
      return column(
        `extra_${index + 1}`,
        type,
        `CASE WHEN bench.pick(id, ${seed + 1}, 3) > 0 THEN ${value(seed)} END`,
      );
    }),
  ],
};

/** Names of the columns of `public.audit`, and their types without constraints. */
export function columnTypes(shape: Shape): { readonly name: string; readonly type: string }[] {
  return COLUMNS[shape].map(({ name, type }) => ({ name, type: type.replace(" NOT NULL", "") }));
}

/** Makes and fills `public.audit` in an empty database, and leaves it as a table that nobody writes to looks like. */
export async function fillDatabase(
  client: pg.Client,
  shape: Shape,
  layout: Layout,
  rows: number,
): Promise<void> {
  const columns = COLUMNS[shape];
  const declared = columns.map(({ name, type }) => `${name} ${type}`).join(", ");
  await client.query(sql("pick.sql"));
  await client.query("CREATE EXTENSION pg_prewarm");
  await client.query(
    layout.isPartitioned
      ? `CREATE TABLE public.audit (${declared}, PRIMARY KEY (ts, id)) PARTITION BY RANGE (ts)`
      : `CREATE TABLE public.audit (${declared}, PRIMARY KEY (id))`,
  );
  if (layout.isPartitioned) {
    for (let day = 0; day < layout.days; day += 1) {
      const [from, to] = [day, day + 1].map((one) => formatDay(addDays(FIRST_DAY, one)));
      await client.query(
        `CREATE TABLE public.audit_${day} PARTITION OF public.audit FOR VALUES FROM ('${from}') TO ('${to}')`,
      );
    }
  }
  const values = columns.map(({ value }) => value).join(", ");
  await client.query(`INSERT INTO public.audit SELECT ${values} FROM (${sql("audit-rows.sql")}) AS rows`, [
    rows,
    layout.days,
    `${formatDay(FIRST_DAY)} 00:00+00`,
    ACTORS,
  ]);
  if (!layout.isPartitioned) await client.query("CREATE INDEX audit_ts ON public.audit (ts)");
  await client.query("DROP SCHEMA bench CASCADE");
  // Hint bits and visibility are of the past then, and no case pays for what another one wrote.
  await client.query("VACUUM (ANALYZE, FREEZE) public.audit");
}

/** Reads table and indexes into the server's memory, as of a table in use. */
export async function prewarm(client: pg.Client): Promise<void> {
  await client.query(
    `SELECT pg_prewarm(oid) FROM pg_class
     WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace AND relname LIKE 'audit%'`,
  );
}
