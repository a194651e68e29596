/** The table of source 1 as a partitioned one, and its leaves in any shape. */
import { auditRows } from "./audit-rows.ts";
import type { Scenario, ScenarioOptions } from "./scenario.ts";

/** Without a leaf. Bounds are written in UTC, whatever the session thinks. */
export const PARENT = `
  CREATE TABLE public.audit_logs (
    id bigint, ts timestamptz NOT NULL, action text, message text, details jsonb, PRIMARY KEY (ts, id))
    PARTITION BY RANGE (ts);`;

const utc = (text: string): string => (text.includes("+") ? text : `${text} 00:00+00`);

/** `FOR VALUES ...` of two dates or instants. */
export const between = (from: string, to: string): string =>
  `FOR VALUES FROM ('${utc(from)}') TO ('${utc(to)}')`;

/** A leaf of `public.audit_logs`. */
export const leaf = (name: string, from: string, to: string): string =>
  `CREATE TABLE ${name} PARTITION OF public.audit_logs ${between(from, to)};\n`;

/** Leaves of a day each, named `public.day_2026_01_09` and so on. */
export function days(from: string, count: number): string {
  const first = Date.parse(from);
  const date = (day: number): string => new Date(first + day * 86_400_000).toISOString().slice(0, 10);
  return Array.from({ length: count }, (_, day) =>
    leaf(`public.day_${date(day).replaceAll("-", "_")}`, date(day), date(day + 1)),
  ).join("");
}

const THREE =
  leaf("public.day_10", "2026-01-10", "2026-01-11") +
  leaf("public.day_11", "2026-01-11", "2026-01-12") +
  leaf("public.february", "2026-02-01", "2026-03-01");

/** Two days that are due, in two batches, and one that is not. */
export async function fillShape(scenario: Scenario): Promise<void> {
  await scenario.insert(auditRows("2026-01-10", 1001, 130));
  await scenario.insert(auditRows("2026-01-11", 2001, 60));
  await scenario.insert(auditRows("2026-02-20", 3001, 10));
}

export interface Shape extends ScenarioOptions {
  readonly what: string;
  /** Leaves that stay when whole leaves go wherever they can. */
  readonly leavesLeft: readonly string[];
}

export const SHAPES: readonly Shape[] = [
  { what: "days", leavesLeft: ["february"], ddl: PARENT + THREE },
  {
    what: "leaves that are not days",
    leavesLeft: ["second", "third"],
    ddl: `${PARENT}
      ${leaf("public.first", "2026-01-01 05:30+02", "2026-01-10 18:00+00")}
      ${leaf("public.second", "2026-01-10 18:00+00", "2026-02-20 00:30+00")}
      ${leaf("public.third", "2026-02-20 00:30+00", "2026-06-01")}`,
  },
  {
    what: "columns in another order, and dropped ones",
    leavesLeft: ["february"],
    ddl: `${PARENT}
      ALTER TABLE public.audit_logs ADD COLUMN gone int;
      ${leaf("public.day_10", "2026-01-10", "2026-01-11")}
      ALTER TABLE public.audit_logs DROP COLUMN gone;
      CREATE TABLE public.day_11 (
        details jsonb, junk int, message text, id bigint NOT NULL, action text, ts timestamptz NOT NULL);
      ALTER TABLE public.day_11 DROP COLUMN junk, ADD PRIMARY KEY (ts, id);
      ALTER TABLE public.audit_logs ATTACH PARTITION public.day_11 ${between("2026-01-11", "2026-01-12")};
      ${leaf("public.february", "2026-02-01", "2026-03-01")}`,
  },
  {
    what: "attached indexes, and a foreign key of its own",
    leavesLeft: ["february"],
    ddl: `${PARENT}
      CREATE TABLE public.actions (action text PRIMARY KEY); INSERT INTO public.actions VALUES ('login');
      ${THREE}
      ALTER TABLE public.audit_logs ADD FOREIGN KEY (action) REFERENCES public.actions;
      CREATE INDEX by_action ON ONLY public.audit_logs (action);
      ${["day_10", "day_11", "february"]
        .map(
          (name) =>
            `CREATE INDEX ${name}_action ON public.${name} (action); ALTER INDEX by_action ATTACH PARTITION ${name}_action;`,
        )
        .join("\n")}`,
  },
  {
    what: "sub-partitions",
    leavesLeft: ["february"],
    ddl: `${PARENT}
      CREATE TABLE public.january PARTITION OF public.audit_logs ${between("2026-01-01", "2026-02-01")}
        PARTITION BY RANGE (ts);
      CREATE TABLE public.day_10 PARTITION OF public.january ${between("2026-01-10", "2026-01-11")}
        PARTITION BY HASH (id);
      CREATE TABLE public.even PARTITION OF public.day_10 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE public.odd PARTITION OF public.day_10 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      CREATE TABLE public.day_11 PARTITION OF public.january ${between("2026-01-11", "2026-01-12")}
        PARTITION BY RANGE (id);
      CREATE TABLE public.low PARTITION OF public.day_11 FOR VALUES FROM (MINVALUE) TO (2030);
      CREATE TABLE public.high PARTITION OF public.day_11 DEFAULT;
      ${leaf("public.february", "2026-02-01", "2026-03-01")}`,
  },
  {
    what: "a DEFAULT partition that holds all",
    leavesLeft: ["rest"],
    ddl: `${PARENT} CREATE TABLE public.rest PARTITION OF public.audit_logs DEFAULT;`,
  },
  {
    what: "hashes",
    leavesLeft: ["h0", "h1"],
    ddl: `${PARENT.replace("RANGE (ts)", "HASH (id)")}
      CREATE TABLE public.h0 PARTITION OF public.audit_logs FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE public.h1 PARTITION OF public.audit_logs FOR VALUES WITH (MODULUS 2, REMAINDER 1);`,
  },
  {
    what: "lists",
    leavesLeft: ["logins", "others"],
    ddl: `CREATE TABLE public.audit_logs (
        id bigint, ts timestamptz NOT NULL, action text, message text, details jsonb, PRIMARY KEY (id, action))
        PARTITION BY LIST (action);
      CREATE TABLE public.logins PARTITION OF public.audit_logs FOR VALUES IN ('login');
      CREATE TABLE public.others PARTITION OF public.audit_logs DEFAULT;`,
  },
  {
    what: "other schemas and hostile names",
    leavesLeft: ['a"; DROP TABLE truth.rows; --'],
    table: `"the ""schema""; --"."audit'logs"`,
    ddl: `CREATE SCHEMA "the ""schema""; --"; CREATE SCHEMA "ONLY";
      CREATE TABLE "the ""schema""; --"."audit'logs" (
        id bigint, ts timestamptz NOT NULL, action text, message text, details jsonb, PRIMARY KEY (ts, id))
        PARTITION BY RANGE (ts);
      CREATE TABLE "ONLY"."$1 \\ %I" PARTITION OF "the ""schema""; --"."audit'logs"
        ${between("2026-01-10", "2026-01-11")};
      CREATE TABLE "ONLY"."ONLY" PARTITION OF "the ""schema""; --"."audit'logs"
        ${between("2026-01-11", "2026-01-12")};
      CREATE TABLE "the ""schema""; --"."a""; DROP TABLE truth.rows; --" PARTITION OF "the ""schema""; --"."audit'logs"
        DEFAULT;`,
  },
];

/** Names of the tables that are partitions of the source and hold rows. */
export async function leavesOf(scenario: Scenario): Promise<string[]> {
  const rows = await scenario.query(
    `SELECT c.relname FROM pg_partition_tree($1) t JOIN pg_class c ON c.oid = t.relid WHERE t.isleaf AND c.relkind = 'r'
     ORDER BY c.relname COLLATE "C"`,
    [scenario.table],
  );
  return rows.map((row) => row["relname"] as string);
}

/** Names of all tables that could hold rows of the source, whether they are attached or not. */
export async function tablesOf(scenario: Scenario): Promise<string[]> {
  const rows = await scenario.query(
    `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
     ORDER BY relname COLLATE "C"`,
  );
  return rows.map((row) => row["relname"] as string);
}
