/** Large catalogs and long backlogs: what plan and status take, and how large the control schema gets. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readSettings } from "../../../src/config.ts";
import { dayStart, addDays, formatDay } from "../../../src/rows/day.ts";
import { migrateDatabase } from "../../../src/wiring.ts";
import type { Bench, Case, Sample } from "../bench.ts";
import type { FirnlineJob } from "../children/firnline.child.ts";
import { FIRST_DAY } from "../data.ts";
import { withClient } from "../server.ts";

const RULES = 20;
const YEARS_10 = 3650;
const ROWS_A_PARTITION = 3;

const MULTIPLY = readFileSync(new URL("../sql/multiply-segments.sql", import.meta.url), "utf8");

/** Rows of `days` days up to the last one that is due, of all rules, and 30 days that are not. */
const ROWS = `
  CREATE TABLE public.audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ts timestamptz NOT NULL, kind int);
  INSERT INTO public.audit (ts, kind)
    SELECT '$DAY 12:00+00'::timestamptz + day * interval '1 day' + number * interval '1 minute', kind
    FROM generate_series(1 - $DAYS, 30) day, generate_series(1, ${ROWS_A_PARTITION}) number, generate_series(1, ${RULES}) kind;
  CREATE INDEX ON public.audit (ts)`;

function policyText(folder: string): string {
  const rules = Array.from(
    { length: RULES },
    (_, at) => `  - { name: kind_${at + 1}, when: "kind = ${at + 1}" }`,
  );
  return `version: 1
pipeline: audit
source: { connection: DATABASE_URL, table: public.audit, time: ts }
archive: { url: "${pathToFileURL(folder).href}" }
tiers:
  hot: { keep: 30d }
  warm: { keep: 365d }
  cold: { storageClass: DEEP_ARCHIVE, keep: forever }
rules:
${rules.join("\n")}
`;
}

interface Prepared {
  readonly job: FirnlineJob;
  readonly bytesASegment: number | null;
}

/** A catalog of `segments`, and a table with `days` days that are due, of which a first run takes one if there are segments. */
async function prepare(bench: Bench, name: string, segments: number, days: number): Promise<Prepared> {
  return await bench.once(`scale ${name}`, async () => {
    const database = `scale_${name}`;
    await bench.server.admin(`CREATE DATABASE ${database}`);
    const url = bench.server.url(database);
    await migrateDatabase(url, readSettings({}));
    const folder = join(bench.folder, database);
    mkdirSync(folder);
    const rows = ROWS.replaceAll("$DAYS", days.toString()).replaceAll("$DAY", formatDay(FIRST_DAY));
    await withClient(url, async (client) => await client.query(rows));
    const asOf = dayStart(addDays(FIRST_DAY, 31)).toString();
    const job: FirnlineJob = { url, policy: policyText(folder), folder, asOf, task: { name: "plan" } };
    if (segments > 0) await bench.child("firnline", { ...job, task: { name: "run" } } satisfies FirnlineJob);
    return await withClient(url, async (client) => {
      const size = async (): Promise<number> => {
        const { rows: answer } = await client.query<{ bytes: number }>(
          `SELECT sum(pg_total_relation_size(oid))::float8 AS bytes FROM pg_class
           WHERE relnamespace = 'firnline'::regnamespace AND relkind = 'r'`,
        );
        return (answer[0] as { bytes: number }).bytes;
      };
      const before = await size();
      if (segments > 0) await client.query(MULTIPLY, ["audit", segments]);
      await client.query("VACUUM ANALYZE");
      return { job, bytesASegment: segments === 0 ? null : ((await size()) - before) / segments };
    });
  });
}

const plan = (name: string, segments: number, days: number): Case => ({
  name: `plan.${name}`,
  isThroughput: false,
  measure: async (bench): Promise<Sample> => {
    const { job, bytesASegment } = await prepare(bench, name, segments, days);
    const sample = await bench.child("firnline", job);
    return { ...sample, segments, bytesASegment };
  },
});

export const SCALE: readonly Case[] = [
  // 10 years that are archived.
  plan("partitions", YEARS_10 * RULES, 1),
  // 10 years that are not: the first plan of an old table.
  plan("backlog", 0, YEARS_10),
  plan("segments", 1_000_000, 1),
];
